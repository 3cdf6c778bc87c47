//! The flags.

use std::{net::SocketAddr, str::FromStr, time::Duration};

use clap::{Parser, ValueEnum};

/// Unless said.
const IN_FLIGHT: u32 = 64;
/// Unless said, for gRPC.
const CONNECTIONS: usize = 4;

/// Calls the state API as often as asked and says in JSON what each call took.
#[derive(Debug, Parser)]
#[command(name = "outrigger-load", version)]
pub struct Args {
    /// The API to call.
    #[arg(long, value_enum, default_value = "grpc")]
    pub protocol: Protocol,
    /// Where the server listens: a loopback address.
    #[arg(long, value_name = "HOST:PORT", value_parser = loopback)]
    pub address: SocketAddr,
    /// The call to make.
    #[arg(long, value_enum, default_value = "get")]
    pub operation: Operation,
    /// The state store to name.
    #[arg(long, default_value = "statestore", value_parser = plain)]
    pub store: String,
    /// How many connections the calls share; over HTTP as many as calls in flight unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub connections: Option<u32>,
    /// Closed loop: how many calls wait for their answers at any time.
    #[arg(long, conflicts_with = "rate", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub in_flight: Option<u32>,
    /// Open loop: how many calls start each second, whatever becomes of those before.
    #[arg(long, value_name = "CALLS_PER_SECOND", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub rate: Option<u32>,
    /// How long calls are counted.
    #[arg(long, default_value = "5", value_parser = some_seconds)]
    pub seconds: Duration,
    /// How long calls are made before they count.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub warm_up: Duration,
    /// Count this many calls, however long they take, and start none besides (closed loop).
    #[arg(long, conflicts_with_all = ["rate", "seconds"], value_parser = clap::value_parser!(u64).range(1..))]
    pub calls: Option<u64>,
    /// Calls choose among this many keys by chance.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=999_999_999))]
    pub keys: u32,
    /// The size of a value: a JSON string, its quotes included.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(2..))]
    pub value_bytes: u32,
    /// How many items a bulk call or a transaction has; they follow one another among the keys.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub items: u32,
    /// What is saved lives this many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub ttl: Option<u32>,
    /// What every key begins with.
    #[arg(long, default_value = "load-", value_parser = plain)]
    pub key_prefix: String,
    /// Measure this process's CPU and memory too, under this name; may be repeated.
    #[arg(long, value_name = "NAME=PID")]
    pub watch: Vec<Watch>,
    /// Save every key before anything is measured.
    #[arg(long)]
    pub prefill: bool,
    /// Open this many connections more, which carry no call.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub idle_connections: u32,
}

/// Which of the server's APIs is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Protocol {
    /// gRPC without TLS.
    Grpc,
    /// HTTP/1.1 on kept connections.
    Http,
}

/// Which call is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Operation {
    /// Reads one key.
    Get,
    /// Writes one key.
    Save,
    /// Reads `--items` keys.
    BulkGet,
    /// Writes `--items` keys.
    BulkSave,
    /// Writes `--items` keys at once or not at all.
    Transaction,
    /// Deletes one key.
    Delete,
}

/// A process to measure.
#[derive(Clone, Debug)]
pub struct Watch {
    /// What the report calls it.
    pub name: String,
    /// Its id.
    pub pid: u32,
}

impl FromStr for Watch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, pid) = text.split_once('=').ok_or("expected NAME=PID")?;
        let pid = pid.parse().map_err(|_| format!("{pid:?} is no process id"))?;
        Ok(Self { name: name.to_owned(), pid })
    }
}

impl Args {
    /// How many calls are in flight in a closed loop.
    pub fn in_flight(&self) -> usize {
        let unsaid = match (self.protocol, self.connections) {
            (Protocol::Http, Some(connections)) => connections,
            _ => IN_FLIGHT,
        };
        self.in_flight.unwrap_or(unsaid) as usize
    }

    /// How many connections carry calls.
    pub fn connections(&self) -> usize {
        let unsaid = match self.protocol {
            Protocol::Http => self.in_flight(),
            Protocol::Grpc => CONNECTIONS,
        };
        self.connections.map_or(unsaid, |connections| connections as usize)
    }

    /// What clap cannot see: flags that do not go together.
    pub fn check(&self) -> Result<(), String> {
        if self.protocol == Protocol::Http
            && self.rate.is_none()
            && self.connections() != self.in_flight()
        {
            return Err(format!(
                "--in-flight {} needs as many --connections over HTTP/1.1, which carries one call \
                 on a connection at a time; {} were given",
                self.in_flight(),
                self.connections()
            ));
        }
        let many = matches!(
            self.operation,
            Operation::BulkGet | Operation::BulkSave | Operation::Transaction
        );
        if many && self.items > self.keys {
            return Err(format!(
                "--items {} needs at least as many --keys; {} were given",
                self.items, self.keys
            ));
        }
        Ok(())
    }
}

/// Load belongs on one's own machine.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let text =
        text.strip_prefix("localhost:").map_or(text.to_owned(), |p| format!("127.0.0.1:{p}"));
    let address: SocketAddr =
        text.parse().map_err(|_| "expected HOST:PORT with an IP address or localhost")?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err(format!(
            "{} is not a loopback address: load is made on this machine only",
            address.ip()
        ))
    }
}

/// Names that need no escaping in a URL or in JSON.
fn plain(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err("expected letters, digits, '-', '_' and '.' alone".to_owned())
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected a number of seconds")?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn some_seconds(text: &str) -> Result<Duration, String> {
    match seconds(text)? {
        Duration::ZERO => Err("expected more than no time".to_owned()),
        time => Ok(time),
    }
}
