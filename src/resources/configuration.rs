//! The file that `--config` names: how the sidecar itself behaves.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use crate::resources::{
    Environment,
    api_rules::{self, ApiRules},
    document::reason,
    error::{Place, Problem},
    expand::expand,
    fields::{Field, Fields, Findings, Letters, Quoting, Text},
    metric_settings::{self, MetricSettings},
    report::{Level, Report},
    yaml::{self, Malformed},
};

/// The rate daprd samples at where none is given. It is so small that no trace is kept, but not
/// zero: answers carry trace headers.
const DEFAULT_SAMPLING_RATE: f64 = 0.0001;

/// Features that are on unless a Configuration turns them off.
const DEFAULT_FEATURES: [&str; 2] = ["HotReload", "WorkflowsRemoteActivityReminder"];

/// What Configuration files say, as far as it has an effect.
#[derive(Clone, Debug, PartialEq)]
pub struct Configuration {
    /// Which part of calls is traced; zero turns the trace headers of answers off.
    pub sampling_rate: f64,
    /// The features in the order they are to be named in, with those daprd has on.
    pub features: Vec<Feature>,
    /// Which calls of the API are logged.
    pub api_logging: ApiLogging,
    /// Component types that may not be loaded: `state.redis` or `state.redis/v1`.
    pub denied_components: Vec<String>,
    /// Which parts of the API are open.
    pub api_rules: ApiRules,
    /// How metrics are kept.
    pub metrics: MetricSettings,
}

/// A feature and whether it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Feature {
    /// Its name; daprd accepts every name.
    pub name: String,
    /// Whether it is on.
    pub enabled: bool,
}

/// Which calls of the API are logged; `None` where the file leaves it to the flags.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ApiLogging {
    /// Whether calls are logged at all.
    pub enabled: Option<bool>,
    /// Whether paths are shown as their pattern only.
    pub obfuscate_urls: bool,
    /// Whether calls of the health endpoints are left out.
    pub omit_health_checks: bool,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            sampling_rate: DEFAULT_SAMPLING_RATE,
            features: Vec::new(),
            api_logging: ApiLogging::default(),
            denied_components: Vec::new(),
            api_rules: ApiRules::default(),
            metrics: MetricSettings::default(),
        }
    }
}

impl Configuration {
    /// The names of the features that are on, daprd's own first.
    pub fn enabled_features(&self) -> Vec<&str> {
        let own = DEFAULT_FEATURES
            .into_iter()
            .filter(|name| self.features.iter().all(|feature| feature.name != *name));
        let given = self.features.iter().filter(|feature| feature.enabled);
        own.chain(given.map(|feature| feature.name.as_str())).collect()
    }

    /// Whether components of this type and version may not be loaded.
    pub fn denies(&self, kind_type: &str, version: &str) -> bool {
        self.denied_components.iter().any(|denied| match denied.split_once('/') {
            Some((denied_type, denied_version)) => {
                denied_type.eq_ignore_ascii_case(kind_type)
                    && denied_version.eq_ignore_ascii_case(version)
            }
            None => denied.eq_ignore_ascii_case(kind_type),
        })
    }
}

/// Reads the files in their order; each one's scalars and lists replace those before it.
pub fn load(
    files: &[PathBuf],
    environment: &dyn Environment,
    report: &mut Report,
) -> Configuration {
    let mut configuration = Configuration::default();
    if files.is_empty() {
        report.say(Level::Info, "loading default configuration");
    }
    for file in files {
        read_file(file, environment, &mut configuration, report);
    }
    configuration
}

fn read_file(
    file: &Path,
    environment: &dyn Environment,
    configuration: &mut Configuration,
    report: &mut Report,
) {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let (path, reason) = (file.display(), reason(&error));
            return report
                .refuse_start(format!("error loading configuration: stat {path}: {reason}"));
        }
    };
    let (mut unset, mut variables) = (Vec::new(), BTreeMap::new());
    let expanded = expand(&text, |name| {
        let value = environment.variable(name);
        match &value {
            Some(value) => drop(variables.insert(name.to_owned(), value.clone())),
            None if unset.iter().any(|known| known == name) => {}
            None => unset.push(name.to_owned()),
        }
        value
    });
    for name in unset {
        report.warn(format!(
            "{}: ${name} is replaced by nothing, because no such variable is set",
            file.display()
        ));
    }
    let told = report.told();
    read_text(file, &expanded, configuration, report);
    // What the file itself says, or its path, is no secret.
    let is_said = |value: &String| text.contains(value) || file.to_string_lossy().contains(value);
    variables.retain(|_, value| !value.is_empty() && !is_said(value));
    report.name_variables(told, &variables);
}

fn read_text(file: &Path, text: &str, configuration: &mut Configuration, report: &mut Report) {
    let mut parts = yaml::split_documents(text).into_iter();
    let first = parts.find_map(|(line, part)| yaml::parse(part, line).transpose());
    match first {
        None => {}
        Some(Ok(root)) => {
            let top = Field { path: String::new(), node: &root };
            read_document(file, &top, configuration, report);
        }
        Some(Err(Malformed { at, message })) => {
            let message = format!("error loading configuration: not YAML: {message}");
            report.refuse(Place::new(file, at, ""), message);
        }
    }
    if parts.any(|(line, part)| !matches!(yaml::parse(part, line), Ok(None))) {
        let path = file.display();
        report.warn(format!("{path}: only the first document of a Configuration file is read"));
    }
}

