//! Resource folders and Configuration files, read into what the sidecar runs on.
//!
//! Everything is read before anything is opened, and all that is wrong with all files is reported
//! together. After this nothing can fail because of a name or a format. Strict, a file that says
//! something that cannot be meant ends the start; lenient, the log says so where daprd goes on.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use crate::{
    nearest::did_you_mean,
    resiliency::catalog::PolicyCatalog,
    resources::{
        component::Components,
        report::Report,
        resiliency::{Reach, Resiliency},
        resolve::Sources,
    },
};

mod api_rules;
mod component;
mod configuration;
mod document;
mod error;
pub(crate) mod expand;
mod fields;
mod kinds;
mod manifest;
mod report;
mod resiliency;
pub(crate) mod resolve;
pub mod run_file;
pub(crate) mod secrets;
mod store;
mod yaml;

#[cfg(test)]
mod tests;

pub use crate::resources::{
    api_rules::ApiRules,
    component::{Component, StoreSettings},
    configuration::{ApiLogging, Configuration, Feature},
    error::{LoadErrors, Place, Problem},
    report::{Level, Notice},
    yaml::Position,
};

/// What to read, and for whom.
pub struct LoadOptions<'a> {
    /// The folders with resources.
    pub resources_paths: &'a [PathBuf],
    /// The Configuration files.
    pub config_paths: &'a [PathBuf],
    /// The app the sidecar serves.
    pub app_id: &'a str,
    /// The namespace it runs in, if it has one.
    pub namespace: Option<&'a str>,
    /// What happens to files that say what cannot be meant.
    pub mode: Strictness,
    /// The variables that files may refer to.
    pub environment: &'a dyn Environment,
}

/// What happens to files that say what cannot be meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strictness {
    /// The start ends.
    #[default]
    Strict,
    /// The log says so and the start goes on where daprd's does.
    Lenient,
}

/// Variables by name.
pub trait Environment {
    /// The variable's value, if it is set and is text.
    fn variable(&self, name: &str) -> Option<String>;
}

/// The variables of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variable(&self, name: &str) -> Option<String> {
        // A name with these would make the standard library panic or find nothing.
        if name.is_empty() || name.contains(['=', '\0']) {
            return None;
        }
        std::env::var(name).ok()
    }
}

impl Environment for BTreeMap<String, String> {
    fn variable(&self, name: &str) -> Option<String> {
        self.get(name).cloned()
    }
}

/// Everything the files say.
#[derive(Debug)]
pub struct Resources {
    /// The state stores, in the order of their files.
    pub components: Vec<Component>,
    /// The names of the Resiliency resources that apply, in the order they were loaded.
    pub resiliency_names: Vec<String>,
    /// The policies around the calls of each component.
    pub policies: PolicyCatalog,
    /// How the sidecar itself behaves.
    pub configuration: Configuration,
    /// Lines for the log, in their order.
    pub notices: Vec<Notice>,
}

/// Reads everything and opens nothing.
pub fn load(options: &LoadOptions<'_>) -> Result<Resources, LoadErrors> {
    let LoadOptions { resources_paths, config_paths, app_id, namespace, mode, environment } =
        *options;
    let mut report = Report::new(mode);
    let configuration = configuration::load(config_paths, environment, &mut report);
    let documents = document::read_folders(resources_paths, config_paths, &mut report);
    let resiliency = resiliency::load(&documents, app_id, &mut report);
    let sources = Sources {
        app_id,
        namespace,
        environment,
        secret_stores: BTreeMap::new(),
        absent_secret_stores: BTreeSet::new(),
    };
    let components = component::load(&documents, &configuration, sources, &mut report);
    let Resiliency { names, definitions, reaches } = resiliency;
    // Names that are not defined were told with their lines; lenient they mean no policy.
    let (policies, _) = PolicyCatalog::new_lenient(definitions);
    warn_about_missed_targets(&reaches, &components, &mut report);
    warn_about_bare_stores(&reaches, &components, &policies, &mut report);

    let Report { problems, notices, .. } = report;
    if !problems.is_empty() {
        return Err(LoadErrors::new(problems));
    }
    Ok(Resources {
        components: components.stores,
        resiliency_names: names,
        policies,
        configuration,
        notices,
    })
}

fn warn_about_missed_targets(reaches: &[Reach], components: &Components, report: &mut Report) {
    for (name, place) in reaches.iter().flat_map(|reach| &reach.components) {
        if components.names.contains(name) {
            continue;
        }
        let meant = did_you_mean(name, components.names.iter().map(String::as_str));
        report.warn_at(place, format!("no component of this name is loaded{meant}"));
    }
}

/// A user who wrote a Resiliency resource believes that it protects the store.
fn warn_about_bare_stores(
    reaches: &[Reach],
    components: &Components,
    policies: &PolicyCatalog,
    report: &mut Report,
) {
    for component in &components.stores {
        let policy = policies.outbound(&component.name);
        let is_bare =
            policy.timeout().is_none() && policy.breaker().is_none() && policy.retry().is_none();
        let is_target =
            |reach: &Reach| reach.components.iter().any(|(name, _)| *name == component.name);
        if !is_bare || reaches.iter().any(is_target) {
            continue;
        }
        for Reach { resource, others, .. } in
            reaches.iter().filter(|reach| !reach.others.is_empty())
        {
            report.warn(format!(
                "state store {:?} runs without policies: Resiliency {resource:?} has targets {}, \
                 which say nothing about it; components.{} would",
                component.name,
                others.join(", "),
                component.name,
            ));
        }
    }
}
