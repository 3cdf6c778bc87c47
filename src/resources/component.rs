//! Components: which documents become stores, and with what settings.

use std::time::Duration;

use crate::api::key::KeyPrefix;
use crate::resources::configuration::Configuration;
use crate::resources::document::Document;
use crate::resources::error::Place;
use crate::resources::kinds::{self, Category, Kind};
use crate::resources::manifest::{Identity, Manifest, Stage};
use crate::resources::nearest::{did_you_mean, listed};
use crate::resources::report::{Level, Report};
use crate::resources::resolve::{Origin, Setting, Sources};
use crate::resources::secrets::{SecretStore, Values};
use crate::state_store::redis::settings::{RedisSettings, Weight};

/// A state store that is to be opened.
#[derive(Clone, Debug)]
pub struct Component {
    /// Its name in the API.
    pub name: String,
    /// `spec.type` as written.
    pub kind_type: String,
    /// `spec.version` as written.
    pub version: String,
    /// Which store it is, with its settings.
    pub store: StoreSettings,
    /// What stands before its keys.
    pub key_prefix: KeyPrefix,
    /// Whether the sidecar starts without it if it cannot be opened.
    pub ignore_errors: bool,
    /// How long opening it may take.
    pub init_timeout: Duration,
}

/// Which store a component is.
#[derive(Clone, Debug)]
pub enum StoreSettings {
    /// `state.redis`.
    Redis(RedisSettings),
    /// `state.in-memory`.
    InMemory,
}

impl Component {
    /// How log lines call it: `NAME (TYPE/VERSION)`.
    pub fn log_name(&self) -> String {
        let Self { name, kind_type, version, .. } = self;
        let identity = Identity {
            name: name.clone(),
            kind_type: kind_type.clone(),
            version: version.clone(),
        };
        identity.log_name()
    }
}

/// What became of the Component documents.
pub struct Components {
    /// The stores.
    pub stores: Vec<Component>,
    /// The names of all components in scope, those included that are not served.
    pub names: Vec<String>,
}

/// Makes components of documents: secret stores first, because others need them.
pub fn load(
    documents: &[Document],
    configuration: &Configuration,
    mut sources: Sources<'_>,
    report: &mut Report,
) -> Components {
    let selected = select(documents, &sources, report);
    let names = selected.iter().map(|(_, identity)| identity.name.clone()).collect();
    let mut states = Vec::new();
    for (document, identity) in selected {
        let log_name = identity.log_name();
        if configuration.denies(&identity.kind_type, &identity.version) {
            let name = &identity.name;
            report.warn(format!(
                "component '{name}' cannot be loaded because components of type '{log_name}' are \
                 not allowed"
            ));
            continue;
        }
        match kinds::category(&identity.kind_type) {
            Some(Category::State) => states.push(document),
            Some(Category::SecretStore) => load_secret_store(document, &mut sources, report),
            Some(Category::NotServed(category)) => {
                report.warn(format!("component {log_name} is skipped: {category} is not served"));
            }
            None => refuse_category(document, report),
        }
    }
    let stores = states
        .into_iter()
        .filter_map(|document| load_store(document, &sources, report))
        .collect();
    Components { stores, names }
}

/// The components of this app, in daprd's order of judging: namespace, duplicate, scope.
fn select<'d>(
    documents: &'d [Document],
    sources: &Sources<'_>,
    report: &mut Report,
) -> Vec<(&'d Document, Identity)> {
    let mut accepted: Vec<(&Document, Identity)> = Vec::new();
    for document in documents.iter().filter(|document| document.kind == Kind::Component) {
        let identity = Identity::of(document);
        let wanted = sources.namespace.filter(|namespace| !namespace.is_empty());
        let own = document.namespace.as_deref().filter(|namespace| !namespace.is_empty());
        if let (Some(wanted), Some(own)) = (wanted, own)
            && wanted != own
        {
            let log_name = identity.log_name();
            let text = format!("component {log_name} is skipped: its namespace is {own}");
            report.say(Level::Debug, text);
            continue;
        }
        let earlier = accepted.iter().find(|(_, known)| known.name == identity.name);
        if let Some((first, existing)) = earlier {
            let place = Place::new(&document.file, document.at, "metadata.name");
            let message = format!(
                "duplicate definition of Component name {} with existing {} in {}:{}",
                identity.log_name(),
                existing.log_name(),
                first.file.display(),
                first.at.line,
            );
            report.refuse(place, message);
            continue;
        }
        if !document.is_for(sources.app_id) {
            report.say(
                Level::Info,
                format!(
                    "component {} is not loaded: its scopes are {}, and the app id is {}",
                    identity.log_name(),
                    listed(document.scopes.iter().map(String::as_str)),
                    sources.app_id,
                ),
            );
            continue;
        }
        accepted.push((document, identity));
    }
    accepted
}

