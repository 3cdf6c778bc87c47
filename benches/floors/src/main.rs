//! `outrigger-floor`: serves one of the floors (see the library) on 127.0.0.1.
//!
//! ```text
//! outrigger-floor echo  [--port 0] [--value-bytes 100]          gRPC, fixed answers
//! outrigger-floor plain [--port 0] --redis 127.0.0.1:6379       gRPC, over fred
//! outrigger-floor http  [--port 0] [--value-bytes 100]          HTTP/1.1, fixed answers
//! ```
//!
//! It says `listening on 127.0.0.1:PORT` on standard output once it accepts, and ends on SIGTERM or
//! SIGINT.

use std::{error::Error, io::Write as _, net::SocketAddr, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use outrigger_floors::{echo::Echo, http, listen, plain::Plain, serve};
use tokio::signal::unix::{SignalKind, signal};

// The sidecar's global allocator belongs here too, if it has one: at the moment it has none.

/// The simplest servers of the same messages, to measure Outrigger against.
#[derive(Debug, Parser)]
#[command(name = "outrigger-floor", version)]
struct Cli {
    #[command(subcommand)]
    floor: Floor,
}

#[derive(Debug, Subcommand)]
enum Floor {
    /// A bare tonic server with fixed answers.
    Echo {
        #[command(flatten)]
        port: Port,
        #[command(flatten)]
        value: ValueBytes,
    },
    /// tonic and fred, with no feature at all.
    Plain {
        #[command(flatten)]
        port: Port,
        /// Where Redis listens.
        #[arg(long, value_name = "HOST:PORT")]
        redis: SocketAddr,
    },
    /// axum with fixed answers.
    Http {
        #[command(flatten)]
        port: Port,
        #[command(flatten)]
        value: ValueBytes,
    },
}

#[derive(Debug, Args)]
struct Port {
    /// The port on 127.0.0.1; 0 takes any.
    #[arg(long, default_value_t = 0)]
    port: u16,
}

#[derive(Debug, Args)]
struct ValueBytes {
    /// How many bytes every value has.
    #[arg(long, default_value_t = 100)]
    value_bytes: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Cli::parse().floor).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "outrigger-floor: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(floor: Floor) -> Result<(), Box<dyn Error>> {
    let (Floor::Echo { port, .. } | Floor::Plain { port, .. } | Floor::Http { port, .. }) = &floor;
    let (listener, address) = listen(port.port).await?;
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let end = async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    };
    let ready = || writeln!(std::io::stdout(), "listening on {address}");
    match floor {
        Floor::Echo { value, .. } => {
            ready()?;
            serve(Echo::new(value.value_bytes), listener, end).await?;
        }
        Floor::Plain { redis, .. } => {
            let connected = Plain::connect(&redis.ip().to_string(), redis.port()).await;
            let plain = connected.map_err(|error| format!("no Redis at {redis}: {error}"))?;
            ready()?;
            serve(plain, listener, end).await?;
        }
        Floor::Http { value, .. } => {
            ready()?;
            http::serve(http::router(value.value_bytes), listener, end).await?;
        }
    }
    Ok(())
}
