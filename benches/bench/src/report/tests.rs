use super::*;
use crate::verdict::Target;

fn report(findings: Vec<Finding>, series: Vec<Series>) -> Report {
    let mut set = SeriesSet::default();
    series.into_iter().for_each(|series| set.add(series));
    Report {
        machine: Machine::here("7.0.15".to_owned()),
        plan: Plan::full(None),
        cautions: Vec::new(),
        pinning: "server on core 1".to_owned(),
        remarks: vec!["no valgrind".to_owned()],
        series: set,
        curve: Vec::new(),
        sections: vec![Measured {
            section: "cpu",
            rounds: 12,
            extended_for: vec!["GetState".to_owned()],
            seconds: 1.0,
            findings,
        }],
    }
}

fn series(busy: f64) -> Series {
    Series {
        subject: "plain".to_owned(),
        what: "GetState, 64 in flight".to_owned(),
        cpu_us: vec![9.0, 10.0, 12.0],
        calls_per_second: vec![100_000.0; 3],
        p50_us: vec![612.4; 3],
        busy: vec![busy; 3],
        ..Series::default()
    }
}

#[test]
fn figures_have_three_digits() {
    let cases = [
        (0.0, "0"),
        (0.0417, "0.042"),
        (0.8, "0.8"),
        (1.254, "1.25"),
        (27.93, "27.9"),
        (30.0, "30"),
        (8_000.4, "8000"),
        (f64::NAN, "-"),
    ];
    for (value, expected) in cases {
        assert_eq!(figure(value), expected, "{value}");
    }
}

#[test]
fn a_target_stands_beside_what_was_measured() {
    let target = Target::at_most(1.25).aiming_at(1.05);
    let findings = vec![
        Finding::new("get / plain", "x", vec![1.1, 1.1, 1.1], target),
        Finding::new("idle", "MB", vec![16.0], Target::at_most(15.0)),
        Finding::told("instructions", "", vec![40_000.0]),
        Finding::new("refused", "ms", vec![], Target::at_most(100.0)),
    ];
    let report = report(findings, vec![]);
    let text = report.targets().text();
    let lines: Vec<Vec<_>> =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).collect();
    assert_eq!(lines[1].join(" "), "get / plain 1.1 x 3 1.25 x 1.05 x pass");
    assert_eq!(lines[2].join(" "), "idle 16 MB 1 15 MB FAIL");
    assert_eq!(lines[3].join(" "), "instructions 40000 1");
    assert_eq!(lines[4].join(" "), "refused - 0 100 ms not measured");
    assert!(!report.passes());
    let conclusion =
        "1 pass, 1 FAIL, 0 straddle their target after all rounds, 1 were not measured";
    assert_eq!(report.conclusion(), conclusion);
}

#[test]
fn a_row_of_a_busy_generator_is_marked() {
    let row = |busy| {
        let report = report(vec![], vec![series(busy)]);
        let text = report.runs().text();
        let row = text.lines().nth(1).expect("a row").to_owned();
        (row, report.notes().iter().any(|note| note.starts_with('*')))
    };
    let (quiet, noted) = row(0.5);
    assert!(quiet.contains("10   9..12") && quiet.contains("100000 ") && !noted, "{quiet}");
    let (busy, noted) = row(0.95);
    assert!(busy.contains("100000*") && busy.contains("612*") && noted, "{busy}");
}

#[test]
fn the_notes_say_why_it_took_longer_and_what_is_missing() {
    let notes = report(vec![], vec![]).notes();
    assert!(notes[0].contains("took 12 rounds instead of 9") && notes[0].contains("GetState"));
    assert_eq!(notes[1], "no valgrind");
}

#[test]
fn calls_that_start_late_are_told() {
    let late = Series { late: vec![0.02, 0.02, 0.0], ..series(0.5) };
    let notes = report(vec![], vec![late]).notes();
    let expected = "plain, GetState, 64 in flight: 2.0 % of the calls started more than 1 ms late";
    assert!(notes[0].starts_with(expected), "{notes:?}");
}
