//! `make bench`: measures Outrigger beside its floors, and beside daprd if there is one, and says
//! which of its targets it keeps.

#![allow(
    clippy::disallowed_types,
    reason = "the rule is about tokio's clock; there is no tokio here"
)]

mod args;
mod commandstats;
mod documents;
mod gates;
mod http_probe;
mod lab;
mod load;
mod machine;
mod pinning;
mod plan;
mod plots;
mod process;
mod proxy;
mod redis;
mod report;
mod resp;
mod samples;
mod sections;
mod series;
mod statistics;
mod subjects;
mod table;
mod verdict;
mod windows;

use std::{fs, path::Path, process::ExitCode, time::Instant};

use anyhow::Context as _;
use args::Args;
use clap::Parser as _;
use lab::Lab;
use machine::Machine;
use report::Report;
use subjects::Programs;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("outrigger-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Measures, prints, writes; says whether every target is kept.
fn run(args: &Args) -> anyhow::Result<bool> {
    args.check()?;
    let folder = args.bin_dir()?;
    let mut programs = Programs::find(&folder, args.daprd(), args.redis_server.clone())?;
    if let Some(sidecar) = &args.sidecar {
        programs.outrigger.clone_from(sidecar);
    }
    if let Some(file) = &args.gates {
        let counted = folder.join("outrigger-counted");
        let lab = Lab::with_redis_alone(programs, args.plan())?;
        return gates::hold(&lab, &counted, file, args.record);
    }
    let begin = Instant::now();
    let mut lab = Lab::open(programs, args.plan())?;
    eprintln!("{}", lab.cores);
    let cautions = cautions(args.quick, &folder);
    let tell = |section: &str| eprintln!("{:4} s  {section}", begin.elapsed().as_secs());
    let sections = sections::measure(&mut lab, |name| args.wants(name), tell);
    let machine = Machine::here(lab.redis.version()?);
    let report = Report {
        machine,
        plan: lab.plan,
        cautions,
        pinning: lab.cores.to_string(),
        remarks: std::mem::take(&mut lab.notes),
        series: std::mem::take(&mut lab.series),
        curve: std::mem::take(&mut lab.curve),
        sections,
    };
    drop(lab);
    print(&report);
    let json = serde_json::to_string_pretty(&report).context("the figures as JSON")?;
    let path = args.json()?;
    fs::write(&path, &json).with_context(|| format!("writing {}", path.display()))?;
    println!("All figures are in {}.", path.display());
    if let Some(docs) = &args.write_docs {
        documents::write(&report, &json, docs)?;
    }
    Ok(report.passes())
}

/// Why the figures are not for publication, if they are not.
fn cautions(quick: bool, folder: &Path) -> Vec<String> {
    let mut cautions = Vec::new();
    if quick {
        cautions.push("A quick run: whether everything works. Not for publication.".to_owned());
    }
    if !folder.ends_with("dist") {
        cautions.push(format!(
            "Measured with the programs in {}, which need not be those of the `dist` profile. Not \
             for publication.",
            folder.display()
        ));
    }
    cautions
}

fn print(report: &Report) {
    println!("\n{}\n{}", report.machine.line(), report.pinning);
    report.cautions.iter().for_each(|caution| println!("{caution}"));
    println!();
    println!("{}", report.runs().text());
    println!("{}", report.targets().text());
    report.notes().iter().for_each(|note| println!("{note}"));
    println!("{}.", report.conclusion());
}
