//! Which policy a target has. Every name is resolved once, when the catalog is made.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use super::{breaker::Breaker, circuit::CircuitSettings, policy::Policy, retry::RetryPolicy};
use crate::nearest::nearest;

#[cfg(test)]
mod tests;

/// What Resiliency resources say: policies by name, and which target has which.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Definitions {
    /// How long an attempt may take; `None` for as long as it likes.
    pub timeouts: BTreeMap<String, Option<Duration>>,
    /// How failed attempts are repeated.
    pub retries: BTreeMap<String, RetryPolicy>,
    /// How circuits open and close.
    pub circuit_breakers: BTreeMap<String, CircuitSettings>,
    /// What applies to calls of a component, by its name. An entry that names nothing still
    /// counts: it keeps the default policies away from its component.
    pub components: BTreeMap<String, OutboundTarget>,
}

/// The names of the policies around the calls of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundTarget {
    /// An entry of [`Definitions::timeouts`].
    pub timeout: Option<String>,
    /// An entry of [`Definitions::retries`].
    pub retry: Option<String>,
    /// An entry of [`Definitions::circuit_breakers`].
    pub circuit_breaker: Option<String>,
}

impl Definitions {
    /// Adds what a further resource says. Where both use a name, the later one wins.
    pub fn merge(&mut self, later: Self) {
        self.timeouts.extend(later.timeouts);
        self.retries.extend(later.retries);
        self.circuit_breakers.extend(later.circuit_breakers);
        self.components.extend(later.components);
    }
}

/// What kind of policy a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyKind {
    /// An entry of [`Definitions::timeouts`].
    Timeout,
    /// An entry of [`Definitions::retries`].
    Retry,
    /// An entry of [`Definitions::circuit_breakers`].
    CircuitBreaker,
}

impl fmt::Display for PolicyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Retry => "retry",
            Self::CircuitBreaker => "circuit breaker",
        })
    }
}

/// A target that names a policy nobody defined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("component {target:?} names the {kind} {name:?}, which is not defined{}", hint(.nearest))]
pub struct UnknownName {
    /// The component.
    pub target: String,
    /// What the name should stand for.
    pub kind: PolicyKind,
    /// The name.
    pub name: String,
    /// The defined name most like it.
    pub nearest: Option<String>,
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map(|name| format!("; did you mean {name:?}")).unwrap_or_default()
}

/// The policy of every target.
#[derive(Debug)]
pub struct PolicyCatalog {
    components: BTreeMap<String, Template>,
    /// For every component without an entry of its own.
    default: Template,
    /// By component. All threads' policies share a component's one breaker.
    breakers: Mutex<BTreeMap<String, Arc<Breaker>>>,
}

/// A target's policies with their names looked up.
#[derive(Clone, Debug, Default)]
struct Template {
    timeout: Option<Duration>,
    retry: Option<RetryPolicy>,
    circuit_breaker: Option<(String, CircuitSettings)>,
}

impl PolicyCatalog {
    /// Looks up every name; names that are not defined are all reported together.
    pub fn new(definitions: Definitions) -> Result<Self, Vec<UnknownName>> {
        let (catalog, unknown) = Self::new_lenient(definitions);
        if unknown.is_empty() { Ok(catalog) } else { Err(unknown) }
    }

    /// Looks up every name and takes one that is not defined for no policy, as daprd does with
    /// timeouts and retries. A circuit breaker that is not defined crashes daprd at the first
    /// call: whoever starts with such a name in the list should not start.
    pub fn new_lenient(definitions: Definitions) -> (Self, Vec<UnknownName>) {
        let mut unknown = Vec::new();
        let mut components = BTreeMap::new();
        for (component, target) in &definitions.components {
            let template = Template::resolve(component, target, &definitions, &mut unknown);
            components.insert(component.clone(), template);
        }
        let default = Template::default_of(&definitions);
        let catalog = Self { components, default, breakers: Mutex::new(BTreeMap::new()) };
        (catalog, unknown)
    }

    /// The policy around calls of a component: its own entry's and nothing else, or without an
    /// entry the default policies. Asked again it answers with the same breaker.
    pub fn outbound(&self, component: &str) -> Policy {
        let Template { timeout, retry, circuit_breaker } =
            self.components.get(component).unwrap_or(&self.default);
        let breaker = circuit_breaker
            .as_ref()
            .map(|(name, settings)| self.breaker(component, name, settings));
        Policy::new(format!("component[{component}] output"), *timeout, breaker, *retry)
    }

    /// The components that have an entry of their own, whether they exist or not.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.components.keys().map(String::as_str)
    }

    /// The breakers in use at this moment, in the order of their components' names.
    pub fn breakers(&self) -> Vec<Arc<Breaker>> {
        let breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        breakers.values().cloned().collect()
    }

    fn breaker(&self, component: &str, name: &str, settings: &CircuitSettings) -> Arc<Breaker> {
        let mut breakers = self.breakers.lock().unwrap_or_else(PoisonError::into_inner);
        let breaker = breakers
            .entry(component.to_owned())
            .or_insert_with(|| Breaker::new(format!("{name}-{component}"), settings.clone()));
        Arc::clone(breaker)
    }
}

impl Template {
    fn resolve(
        component: &str,
        target: &OutboundTarget,
        definitions: &Definitions,
        unknown: &mut Vec<UnknownName>,
    ) -> Self {
        let OutboundTarget { timeout, retry, circuit_breaker } = target;
        let mut names = Names { component, unknown };
        Self {
            timeout: names
                .look_up(PolicyKind::Timeout, timeout, &definitions.timeouts)
                .and_then(|(_, timeout)| timeout),
            retry: names
                .look_up(PolicyKind::Retry, retry, &definitions.retries)
                .map(|(_, retry)| retry),
            circuit_breaker: names.look_up(
                PolicyKind::CircuitBreaker,
                circuit_breaker,
                &definitions.circuit_breakers,
            ),
        }
    }

    /// The policies whose very names make them defaults; each kind is looked up for itself.
    fn default_of(definitions: &Definitions) -> Self {
        Self {
            timeout: first_default("Timeout", &definitions.timeouts)
                .and_then(|(_, timeout)| timeout),
            retry: first_default("Retry", &definitions.retries).map(|(_, retry)| retry),
            circuit_breaker: first_default("CircuitBreaker", &definitions.circuit_breakers),
        }
    }
}

/// Looks up one target's names and notes those that are not defined.
struct Names<'a> {
    component: &'a str,
    unknown: &'a mut Vec<UnknownName>,
}

impl Names<'_> {
    fn look_up<T: Clone>(
        &mut self,
        kind: PolicyKind,
        name: &Option<String>,
        defined: &BTreeMap<String, T>,
    ) -> Option<(String, T)> {
        let name = name.as_ref()?;
        let found =
            defined.get_key_value(name).map(|(name, policy)| (name.clone(), policy.clone()));
        if found.is_none() {
            self.unknown.push(UnknownName {
                target: self.component.to_owned(),
                kind,
                name: name.clone(),
                nearest: nearest(name, defined.keys().map(String::as_str)).map(str::to_owned),
            });
        }
        found
    }
}

fn first_default<T: Clone>(kind: &str, defined: &BTreeMap<String, T>) -> Option<(String, T)> {
    ["StatestoreComponentOutbound", "ComponentOutbound", "Component", ""]
        .into_iter()
        .map(|reach| format!("Default{reach}{kind}Policy"))
        .find_map(|name| defined.get(&name).cloned().map(|policy| (name, policy)))
}