fn read_document(
    file: &Path,
    top: &Field<'_>,
    configuration: &mut Configuration,
    report: &mut Report,
) {
    // Variables may have put secrets anywhere.
    let mut findings = Findings::new(file, Quoting::KindsOnly, Letters::Exact);
    let mut fields = top.fields(&mut findings);
    for name in ["apiVersion", "kind", "metadata", "scopes"] {
        fields.skip(name, &mut findings);
    }
    let mut spec = fields.map("spec", &mut findings);
    fields.finish(&mut findings);

    read_tracing(&mut spec, &mut findings, configuration, report);
    read_features(&mut spec, &mut findings, configuration);
    read_logging(&mut spec, &mut findings, configuration);
    read_denied(&mut spec, &mut findings, configuration);
    api_rules::read(&mut spec, &mut findings, &mut configuration.api_rules, report);
    metric_settings::read(&mut spec, &mut findings, &mut configuration.metrics, report);
    read_secret_scopes(&mut spec, &mut findings, report);
    refuse_pipeline(&mut spec, &mut findings, report);
    name_what_has_no_effect(&mut spec, &mut findings, report);
    spec.finish(&mut findings);

    // daprd's decoder ends the start as well.
    for Problem { place, message } in findings.shape {
        let message = format!("error loading configuration: {message}");
        report.problems.push(Problem { place, message });
    }
    for problem in findings.ignored {
        report.warn(problem.to_string());
    }
}

fn read_tracing(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    configuration: &mut Configuration,
    report: &mut Report,
) {
    let mut tracing = spec.map("tracing", findings);
    if let Some(Text { text, place }) = tracing.text("samplingRate", findings) {
        configuration.sampling_rate = match text.parse::<f64>() {
            Ok(rate) if rate.is_finite() => rate,
            _ => {
                report.warn_at(&place, "not a number; the default of 0.0001 applies");
                DEFAULT_SAMPLING_RATE
            }
        };
    }
    for name in ["stdout", "zipkin", "otel"] {
        if let Some(place) = tracing.skip(name, findings) {
            report.warn_at(&place, "has no effect, because traces are not exported");
        }
    }
    tracing.finish(findings);
}

fn read_features(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    configuration: &mut Configuration,
) {
    let Some(list) = spec.get("features", findings) else { return };
    configuration.features.clear();
    for item in list.items(findings) {
        let mut feature = item.fields(findings);
        let name = feature.text("name", findings).map(|name| name.text);
        let enabled = feature.boolean("enabled", findings).unwrap_or(false);
        feature.finish(findings);
        if let Some(name) = name {
            configuration.features.push(Feature { name, enabled });
        }
    }
}

fn read_logging(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    configuration: &mut Configuration,
) {
    let mut logging = spec.map("logging", findings);
    let mut api = logging.map("apiLogging", findings);
    let settings = &mut configuration.api_logging;
    if let Some(enabled) = api.boolean("enabled", findings) {
        settings.enabled = Some(enabled);
    }
    if let Some(obfuscate) = api.boolean("obfuscateURLs", findings) {
        settings.obfuscate_urls = obfuscate;
    }
    if let Some(omit) = api.boolean("omitHealthChecks", findings) {
        settings.omit_health_checks = omit;
    }
    api.finish(findings);
    logging.finish(findings);
}

fn read_denied(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    configuration: &mut Configuration,
) {
    let mut components = spec.map("components", findings);
    if let Some(list) = components.get("deny", findings) {
        let denied = list.items(findings).into_iter().filter_map(|item| item.text(findings));
        configuration.denied_components = denied.map(|denied| denied.text).collect();
    }
    components.finish(findings);
}

/// Scopes close the secrets API for secrets; it is not served, so they hold.
fn read_secret_scopes(spec: &mut Fields<'_>, findings: &mut Findings<'_>, report: &mut Report) {
    let mut secrets = spec.map("secrets", findings);
    if let Some(place) = secrets.skip("scopes", findings) {
        let text = format!("{place}: holds anyway, because the secrets API is not served");
        report.say(Level::Debug, text);
    }
    secrets.finish(findings);
}

/// What stands before the API may be all that guards it, so it is not passed over.
fn refuse_pipeline(spec: &mut Fields<'_>, findings: &mut Findings<'_>, report: &mut Report) {
    let mut pipeline = spec.map("httpPipeline", findings);
    if let Some(handler) = pipeline.items("handlers", findings).into_iter().next() {
        let place = findings.place(handler.node.at, handler.path);
        report.refuse(
            place,
            "middleware is not served, and it may guard the API: remove it if nothing depends on it",
        );
    }
    pipeline.finish(findings);
}

fn name_what_has_no_effect(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) {
    for (name, why) in [
        ("accessControl", "service invocation is not served"),
        ("appHttpPipeline", "middleware is not served"),
        ("nameResolution", "service invocation is not served"),
        ("mtls", "sidecars do not call each other"),
        ("wasm", "WebAssembly components are not served"),
        ("workflow", "workflows are not served"),
    ] {
        if let Some(place) = spec.skip(name, findings) {
            report.warn_at(&place, format!("has no effect, because {why}"));
        }
    }
}
