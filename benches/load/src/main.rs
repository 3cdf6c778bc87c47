//! `outrigger-load`: calls the state API of a server on this machine, in a closed loop (`--in-flight`)
//! or an open one (`--rate`), and prints what it found as one JSON object.

mod answers;
mod args;
mod closed;
mod failure;
mod grpc;
mod histogram;
mod http1;
mod line;
mod measure;
mod messages;
mod open;
mod prepare;
mod report;
mod tally;
mod template;
mod watch;

use std::{io::Write as _, process::ExitCode, sync::Arc};

use clap::Parser as _;

use args::Args;
use line::{Line, Server};
use measure::Meter;
use messages::Messages;
use report::Report;
use watch::Watched;

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let report = runtime
        .map_err(|error| format!("no runtime: {error}"))
        .and_then(|runtime| runtime.block_on(run(&args)))
        .and_then(|report| serde_json::to_string(&report).map_err(|error| error.to_string()));
    let written = report.and_then(|report| {
        writeln!(std::io::stdout(), "{report}").map_err(|error| format!("standard output: {error}"))
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "outrigger-load: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<Report, String> {
    args.check()?;
    let watched = args.watch.iter().map(Watched::new).collect::<Result<Vec<_>, _>>()?;
    let server = Server::new(args.address);
    if args.prefill {
        prepare::prefill(args, &server).await?;
    }
    let messages = Arc::new(Messages::new(args, args.operation, args.items));
    let _idle = prepare::idle_connections(args, &server).await?;
    let lines: Vec<_> = (0..args.connections())
        .map(|_| Arc::new(Line::new(args.protocol, server.clone())))
        .collect();
    for line in &lines {
        prepare::connect(args, line).await?;
    }
    let meter = Meter::new(watched);
    let counted = match args.rate {
        None => closed::run(args, &lines, &messages, meter).await?,
        Some(rate) => open::run(args, rate, &lines, &messages, meter).await?,
    };
    Ok(counted.into())
}
