//! An app and its sidecar: started one after the other, ended the other way round.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    path::PathBuf,
    process::{self, Stdio},
    sync::Arc,
    time::Duration,
};

use jiff::Zoned;
use nix::sys::signal::Signal;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use super::{
    super::{
        ExitCode,
        http_client::{self, Request},
        run::{first_failure, variables},
    },
    Console,
    plan::Plan,
};
use crate::{
    app_process::{AppProcess, Destination, Program},
    resources::run_file::{AppRun, LogDestination},
};

/// How long a sidecar may take to start.
const START_PATIENCE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);
const ANSWER_PATIENCE: Duration = Duration::from_secs(1);

/// More than the grace that sidecars give to calls in flight, unless told otherwise.
const SIDECAR_STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How much of a sidecar's log is shown when it does not start.
const LAST_LINES: usize = 10;

/// The file of the run.
pub(super) struct Origin {
    pub(super) path: Option<PathBuf>,
    pub(super) name: String,
}

/// An app and its sidecar, running.
pub(super) struct Pair {
    id: String,
    sidecar: AppProcess,
    /// `None` for a sidecar alone.
    app: Option<AppProcess>,
}

impl Pair {
    /// Starts the sidecar, waits for it, and starts the app; otherwise says what went wrong.
    pub(super) async fn start(
        plan: Plan,
        origin: &Origin,
        console: &Console,
    ) -> Result<Self, String> {
        let id = plan.app.id.clone();
        let refuse = |problem: String| format!("app {id}: {problem}");
        let logs = Logs::open(&plan.app, console).map_err(&refuse)?;
        let mut sidecar = start_sidecar(&plan, &logs.sidecar).map_err(&refuse)?;
        if let Err(problem) = wait_for(&mut sidecar, plan.ports.http).await {
            // The readers of its output have ended with it.
            drop(sidecar);
            return Err(refuse(format!("{problem}{}", logs.last_lines())));
        }
        tracing::info!(
            target: "outrigger.run",
            "Started Dapr with app id \"{id}\". HTTP Port: {}. gRPC Port: {}",
            plan.ports.http, plan.ports.grpc
        );
        let app = start_app(&plan, &logs.app).map_err(&refuse)?;
        let told = what_to_tell(&plan, origin, &logs, app.as_ref());
        let port = plan.ports.http;
        if tokio::task::spawn_blocking(move || tell(port, &told)).await.is_err() {
            return Err(refuse("its sidecar could not be told about it".to_owned()));
        }
        Ok(Self { id, sidecar, app })
    }

    /// Waits for the first of both to end, or for a signal, and ends what is left of the pair.
    pub(super) async fn accompany(
        mut self,
        mut stopped: watch::Receiver<Option<Signal>>,
    ) -> ExitCode {
        let Self { id, sidecar, app } = &mut self;
        let signal = tokio::select! {
            code = ended(app) => {
                tracing::info!(target: "outrigger.run", "The app {id} ended with exit code {code}");
                let sidecar = sidecar.stop_within(Signal::SIGTERM, SIDECAR_STOP_PATIENCE).await;
                return first_failure(code, sidecar);
            }
            code = sidecar.wait() => {
                tracing::warn!(
                    target: "outrigger.run",
                    "The sidecar of {id} ended with exit code {code}"
                );
                return first_failure(stop(app, Signal::SIGTERM).await, code);
            }
            signal = stop_signal(&mut stopped) => signal,
        };
        let code = stop(app, signal).await;
        let sidecar = sidecar.stop_within(Signal::SIGTERM, SIDECAR_STOP_PATIENCE).await;
        first_failure(code, sidecar)
    }
}

/// Resolves when all are to end.
async fn stop_signal(stopped: &mut watch::Receiver<Option<Signal>>) -> Signal {
    let signal = stopped.wait_for(Option::is_some).await;
    signal.ok().and_then(|signal| *signal).unwrap_or(Signal::SIGTERM)
}

/// Resolves when the app ends; without one, never.
async fn ended(app: &mut Option<AppProcess>) -> ExitCode {
    match app {
        Some(app) => app.wait().await,
        None => std::future::pending().await,
    }
}

async fn stop(app: &mut Option<AppProcess>, signal: Signal) -> ExitCode {
    match app {
        Some(app) => app.stop(signal).await,
        None => super::SUCCESS,
    }
}

fn start_sidecar(plan: &Plan, destination: &Destination) -> Result<AppProcess, String> {
    let program = env::current_exe().map_err(|error| format!("this program: {error}"))?;
    let program = Program {
        program: program.as_os_str(),
        arguments: &plan.words,
        environment: &[],
        directory: Some(&plan.app.directory),
        stdin: Stdio::null(),
    };
    AppProcess::start(program, destination).map_err(|error| error.to_string())
}

