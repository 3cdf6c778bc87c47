//! `outrigger-load`: calls the state API of a server on this machine and says what each call took.
//!
//! ```text
//! outrigger-load --address 127.0.0.1:50001 --prefill --operation save --in-flight 64 --seconds 10 \
//!     --watch sidecar=4711 --watch redis=4712
//! outrigger-load --address 127.0.0.1:3500 --protocol http --connections 64 --rate 5000
//! outrigger-load --address 127.0.0.1:50001 --operation bulk-get --items 100 --calls 20000
//! ```
//!
//! # Loops
//!
//! A closed loop (`--in-flight`) starts a call when another is answered, so it never asks more of a
//! server than that can do; it finds what a call costs. An open loop (`--rate`) starts calls at
//! their times whatever became of those before, and times each from when it *should* have started:
//! a server that stalls for a second is charged with all the calls of that second. Its calls wait
//! for a place only when every connection is full: 1,000 calls over gRPC, one over HTTP/1.1. When
//! the time is up, the answers still to come are waited for, 10 seconds at most; the calls that
//! even then have none, or never started, are errors.
//!
//! With `--calls` exactly so many calls are made besides those of the warm-up, and none of the
//! warm-up's is on its way any more when they begin: for counting instructions or system calls.
//!
//! # Answers
//!
//! Every answer is judged: a get must bring the value that `--prefill` and the saves write (a JSON
//! string of `--value-bytes` bytes, the same over both protocols), a bulk get that value for each
//! of its keys, the others nothing. What is not so is an error, by kind: gRPC's code
//! (`RESOURCE_EXHAUSTED`), HTTP's status (`429`), `wrong_content`, `broken_off` (the connection or
//! the stream broke), `not_connected` (and no new one could be made; it is tried again every 20
//! ms), `unanswered`, `not_started`.
//!
//! # The report
//!
//! One JSON object on standard output; what goes wrong is said on standard error, with exit code 1
//! (2 for a wrong flag). Times are in microseconds, memory is in bytes.
//!
//! | field | what it is |
//! |---|---|
//! | `calls`, `errors` | the calls answered right, and the others by kind |
//! | `seconds`, `calls_per_second` | the length of the window, and right answers over that |
//! | `latency_us` | of right answers: percentiles to within 0.5 %, greatest, mean; `null` if none |
//! | `refused_latency_us` | the same of the others |
//! | `watched.NAME` | what a process took from the window's begin to its end |
//! | `….cpu_us_per_call` | its CPU time over all calls that ended in the window, errors included |
//! | `….cpu_fraction` | its CPU time over the window: 1 is one core |
//! | `….rss_bytes_before` | resident before anything was sent, prefill and idle connections included |
//! | `….rss_bytes_peak`, `….rss_bytes_after` | seen in the window, every 10 ms; at its end |
//! | `….syscw_per_call` | `write`, `writev` and their like over calls, without `send`; may be `null` |
//! | `generator_busy` | the generator's own CPU time over the window; near 1 it is the bottleneck |
//! | `late` | calls of an open loop that started over 1 ms after their time, and the greatest lag |

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
use line::Line;
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
    if args.prefill {
        prepare::prefill(args).await?;
    }
    let messages = Arc::new(Messages::new(args, args.operation, args.items));
    let _idle = prepare::idle_connections(args).await?;
    let lines: Vec<_> =
        (0..args.connections()).map(|_| Arc::new(Line::new(args.protocol, args.address))).collect();
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
