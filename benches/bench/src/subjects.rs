//! What is measured: the floors, our sidecar, and daprd if there is one.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, ensure};

use crate::{
    http_probe::status_of,
    pinning::{Cores, Role},
    process::{Program, free_ports},
};

/// The resources of the quickstart, policies on.
const STATE_STORE: &str = include_str!("../../../resources/statestore.yaml");
const RESILIENCY: &str = include_str!("../../../resources/resiliency.yaml");
/// Where the quickstart's Redis is.
const QUICKSTART_REDIS: &str = "localhost:6379";
/// The policies are for this application only.
const APP_ID: &str = "order-processor";

/// The programs of a measurement.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Our sidecar.
    pub outrigger: PathBuf,
    /// The floors.
    pub floor: PathBuf,
    /// The load generator.
    pub load: PathBuf,
    /// The sidecar to compare with.
    pub daprd: Option<PathBuf>,
    /// Redis.
    pub redis: PathBuf,
}

impl Programs {
    /// Ours are in one folder.
    pub fn find(folder: &Path, daprd: Option<PathBuf>, redis: PathBuf) -> anyhow::Result<Self> {
        let find = |name: &str| {
            let path = folder.join(name);
            ensure!(path.is_file(), "{}: no such file; `make bench` builds it", path.display());
            Ok(path)
        };
        if let Some(daprd) = &daprd {
            ensure!(daprd.is_file(), "{}: no such file; DAPRD names a daprd", daprd.display());
        }
        Ok(Self {
            outrigger: find("outrigger")?,
            floor: find("outrigger-floor")?,
            load: find("outrigger-load")?,
            daprd,
            redis,
        })
    }
}

/// A subject that runs.
#[derive(Debug)]
pub struct Server {
    /// Its name in tables.
    pub name: &'static str,
    /// The process.
    pub program: Program,
    /// Where its gRPC API is.
    pub grpc: Option<SocketAddr>,
    /// Where its HTTP API is.
    pub http: Option<SocketAddr>,
}

/// Where a server is started.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// On which processors.
    pub cores: &'a Cores,
    /// For its files.
    pub folder: &'a Path,
}

/// A floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// gRPC alone: answers without asking anybody.
    Echo,
    /// gRPC and Redis, and nothing between.
    Plain,
    /// HTTP alone.
    Http,
}

impl Floor {
    /// Its command line.
    pub fn command(self, executable: &Path, redis: SocketAddr) -> Command {
        let mut command = Command::new(executable);
        match self {
            Self::Echo => command.arg("echo"),
            Self::Plain => command.args(["plain", "--redis", &redis.to_string()]),
            Self::Http => command.arg("http"),
        };
        command
    }

    /// Starts it.
    pub fn start(
        self,
        name: &'static str,
        executable: &Path,
        redis: SocketAddr,
        place: Place<'_>,
    ) -> anyhow::Result<Server> {
        let command = self.command(executable, redis);
        let mut program = Program::start(name, command, (place.cores, Role::Server), place.folder)?;
        let address = listening(&mut program)?;
        let (grpc, http) =
            if self == Self::Http { (None, Some(address)) } else { (Some(address), None) };
        Ok(Server { name, program, grpc, http })
    }
}

/// Waits for the line in which a floor says where it listens.
pub fn listening(program: &mut Program) -> anyhow::Result<SocketAddr> {
    program.wait_for("the line `listening on`", Duration::from_millis(5), |program| {
        let output = program.output();
        let (_, rest) = output.split_once("listening on ")?;
        rest.split_once('\n')?.0.trim().parse().ok()
    })
}

/// A sidecar to be started: ours or daprd.
#[derive(Clone, Debug)]
pub struct Sidecar {
    executable: PathBuf,
    resources: PathBuf,
    /// Where its gRPC API will be.
    pub grpc: SocketAddr,
    /// Where its HTTP API will be.
    pub http: SocketAddr,
    internal: u16,
    metrics: u16,
}

impl Sidecar {
    /// One with the quickstart's resources, whose Redis is at this address.
    pub fn new(executable: &Path, redis: SocketAddr, folder: &Path) -> anyhow::Result<Self> {
        let resources = folder.join(format!("resources-{}", redis.port()));
        ensure!(STATE_STORE.contains(QUICKSTART_REDIS), "the quickstart's Redis has moved");
        fs::create_dir_all(&resources)?;
        let store = STATE_STORE.replace(QUICKSTART_REDIS, &redis.to_string());
        fs::write(resources.join("statestore.yaml"), store)?;
        fs::write(resources.join("resiliency.yaml"), RESILIENCY)?;
        let on = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let [grpc, http, internal, metrics] = free_ports()?;
        Ok(Self {
            executable: executable.to_owned(),
            resources,
            grpc: on(grpc),
            http: on(http),
            internal,
            metrics,
        })
    }

    /// Its command line, which is daprd's too.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(["--app-id", APP_ID, "--dapr-listen-addresses", "127.0.0.1"]);
        command.arg("--resources-path").arg(&self.resources);
        for (flag, port) in [
            ("--dapr-grpc-port", self.grpc.port()),
            ("--dapr-http-port", self.http.port()),
            ("--dapr-internal-grpc-port", self.internal),
            ("--metrics-port", self.metrics),
        ] {
            command.args([flag, &port.to_string()]);
        }
        command
    }

    /// Starts it and waits until it is ready for calls, asking every so often.
    pub fn start(
        &self,
        name: &'static str,
        place: Place<'_>,
        every: Duration,
    ) -> anyhow::Result<Server> {
        let command = self.command();
        let mut program = Program::start(name, command, (place.cores, Role::Server), place.folder)?;
        program
            .wait_for("/v1.0/healthz says 204", every, |_| {
                (status_of(self.http, "/v1.0/healthz").ok()? == 204).then_some(())
            })
            .with_context(|| format!("starting {name}"))?;
        Ok(Server { name, program, grpc: Some(self.grpc), http: Some(self.http) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_has_the_quickstarts_resources_with_another_redis() {
        let folder = tempfile::tempdir().expect("a folder");
        let redis = SocketAddr::from((Ipv4Addr::LOCALHOST, 7777));
        let sidecar = Sidecar::new(Path::new("outrigger"), redis, folder.path()).expect("files");
        let store = fs::read_to_string(sidecar.resources.join("statestore.yaml")).expect("a file");
        assert!(store.contains("value: 127.0.0.1:7777") && !store.contains("6379"), "{store}");
        let policies = fs::read_to_string(sidecar.resources.join("resiliency.yaml")).expect("one");
        assert!(policies.contains("circuitBreaker: simpleCB"));
        assert!(policies.contains(APP_ID), "the policies are for the app that is measured");
        let command = sidecar.command();
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        let port = sidecar.grpc.port().to_string();
        assert!(words.windows(2).any(|two| two[0] == "--dapr-grpc-port" && two[1] == port));
    }

    #[test]
    fn a_program_that_was_not_built_is_named() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = Programs::find(folder.path(), None, "redis-server".into()).expect_err("empty");
        assert!(error.to_string().contains("outrigger: no such file; `make bench`"), "{error}");
    }
}
