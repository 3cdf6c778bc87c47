//! A state store's component: what kind of store it is, its keys' prefix, its settings.

use crate::{
    api::key::KeyPrefix,
    nearest::{did_you_mean, listed},
    resources::{
        component::{Component, StoreSettings},
        document::Document,
        kinds::{self, STATE_STORES},
        manifest::{Identity, Manifest, Source, Stage},
        report::{Level, Report},
        resolve::{Settings, Sources},
    },
    state_store::redis::settings::{RedisSettings, Weight},
};

/// Reads a store; `None` if it cannot be loaded, which then was said.
pub fn load_store(
    document: &Document,
    sources: &Sources<'_>,
    report: &mut Report,
) -> Option<Component> {
    let manifest = Manifest::read(document, report)?;
    let Identity { name, kind_type, version } = &manifest.identity;
    let kind = match kind_type.to_lowercase().as_str() {
        "state.redis" if kinds::is_initial(version) => StoreKind::Redis,
        "state.in-memory" if kinds::is_initial(version) => StoreKind::InMemory,
        _ => {
            let others = STATE_STORES.into_iter().filter(|store| store != kind_type);
            let cause = format!(
                "couldn't find state store {kind_type}/{version}; served are {} in version v1{}",
                listed(STATE_STORES),
                did_you_mean(kind_type, others),
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
            settings.warn_unknown(&KNOWN_TO_RUNTIME, report);
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
        if matches!(&entry.source, Source::Written(text) if text.is_empty()) {
            continue;
        }
        let is_one_of =
            |names: [&str; 2]| names.iter().any(|name| name.eq_ignore_ascii_case(&entry.name));
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
    settings: &Settings,
    sources: &Sources<'_>,
    report: &mut Report,
) -> Option<KeyPrefix> {
    let setting = settings.get("keyPrefix");
    let strategy = setting.map(|setting| setting.value.as_str());
    let name = &manifest.identity.name;
    match KeyPrefix::parse(strategy, sources.app_id, name, sources.namespace) {
        Ok(prefix) => Some(prefix),
        Err(error) => {
            let place = setting.map_or(&manifest.type_place, |setting| &setting.place);
            let error = error.to_string();
            let error = setting.map_or(error.clone(), |setting| setting.without_value(&error));
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
    settings: &Settings,
    report: &mut Report,
) -> Option<StoreSettings> {
    let pairs: Vec<(String, String)> = settings
        .0
        .iter()
        .filter(|setting| !KNOWN_TO_RUNTIME.iter().any(|name| setting.is_called(name)))
        .map(|setting| (setting.name.clone(), setting.value.clone()))
        .collect();
    match RedisSettings::parse(&pairs) {
        Ok((redis, warnings)) => {
            for warning in warnings {
                let place =
                    settings.get(&warning.field).map_or(&manifest.type_place, |known| &known.place);
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
                let setting = settings.get(&problem.field);
                let place = setting.map_or(&manifest.type_place, |setting| &setting.place);
                let text = problem.to_string();
                let text = setting.map_or(text.clone(), |setting| setting.without_value(&text));
                let cause = format!("redis store: {text}");
                manifest.fail(Stage::Init, &cause, place.clone(), report);
            }
            None
        }
    }
}