fn refuse_category(document: &Document, report: &mut Report) {
    let Some(manifest) = Manifest::read(document, report) else { return };
    let Identity { name, kind_type, .. } = &manifest.identity;
    let error = format!("process component {name} error: incorrect type {kind_type}");
    if manifest.ignore_errors {
        return report.say(Level::Error, format!("Ignoring error processing component: {error}"));
    }
    let served = ["state.redis", "state.in-memory"];
    let meant = did_you_mean(kind_type, served);
    report.refuse(manifest.type_place, format!("{error}; served are {}{meant}", listed(served)));
}

/// Whether a version is the first one of its type.
fn is_initial(version: &str) -> bool {
    matches!(version.to_lowercase().as_str(), "" | "v0" | "v1")
}

fn load_secret_store(document: &Document, sources: &mut Sources<'_>, report: &mut Report) {
    let identity = Identity::of(document);
    let kind_type = identity.kind_type.to_lowercase();
    let is_served =
        matches!(kind_type.as_str(), "secretstores.local.env" | "secretstores.local.file");
    if !is_served || !is_initial(&identity.version) {
        let log_name = identity.log_name();
        report.warn(format!("component {log_name} is skipped: this secret store is not served"));
        sources.absent_secret_stores.insert(identity.name);
        return;
    }
    let Some(manifest) = Manifest::read(document, report) else { return };
    let Some(settings) = sources.resolve(&manifest, report) else {
        sources.absent_secret_stores.insert(identity.name);
        return;
    };
    let made = if kind_type.ends_with("env") {
        warn_unknown(&settings, &["prefix"], report);
        let prefix = setting(&settings, "prefix").unwrap_or_default().to_owned();
        Ok(SecretStore::Environment { prefix })
    } else {
        open_secrets_file(&settings, report)
    };
    match made {
        Ok(store) => drop(sources.secret_stores.insert(identity.name, store)),
        Err(cause) => {
            manifest.fail(Stage::Init, &cause, manifest.type_place.clone(), report);
            sources.absent_secret_stores.insert(identity.name);
        }
    }
}

fn open_secrets_file(settings: &[Setting], report: &mut Report) -> Result<SecretStore, String> {
    warn_unknown(settings, &["secretsFile", "nestedSeparator", "multiValued"], report);
    let path = setting(settings, "secretsFile").filter(|path| !path.is_empty());
    let path = path.ok_or("the metadata entry secretsFile is missing")?;
    let separator = setting(settings, "nestedSeparator").filter(|text| !text.is_empty());
    let values = match setting(settings, "multiValued").unwrap_or("false") {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Values::Several,
        "" | "0" | "f" | "F" | "FALSE" | "false" | "False" => Values::One,
        _ => return Err("the metadata entry multiValued must be true or false".to_owned()),
    };
    SecretStore::read_file(path.as_ref(), separator.unwrap_or(":"), values)
}

fn load_store(
    document: &Document,
    sources: &Sources<'_>,
    report: &mut Report,
) -> Option<Component> {
    let manifest = Manifest::read(document, report)?;
    let Identity { name, kind_type, version } = &manifest.identity;
    let served = is_initial(version);
    let kind = match kind_type.to_lowercase().as_str() {
        "state.redis" if served => StoreKind::Redis,
        "state.in-memory" if served => StoreKind::InMemory,
        _ => {
            let stores = ["state.redis", "state.in-memory"];
            let cause = format!(
                "couldn't find state store {kind_type}/{version}; served are {} in version v1{}",
                listed(stores),
                did_you_mean(kind_type, stores.into_iter().filter(|store| store != kind_type)),
            );
            manifest.fail(Stage::Create, &cause, manifest.type_place.clone(), report);
            return None;
        }
    };
    let harmless = refuse_harmful(&manifest, report);
    let settings = sources.resolve(&manifest, report)?;
    let key_prefix = read_key_prefix(&manifest, &settings, sources, report);
    let store = match kind {
        StoreKind::Redis => read_redis(&manifest, &settings, report),
        StoreKind::InMemory => {
            warn_unknown(&settings, &KNOWN_TO_RUNTIME, report);
            Some(StoreSettings::InMemory)
        }
    };
    let (key_prefix, store) = key_prefix.zip(store).filter(|_| harmless)?;
    Some(Component {
        name: name.clone(),
        kind_type: kind_type.clone(),
        version: version.clone(),
        store,
        key_prefix,
        ignore_errors: manifest.ignore_errors,
        init_timeout: manifest.init_timeout,
    })
}

#[derive(Clone, Copy)]
enum StoreKind {
    Redis,
    InMemory,
}

