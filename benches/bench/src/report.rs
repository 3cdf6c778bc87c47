//! What was measured, as tables and as JSON.

use serde::Serialize;

use crate::{
    lab::CurvePoint,
    machine::Machine,
    plan::Plan,
    sections::Measured,
    series::{BUSY, LATE, Series, SeriesSet},
    statistics::{median, summarize},
    table::Table,
    verdict::{Finding, Verdict, all_pass},
};

/// Everything about a measurement.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Where and when.
    pub machine: Machine,
    /// How long.
    pub plan: Plan,
    /// Why the figures are not for publication, if they are not.
    pub cautions: Vec<String>,
    /// Who ran on which core.
    pub pinning: String,
    /// What a reader has to know.
    pub remarks: Vec<String>,
    /// The runs.
    pub series: SeriesSet,
    /// Latency against rate.
    pub curve: Vec<CurvePoint>,
    /// What the sections found.
    pub sections: Vec<Measured>,
}

impl Report {
    /// Whether every target is kept.
    pub fn passes(&self) -> bool {
        all_pass(self.findings())
    }

    fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.sections.iter().flat_map(|section| &section.findings)
    }

    /// The runs, a row for each subject and load: medians over the rounds.
    pub fn runs(&self) -> Table {
        let heading = [
            "subject", "load", "runs", "CPU us", "spread", "Redis us", "calls/s", "p50 us",
            "p90 us", "p99 us", "p99.9 us", "peak MB",
        ];
        let mut table = Table::new(&heading, 2);
        self.series.all().iter().for_each(|series| table.row(run_row(series)));
        table
    }

    /// The targets, a row for each figure.
    pub fn targets(&self) -> Table {
        let heading =
            ["figure", "measured", "95 % of the median", "min..max", "n", "must", "aim", "verdict"];
        let mut table = Table::new(&heading, 1);
        self.findings().for_each(|finding| table.row(target_row(finding)));
        table
    }

    /// What stands below the tables.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.series.all().iter().any(is_busy) {
            notes.push(format!(
                "* The core that measures was more than {:.0} % busy: calls/s and latencies of \
                 this row are the generator's, not the subject's. CPU per call is not touched.",
                BUSY * 100.0
            ));
        }
        for series in self.series.all().iter().filter(|series| median(&series.late) > LATE) {
            notes.push(format!(
                "{}, {}: {:.1} % of the calls started more than 1 ms late, because the load \
                 generator had no time.",
                series.subject,
                series.what,
                median(&series.late) * 100.0
            ));
        }
        for section in self.sections.iter().filter(|section| !section.extended_for.is_empty()) {
            notes.push(format!(
                "Section {} took {} rounds instead of {}, because these figures straddled their \
                 targets: {}.",
                section.section,
                section.rounds,
                self.plan.rounds,
                section.extended_for.join("; ")
            ));
        }
        notes.extend(self.remarks.iter().cloned());
        notes
    }

    /// One line about how it ended.
    pub fn conclusion(&self) -> String {
        let count = |verdict| self.findings().filter(|found| found.verdict() == verdict).count();
        format!(
            "{} pass, {} FAIL, {} straddle their target after all rounds, {} were not measured",
            count(Verdict::Pass),
            count(Verdict::Fail),
            count(Verdict::Straddles),
            count(Verdict::Missing)
        )
    }
}

fn is_busy(series: &Series) -> bool {
    median(&series.busy) > BUSY
}

fn run_row(series: &Series) -> Vec<String> {
    let middle = |samples: &[f64]| figure(median(samples));
    let mark = if is_busy(series) { "*" } else { "" };
    let marked = |samples: &[f64]| format!("{}{mark}", figure(median(samples)));
    vec![
        series.subject.clone(),
        series.what.clone(),
        series.cpu_us.len().to_string(),
        middle(&series.cpu_us),
        spread(&series.cpu_us),
        middle(&series.redis_cpu_us),
        format!("{:.0}{mark}", median(&series.calls_per_second)),
        marked(&series.p50_us),
        marked(&series.p90_us),
        marked(&series.p99_us),
        marked(&series.p99_9_us),
        middle(&series.peak_mb),
    ]
}

fn target_row(finding: &Finding) -> Vec<String> {
    let unit = |value: f64| match finding.unit {
        "" => figure(value),
        "x" => format!("{} x", figure(value)),
        unit => format!("{} {unit}", figure(value)),
    };
    let summary = finding.summary();
    let target = finding.target;
    vec![
        finding.what.clone(),
        summary.map_or_else(|| "-".to_owned(), |summary| unit(summary.median)),
        summary.map_or_else(String::new, |summary| range(summary.low, summary.high)),
        spread(&finding.samples),
        finding.samples.len().to_string(),
        target.map_or_else(String::new, |target| unit(target.must)),
        target.and_then(|target| target.aim).map_or_else(String::new, unit),
        verdict(finding).to_owned(),
    ]
}

fn verdict(finding: &Finding) -> &'static str {
    match finding.verdict() {
        Verdict::Pass if finding.reaches_aim() => "pass, aim reached",
        Verdict::Pass => "pass",
        Verdict::Fail => "FAIL",
        Verdict::Straddles => "straddles",
        Verdict::Missing => "not measured",
        Verdict::Told => "",
    }
}

fn spread(samples: &[f64]) -> String {
    summarize(samples).map_or_else(String::new, |summary| range(summary.min, summary.max))
}

fn range(low: f64, high: f64) -> String {
    let (low, high) = (figure(low), figure(high));
    if low == high { String::new() } else { format!("{low}..{high}") }
}

/// Three digits that count.
fn figure(value: f64) -> String {
    match value.abs() {
        _ if !value.is_finite() => "-".to_owned(),
        0.0 => "0".to_owned(),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => trimmed(format!("{value:.1}")),
        size if size >= 1.0 => trimmed(format!("{value:.2}")),
        _ => trimmed(format!("{value:.3}")),
    }
}

fn trimmed(text: String) -> String {
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
