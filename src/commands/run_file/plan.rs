//! What is started for each app: its sidecar's command line, checked before anything starts.

use std::{
    ffi::OsString,
    io,
    net::{Ipv4Addr, TcpListener},
};

use super::super::run::ApiPorts;
use crate::{
    cli::{self, CliError, Command},
    resources::run_file::{AppRun, RunFile},
    sidecar::options::SidecarOptions,
};

/// An app and the sidecar it will have.
pub(super) struct Plan {
    pub(super) app: AppRun,
    /// The sidecar's command line without its program.
    pub(super) words: Vec<OsString>,
    /// What the sidecar will make of it.
    pub(super) options: SidecarOptions,
    pub(super) ports: ApiPorts,
}

/// Why nothing is started.
#[derive(Debug, thiserror::Error)]
pub(super) enum PlanError {
    /// The system gives no port.
    #[error("no free port: {0}")]
    Port(#[from] io::Error),
    /// What is wrong with which app, all of it.
    #[error("{}", .0.join("; "))]
    Settings(Vec<String>),
}

/// Where an app looks for its sidecar is among the addresses that mean one of these.
const LOOPBACK: [&str; 6] = ["127.0.0.1", "localhost", "0.0.0.0", "::1", "::", "[::]"];

/// Makes the plans, or says of each app what is wrong.
pub(super) fn plans(file: RunFile) -> Result<Vec<Plan>, PlanError> {
    // Held until all are chosen, so that no two are the same.
    let mut held = Vec::new();
    let mut plans = Vec::new();
    let mut problems = Vec::new();
    for app in file.apps {
        let place = app.place.clone();
        match plan(app, &mut held)? {
            Ok(plan) => plans.push(plan),
            Err(problem) => problems.push(format!("{place}: {problem}")),
        }
    }
    if problems.is_empty() { Ok(plans) } else { Err(PlanError::Settings(problems)) }
}

fn plan(app: AppRun, held: &mut Vec<TcpListener>) -> io::Result<Result<Plan, String>> {
    let mut port = |given: Option<u16>| given.map_or_else(|| free_port(held), Ok);
    let metrics_port = port(app.metrics_port)?;
    let (http, grpc) = (port(app.http_port)?, port(app.grpc_port)?);
    let ports = ApiPorts { http, grpc, metrics: Some(metrics_port) };
    let mut words = vec![
        format!("--app-id={}", app.id),
        format!("--dapr-http-port={}", ports.http),
        format!("--dapr-grpc-port={}", ports.grpc),
        format!("--metrics-port={metrics_port}"),
        // As for a single app; one the file gives stands behind it and wins.
        "--dapr-listen-addresses=127.0.0.1".to_owned(),
        "--metrics-listen-address=127.0.0.1".to_owned(),
    ];
    words.extend(app.flags.iter().cloned());
    let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
    Ok(match check(&words) {
        Ok(options) => Ok(Plan { app, words, options, ports }),
        Err(problem) => Err(problem),
    })
}

/// Reads the words as the sidecar will.
fn check(words: &[OsString]) -> Result<SidecarOptions, String> {
    let program = OsString::from("outrigger");
    let words: Vec<OsString> = std::iter::once(program).chain(words.iter().cloned()).collect();
    match cli::parse(&words, &|name| std::env::var(name).ok()) {
        Ok(Command::Serve(launch)) => {
            let options = launch.options.map_err(|error| error.to_string())?;
            let addresses = &options.listen_addresses;
            if addresses.iter().any(|address| LOOPBACK.contains(&address.as_str())) {
                return Ok(options);
            }
            let addresses = addresses.join(",");
            Err(format!("apiListenAddresses {addresses} leaves out 127.0.0.1, which apps call"))
        }
        Ok(other) => Err(format!("these settings start no sidecar: {other:?}")),
        Err(CliError::Usage { message, .. } | CliError::Fatal(message)) => Err(message),
        Err(CliError::Help(_)) => Err("these settings ask for help".to_owned()),
    }
}

fn free_port(held: &mut Vec<TcpListener>) -> io::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    held.push(listener);
    Ok(port)
}