const ENCRYPTION: [&str; 2] = ["primaryEncryptionKey", "secondaryEncryptionKey"];
const OUTBOX: [&str; 2] = ["outboxPublishPubsub", "outboxPublishTopic"];

/// What the runtime reads of every state store's settings.
const KNOWN_TO_RUNTIME: [&str; 6] =
    ["keyPrefix", "actorStateStore", ENCRYPTION[0], ENCRYPTION[1], OUTBOX[0], OUTBOX[1]];

/// Refuses what asks for protection that is not there. Asked before values are looked up: a key
/// that cannot be found must not mean plain text.
fn refuse_harmful(manifest: &Manifest, report: &mut Report) -> bool {
    let mut harmless = true;
    for entry in &manifest.entries {
        let is_one_of = |names: [&str; 2]| {
            names.iter().any(|name| name.eq_ignore_ascii_case(&entry.name))
        };
        let cause = if is_one_of(ENCRYPTION) {
            "encryption is not served: values would be stored in plain text"
        } else if is_one_of(OUTBOX) {
            "the outbox is not served: nothing would be published"
        } else {
            continue;
        };
        let cause = format!("{}: {cause}", entry.name);
        manifest.fail(Stage::Init, &cause, entry.place.clone(), report);
        harmless = false;
    }
    harmless
}

fn read_key_prefix(
    manifest: &Manifest,
    settings: &[Setting],
    sources: &Sources<'_>,
    report: &mut Report,
) -> Option<KeyPrefix> {
    let setting = settings.iter().find(|setting| is_called(setting, "keyPrefix"));
    let strategy = setting.map(|setting| setting.value.as_str());
    let name = &manifest.identity.name;
    match KeyPrefix::parse(strategy, sources.app_id, name, sources.namespace) {
        Ok(prefix) => Some(prefix),
        Err(error) => {
            let place = setting.map_or(&manifest.type_place, |setting| &setting.place);
            let error = setting.map_or(error.to_string(), |setting| {
                shown(&error.to_string(), setting)
            });
            // The word "lock" is daprd's.
            let cause = format!(
                "failed to save lock keyprefix: api error: code = InvalidArgument desc = {error}"
            );
            manifest.fail(Stage::Init, &cause, place.clone(), report);
            None
        }
    }
}

fn read_redis(
    manifest: &Manifest,
    settings: &[Setting],
    report: &mut Report,
) -> Option<StoreSettings> {
    let pairs: Vec<(String, String)> = settings
        .iter()
        .filter(|setting| !KNOWN_TO_RUNTIME.iter().any(|name| is_called(setting, name)))
        .map(|setting| (setting.name.clone(), setting.value.clone()))
        .collect();
    let of = |field: &str| settings.iter().find(|setting| is_called(setting, field));
    match RedisSettings::parse(&pairs) {
        Ok((redis, warnings)) => {
            for warning in warnings {
                let place = of(&warning.field).map_or(&manifest.type_place, |known| &known.place);
                let text = format!("{place}: {} {}", warning.field, warning.message);
                report.say(
                    match warning.weight {
                        Weight::Note => Level::Debug,
                        Weight::Warning => Level::Warning,
                    },
                    text,
                );
            }
            Some(StoreSettings::Redis(redis))
        }
        Err(problems) => {
            for problem in problems {
                let setting = of(&problem.field);
                let place = setting.map_or(&manifest.type_place, |setting| &setting.place);
                let text = problem.to_string();
                let text = setting.map_or(text.clone(), |setting| shown(&text, setting));
                let cause = format!("redis store: {text}");
                manifest.fail(Stage::Init, &cause, place.clone(), report);
            }
            None
        }
    }
}

/// The text without the setting's value, if that is not for the log.
fn shown(text: &str, setting: &Setting) -> String {
    match setting.origin {
        Origin::Hidden if !setting.value.is_empty() => text.replace(&setting.value, "<hidden>"),
        Origin::Hidden | Origin::File => text.to_owned(),
    }
}

fn is_called(setting: &Setting, name: &str) -> bool {
    setting.name.eq_ignore_ascii_case(name)
}

fn setting<'s>(settings: &'s [Setting], name: &str) -> Option<&'s str> {
    let found = settings.iter().find(|setting| is_called(setting, name));
    found.map(|setting| setting.value.as_str())
}

fn warn_unknown(settings: &[Setting], known: &[&str], report: &mut Report) {
    for setting in settings {
        if known.iter().all(|name| !is_called(setting, name)) {
            let meant = did_you_mean(&setting.name, known.iter().copied());
            let message = format!("{} is not known and has no effect{meant}", setting.name);
            report.warn_at(&setting.place, message);
        }
    }
}
