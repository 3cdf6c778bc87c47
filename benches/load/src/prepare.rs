//! What happens before anything is measured.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use tokio::task::JoinSet;

use crate::{
    args::{Args, Operation, Protocol},
    failure::Failure,
    line::Line,
    messages::Messages,
};

/// A bulk save of the prefill is no longer than this, lest a server refuse it.
const BULK_BYTES: u32 = 1 << 20;
const BULK_ITEMS: u32 = 100;
/// How many bulk saves are in flight.
const WRITERS: usize = 8;

/// Connects, or says why not.
pub async fn connect(args: &Args, line: &Line) -> Result<(), String> {
    let spoken = match args.protocol {
        Protocol::Grpc => "gRPC",
        Protocol::Http => "HTTP",
    };
    let failed = |_| format!("nothing that speaks {spoken} answers at {}", args.address);
    line.connect().await.map_err(failed)
}

/// Saves every key.
pub async fn prefill(args: &Args) -> Result<(), String> {
    let items = (BULK_BYTES / args.value_bytes).clamp(1, BULK_ITEMS).min(args.keys);
    let messages = Arc::new(Messages::new(args, Operation::BulkSave, items));
    let next = Arc::new(AtomicU32::new(0));
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let line = Line::new(args.protocol, args.address);
        connect(args, &line).await?;
        let (messages, next, keys) = (Arc::clone(&messages), Arc::clone(&next), args.keys);
        writers.spawn(async move {
            loop {
                let first = next.fetch_add(items, Ordering::Relaxed);
                if first >= keys {
                    return Ok(());
                }
                // The last bulk begins again with the first keys.
                line.call(&messages, messages.request(first)).await?;
            }
        });
    }
    while let Some(written) = writers.join_next().await {
        written.map_err(|error| error.to_string())?.map_err(|failure: Failure| {
            format!("--prefill: a bulk save failed: {}", failure.name())
        })?;
    }
    Ok(())
}

/// Opens the connections that carry no call. Over HTTP each has carried one, whatever the answer:
/// before its first request a connection is not yet idle.
pub async fn idle_connections(args: &Args) -> Result<Vec<Line>, String> {
    let messages = Messages::new(args, Operation::Get, 1);
    let mut lines = Vec::new();
    for opened in 0..args.idle_connections {
        let line = Line::new(args.protocol, args.address);
        let failed = |_| format!("--idle-connections: {opened} were opened, and no more");
        line.connect().await.map_err(failed)?;
        if args.protocol == Protocol::Http {
            let _ = line.call(&messages, messages.request(0)).await;
        }
        lines.push(line);
    }
    Ok(lines)
}
