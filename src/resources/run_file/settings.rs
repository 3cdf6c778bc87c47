//! The settings that `common` and each app of a run file share.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use crate::{
    nearest::did_you_mean,
    resources::{
        error::Problem,
        fields::{Fields, Findings},
        run_file::LogDestination,
    },
};

/// What a setting's value is.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Boolean,
}

/// The settings that are flags of the sidecar.
const FLAGS: &[(&str, &str, Kind)] = &[
    ("appProtocol", "app-protocol", Kind::Text),
    ("apiListenAddresses", "dapr-listen-addresses", Kind::Text),
    ("enableProfiling", "enable-profiling", Kind::Boolean),
    ("logLevel", "log-level", Kind::Text),
    ("appMaxConcurrency", "app-max-concurrency", Kind::Number),
    ("placementHostAddress", "placement-host-address", Kind::Text),
    ("schedulerHostAddress", "scheduler-host-address", Kind::Text),
    ("appSSL", "app-ssl", Kind::Boolean),
    ("maxBodySize", "max-body-size", Kind::Text),
    ("readBufferSize", "read-buffer-size", Kind::Text),
    ("enableAppHealthCheck", "enable-app-health-check", Kind::Boolean),
    ("appHealthCheckPath", "app-health-check-path", Kind::Text),
    ("appHealthProbeInterval", "app-health-probe-interval", Kind::Number),
    ("appHealthProbeTimeout", "app-health-probe-timeout", Kind::Number),
    ("appHealthThreshold", "app-health-threshold", Kind::Number),
    ("enableApiLogging", "enable-api-logging", Kind::Boolean),
];

/// What stands in `common` or in an app.
#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    /// The sidecar's flags by their names.
    pub(super) flags: BTreeMap<&'static str, String>,
    /// The app's variables.
    pub(super) environment: BTreeMap<String, String>,
    /// Folders with resources; empty where it says nothing about them.
    pub(super) resources: Vec<PathBuf>,
    /// A Configuration file.
    pub(super) config: Option<PathBuf>,
    /// The folder in which `.dapr` lies.
    pub(super) base: Option<PathBuf>,
    /// Where the app's lines go.
    pub(super) app_log: Option<LogDestination>,
    /// Where the sidecar's lines go.
    pub(super) sidecar_log: Option<LogDestination>,
}

impl Settings {
    /// Reads them; paths begin at `folder`.
    pub(super) fn read(
        fields: &mut Fields<'_>,
        folder: &Path,
        findings: &mut Findings<'_>,
    ) -> Self {
        let flags = flags(FLAGS, fields, findings);
        let named = fields.named("env", findings);
        let variable =
            |name: &str, text: Option<String>| (name.to_owned(), text.unwrap_or_default());
        let environment = named
            .into_iter()
            .map(|it| variable(it.name, it.field.text(findings).map(|text| text.text)))
            .collect();
        let mut resources = fields.texts("resourcesPaths", findings);
        let single = fields.text("resourcesPath", findings);
        if resources.is_empty() {
            resources.extend(single);
        }
        let mut path = |name| fields.text(name, findings).map(|text| folder.join(text.text));
        Self {
            flags,
            environment,
            resources: resources.into_iter().map(|text| folder.join(text.text)).collect(),
            config: path("configFilePath"),
            base: path("runtimePath"),
            app_log: destination("appLogDestination", fields, findings),
            sidecar_log: destination("daprdLogDestination", fields, findings),
        }
    }
}

/// Reads settings that are flags.
pub(super) fn flags(
    known: &[(&'static str, &'static str, Kind)],
    fields: &mut Fields<'_>,
    findings: &mut Findings<'_>,
) -> BTreeMap<&'static str, String> {
    let mut found = BTreeMap::new();
    for &(key, flag, kind) in known {
        let value = match kind {
            Kind::Text => fields.text(key, findings).map(|text| text.text),
            Kind::Number => fields.integer(key, findings).map(|number| number.value.to_string()),
            Kind::Boolean => fields.boolean(key, findings).map(|value| value.to_string()),
        };
        // As on Dapr's own command line, an empty text leaves the flag out.
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            found.insert(flag, value);
        }
    }
    found
}

fn destination(
    name: &'static str,
    fields: &mut Fields<'_>,
    findings: &mut Findings<'_>,
) -> Option<LogDestination> {
    const VALID: [&str; 3] = ["console", "file", "fileAndConsole"];
    let text = fields.text(name, findings)?;
    match text.text.as_str() {
        "console" => Some(LogDestination::Console),
        "file" => Some(LogDestination::File),
        "fileAndConsole" => Some(LogDestination::FileAndConsole),
        other => {
            let meant = did_you_mean(other, VALID);
            let message =
                format!("found {other:?}; valid are console, file and fileAndConsole{meant}");
            findings.shape.push(Problem { place: Some(text.place), message });
            None
        }
    }
}
