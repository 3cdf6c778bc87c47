//! The metadata fields of `state.redis`: which names exist, of which form they are, what they do.

use std::{collections::HashMap, time::Duration};

use super::{SettingsProblem, SettingsWarning, Time, Weight};
use crate::{go_text, nearest::nearest};

/// What a known field means to this program.
enum Role {
    /// The settings read it.
    Used,
    /// Another part of the program reads it.
    Elsewhere,
    /// It tunes something that does not exist here; its value still has to be of its form.
    NoEffect(Form),
    /// It asks for something that is not there, which does no harm.
    Missing(&'static str),
    /// It asks for something whose silent loss would do harm.
    Harmful(Form, &'static str),
}

/// The form of a value.
#[derive(Clone, Copy)]
enum Form {
    Any,
    Bool,
    Int,
    Time,
    Cluster,
}

const IDENTITY: &str = "logging in with tokens is not served: give redisUsername and redisPassword";
const ENCRYPTION: &str = "values would be stored without encryption, which is not served: remove \
                          the setting only if plain values are acceptable";
const OUTBOX: &str = "the outbox is not served, nothing would be published: remove the setting or \
                      keep this component on daprd";
const QUERY: &str = "has no effect: queries are not served";

/// Every name of the component's documentation, spelled as there.
const KNOWN: &[(&str, Role)] = &[
    ("redisHost", Role::Used),
    ("redisPort", Role::Used),
    ("redisUsername", Role::Used),
    ("redisPassword", Role::Used),
    ("redisDB", Role::Used),
    ("enableTLS", Role::Used),
    ("insecureSkipTLSVerify", Role::Used),
    ("clientCert", Role::Used),
    ("clientKey", Role::Used),
    ("dialTimeout", Role::Used),
    ("readTimeout", Role::Used),
    ("writeTimeout", Role::Used),
    ("ttlInSeconds", Role::Used),
    ("keyPrefix", Role::Elsewhere),
    ("actorStateStore", Role::Elsewhere),
    (
        "redisType",
        Role::Harmful(
            Form::Cluster,
            "Redis Cluster is not served: use a single server and remove the setting, or keep \
             this component on daprd",
        ),
    ),
    (
        "failover",
        Role::Harmful(
            Form::Bool,
            "Sentinel is not served: name the server itself in redisHost and remove the setting, \
             or keep this component on daprd",
        ),
    ),
    ("useEntraID", Role::Harmful(Form::Bool, IDENTITY)),
    ("useOIDC", Role::Harmful(Form::Bool, IDENTITY)),
    ("primaryEncryptionKey", Role::Harmful(Form::Any, ENCRYPTION)),
    ("secondaryEncryptionKey", Role::Harmful(Form::Any, ENCRYPTION)),
    ("outboxPublishPubsub", Role::Harmful(Form::Any, OUTBOX)),
    ("outboxPublishTopic", Role::Harmful(Form::Any, OUTBOX)),
    ("outboxPubsub", Role::Harmful(Form::Any, OUTBOX)),
    ("outboxDiscardWhenMissingState", Role::Harmful(Form::Bool, OUTBOX)),
    ("queryIndexes", Role::Missing(QUERY)),
    ("sentinelMasterName", Role::NoEffect(Form::Any)),
    ("sentinelUsername", Role::NoEffect(Form::Any)),
    ("sentinelPassword", Role::NoEffect(Form::Any)),
    ("redisMaxRetries", Role::NoEffect(Form::Int)),
    ("maxRetries", Role::NoEffect(Form::Any)),
    ("redisMinRetryInterval", Role::NoEffect(Form::Time)),
    ("redisMaxRetryInterval", Role::NoEffect(Form::Time)),
    ("maxRetryBackoff", Role::NoEffect(Form::Any)),
    ("poolSize", Role::NoEffect(Form::Int)),
    ("poolTimeout", Role::NoEffect(Form::Time)),
    ("minIdleConns", Role::NoEffect(Form::Int)),
    ("maxConnAge", Role::NoEffect(Form::Time)),
    ("idleTimeout", Role::NoEffect(Form::Time)),
    ("idleCheckFrequency", Role::NoEffect(Form::Time)),
    ("oidcTokenEndpoint", Role::NoEffect(Form::Any)),
    ("oidcClientID", Role::NoEffect(Form::Any)),
    ("oidcClientAssertionCert", Role::NoEffect(Form::Any)),
    ("oidcClientAssertionKey", Role::NoEffect(Form::Any)),
    ("oidcResource", Role::NoEffect(Form::Any)),
    ("oidcAudience", Role::NoEffect(Form::Any)),
    ("oidcKid", Role::NoEffect(Form::Any)),
    ("oidcScopes", Role::NoEffect(Form::Any)),
    ("oidcCACert", Role::NoEffect(Form::Any)),
    ("redeliverInterval", Role::NoEffect(Form::Any)),
    ("processingTimeout", Role::NoEffect(Form::Time)),
    ("queueDepth", Role::NoEffect(Form::Int)),
    ("concurrency", Role::NoEffect(Form::Int)),
    ("consumerID", Role::NoEffect(Form::Any)),
    ("maxLenApprox", Role::NoEffect(Form::Int)),
    ("streamTTL", Role::NoEffect(Form::Time)),
];

/// A component's fields by their documented names, and what was found to say about them.
pub(super) struct Fields {
    given: HashMap<&'static str, Given>,
    problems: Vec<SettingsProblem>,
    warnings: Vec<SettingsWarning>,
}

struct Given {
    written_as: String,
    value: String,
}

impl Fields {
    /// Finds each field's documented name and judges those the settings will not read.
    pub(super) fn sort(metadata: &[(String, String)]) -> Self {
        let mut fields = Self { given: HashMap::new(), problems: Vec::new(), warnings: Vec::new() };
        for (written_as, value) in metadata {
            let known = KNOWN.iter().find(|(name, _)| name.eq_ignore_ascii_case(written_as));
            let Some((name, role)) = known else {
                fields.unknown(written_as);
                continue;
            };
            let given = Given { written_as: written_as.clone(), value: value.clone() };
            if fields.given.insert(name, given).is_some() {
                fields.warn(written_as, "is given more than once: the last one counts");
            }
            fields.judge(name, role);
        }
        fields
    }

    /// Ends reading: the warnings, or the problems if there are any.
    pub(super) fn finish(self) -> Result<Vec<SettingsWarning>, Vec<SettingsProblem>> {
        if self.problems.is_empty() { Ok(self.warnings) } else { Err(self.problems) }
    }

    /// A text; an empty one is the same as none.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.given.get(name).map(|given| given.value.clone()).filter(|value| !value.is_empty())
    }

    /// A truth value in the words Go takes.
    pub(super) fn bool(&mut self, name: &str) -> Option<bool> {
        self.read(name, read_bool)
    }

    /// A whole number.
    pub(super) fn int(&mut self, name: &str) -> Option<i64> {
        self.read(name, read_int)
    }

    /// A port number.
    pub(super) fn port(&mut self, name: &str) -> Option<u16> {
        self.read(name, |text| text.parse().map_err(|_| invalid("uint16", text)))
    }

    /// A time: a whole number is milliseconds, all else Go's syntax for durations.
    pub(super) fn time(&mut self, name: &str) -> Option<Time> {
        self.read(name, read_time)
    }

    /// Tells what is wrong with a field.
    pub(super) fn problem(&mut self, name: &str, message: String) {
        let field = self.written_as(name);
        self.problems.push(SettingsProblem { field, message });
    }

    /// Tells what is wrong with a field, given as its name and the message.
    pub(super) fn problem_in(&mut self, (name, message): (&str, String)) {
        self.problem(name, message);
    }

    /// Tells, if the field is there, that it does nothing.
    pub(super) fn without_effect(&mut self, name: &str, message: &str) {
        if self.given.contains_key(name) {
            let field = self.written_as(name);
            self.warn(&field, message);
        }
    }

    fn read<T>(&mut self, name: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        match read(&self.given.get(name)?.value) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(name, message);
                None
            }
        }
    }

    fn judge(&mut self, name: &str, role: &Role) {
        match *role {
            Role::Used | Role::Elsewhere => {}
            Role::NoEffect(form) => {
                if self.read(name, |text| asks(form, text)).is_some() {
                    let field = self.written_as(name);
                    let message = "has no effect on this store".to_owned();
                    self.warnings.push(SettingsWarning { field, message, weight: Weight::Note });
                }
            }
            Role::Missing(message) => {
                if self.text(name).is_some() {
                    self.without_effect(name, message);
                }
            }
            Role::Harmful(form, message) => {
                if self.read(name, |text| asks(form, text)) == Some(true) {
                    self.problem(name, message.to_owned());
                }
            }
        }
    }

    fn unknown(&mut self, written_as: &str) {
        let message = match nearest(written_as, KNOWN.iter().map(|(name, _)| *name)) {
            Some(name) => format!("is no setting of state.redis: did you mean {name}?"),
            None => "is no setting of state.redis and has no effect".to_owned(),
        };
        self.warn(written_as, &message);
    }

    fn warn(&mut self, written_as: &str, message: &str) {
        let (field, message) = (written_as.to_owned(), message.to_owned());
        self.warnings.push(SettingsWarning { field, message, weight: Weight::Warning });
    }

    fn written_as(&self, name: &str) -> String {
        self.given.get(name).map_or(name, |given| &given.written_as).to_owned()
    }
}

