//! Looks up every policy name of a target where it stands.

use std::collections::BTreeMap;

use crate::{
    nearest::did_you_mean,
    resiliency::catalog::{Definitions, OutboundTarget},
    resources::{
        error::Place,
        fields::Text,
        report::Report,
        resiliency::{
            ledger::{Ledger, Subject},
            targets::{ComponentTarget, PolicyNames, Target, Targets},
        },
    },
};

/// What a resource reaches, for who wants to know why a component has no policies.
pub struct Reach {
    /// The resource.
    pub resource: String,
    /// The component targets and where they stand.
    pub components: Vec<(String, Place)>,
    /// The names of app and actor targets.
    pub others: Vec<String>,
}

/// Adds the targets of one resource to those of others.
pub fn resolve(
    resource: &str,
    targets: Targets,
    definitions: &mut Definitions,
    ledger: &mut Ledger,
    report: &mut Report,
) -> Reach {
    let Targets { apps, actors, components } = targets;
    let mut others = Vec::new();
    for (subject, word, targets) in
        [(Subject::App, "apps", apps), (Subject::Actor, "actors", actors)]
    {
        for Target { name, place, policies, .. } in targets {
            ledger.note(subject, &name, resource, &place, report);
            // Nothing here calls apps or actors, so no wrong name can do harm.
            Names { definitions, crash: Crash::Never }.check(&policies, report);
            others.push(format!("{word}.{name}"));
        }
    }
    let mut reached = Vec::new();
    for ComponentTarget { name, place, outbound, inbound } in components {
        ledger.note(Subject::Component, &name, resource, &place, report);
        if let Some(inbound) = &inbound {
            Names { definitions, crash: Crash::Never }.check(inbound, report);
        }
        let outbound = outbound.unwrap_or_default();
        Names { definitions, crash: Crash::AtFirstCall }.check(&outbound, report);
        if outbound.is_empty() {
            let what = if inbound.is_some() { "policies for inbound only" } else { "no policies" };
            let message = format!(
                "has {what}: calls of this component run without policies, default policies \
                 included"
            );
            report.warn_at(&place, message);
        }
        let text = |name: Option<Text>| name.map(|name| name.text);
        let target = OutboundTarget {
            timeout: text(outbound.timeout),
            retry: text(outbound.retry),
            circuit_breaker: text(outbound.circuit_breaker),
        };
        definitions.components.insert(name.clone(), target);
        reached.push((name, place));
    }
    Reach { resource: resource.to_owned(), components: reached, others }
}

/// What an undefined circuit breaker does to daprd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Crash {
    Never,
    AtFirstCall,
}

struct Names<'a> {
    definitions: &'a Definitions,
    crash: Crash,
}

impl Names<'_> {
    fn check(&self, names: &PolicyNames, report: &mut Report) {
        let Definitions { timeouts, retries, circuit_breakers, .. } = self.definitions;
        let PolicyNames { timeout, retry, circuit_breaker } = names;
        if let Some((place, message)) = missing("timeout", timeout, timeouts) {
            report.refuse_if_strict(place, message);
        }
        if let Some((place, message)) = missing("retry policy", retry, retries) {
            report.refuse_if_strict(place, message);
        }
        match (missing("circuit breaker", circuit_breaker, circuit_breakers), self.crash) {
            (None, _) => {}
            (Some((place, message)), Crash::AtFirstCall) => report.refuse(place, message),
            (Some((place, message)), Crash::Never) => report.refuse_if_strict(place, message),
        }
    }
}

fn missing<T>(
    what: &str,
    name: &Option<Text>,
    defined: &BTreeMap<String, T>,
) -> Option<(Place, String)> {
    let Text { text, place } = name.as_ref()?;
    if defined.contains_key(text) {
        return None;
    }
    let all = || defined.keys().map(String::as_str);
    let own: Vec<&str> = all().filter(|name| !name.starts_with("DaprBuiltIn")).collect();
    let known = match own.as_slice() {
        [] => "none is defined".to_owned(),
        names => format!("defined are: {}", names.join(", ")),
    };
    let meant = did_you_mean(text, all());
    Some((place.clone(), format!("unknown {what} {text:?}; {known}{meant}")))
}
