//! The kinds of documents and of components: what Dapr knows, and what of it is served.

use crate::nearest::nearest;

/// The version of every resource that is served.
pub const API_VERSION: &str = "dapr.io/v1alpha1";

/// The kind of the file that `--config` names.
pub const CONFIGURATION: &str = "Configuration";

/// Kinds that mean something to daprd and nothing here.
pub const KNOWN_TO_DAPR: [&str; 4] =
    ["Subscription", "HTTPEndpoint", "MCPServer", "WorkflowAccessPolicy"];

/// A kind of document that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A store, or what a store needs.
    Component,
    /// Policies and what they apply to.
    Resiliency,
}

/// The kind of this very name.
pub fn served(name: &str) -> Option<Kind> {
    match name {
        "Component" => Some(Kind::Component),
        "Resiliency" => Some(Kind::Resiliency),
        _ => None,
    }
}

/// The kind that a wrong name probably means.
pub fn meant(name: &str) -> Option<&'static str> {
    let known = ["Component", "Resiliency", CONFIGURATION].into_iter().chain(KNOWN_TO_DAPR);
    nearest(name, known)
}

/// What a component's type begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Category {
    /// A state store.
    State,
    /// Where other components' secrets are.
    SecretStore,
    /// Something daprd serves and we do not.
    NotServed(&'static str),
}

const NOT_SERVED: [&str; 7] =
    ["bindings", "pubsub", "middleware", "configuration", "crypto", "lock", "conversation"];

/// The state stores that are served.
pub const STATE_STORES: [&str; 2] = ["state.redis", "state.in-memory"];

/// Whether a version is the first one of its type, the only one there is.
pub fn is_initial(version: &str) -> bool {
    matches!(version.to_lowercase().as_str(), "" | "v0" | "v1")
}

/// The category of a component's type, compared letter for letter as in daprd.
pub fn category(kind_type: &str) -> Option<Category> {
    let (prefix, _) = kind_type.split_once('.')?;
    match prefix {
        "state" => Some(Category::State),
        "secretstores" => Some(Category::SecretStore),
        _ => NOT_SERVED.into_iter().find(|name| *name == prefix).map(Category::NotServed),
    }
}
