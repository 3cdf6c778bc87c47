//! The binary as a process, with resources in a folder of its own.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{
    PATIENCE, canary,
    client::Client,
    http::{self, Answer},
    ports::free_port,
    process::{Line, Process},
    redis::Redis,
    resources,
};

/// The app id of every sidecar of the tests.
pub const APP_ID: &str = "order-processor";

/// How a sidecar is to be started.
#[derive(Default)]
pub struct Setup {
    resources: Vec<(String, String)>,
    args: Vec<String>,
    env: Vec<(String, OsString)>,
    app: Option<Vec<String>>,
    http_port: Option<u16>,
    without_token: bool,
    /// The app id, if it is not [`APP_ID`].
    pub app_id: Option<String>,
    /// The binary, if it is not the one under test.
    pub program: Option<PathBuf>,
}

impl Setup {
    /// With the store `statestore` on this Redis.
    pub fn redis(self, redis: &Redis) -> Self {
        self.resource("statestore.yaml", &resources::statestore(redis))
    }

    /// With a file in its resources folder.
    pub fn resource(mut self, name: &str, text: &str) -> Self {
        self.resources.push((name.to_owned(), text.to_owned()));
        self
    }

    /// With more words on its command line.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// With a variable in its otherwise almost empty environment.
    pub fn env(mut self, name: &str, value: impl AsRef<Path>) -> Self {
        self.env.push((name.to_owned(), value.as_ref().into()));
        self
    }

    /// Without the API token.
    pub fn without_token(mut self) -> Self {
        self.without_token = true;
        self
    }

    /// On this HTTP port instead of a free one.
    pub fn http_port(mut self, port: u16) -> Self {
        self.http_port = Some(port);
        self
    }

