//! Components: which documents become stores, and with what settings.

use crate::{
    api::key::KeyPrefix,
    nearest::{did_you_mean, listed},
    resources::{
        configuration::Configuration,
        document::Document,
        error::Place,
        kinds::{self, Category, Kind},
        manifest::{Identity, Manifest, Stage},
        report::{Level, Report},
        resolve::{Settings, Sources},
        secrets::{SecretStore, Values},
        store::load_store,
    },
    state_store::redis::settings::RedisSettings,
};

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
        let identity =
            Identity { name: name.clone(), kind_type: kind_type.clone(), version: version.clone() };
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
    let stores =
        states.into_iter().filter_map(|document| load_store(document, &sources, report)).collect();
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
                Level::Warning,
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
    let served = listed(kinds::STATE_STORES);
    if kind_type.is_empty() {
        return report.refuse(manifest.type_place, format!("is missing; served are {served}"));
    }
    let meant = did_you_mean(kind_type, kinds::STATE_STORES);
    report.refuse(manifest.type_place, format!("{error}; served are {served}{meant}"));
}

fn load_secret_store(document: &Document, sources: &mut Sources<'_>, report: &mut Report) {
    let identity = Identity::of(document);
    let kind_type = identity.kind_type.to_lowercase();
    let is_served =
        matches!(kind_type.as_str(), "secretstores.local.env" | "secretstores.local.file");
    if !is_served || !kinds::is_initial(&identity.version) {
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
        settings.warn_unknown(&["prefix"], report);
        let prefix = settings.text("prefix").unwrap_or_default().to_owned();
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

fn open_secrets_file(settings: &Settings, report: &mut Report) -> Result<SecretStore, String> {
    settings.warn_unknown(&["secretsFile", "nestedSeparator", "multiValued"], report);
    let path = settings.text("secretsFile").ok_or("the metadata entry secretsFile is missing")?;
    let values = match settings.text("multiValued").unwrap_or("false") {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Values::Several,
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Values::One,
        _ => return Err("the metadata entry multiValued must be true or false".to_owned()),
    };
    let separator = settings.text("nestedSeparator").unwrap_or(":");
    SecretStore::read_file(path.as_ref(), separator, values)
}
