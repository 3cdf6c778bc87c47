//! Calls that were turned away before a handler saw them.

use super::{families, instrument::Counter, text::Scrape};

/// Over which API a call came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// gRPC.
    Grpc,
    /// HTTP.
    Http,
}

const PROTOCOLS: [&str; 2] = ["grpc", "http"];

/// Why a call was turned away: the closed set of the label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is no request of this protocol.
    Protocol,
    /// Its head is too large.
    Head,
    /// Its baggage is none.
    Baggage,
    /// It shows no token or a wrong one.
    Token,
    /// A rule closes what it asks for.
    Access,
    /// Nothing is served there.
    Unserved,
    /// There is too much to do: `outrigger_overload_refusals_total` says of what.
    Overload,
}

const REASONS: [&str; 7] =
    ["protocol", "head", "baggage", "token", "access", "unserved", "overload"];

/// How many calls were turned away, and why.
#[derive(Debug, Default)]
pub struct Refusals {
    counters: [[Counter; REASONS.len()]; PROTOCOLS.len()],
}

impl Refusals {
    /// A call was turned away.
    pub fn count(&self, protocol: Protocol, reason: Reason) {
        self.counters[protocol as usize][reason as usize].add_one();
    }

    /// Puts the reasons' series into a scrape.
    pub fn collect(&self, scrape: &mut Scrape, app_id: &str) {
        for (protocol, counters) in PROTOCOLS.iter().zip(&self.counters) {
            for (reason, count) in REASONS.iter().zip(counters) {
                let labels = [("app_id", app_id), ("protocol", protocol), ("reason", reason)];
                scrape.counter(&families::REFUSALS, labels, count.get());
            }
        }
    }
}
