//! Which answers are the same, which differ on purpose, and which simply differ.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use serde_json::{Value, json};

use crate::{
    compare::{self, Headers, Kind},
    differences::Difference,
    play::Played,
    recording::{self, Do, Http, Scenario, Step},
};

/// One thing that is compared.
pub struct Check<'a> {
    /// Where, as the list of differences names it.
    pub place: String,
    /// What was done, for the reader.
    done: Option<&'a Do>,
    pub kind: Kind,
    pub recorded: Cow<'a, Value>,
    found: Cow<'a, Value>,
}

/// Everything that a scenario compares.
pub fn checks<'a>(scenario: &'a Scenario, played: &'a Played) -> Vec<Check<'a>> {
    let plain = |place: &str, kind, recorded: Value, found| {
        let (place, recorded) = (place.to_owned(), Cow::Owned(recorded));
        Check { place, done: None, kind, recorded, found }
    };
    let ready = Cow::Owned(json!(played.ready));
    let mut checks = vec![plain("ready", Kind::Whole, json!(scenario.ready), ready)];
    for (at, (step, found)) in scenario.steps.iter().zip(&played.answers).enumerate() {
        let Some(recorded) = &step.expect else { continue };
        let kind = match step.r#do {
            Do::Grpc(_) => Kind::Grpc,
            Do::Http(_) => Kind::Http(headers(scenario, step)),
            Do::Redis { .. } | Do::Server { .. } | Do::Sleep { .. } => Kind::Whole,
        };
        let (place, done) = (format!("step {at}"), Some(&step.r#do));
        let (recorded, found) = (Cow::Borrowed(recorded), Cow::Borrowed(found));
        checks.push(Check { place, done, kind, recorded, found });
    }
    for (at, texts) in expected_lines(&scenario.log_lines) {
        let found = Cow::Borrowed(&played.lines);
        checks.push(plain(&format!("lines {at}"), Kind::Lines, json!(texts), found));
    }
    if let Some(code) = scenario.exit_code {
        let found = Cow::Borrowed(&played.exit_code);
        checks.push(plain("exit code", Kind::Whole, json!(code), found));
    }
    checks
}

/// The answers to reads of one scenario were recorded without their headers.
fn headers(scenario: &Scenario, step: &Step) -> Headers {
    let Do::Http(Http { verb, .. }) = &step.r#do else { return Headers::Recorded };
    let expect = step.expect.as_ref();
    let read = verb == "GET" && expect.is_some_and(|answer| answer["status"] == 200);
    if scenario.name == "http/json-values" && read {
        Headers::NotRecorded
    } else {
        Headers::Recorded
    }
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
    OnPurpose { place: String, row: u8 },
    Differs(String),
}

fn verdict(check: &Check, listed: Option<&Difference>, strict: bool) -> Verdict {
    let to_recorded = compare::compare(check.kind, &check.recorded, &check.found);
    let Some(listed) = listed else {
        return if to_recorded.is_empty() { Verdict::Same } else { differs(check, &to_recorded) };
    };
    if let Some(field) = listed.not_as_recorded(&check.recorded) {
        let problem = format!("{}: {field} is recorded otherwise than listed", check.place);
        return Verdict::Differs(problem);
    }
    if to_recorded.is_empty() {
        if !strict {
            return Verdict::Same;
        }
        let problem = format!("{}: listed for row {}, but as recorded", check.place, listed.row);
        return Verdict::Differs(problem);
    }
    let to_ours = compare::compare(check.kind, &listed.ours(&check.recorded), &check.found);
    if !to_ours.is_empty() {
        return differs(check, &to_ours);
    }
    Verdict::OnPurpose { place: check.place.clone(), row: listed.row }
}

fn differs(check: &Check, mismatches: &[compare::Mismatch]) -> Verdict {
    let done = check.done.map(described).unwrap_or_default();
    let mut text = format!("{}: {done}", check.place);
    for mismatch in mismatches {
        text.push_str(&format!("\n    {mismatch}"));
    }
    Verdict::Differs(text)
}

/// How many lines are told of a process that went wrong.
const LAST_LINES: usize = 10;

fn went_wrong(problem: &str, played: &Played) -> String {
    let mut text = problem.to_owned();
    let lines: Vec<_> = played.lines.as_array().into_iter().flatten().collect();
    for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
        text.push_str(&format!("\n    | {}", line.as_str().unwrap_or_default()));
    }
    text
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
        if let Some(problem) = &played.problem {
            let own = |entry: &(usize, &Difference)| entry.1.scenario == scenario.name;
            used.extend(listed.iter().enumerate().filter(own).map(|(at, _)| at));
            return (scenario.name.clone(), vec![Verdict::Differs(went_wrong(problem, played))]);
        }
        let verdicts = checks(scenario, played).into_iter().map(|check| {
            let entry = listed
                .iter()
                .position(|entry| entry.scenario == scenario.name && entry.place == check.place);
            used.extend(entry);
            let verdict = verdict(&check, entry.map(|at| &listed[at]), strict);
            match verdict {
                Verdict::Differs(text) if check.place == "ready" => {
                    Verdict::Differs(went_wrong(&text, played))
                }
                other => other,
            }
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
                Verdict::OnPurpose { .. } => self.on_purpose += 1,
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
            writeln!(f, "{name:50} {counts}")?;
            for verdict in verdicts {
                match verdict {
                    Verdict::Same => {}
                    Verdict::OnPurpose { place, row } => writeln!(f, "  {place}: row {row}")?,
                    Verdict::Differs(text) => writeln!(f, "  {text}")?,
                }
            }
        }
        for entry in &self.idle {
            writeln!(f, "listed, but not there: {entry}")?;
        }
        writeln!(f, "{all}")
    }
}

