//! `spec.targets`: what policies apply to, as written.

use crate::{
    nearest::{did_you_mean, listed},
    resources::{
        error::Place,
        fields::{Fields, Findings, Integer, Named, Text},
        report::Report,
        resiliency::Decoding,
    },
};

const BREAKER_SCOPES: [&str; 3] = ["type", "id", "both"];

/// The targets of one resource.
pub struct Targets {
    /// Calls of apps.
    pub apps: Vec<Target>,
    /// Calls of actors.
    pub actors: Vec<Target>,
    /// Calls of components.
    pub components: Vec<ComponentTarget>,
}

/// A target and the names of its policies.
pub struct Target {
    /// What is called.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// Its policies.
    pub policies: PolicyNames,
    /// Of an actor: what has a breaker of its own.
    breaker_scope: Option<Text>,
    /// How many breakers are kept.
    breaker_cache_size: Option<Integer>,
}

/// A component and the names of its policies, for each direction.
pub struct ComponentTarget {
    /// The component.
    pub name: String,
    /// Where it stands.
    pub place: Place,
    /// For calls of the component.
    pub outbound: Option<PolicyNames>,
    /// For what the component delivers to the app.
    pub inbound: Option<PolicyNames>,
}

/// The names of a target's policies.
#[derive(Default)]
pub struct PolicyNames {
    /// A name in `spec.policies.timeouts`.
    pub timeout: Option<Text>,
    /// A name in `spec.policies.retries`.
    pub retry: Option<Text>,
    /// A name in `spec.policies.circuitBreakers`.
    pub circuit_breaker: Option<Text>,
}

impl Targets {
    /// Reads the shape.
    pub fn read(spec: &mut Fields<'_>, findings: &mut Findings<'_>) -> Self {
        let mut targets = spec.map("targets", findings);
        let apps = targets.named("apps", findings);
        let apps = apps.iter().map(|named| Target::read_app(named, findings)).collect();
        let actors = targets.named("actors", findings);
        let actors = actors.iter().map(|named| Target::read_actor(named, findings)).collect();
        let components = targets.named("components", findings);
        let components =
            components.iter().map(|named| ComponentTarget::read(named, findings)).collect();
        targets.finish(findings);
        Self { apps, actors, components }
    }

    /// Checks what daprd checks of targets, which is not much.
    pub fn decode(&self, decoding: &mut Decoding<'_>, report: &mut Report) {
        for target in self.apps.iter().chain(&self.actors) {
            if decoding.is_over {
                return;
            }
            if let Some(Integer { value, place }) = &target.breaker_cache_size
                && *value < 0
            {
                let message = format!("found {value}; valid is a number from 0 on");
                report.refuse_if_strict(place.clone(), message);
            }
            let Some(Text { text, place }) = &target.breaker_scope else { continue };
            if !BREAKER_SCOPES.contains(&text.as_str()) {
                let meant = did_you_mean(text, BREAKER_SCOPES);
                let message = format!(
                    "unknown circuit breaker scope {text:?}; valid are {}{meant}",
                    listed(BREAKER_SCOPES)
                );
                let daprd = format!("unknown circuit breaker scope {text}");
                decoding.flaw(place.clone(), message, daprd, report);
            }
        }
    }
}

impl Target {
    fn read_app(named: &Named<'_>, findings: &mut Findings<'_>) -> Self {
        let mut fields = named.field.fields(findings);
        let policies = PolicyNames::read(&mut fields, findings);
        let breaker_cache_size = fields.integer("circuitBreakerCacheSize", findings);
        fields.finish(findings);
        let place = findings.place(named.at, named.field.path.clone());
        let name = named.name.to_owned();
        Self { name, place, policies, breaker_scope: None, breaker_cache_size }
    }

    fn read_actor(named: &Named<'_>, findings: &mut Findings<'_>) -> Self {
        let mut fields = named.field.fields(findings);
        let policies = PolicyNames::read(&mut fields, findings);
        let breaker_scope = fields.text("circuitBreakerScope", findings);
        let breaker_cache_size = fields.integer("circuitBreakerCacheSize", findings);
        fields.finish(findings);
        let place = findings.place(named.at, named.field.path.clone());
        let name = named.name.to_owned();
        Self { name, place, policies, breaker_scope, breaker_cache_size }
    }
}

impl ComponentTarget {
    fn read(named: &Named<'_>, findings: &mut Findings<'_>) -> Self {
        let place = findings.place(named.at, named.field.path.clone());
        let mut fields = named.field.fields(findings);
        let mut direction = |name| {
            let mut fields = fields.get(name, findings)?.fields(findings);
            let policies = PolicyNames::read(&mut fields, findings);
            fields.finish(findings);
            Some(policies)
        };
        let (outbound, inbound) = (direction("outbound"), direction("inbound"));
        fields.finish(findings);
        Self { name: named.name.to_owned(), place, outbound, inbound }
    }
}

impl PolicyNames {
    /// Whether there is no name at all.
    pub fn is_empty(&self) -> bool {
        let Self { timeout, retry, circuit_breaker } = self;
        timeout.is_none() && retry.is_none() && circuit_breaker.is_none()
    }

    fn read(fields: &mut Fields<'_>, findings: &mut Findings<'_>) -> Self {
        // An empty name is no name, in daprd too.
        let mut name = |field| fields.text(field, findings).filter(|text| !text.text.is_empty());
        Self {
            timeout: name("timeout"),
            retry: name("retry"),
            circuit_breaker: name("circuitBreaker"),
        }
    }
}
