//! A run of the load generator, and what it measured.

use std::{collections::BTreeMap, net::SocketAddr};

use serde::{Deserialize, Serialize};

/// What the callers speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// The sidecar's gRPC API.
    Grpc,
    /// Its HTTP API.
    Http,
}

/// What the callers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// One value.
    Get,
    /// One value to be written.
    Save,
    /// Several values.
    BulkGet,
    /// Several values to be written.
    BulkSave,
    /// Several values to be written at once or not at all.
    Transaction,
}

impl Operation {
    /// The generator's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Save => "save",
            Self::BulkGet => "bulk-get",
            Self::BulkSave => "bulk-save",
            Self::Transaction => "transaction",
        }
    }
}

/// When a run is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Span {
    /// After this time, of which a part before it is not counted.
    Seconds {
        /// What is counted.
        counted: f64,
        /// What goes before.
        warm_up: f64,
    },
    /// After so many calls.
    Calls(u64),
}

/// How the callers come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many callers, each with its next call once the last one is answered.
    InFlight(u32),
    /// So many calls a second, whatever becomes of them.
    PerSecond(f64),
}

/// What is asked of the load generator.
#[derive(Clone, Debug)]
pub struct Load {
    /// What the callers speak.
    pub protocol: Protocol,
    /// What they ask for.
    pub operation: Operation,
    /// On how many connections.
    pub connections: u32,
    /// How they come.
    pub pace: Pace,
    /// Until when.
    pub span: Span,
    /// Over how many keys.
    pub keys: u32,
    /// The size of a value.
    pub value_bytes: u32,
    /// How many items a bulk call or a transaction has.
    pub items: u32,
    /// Seconds to live of what is saved.
    pub ttl: Option<u32>,
    /// What the keys begin with.
    pub key_prefix: String,
    /// Writes every key first.
    pub prefill: bool,
    /// Connections that do nothing.
    pub idle_connections: u32,
    /// Whether refusals are what the run is about; elsewhere any error ends the measurement.
    pub refusals_expected: bool,
}

impl Load {
    /// 64 calls in flight on 4 gRPC connections, 100-byte values, 1,000 keys: the usual load.
    pub fn usual(operation: Operation, span: Span) -> Self {
        Self {
            protocol: Protocol::Grpc,
            operation,
            connections: 4,
            pace: Pace::InFlight(64),
            span,
            keys: 1_000,
            value_bytes: 100,
            items: 100,
            ttl: None,
            key_prefix: "bench-".to_owned(),
            prefill: false,
            idle_connections: 0,
            refusals_expected: false,
        }
    }

    /// The same with so many in flight.
    pub fn in_flight(mut self, in_flight: u32) -> Self {
        self.pace = Pace::InFlight(in_flight);
        self.connections = self.connections.min(in_flight);
        self
    }

    /// The same over HTTP, each call in flight on a connection of its own.
    pub fn over_http(mut self, connections: u32) -> Self {
        self.protocol = Protocol::Http;
        self.connections = connections;
        self.pace = Pace::InFlight(connections);
        self
    }

    /// The generator's arguments.
    pub fn arguments(&self, address: SocketAddr, watched: &[(&str, u32)]) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut add = |flag: &str, value: String| words.extend([format!("--{flag}"), value]);
        let protocol = if self.protocol == Protocol::Grpc { "grpc" } else { "http" };
        add("protocol", protocol.to_owned());
        add("address", address.to_string());
        add("operation", self.operation.word().to_owned());
        add("store", "statestore".to_owned());
        add("connections", self.connections.to_string());
        match self.pace {
            Pace::InFlight(calls) => add("in-flight", calls.to_string()),
            Pace::PerSecond(rate) => add("rate", format!("{rate:.0}")),
        }
        match self.span {
            Span::Seconds { counted, warm_up } => {
                add("seconds", counted.to_string());
                add("warm-up", warm_up.to_string());
            }
            Span::Calls(calls) => {
                add("calls", calls.to_string());
                add("warm-up", "0".to_owned());
            }
        }
        add("keys", self.keys.to_string());
        add("value-bytes", self.value_bytes.to_string());
        add("items", self.items.to_string());
        add("key-prefix", self.key_prefix.clone());
        if let Some(ttl) = self.ttl {
            add("ttl", ttl.to_string());
        }
        if self.idle_connections > 0 {
            add("idle-connections", self.idle_connections.to_string());
        }
        for (name, id) in watched {
            add("watch", format!("{name}={id}"));
        }
        if self.prefill {
            words.push("--prefill".to_owned());
        }
        words
    }
}

/// Times of calls in microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// Nine of ten are faster.
    pub p90: f64,
    /// 99 of 100 are faster.
    pub p99: f64,
    /// 999 of 1,000 are faster.
    #[serde(rename = "p99.9")]
    pub p99_9: f64,
    /// The slowest.
    pub max: f64,
    /// The average.
    pub mean: f64,
}

/// What a watched process used meanwhile.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Watched {
    /// Processor time a call, in microseconds.
    pub cpu_us_per_call: f64,
    /// Processor time of the time that passed.
    pub cpu_fraction: f64,
    /// The most resident memory seen.
    pub rss_bytes_peak: u64,
}

/// Calls of a fixed rate that did not start at their time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Late {
    /// How many started more than a millisecond late.
    pub calls: u64,
}

/// What the load generator says of a run.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Outcome {
    /// Calls that were answered as they should be.
    pub calls: u64,
    /// Calls that failed, by kind.
    #[serde(default)]
    pub errors: BTreeMap<String, u64>,
    /// The time that was counted.
    pub seconds: f64,
    /// Calls a second that were answered as they should be.
    pub calls_per_second: f64,
    /// Times of the calls that succeeded.
    pub latency_us: Option<Latency>,
    /// Times of the calls that failed.
    #[serde(default)]
    pub refused_latency_us: Option<Latency>,
    /// What was watched.
    #[serde(default)]
    pub watched: BTreeMap<String, Watched>,
    /// How busy the generator itself was, of one core.
    pub generator_busy: f64,
    /// What started late.
    #[serde(default)]
    pub late: Late,
}

impl Outcome {
    /// Calls that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Processor time a call of a watched process.
    pub fn cpu(&self, name: &str) -> f64 {
        self.watched.get(name).map_or(f64::NAN, |watched| watched.cpu_us_per_call)
    }

    /// How busy the core of the generator was, which Redis may share.
    pub fn measuring_core_busy(&self, shared: bool) -> f64 {
        let redis = self.watched.get("redis").map_or(0.0, |redis| redis.cpu_fraction);
        self.generator_busy + if shared { redis } else { 0.0 }
    }

    /// Times of the calls that succeeded; no numbers if none did.
    pub fn latency(&self) -> Latency {
        let none = f64::NAN;
        let nothing =
            Latency { p50: none, p90: none, p99: none, p99_9: none, max: none, mean: none };
        self.latency_us.unwrap_or(nothing)
    }

    /// Which part of the calls that had a time of their own started late.
    #[expect(clippy::cast_precision_loss, reason = "counts of calls are far below 2^52")]
    pub fn late_part(&self) -> f64 {
        self.late.calls as f64 / (self.calls + self.failed()).max(1) as f64
    }
}
