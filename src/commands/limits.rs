//! What a sidecar takes on at most, and how much memory that can cost.

use std::fmt::Write as _;

use super::{ExitCode, SUCCESS, print};
use crate::{cli::AllLimits, edge::admission::Limit};

pub(super) fn limits(limits: &AllLimits) -> ExitCode {
    print(&shown(limits));
    SUCCESS
}

fn shown(all: &AllLimits) -> String {
    let most = all.limits.most;
    let rows = [
        (Limit::Calls.flag(), count(most.calls), "calls of state at once, over all connections"),
        (Limit::Bytes.flag(), size(most.bytes), "bytes of their requests and answers"),
        (Limit::Connections.flag(), count(most.connections), "open connections, on all ports"),
        (
            "--max-streams-per-connection",
            all.limits.streams.to_string(),
            "calls at once on one HTTP/2 connection",
        ),
        ("--max-body-size", size(all.body), "one request or gRPC answer"),
        ("--max-header-list-size", size(Some(all.limits.header_list as usize)), "one gRPC head"),
        ("--read-buffer-size", size(Some(all.head)), "one HTTP head; 4Ki more are let pass"),
    ];
    let mut text = String::new();
    for (flag, value, what) in rows {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{flag:<30}{value:<12}{what}");
    }
    text
}

fn count(number: Option<usize>) -> String {
    number.map_or_else(|| "none".to_owned(), |number| number.to_string())
}

/// The greatest unit that leaves no rest.
fn size(bytes: Option<usize>) -> String {
    let Some(bytes) = bytes else { return "none".to_owned() };
    let units = [("Gi", 30), ("Mi", 20), ("Ki", 10)];
    let unit = units.iter().find(|(_, bits)| bytes > 0 && bytes.trailing_zeros() >= *bits);
    unit.map_or_else(|| bytes.to_string(), |(unit, bits)| format!("{}{unit}", bytes >> bits))
}
