//! Which answers are the same, which differ on purpose, and which simply differ.

use std::{collections::BTreeSet, fmt};

use serde_json::{Value, json};

use crate::{
    compare::{self, Kind},
    differences::Difference,
    play::Played,
    recording::{Do, Scenario},
};

/// One thing that is compared.
pub struct Check {
    /// Where, as the list of differences names it.
    pub place: String,
    /// What was done, for the reader.
    pub done: String,
    pub kind: Kind,
    pub recorded: Value,
    pub found: Value,
}

/// Everything that a scenario compares.
pub fn checks(scenario: &Scenario, played: &Played) -> Vec<Check> {
    let plain = |place: &str, recorded: Value, found: Value| {
        let (place, done) = (place.to_owned(), String::new());
        Check { place, done, kind: Kind::Whole, recorded, found }
    };
    let mut checks = vec![plain("ready", json!(scenario.ready), json!(played.ready))];
    for (at, (step, found)) in scenario.steps.iter().zip(&played.answers).enumerate() {
        let Some(recorded) = step.expect.clone() else { continue };
        let kind = match step.r#do {
            Do::Grpc(_) => Kind::Grpc,
            Do::Http(_) => Kind::Http,
            Do::Redis { .. } | Do::Server { .. } | Do::Sleep { .. } => Kind::Whole,
        };
        let (place, found) = (format!("step {at}"), found.clone());
        checks.push(Check { place, done: described(&step.r#do), kind, recorded, found });
    }
    for (at, texts) in expected_lines(&scenario.log_lines) {
        let (recorded, found) = (json!(texts), json!(played.lines));
        let (place, done) = (format!("lines {at}"), String::new());
        checks.push(Check { place, done, kind: Kind::Lines, recorded, found });
    }
    if let Some(code) = scenario.exit_code {
        checks.push(plain("exit code", json!(code), json!(played.exit_code)));
    }
    checks
}

/// Equal lines together, because they must occur as often; the breaker's together, because their
/// order counts. Each group with the place of its first line.
fn expected_lines(lines: &[String]) -> Vec<(usize, Vec<&str>)> {
    let mut groups: Vec<(usize, Vec<&str>)> = Vec::new();
    let breaker = |line: &str| line.contains("changed state from");
    for (at, line) in lines.iter().enumerate() {
        let same = |first: &str| first == line || breaker(first) && breaker(line);
        match groups.iter_mut().find(|(_, group)| same(group[0])) {
            Some((_, group)) => group.push(line),
            None => groups.push((at, vec![line])),
        }
    }
    groups
}

fn described(step: &Do) -> String {
    match step {
        Do::Grpc(call) => format!("{} {}", call.method, call.request),
        Do::Http(request) => {
            let body = request.body.as_deref().unwrap_or_default();
            format!("{} {} {body}", request.verb, request.path)
        }
        Do::Redis { redis } => redis.join(" "),
        Do::Server { .. } | Do::Sleep { .. } => String::new(),
    }
}

enum Verdict {
    Same,
    OnPurpose(u8),
    Differs(String),
}

fn verdict(check: &Check, listed: Option<&Difference>, strict: bool) -> Verdict {
    let to_recorded = compare::compare(check.kind, &check.recorded, &check.found);
    let Some(listed) = listed else {
        return if to_recorded.is_empty() { Verdict::Same } else { differs(check, &to_recorded) };
    };
    if to_recorded.is_empty() {
        if !strict {
            return Verdict::Same;
        }
        let problem = format!("{}: listed for row {}, but as recorded", check.place, listed.row);
        return Verdict::Differs(problem);
    }
    let to_ours = compare::compare(check.kind, &listed.ours, &check.found);
    if to_ours.is_empty() { Verdict::OnPurpose(listed.row) } else { differs(check, &to_ours) }
}

fn differs(check: &Check, mismatches: &[compare::Mismatch]) -> Verdict {
    let mut text = format!("{}: {}", check.place, check.done);
    for mismatch in mismatches {
        text.push_str(&format!("\n    {mismatch}"));
    }
    Verdict::Differs(text)
}

/// What came of all scenarios.
pub struct Report {
    scenarios: Vec<(String, Vec<Verdict>)>,
    /// Entries of the list that name no place.
    idle: Vec<String>,
}

/// Judges all answers. Strict, a listed difference that is none any more is reported as well.
pub fn judge(played: &[(Scenario, Played)], listed: &[Difference], strict: bool) -> Report {
    let mut used = BTreeSet::new();
    let scenarios = played.iter().map(|(scenario, played)| {
        let verdicts = checks(scenario, played).into_iter().map(|check| {
            let entry = listed
                .iter()
                .position(|entry| entry.scenario == scenario.name && entry.place == check.place);
            used.extend(entry);
            verdict(&check, entry.map(|at| &listed[at]), strict)
        });
        (scenario.name.clone(), verdicts.collect())
    });
    let scenarios = scenarios.collect();
    let idle = listed.iter().enumerate().filter(|(at, _)| !used.contains(at));
    let idle = idle.map(|(_, entry)| format!("{}, {}", entry.scenario, entry.place)).collect();
    Report { scenarios, idle }
}

impl Report {
    /// Whether nothing differs but what is listed.
    pub fn is_clean(&self) -> bool {
        let mut verdicts = self.scenarios.iter().flat_map(|(_, verdicts)| verdicts);
        self.idle.is_empty() && !verdicts.any(|verdict| matches!(verdict, Verdict::Differs(_)))
    }
}

#[derive(Default)]
struct Counts {
    same: usize,
    on_purpose: usize,
    differ: usize,
}

impl Counts {
    fn add(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            match verdict {
                Verdict::Same => self.same += 1,
                Verdict::OnPurpose(_) => self.on_purpose += 1,
                Verdict::Differs(_) => self.differ += 1,
            }
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { same, on_purpose, differ } = self;
        write!(f, "{same} same, {on_purpose} different on purpose, {differ} differ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Counts::default();
        for (name, verdicts) in &self.scenarios {
            let mut counts = Counts::default();
            counts.add(verdicts);
            all.add(verdicts);
            let rows: BTreeSet<_> = verdicts.iter().filter_map(row).collect();
            let rows: Vec<_> = rows.iter().map(u8::to_string).collect();
            let rows = if rows.is_empty() {
                String::new()
            } else {
                format!(" (rows {})", rows.join(", "))
            };
            writeln!(f, "{name:50} {counts}{rows}")?;
            for verdict in verdicts {
                if let Verdict::Differs(text) = verdict {
                    writeln!(f, "  {text}")?;
                }
            }
        }
        for entry in &self.idle {
            writeln!(f, "listed, but not there: {entry}")?;
        }
        writeln!(f, "{all}")
    }
}

fn row(verdict: &Verdict) -> Option<u8> {
    match verdict {
        Verdict::OnPurpose(row) => Some(*row),
        Verdict::Same | Verdict::Differs(_) => None,
    }
}

#[test]
fn what_is_listed_wrongly_is_reported() {
    let scenario = r#"{"scenario": "s", "redis_args": [], "app_id": "a", "args": [], "env": {},
        "config": null, "resources": {}, "ready": true, "steps_left_out": 0, "exit_code": 0,
        "steps": []}"#;
    let scenario: Scenario = serde_json::from_str(scenario).unwrap();
    let played = Played { ready: true, answers: Vec::new(), exit_code: 1, lines: Vec::new() };
    let played = [(scenario, played)];
    let entry = |place: &str, ours: Value| {
        let (scenario, place) = ("s".to_owned(), place.to_owned());
        Difference { scenario, place, row: 1, ours }
    };
    let listed = [entry("exit code", json!(1))];
    assert!(judge(&played, &listed, true).is_clean());
    assert!(!judge(&played, &[], true).is_clean(), "not listed");
    assert!(!judge(&played, &[entry("exit code", json!(2))], true).is_clean(), "another answer");
    let too_many = |place: &str| [entry("exit code", json!(1)), entry(place, json!(true))];
    let stale = judge(&played, &too_many("ready"), true).to_string();
    assert!(stale.contains("ready: listed for row 1, but as recorded"), "{stale}");
    assert!(stale.ends_with("0 same, 1 different on purpose, 1 differ\n"), "{stale}");
    assert!(judge(&played, &too_many("ready"), false).is_clean(), "another binary may be daprd");
    let idle = judge(&played, &too_many("step 7"), true).to_string();
    assert!(idle.contains("listed, but not there: s, step 7"), "{idle}");
}
