//! Resources whose meaning is known before they are written, in any of YAML's styles: they are read
//! as what they mean, and a mistake among them is told at its line.

mod style;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    time::Duration,
};

use style::{Choices, Written, Yaml, bare, map, text};

use crate::{
    api::key::UserKey,
    resiliency::{
        backoff::Backoff, circuit::CircuitSettings, policy::Policy, retry::RetryPolicy,
        trip::TripRule,
    },
    resources::{LoadOptions, Resources, StoreSettings, Strictness, load},
    state_store::redis::settings::RedisSettings,
};

/// Writes a Component and a Resiliency as the bytes choose, with a mistake or without, and reads
/// them. The folder is empty, or left by an earlier call.
pub fn yaml_written(folder: &Path, input: &[u8]) {
    let mut choices = Choices(input);
    let mistake = Mistake::choose(&mut choices);
    let (component, settings) = component(mistake, &mut choices);
    let (resiliency, policies) = resiliency(mistake, &mut choices);
    let mut documents = vec![component, resiliency];
    if choices.below(2) == 1 {
        documents.reverse();
    }
    let Written { text, mistake_at } = style::write(&documents, &mut choices);
    fs::write(folder.join("r.yaml"), &text).expect("invariant: the folder can be written to");
    let loaded = load(&LoadOptions {
        resources_paths: &[folder.to_owned()],
        config_paths: &[],
        app_id: "app1",
        namespace: None,
        mode: Strictness::Strict,
        environment: &BTreeMap::new(),
    });
    match (loaded, mistake_at) {
        (Ok(resources), None) => {
            settings.check(&resources, &text);
            policies.check(&resources.policies.outbound("statestore"), &text);
        }
        (Ok(_), Some(line)) => panic!("the mistake of line {line} is accepted:\n{text}"),
        (Err(errors), None) => panic!("{errors}\n{text}"),
        (Err(errors), Some(line)) => {
            // A policy with a mistake is none that a target could name, which is told as well.
            let of_itself = errors.problems().iter().filter(|problem| {
                mistake == Mistake::Name || !problem.to_string().contains(".outbound.")
            });
            let places = of_itself.filter_map(|problem| problem.place.as_ref());
            let told: BTreeSet<usize> = places.map(|place| place.at.line).collect();
            assert_eq!(told, BTreeSet::from([line]), "{errors}\n{text}");
        }
    }
}

/// What is wrong, if anything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    Database,
    Timeout,
    Policy,
    Retries,
    Rule,
    Field,
    Name,
}

impl Mistake {
    fn choose(choices: &mut Choices<'_>) -> Self {
        let one_of =
            [Self::Database, Self::Timeout, Self::Policy, Self::Retries, Self::Rule, Self::Field];
        match choices.below(2 * one_of.len() + 2) {
            0 => Self::Name,
            index => one_of.get(index - 1).copied().unwrap_or(Self::None),
        }
    }

    /// The value, or the wrong one if it is this one's turn.
    fn or(self, turn: Self, wrong: &str, value: Yaml) -> Yaml {
        if self == turn { Yaml::Mistake(wrong.to_owned()) } else { value }
    }
}

/// What a component's settings mean.
struct Settings {
    metadata: Vec<(String, String)>,
    key: String,
}

impl Settings {
    fn check(&self, resources: &Resources, written: &str) {
        let [component] = &resources.components[..] else { panic!("no store in\n{written}") };
        let StoreSettings::Redis(read) = &component.store else { panic!("no Redis in\n{written}") };
        let expected = RedisSettings::parse(&self.metadata).map(|(settings, _)| settings);
        assert!(expected.as_ref() == Ok(read), "{read:?} is not {expected:?}, in\n{written}");
        let key = UserKey::parse("k".to_owned()).expect("invariant: a key");
        assert_eq!(component.key_prefix.stored(&key).as_str(), self.key, "{written}");
    }
}

fn component(mistake: Mistake, choices: &mut Choices<'_>) -> (Yaml, Settings) {
    let mut settings = Settings { metadata: Vec::new(), key: "app1||k".to_owned() };
    let mut values = vec![("redisHost", text(choices.one_of(&["localhost:6379", "r", "::1"])))];
    if choices.below(2) == 1 {
        values.push(("redisPassword", Yaml::Text(choices.any_text())));
        values.push(("redisUsername", Yaml::Text(choices.any_text())));
    }
    if choices.below(2) == 1 || mistake == Mistake::Database {
        let number = choices.number(choices.0.len().max(1));
        values.push(("redisDB", mistake.or(Mistake::Database, "many", number)));
    }
    for name in ["dialTimeout", "readTimeout", "writeTimeout"] {
        if choices.below(3) == 1 {
            values.push((name, time(choices).0));
        }
    }
    if choices.below(3) == 1 {
        values.push(("ttlInSeconds", choices.number(256)));
    }
    if choices.below(3) == 1 {
        let (word, key) =
            choices.one_of(&[("none", "k"), ("name", "statestore||k"), ("A b", "a b||k")]);
        values.push(("keyPrefix", text(word)));
        settings.key = key.to_owned();
    }
    let known = values.iter().filter(|(name, _)| *name != "keyPrefix");
    settings.metadata = known.map(|(name, value)| ((*name).to_owned(), value.text())).collect();
    choices.shuffle(&mut values);
    let entries =
        values.into_iter().map(|(name, value)| map([("name", text(name)), ("value", value)]));
    let spec = map([
        ("type", text("state.redis")),
        ("version", text("v1")),
        ("metadata", Yaml::List(entries.collect())),
    ]);
    let mut fields = vec![
        ("apiVersion", text("dapr.io/v1alpha1")),
        ("kind", text("Component")),
        ("metadata", map([("name", text("statestore"))])),
        ("spec", spec),
    ];
    if choices.below(3) == 1 {
        fields.push(("scopes", Yaml::List(vec![text("other"), text("app1")])));
    }
    (map(fields), settings)
}

