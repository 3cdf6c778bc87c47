//! What a sidecar takes on at most, and how much memory that can cost.

use std::fmt::Write as _;

use super::{ExitCode, SUCCESS, print};
use crate::{cli::AllLimits, edge::admission::Limit};

/// About what one of each costs: a small call in flight with all it needs, a connection with its
/// buffers, and how often a byte of a request or an answer is there at once: as it came, as it waits
/// for the store, and on its way to it.
const CALL: usize = 56 << 10;
const CONNECTION: usize = 64 << 10;
const COPIES: usize = 3;

/// Prints them.
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
    let _ = write!(text, "\n{}", worst_case(all));
    text
}

/// What all of it can take on top of an idle sidecar.
fn worst_case(all: &AllLimits) -> String {
    let most = all.limits.most;
    let parts = [
        ("calls", most.calls, CALL),
        ("bytes in flight", most.bytes, COPIES),
        ("connections", most.connections, CONNECTION),
    ];
    let mut text = "Memory beyond that of an idle sidecar, at the worst:\n".to_owned();
    let mut whole = Some(0_usize);
    for (what, number, each) in parts {
        let part = number.map(|number| number.saturating_mul(each));
        let _ = writeln!(text, "  {what:<28}{}", part.map_or("no bound".to_owned(), mebibytes));
        whole = whole.zip(part).map(|(whole, part)| whole.saturating_add(part));
    }
    let _ =
        writeln!(text, "  {:<28}{}", "together", whole.map_or("no bound".to_owned(), mebibytes));
    text
}

fn mebibytes(bytes: usize) -> String {
    format!("{} MiB", bytes.div_ceil(1 << 20))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{self, Command};

    fn shown_for(line: &str) -> String {
        let words: Vec<_> = line.split(' ').map(Into::into).collect();
        match cli::parse(&words, &|_| None) {
            Ok(Command::Limits(all)) => shown(&all),
            other => panic!("{line}: {other:?}"),
        }
    }

    fn assert_lines(text: &str, lines: &[&str]) {
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        for line in lines {
            assert!(text.lines().any(|found| words(found).starts_with(line)), "{line}: {text}");
        }
    }

    #[test]
    fn every_limit_is_shown_with_what_it_bounds() {
        assert_lines(
            &shown_for("outrigger limits"),
            &[
                "--max-calls-in-flight 1024 calls",
                "--max-bytes-in-flight 64Mi bytes",
                "--max-connections 2048 open",
                "--max-streams-per-connection 1000 calls",
                "--max-body-size 4Mi one",
                "--max-header-list-size 64Ki one",
                "--read-buffer-size 4Ki one",
                "calls 56 MiB",
                "bytes in flight 192 MiB",
                "connections 128 MiB",
                "together 376 MiB",
            ],
        );
    }

    #[test]
    fn the_flags_of_a_sidecar_change_what_is_shown() {
        let line = "outrigger limits --app-id a --max-calls-in-flight 10 --max-bytes-in-flight=1000 \
                    --max-connections 0 --read-buffer-size 128Ki --max-body-size 0";
        assert_lines(
            &shown_for(line),
            &[
                "--max-calls-in-flight 10 ",
                "--max-bytes-in-flight 1000 ",
                "--max-connections none ",
                "--max-header-list-size 128Ki ",
                "--max-body-size none ",
                "connections no bound",
                "together no bound",
            ],
        );
    }
}
