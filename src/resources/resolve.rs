//! A component's settings with secrets, variables and placeholders filled in.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    nearest::{did_you_mean, listed},
    resources::{
        Environment,
        error::Place,
        manifest::{Manifest, Source, Stage},
        report::{Level, Report},
        secrets::{SecretStore, is_own_setting},
    },
};

/// A setting with its value. It has no `Debug`: the value may be a secret.
pub struct Setting {
    /// Its name as written.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Where it stands.
    pub place: Place,
    /// Whether the value may be shown.
    pub origin: Origin,
}

impl Setting {
    /// Whether this is its name: as in daprd in any letters.
    pub fn is_called(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name)
    }

    /// A text about this setting, without its value if that is not for the log.
    pub fn without_value(&self, text: &str) -> String {
        match self.origin {
            Origin::Hidden if !self.value.is_empty() => {
                let lower = self.value.to_lowercase();
                text.replace(&self.value, "<hidden>").replace(&lower, "<hidden>")
            }
            Origin::Hidden | Origin::File => text.to_owned(),
        }
    }
}

/// A component's settings in the order of the file.
#[derive(Default)]
pub struct Settings(pub Vec<Setting>);

impl Settings {
    /// The setting of this name.
    pub fn get(&self, name: &str) -> Option<&Setting> {
        self.0.iter().find(|setting| setting.is_called(name))
    }

    /// The value of the setting of this name, unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(|setting| setting.value.as_str()).filter(|value| !value.is_empty())
    }

    /// Warns about settings of other names.
    pub fn warn_unknown(&self, known: &[&str], report: &mut Report) {
        for Setting { name, place, .. } in &self.0 {
            if known.iter().all(|known| !known.eq_ignore_ascii_case(name)) {
                let meant = did_you_mean(name, known.iter().copied());
                report.warn_at(place, format!("{name} is not known and has no effect{meant}"));
            }
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The file itself.
    File,
    /// A secret store or a variable: whatever it is, it is not for the log.
    Hidden,
}

/// What values are looked up in.
pub struct Sources<'a> {
    /// The app the sidecar serves.
    pub app_id: &'a str,
    /// The namespace, if there is one.
    pub namespace: Option<&'a str>,
    /// The sidecar's variables.
    pub environment: &'a dyn Environment,
    /// Secret stores by component name.
    pub secret_stores: BTreeMap<String, SecretStore>,
    /// Components that are secret stores, but of a type that is not served.
    pub absent_secret_stores: BTreeSet<String>,
}

impl Sources<'_> {
    /// Looks up every value. `None` if the component cannot be loaded: it failed, or its secret
    /// store is missing, which parks it as in daprd.
    pub fn resolve(&self, manifest: &Manifest, report: &mut Report) -> Option<Settings> {
        let mut settings = Some(Settings::default());
        for entry in &manifest.entries {
            let (looked_up, origin) = match &entry.source {
                Source::Written(text) => (Some(text.clone()), Origin::File),
                Source::Variable(name) => {
                    let value = self.variable(name, manifest, &entry.place, report);
                    (Some(value), Origin::Hidden)
                }
                Source::Secret { secret, key } => {
                    let value = self.secret(secret, key, manifest, &entry.place, report);
                    (value, Origin::Hidden)
                }
            };
            let filled = looked_up.and_then(|text| match self.fill(&text) {
                Ok(filled) => Some(filled),
                Err(NoPodName) => {
                    let cause = format!("{}: {NO_POD_NAME}", entry.name);
                    manifest.fail(Stage::Init, &cause, entry.place.clone(), report);
                    None
                }
            });
            match (filled, &mut settings) {
                (Some(value), Some(settings)) => settings.0.push(Setting {
                    name: entry.name.clone(),
                    value,
                    place: entry.place.clone(),
                    origin,
                }),
                (Some(_), None) => {}
                (None, settings) => *settings = None,
            }
        }
        settings
    }

    fn variable(
        &self,
        name: &str,
        manifest: &Manifest,
        place: &Place,
        report: &mut Report,
    ) -> String {
        let allowed = self.environment.variable("DAPR_ENV_KEYS").filter(|keys| !keys.is_empty());
        let is_listed =
            allowed.is_none_or(|keys| keys.split(' ').any(|key| key.eq_ignore_ascii_case(name)));
        if !is_listed || is_own_setting(name) || name.contains(' ') {
            let component = &manifest.identity.name;
            report.warn(format!(
                "Component {component} references an env variable that isn't allowed: {name}"
            ));
            return String::new();
        }
        self.environment.variable(name).unwrap_or_else(|| {
            report.warn_at(place, format!("the variable {name} is not set; the value is empty"));
            String::new()
        })
    }

    fn secret(
        &self,
        secret: &str,
        key: &str,
        manifest: &Manifest,
        place: &Place,
        report: &mut Report,
    ) -> Option<String> {
        let store = manifest.secret_store.as_ref();
        let name = store.map_or("", |text| text.text.as_str());
        let Some(found) = self.secret_stores.get(name) else {
            if report.is_strict() && !self.absent_secret_stores.contains(name) {
                let place = store.map_or(place, |text| &text.place);
                report.refuse(place.clone(), self.no_such_store(name));
            } else {
                let component = &manifest.identity.name;
                report.warn(format!(
                    "Component {component} references a secret store that isn't loaded: {name}"
                ));
            }
            return None;
        };
        match found.look_up(secret, key, self.environment) {
            Ok(value) => Some(value),
            Err(problem) if report.is_strict() => {
                report.refuse(place.clone(), format!("secret store {name:?}: {problem}"));
                None
            }
            Err(problem) => {
                report.say(Level::Error, format!("Error getting secret: {problem}"));
                Some(String::new())
            }
        }
    }

    fn no_such_store(&self, name: &str) -> String {
        let loaded = || self.secret_stores.keys().map(String::as_str);
        let (known, meant) = (listed(loaded()), did_you_mean(name, loaded()));
        if name.is_empty() {
            format!("a secretKeyRef needs auth.secretStore; loaded secret stores: {known}")
        } else {
            format!("unknown secret store {name:?}; loaded are: {known}{meant}")
        }
    }

    /// Replaces placeholders in daprd's order.
    pub fn fill(&self, text: &str) -> Result<String, NoPodName> {
        if !text.contains('{') {
            return Ok(text.to_owned());
        }
        let mut pieces = text.split("{uuid}");
        let mut filled = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            filled.push_str(&uuid::Uuid::new_v4().to_string());
            filled.push_str(piece);
        }
        if filled.contains("{podName}") {
            let pod_name = self.environment.variable("POD_NAME").unwrap_or_default();
            if pod_name.is_empty() {
                return Err(NoPodName);
            }
            filled = filled.replace("{podName}", &pod_name);
        }
        let namespace = self.namespace.filter(|name| !name.is_empty()).unwrap_or("default");
        Ok(filled
            .replace("{namespace}", &format!("{namespace}.{}", self.app_id))
            .replace("{appID}", self.app_id))
    }
}

/// A text has the placeholder of the pod's name, and the pod has none.
#[derive(Debug, PartialEq, Eq)]
pub struct NoPodName;

const NO_POD_NAME: &str = "{podName} needs the variable POD_NAME, which is empty";