/// What the policies of a Resiliency mean.
#[derive(Default)]
struct Policies {
    timeout: Option<Duration>,
    retry: Option<RetryPolicy>,
    breaker: Option<CircuitSettings>,
}

impl Policies {
    fn check(&self, read: &Policy, written: &str) {
        assert_eq!(read.timeout(), self.timeout, "{written}");
        assert_eq!(read.retry(), self.retry, "{written}");
        let breaker = read.breaker().map(|breaker| format!("{breaker:?}"));
        match (breaker, &self.breaker) {
            (None, None) => {}
            (Some(read), Some(expected)) if read.contains(&format!("{expected:?}")) => {}
            (read, expected) => panic!("{read:?} is not {expected:?}, in\n{written}"),
        }
    }
}

fn resiliency(mistake: Mistake, choices: &mut Choices<'_>) -> (Yaml, Policies) {
    const NAMES: &[&str] = &["a", "my policy", "x: y", "#1", "it's", "\"q\"", "- é", "5", "a\\b"];
    let mut policies = Policies::default();
    let (mut defined, mut outbound) = (Vec::new(), Vec::new());
    let name = choices.one_of(NAMES);
    let wanted = |turns: &[Mistake], choices: &mut Choices<'_>| {
        turns.contains(&mistake) || choices.below(3) > 0
    };
    if wanted(&[Mistake::Timeout], choices) {
        let (written, means) = time(choices);
        policies.timeout = Some(means);
        let written = mistake.or(Mistake::Timeout, "5x", written);
        defined.push(("timeouts", map([(name, written)])));
        outbound.push(("timeout", text(name)));
    }
    if wanted(&[Mistake::Policy, Mistake::Retries, Mistake::Name], choices) {
        let (written, means) = retry(mistake, choices);
        policies.retry = Some(means);
        defined.push(("retries", map([(name, written)])));
        outbound.push(("retry", mistake.or(Mistake::Name, "nowhere", text(name))));
    }
    if wanted(&[Mistake::Rule], choices) || outbound.is_empty() {
        let (written, means) = breaker(mistake, choices);
        policies.breaker = Some(means);
        defined.push(("circuitBreakers", map([(name, written)])));
        outbound.push(("circuitBreaker", text(name)));
    }
    choices.shuffle(&mut defined);
    choices.shuffle(&mut outbound);
    let target = map([("statestore", map([("outbound", map(outbound))]))]);
    let mut spec = vec![("policies", map(defined)), ("targets", map([("components", target)]))];
    if mistake == Mistake::Field {
        spec.push((style::MISTAKEN_FIELD, map([("a", text("b"))])));
    }
    choices.shuffle(&mut spec);
    let written = map([
        ("apiVersion", text("dapr.io/v1alpha1")),
        ("kind", text("Resiliency")),
        ("metadata", map([("name", text("res"))])),
        ("spec", map(spec)),
    ]);
    (written, policies)
}

fn retry(mistake: Mistake, choices: &mut Choices<'_>) -> (Yaml, RetryPolicy) {
    let (written, means) = time(choices);
    let (word, field, backoff) = if choices.below(2) == 1 {
        (
            choices.one_of(&["constant", "Constant"]),
            "duration",
            Backoff::Constant { duration: means },
        )
    } else {
        let backoff = Backoff::Exponential { max_interval: means };
        (choices.one_of(&["exponential", "EXPONENTIAL"]), "maxInterval", backoff)
    };
    let number = choices.below(200);
    let retries = mistake.or(Mistake::Retries, "few", bare(number));
    let mut fields = vec![
        ("policy", mistake.or(Mistake::Policy, "linear", text(word))),
        (field, written),
        ("maxRetries", retries),
    ];
    choices.shuffle(&mut fields);
    (map(fields), RetryPolicy { backoff, max_retries: u32::try_from(number).ok() })
}

fn breaker(mistake: Mistake, choices: &mut Choices<'_>) -> (Yaml, CircuitSettings) {
    let rule = choices.one_of(&[
        "consecutiveFailures >= 5",
        "totalFailures > 2 && requests > 3",
        "requests > 10 && totalFailures / requests >= 1",
    ]);
    let (probes, (interval, every), (timeout, open)) =
        (1 + choices.below(9), time(choices), time(choices));
    let mut fields = vec![
        ("maxRequests", bare(probes)),
        ("interval", interval),
        ("timeout", timeout),
        ("trip", mistake.or(Mistake::Rule, "requests >", text(rule))),
    ];
    choices.shuffle(&mut fields);
    let trip = TripRule::parse(rule).expect("invariant: a rule");
    let probes = u32::try_from(probes).unwrap_or(1);
    (map(fields), CircuitSettings::new(probes, Some(every), Some(open), trip))
}

/// A time as it may be written, and what it means.
fn time(choices: &mut Choices<'_>) -> (Yaml, Duration) {
    let millis = 1 + 37 * choices.below(256) + choices.below(256);
    let written = match choices.below(3) {
        0 => bare(millis),
        1 => text(&format!("{millis}ms")),
        _ => text(&format!("{}.{:03}s", millis / 1000, millis % 1000)),
    };
    (written, Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}