/// Whether the value asks for something; an error if it is not of its form.
fn asks(form: Form, text: &str) -> Result<bool, String> {
    match form {
        Form::Any => Ok(!text.is_empty()),
        Form::Bool => read_bool(text),
        Form::Int => read_int(text).map(|_| true),
        Form::Time => read_time(text).map(|_| true),
        // As components-contrib common/component/redis: only this exact word.
        Form::Cluster => Ok(text == "cluster"),
    }
}

fn read_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err(invalid("bool", text)),
    }
}

fn read_int(text: &str) -> Result<i64, String> {
    go_text::atoi(text).map_err(|_| invalid("int", text))
}

fn read_time(text: &str) -> Result<Time, String> {
    let duration = match text.parse::<i64>() {
        Ok(millis) if millis < 0 => return Ok(Time::Off),
        Ok(millis) => Duration::from_millis(millis.unsigned_abs()),
        Err(_) => {
            let duration = go_text::parse_duration(text)
                .map_err(|error| format!("{}: {error}", invalid("Duration", text)))?;
            if duration.nanoseconds() < 0 {
                return Ok(Time::Off);
            }
            duration.or_zero()
        }
    };
    Ok(if duration.is_zero() { Time::Default } else { Time::After(duration) })
}

fn invalid(form: &str, text: &str) -> String {
    format!("invalid {form} {}", go_text::quote(text))
}
