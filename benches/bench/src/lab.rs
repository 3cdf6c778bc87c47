//! The place where everything runs: the subjects, the Redis behind them, and the load generator.

use std::{
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use tempfile::TempDir;

use crate::{
    load::{Load, Operation, Outcome, Protocol, Span},
    pinning::{Cores, Role},
    plan::Plan,
    redis::Redis,
    series::{Series, SeriesSet},
    subjects::{Floor, Place, Programs, Server, Sidecar},
};

/// The name of our sidecar in tables.
pub const OUTRIGGER: &str = "outrigger";
/// The name of the gRPC server that asks nobody.
pub const ECHO: &str = "echo";
/// The name of the gRPC server with a Redis and nothing between.
pub const PLAIN: &str = "plain";
/// The name of the HTTP server that asks nobody.
pub const HTTP_ECHO: &str = "http-echo";
/// The name of the other sidecar.
pub const DAPRD: &str = "daprd";

/// How often a server that starts is asked whether it is ready.
const READY_POLL: Duration = Duration::from_millis(5);

/// How long calls take at a fixed rate.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Who was called.
    pub subject: String,
    /// Calls a second.
    pub rate: f64,
    /// The median, in microseconds.
    pub p50_us: f64,
    /// What 99 of 100 calls need at most.
    pub p99_us: f64,
}

/// Everything a section needs.
#[derive(Debug)]
pub struct Lab {
    /// How long to measure.
    pub plan: Plan,
    /// What is measured.
    pub programs: Programs,
    /// Who runs where.
    pub cores: Cores,
    /// The Redis behind the subjects.
    pub redis: Redis,
    /// All runs so far.
    pub series: SeriesSet,
    /// Latency against rate.
    pub curve: Vec<CurvePoint>,
    /// What a reader of the figures has to know.
    pub notes: Vec<String>,
    servers: Vec<Server>,
    folder: TempDir,
}

impl Lab {
    /// Starts Redis, the floors and the sidecars.
    pub fn open(programs: Programs, plan: Plan) -> anyhow::Result<Self> {
        let mut lab = Self::with_redis_alone(programs, plan)?;
        for (name, floor) in [(ECHO, Floor::Echo), (PLAIN, Floor::Plain), (HTTP_ECHO, Floor::Http)]
        {
            let server = lab.start_floor(name, floor, lab.redis.address())?;
            lab.servers.push(server);
        }
        let server = lab.start_outrigger(OUTRIGGER, lab.redis.address())?;
        lab.servers.push(server);
        if let Some(daprd) = lab.programs.daprd.clone() {
            let sidecar = Sidecar::new(&daprd, lab.redis.address(), lab.folder.path())?;
            lab.servers.push(sidecar.start(DAPRD, lab.place(), READY_POLL)?);
        }
        lab.prefill()?;
        Ok(lab)
    }

    /// Starts Redis, and no subject.
    pub fn with_redis_alone(programs: Programs, plan: Plan) -> anyhow::Result<Self> {
        let cores = Cores::here()?;
        allow_many_connections()?;
        let folder = tempfile::tempdir().context("a folder for what runs")?;
        let redis = Redis::start(&programs.redis, &cores, folder.path())?;
        Ok(Self {
            plan,
            programs,
            cores,
            redis,
            series: SeriesSet::default(),
            curve: Vec::new(),
            notes: Vec::new(),
            servers: Vec::new(),
            folder,
        })
    }

    /// Writes the usual keys of every subject.
    pub fn prefill(&self) -> anyhow::Result<()> {
        for server in self.servers.iter().filter(|server| server.grpc.is_some()) {
            let mut load = Load::usual(Operation::Get, Span::Calls(1));
            load.prefill = true;
            self.run(server, &load)
                .with_context(|| format!("writing the keys of {}", server.name))?;
        }
        Ok(())
    }