pub fn what_is_listed_wrongly_is_reported() {
    let scenario = r#"{"scenario": "s", "redis_args": [], "app_id": "a", "args": [], "env": {},
        "config": null, "resources": {}, "ready": true, "steps_left_out": 0, "exit_code": 0,
        "steps": []}"#;
    let scenario: Scenario = serde_json::from_str(scenario).unwrap();
    let played = Played { ready: true, exit_code: json!(1), ..Played::default() };
    let played = [(scenario, played)];
    let entry = |place: &str, daprd: Value, ours: Value| -> Difference {
        let fields = json!({"answer": {"daprd": daprd, "outrigger": ours}});
        let entry = json!({"scenario": "s", "place": place, "row": 1, "fields": fields});
        serde_json::from_value(entry).unwrap()
    };
    let code = |daprd: u8, ours: u8| entry("exit code", json!(daprd), json!(ours));
    let told = judge(&played, &[code(0, 1)], true);
    assert!(told.is_clean() && told.to_string().contains("\n  exit code: row 1\n"), "{told}");
    assert!(!judge(&played, &[], true).is_clean(), "not listed");
    assert!(!judge(&played, &[code(0, 2)], true).is_clean(), "another answer");
    assert!(!judge(&played, &[code(2, 1)], true).is_clean(), "not what daprd answered");
    let too_many = |place: &str| [code(0, 1), entry(place, json!(true), json!(false))];
    let stale = judge(&played, &too_many("ready"), true).to_string();
    assert!(stale.contains("ready: listed for row 1, but as recorded"), "{stale}");
    assert!(stale.ends_with("0 same, 1 different on purpose, 1 differ\n"), "{stale}");
    assert!(judge(&played, &too_many("ready"), false).is_clean(), "another binary may be daprd");
    let idle = judge(&played, &too_many("step 7"), true).to_string();
    assert!(idle.contains("listed, but not there: s, step 7"), "{idle}");
}

pub fn what_goes_wrong_is_told_once() {
    let played = Played::broken("it burns", json!(["the last line"]));
    let told = judge(&[(recording::all().swap_remove(0), played)], &[], true);
    let text = told.to_string();
    assert!(!told.is_clean() && text.contains("it burns\n    | the last line"), "{text}");
    assert!(text.ends_with("0 same, 0 different on purpose, 1 differ\n"), "{text}");
}

pub fn the_reads_without_headers_are_these() {
    let scenarios = recording::all();
    let steps = scenarios.iter().flat_map(|scenario| {
        scenario.steps.iter().filter(|step| headers(scenario, step) == Headers::NotRecorded)
    });
    let recorded: Vec<_> = steps.map(|step| &step.expect.as_ref().unwrap()["headers"]).collect();
    assert_eq!(recorded, vec![&json!({}); 44]);
}
