//! What the user typed.

use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use clap::Parser;

use crate::{plan::Plan, sections};

/// Measures Outrigger against its floors and its targets. `make bench` builds everything and runs it.
#[derive(Debug, Parser)]
#[command(name = "outrigger-bench")]
pub struct Args {
    /// A sanity check in about a minute; its figures are not for publication.
    #[arg(long)]
    pub quick: bool,
    /// Only these sections, separated by commas.
    #[arg(long, value_delimiter = ',', value_name = "SECTION")]
    pub only: Vec<String>,
    /// How many rounds each figure has, at least; a figure that straddles its target gets up to
    /// six times as many.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    rounds: Option<u16>,
    /// The folder with outrigger, outrigger-floor and outrigger-load; this program's own by default.
    #[arg(long, value_name = "FOLDER")]
    bin_dir: Option<PathBuf>,
    /// The outrigger to measure, if it is in another folder.
    #[arg(long, value_name = "FILE")]
    pub sidecar: Option<PathBuf>,
    /// Measures nothing but the gates of CI, and holds them against the figures in this file.
    #[arg(long, value_name = "FILE")]
    pub gates: Option<PathBuf>,
    /// Records what was measured in the file of the gates.
    #[arg(long, requires = "gates")]
    pub record: bool,
    /// A daprd to compare with; the environment's DAPRD by default.
    #[arg(long, value_name = "FILE")]
    daprd: Option<PathBuf>,
    /// The redis-server to start.
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub redis_server: PathBuf,
    /// Where all figures go as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Writes tables and plots into this docs folder, too.
    #[arg(long, value_name = "FOLDER")]
    pub write_docs: Option<PathBuf>,
}

impl Args {
    /// How long to measure.
    pub fn plan(&self) -> Plan {
        let rounds = self.rounds.map(usize::from);
        if self.quick { Plan::quick(rounds) } else { Plan::full(rounds) }
    }

    /// Whether a section is to be measured.
    pub fn wants(&self, section: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|wanted| wanted == section)
    }

    /// Refuses sections that there are not.
    pub fn check(&self) -> anyhow::Result<()> {
        for wanted in &self.only {
            let known: Vec<_> = sections::names().collect();
            ensure!(
                known.contains(&wanted.as_str()),
                "--only: there is no section {wanted:?}; the sections are {}",
                known.join(", ")
            );
        }
        Ok(())
    }

    /// Where our programs are.
    pub fn bin_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(folder) = &self.bin_dir {
            return Ok(folder.clone());
        }
        let own = std::env::current_exe().context("looking for this program")?;
        Ok(own.parent().context("this program is in no folder")?.to_owned())
    }

    /// The daprd to compare with; an empty variable is none.
    pub fn daprd(&self) -> Option<PathBuf> {
        let named = || std::env::var_os("DAPRD").filter(|path| !path.is_empty());
        self.daprd.clone().or_else(|| named().map(PathBuf::from))
    }

    /// Where the figures go: beside the folder with our programs, which is in `target`.
    pub fn json(&self) -> anyhow::Result<PathBuf> {
        if let Some(path) = &self.json {
            return Ok(path.clone());
        }
        let folder = self.bin_dir()?;
        Ok(folder.parent().unwrap_or(&folder).join("bench.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::try_parse_from([&["outrigger-bench"], words].concat()).expect("arguments")
    }

    #[test]
    fn sections_are_chosen_by_name() {
        let chosen = args(&["--only", "cpu,size"]);
        assert!(chosen.wants("cpu") && chosen.wants("size") && !chosen.wants("http"));
        chosen.check().expect("there are such sections");
        assert!(args(&[]).wants("http"));
        let error = args(&["--only", "speed"]).check().expect_err("no such section");
        assert!(error.to_string().contains("\"speed\"; the sections are size, start"), "{error}");
    }

    #[test]
    fn rounds_replace_those_of_the_plan() {
        let plan = args(&["--rounds", "5"]).plan();
        assert_eq!((plan.rounds, plan.most_rounds, plan.quick), (5, 30, false));
        assert!(args(&["--quick"]).plan().quick);
        assert!(Args::try_parse_from(["outrigger-bench", "--rounds", "0"]).is_err());
    }

    #[test]
    fn figures_go_into_the_target_folder() {
        let path = args(&["--bin-dir", "target/dist"]).json().expect("a path");
        assert_eq!(path, PathBuf::from("target/bench.json"));
    }
}