    /// Where servers are started.
    pub fn place(&self) -> Place<'_> {
        Place { cores: &self.cores, folder: self.folder.path() }
    }

    /// A folder for files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts another floor.
    pub fn start_floor(
        &self,
        name: &'static str,
        floor: Floor,
        redis: SocketAddr,
    ) -> anyhow::Result<Server> {
        floor.start(name, &self.programs.floor, redis, self.place())
    }

    /// Starts another sidecar of ours.
    pub fn start_outrigger(&self, name: &'static str, redis: SocketAddr) -> anyhow::Result<Server> {
        let sidecar = Sidecar::new(&self.programs.outrigger, redis, self.folder.path())?;
        sidecar.start(name, self.place(), READY_POLL)
    }

    /// Whether there is a daprd to compare with.
    pub fn has_daprd(&self) -> bool {
        self.programs.daprd.is_some()
    }

    /// The names, in the order given, of the subjects there are, turned so that each round begins
    /// with another one.
    pub fn turn(&self, names: &[&'static str], round: usize) -> Vec<&'static str> {
        let mut names: Vec<_> =
            names.iter().copied().filter(|name| *name != DAPRD || self.has_daprd()).collect();
        let by = round % names.len().max(1);
        names.rotate_left(by);
        names
    }

    /// Drives a subject that runs all the time, and keeps what came of it for the table.
    pub fn drive(&mut self, name: &str, load: &Load, what: &str) -> anyhow::Result<Outcome> {
        let outcome = self.ask(name, load).with_context(|| what.to_owned())?;
        self.keep(name, what, &outcome);
        Ok(outcome)
    }

    /// Drives a subject that runs all the time.
    pub fn ask(&self, name: &str, load: &Load) -> anyhow::Result<Outcome> {
        let server = self.servers.iter().find(|server| server.name == name);
        let server = server.with_context(|| format!("no subject {name}"))?;
        self.run(server, load).with_context(|| name.to_owned())
    }

    /// Keeps what came of a run, for the table.
    pub fn keep(&mut self, subject: &str, what: &str, outcome: &Outcome) {
        let busy = self.measuring_core_busy(outcome);
        self.series.add(Series::one(subject, what, outcome, busy));
    }

    /// How busy the core was that measures. One that Redis and the generator share is as busy as both.
    pub fn measuring_core_busy(&self, outcome: &Outcome) -> f64 {
        let shared = self.cores.of(Role::Redis) == self.cores.of(Role::Generator);
        outcome.measuring_core_busy(shared)
    }

    /// Drives a server.
    pub fn run(&self, server: &Server, load: &Load) -> anyhow::Result<Outcome> {
        let output = self
            .load_command(server, load)?
            .stderr(Stdio::piped())
            .output()
            .context("starting outrigger-load")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "outrigger-load ends with {}: {errors}", output.status);
        let outcome = read_outcome(&output.stdout)?;
        if outcome.failed() > 0 && !load.refusals_expected {
            bail!("{} of {} calls failed: {:?}", outcome.failed(), outcome.calls, outcome.errors);
        }
        Ok(outcome)
    }

    /// The load generator's command line, on its processors.
    pub fn load_command(&self, server: &Server, load: &Load) -> anyhow::Result<Command> {
        let address = if load.protocol == Protocol::Grpc { server.grpc } else { server.http };
        let address =
            address.with_context(|| format!("{} speaks no {:?}", server.name, load.protocol))?;
        let watched = [("server", server.program.id()), ("redis", self.redis.id())];
        let mut command = Command::new(&self.programs.load);
        command.args(load.arguments(address, &watched));
        Ok(command)
    }
}

/// Reads what the load generator prints: one JSON object.
pub fn read_outcome(output: &[u8]) -> anyhow::Result<Outcome> {
    serde_json::from_slice(output)
        .with_context(|| format!("outrigger-load prints {}", String::from_utf8_lossy(output)))
}

/// A thousand connections need as many files, in every program that is started.
fn allow_many_connections() -> anyhow::Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let wanted = hard.min(65_536);
    if soft < wanted {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).context("allowing more open files")?;
    }
    Ok(())
}