    /// As `outrigger run ... -- APP`, leading a process group as under a terminal.
    pub fn run(mut self, app: &[&str]) -> Self {
        self.app = Some(app.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    /// Starts it and waits until it is ready for outbound calls.
    #[track_caller]
    pub fn start(self) -> Sidecar {
        self.try_start()
            .unwrap_or_else(|ended| panic!("the sidecar ended:\n{}", ended.process.text()))
    }

    /// The same; the error is a sidecar that ended instead.
    pub fn try_start(self) -> Result<Sidecar, Sidecar> {
        // Another process may take a port before the sidecar does.
        for _ in 0..5 {
            let mut sidecar = self.launch();
            if sidecar.becomes_ready() {
                return Ok(sidecar);
            }
            if !sidecar.process.text().to_lowercase().contains("in use") {
                return Err(sidecar);
            }
        }
        panic!("the sidecar found no free port five times in a row");
    }

    /// Starts it without waiting.
    pub fn launch(&self) -> Sidecar {
        self.launch_writing_to(Stdio::piped())
    }

    /// Starts it without waiting, its standard output going elsewhere.
    pub fn launch_writing_to(&self, stdout: Stdio) -> Sidecar {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for (name, text) in &self.resources {
            fs::write(folder.path().join(name), text).expect("a resource file");
        }
        let http_port = self.http_port.unwrap_or_else(free_port);
        let (grpc_port, metrics_port) = (free_port(), free_port());
        let mut command = self.command(folder.path(), [http_port, grpc_port, metrics_port]);
        let process = Process::spawn_writing_to("outrigger", &mut command, stdout);
        Sidecar { http_port, grpc_port, metrics_port, process, _folder: folder }
    }

    fn command(&self, folder: &Path, [http_port, grpc_port, metrics_port]: [u16; 3]) -> Command {
        let own = Path::new(env!("CARGO_BIN_EXE_outrigger"));
        let mut command = Command::new(self.program.as_deref().unwrap_or(own));
        command.env_clear();
        for kept in ["PATH", "HOME"] {
            command.envs(std::env::var_os(kept).map(|value| (kept, value)));
        }
        if !self.without_token {
            command.env("DAPR_API_TOKEN", canary::TOKEN);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if self.app.is_some() {
            command.arg("run");
            std::os::unix::process::CommandExt::process_group(&mut command, 0);
        } else {
            command.args(["--dapr-listen-addresses", "127.0.0.1"]);
        }
        let app_id = self.app_id.as_deref().unwrap_or(APP_ID);
        command.args(["--app-id", app_id, "--log-level", "debug"]);
        command.arg("--dapr-http-port").arg(http_port.to_string());
        command.arg("--dapr-grpc-port").arg(grpc_port.to_string());
        command.arg("--metrics-port").arg(metrics_port.to_string());
        if !self.resources.is_empty() {
            command.arg("--resources-path").arg(folder);
        }
        command.args(&self.args);
        if let Some(app) = &self.app {
            command.arg("--").args(app);
        }
        command
    }
}

/// A sidecar, running or ended.
pub struct Sidecar {
    /// Where it serves HTTP.
    pub http_port: u16,
    /// Where it serves gRPC.
    pub grpc_port: u16,
    /// Where it serves metrics.
    pub metrics_port: u16,
    /// The process itself.
    pub process: Process,
    _folder: TempDir,
}

impl Sidecar {
    /// A client with the API token.
    pub fn client(&self) -> Client {
        Client::connect(self.grpc_port)
    }

    /// An HTTP request with the API token.
    #[track_caller]
    pub fn http(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let token = [("dapr-api-token", canary::TOKEN)];
        http::request(method, self.http_port, path, &token, body)
            .unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// The text of its metrics.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let answer = http::request("GET", self.metrics_port, "/metrics", &[], &[]);
        answer.unwrap_or_else(|error| panic!("the metrics: {error}")).body
    }

    /// How many lines it has said.
    pub fn mark(&self) -> usize {
        self.process.lines().len()
    }

    /// The lines from `mark` on that contain the text.
    pub fn said(&self, mark: usize, text: &str) -> Vec<Line> {
        let lines = self.process.lines().into_iter().skip(mark);
        lines.filter(|line| line.text.contains(text)).collect()
    }

    /// The breaker's changes from `mark` on, such as `closed to open`.
    pub fn breaker_changes(&self, mark: usize) -> Vec<String> {
        let lines = self.said(mark, "changed state from ");
        let changes = lines.iter().filter_map(|line| line.text.split("changed state from ").nth(1));
        changes.filter_map(|rest| Some(rest.split('"').next()?.trim().to_owned())).collect()
    }

    /// Waits until a call can reach the store.
    #[track_caller]
    pub fn wait_until_connected(&self) {
        let client = self.client();
        super::eventually("the store is connected", || {
            client.extended("outrigger.store.statestore.connected") == "true"
        });
    }

    /// Ends it by SIGTERM and checks that it ended well.
    #[track_caller]
    pub fn finish(mut self) {
        self.process.signal(Signal::SIGTERM);
        let code = self.process.exit_code();
        assert_eq!(code, 0, "{}", self.process.text());
    }

    /// False if it ended instead.
    #[track_caller]
    fn becomes_ready(&mut self) -> bool {
        let end = Instant::now() + PATIENCE;
        while self.process.status().is_none() {
            let health = http::request("GET", self.http_port, "/v1.0/healthz/outbound", &[], &[]);
            if health.is_ok_and(|answer| answer.status == 204) {
                return true;
            }
            assert!(Instant::now() < end, "the sidecar is never ready:\n{}", self.process.text());
            thread::sleep(Duration::from_millis(10));
        }
        self.process.wait();
        false
    }
}

/// The order-processor written in Rust; cargo builds it with the tests.
pub fn order_processor() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_outrigger")).parent().expect("a folder");
    let path = folder.join("examples/order-processor");
    assert!(path.exists(), "{}: run `cargo build --examples`", path.display());
    path
}