fn start_app(plan: &Plan, destination: &Destination) -> Result<Option<AppProcess>, String> {
    let app = &plan.app;
    let Some((program, arguments)) = app.command.split_first() else {
        tracing::warn!(
            target: "outrigger.run",
            "{}: no application command found for app {:?}; its sidecar runs alone", app.place, app.id
        );
        return Ok(None);
    };
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    // What the file says wins over what the sidecar is said to be.
    let mut environment = variables(&plan.options, plan.ports);
    environment.extend(app.environment.iter().cloned());
    let program = Program {
        program: OsStr::new(program),
        arguments: &arguments,
        environment: &environment,
        directory: Some(&app.directory),
        stdin: Stdio::null(),
    };
    AppProcess::start(program, destination).map(Some).map_err(|error| error.to_string())
}

/// Waits until the sidecar can be called.
async fn wait_for(sidecar: &mut AppProcess, port: u16) -> Result<(), String> {
    let end = Instant::now() + START_PATIENCE;
    while Instant::now() < end {
        tokio::select! {
            code = sidecar.wait() => {
                return Err(format!("its sidecar ended with exit code {code} while it started"));
            }
            ready = tokio::task::spawn_blocking(move || is_ready(port)) => {
                if ready.unwrap_or(false) {
                    return Ok(());
                }
            }
        }
        sleep(POLL).await;
    }
    Err(format!("its sidecar is not ready after {START_PATIENCE:?}"))
}

fn is_ready(port: u16) -> bool {
    let request = Request::get("/v1.0/healthz/outbound");
    http_client::send(port, &request, ANSWER_PATIENCE).is_ok_and(|answer| answer.status == 204)
}

/// What the sidecar shall remember, for `list` and `stop`.
fn what_to_tell(
    plan: &Plan,
    origin: &Origin,
    logs: &Logs,
    app: Option<&AppProcess>,
) -> Vec<(&'static str, String)> {
    let mut told = vec![("cliPID", process::id().to_string())];
    if let Some(app) = app {
        told.push(("appPID", app.id().unwrap_or_default().to_string()));
        told.push(("appCommand", plan.app.command.join(" ")));
    }
    let paths = [
        ("runTemplatePath", &origin.path),
        ("appLogPath", &logs.app_path),
        ("daprdLogPath", &logs.sidecar_path),
    ];
    for (key, path) in paths {
        told.extend(path.as_ref().map(|path| (key, path.display().to_string())));
    }
    if !origin.name.is_empty() {
        told.push(("runTemplateName", origin.name.clone()));
    }
    told
}

fn tell(port: u16, told: &[(&'static str, String)]) {
    let token = env::var("DAPR_API_TOKEN").ok().filter(|token| !token.is_empty());
    for (key, value) in told {
        let path = format!("/v1.0/metadata/{key}");
        let request =
            Request { method: "PUT", path: &path, token: token.as_deref(), body: value.as_bytes() };
        let problem = match http_client::send(port, &request, ANSWER_PATIENCE) {
            Ok(answer) if answer.status == 204 => continue,
            Ok(answer) => format!("status {}", answer.status),
            Err(error) => error.to_string(),
        };
        tracing::warn!(target: "outrigger.run", "The sidecar was not told {key}: {problem}");
    }
}

/// Where the lines of both go.
struct Logs {
    app: Destination,
    app_path: Option<PathBuf>,
    sidecar: Destination,
    sidecar_path: Option<PathBuf>,
}

impl Logs {
    fn open(run: &AppRun, console: &Console) -> Result<Self, String> {
        let (app, app_path) = open(run, "app", run.app_log, console, console.prefix(&run.id))?;
        let (sidecar, sidecar_path) = open(run, "daprd", run.sidecar_log, console, Vec::new())?;
        if let Some(folder) = app_path.as_ref().or(sidecar_path.as_ref()).and_then(|it| it.parent())
        {
            let folder = folder.display();
            tracing::info!(target: "outrigger.run", "Writing log files to directory: {folder}");
        }
        Ok(Self { app, app_path, sidecar, sidecar_path })
    }

    /// The end of the sidecar's log, if nobody saw it.
    fn last_lines(&self) -> String {
        let Some(path) = self.sidecar_path.as_ref().filter(|_| self.sidecar.lines.is_none()) else {
            return String::new();
        };
        let text = fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        format!("; {} ends with:\n{}", path.display(), last.join("\n"))
    }
}

fn open(
    run: &AppRun,
    whose: &str,
    log: LogDestination,
    console: &Console,
    prefix: Vec<u8>,
) -> Result<(Destination, Option<PathBuf>), String> {
    let lines = log.has_console().then(|| console.lines.clone());
    if !log.has_file() {
        return Ok((Destination { lines, prefix, file: None }, None));
    }
    let folder = run.directory.join(".dapr").join("logs");
    let time = Zoned::now().strftime("%Y%m%d%H%M%S");
    let path = folder.join(format!("{}_{whose}_{time}.log", run.id));
    let opened: io::Result<File> = fs::create_dir_all(&folder)
        .and_then(|()| File::options().create(true).append(true).open(&path));
    match opened {
        Ok(file) => Ok((Destination { lines, prefix, file: Some(Arc::new(file)) }, Some(path))),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}
