//! The secret stores that components may refer to: the environment and a JSON file.

use std::{collections::BTreeMap, fs, path::Path};

use serde_json::Value;

use crate::resources::{Environment, document::reason};

/// Where a component's secrets are. It has no `Debug`: it holds them.
pub enum SecretStore {
    /// `secretstores.local.env`: the sidecar's own environment.
    Environment {
        /// Put before each name that is looked up.
        prefix: String,
    },
    /// `secretstores.local.file`, read once: each secret is one text or several.
    File(BTreeMap<String, BTreeMap<String, String>>),
}

impl SecretStore {
    /// Reads a JSON file of secrets. Nested names are joined by the separator; with several values
    /// a secret, the names on top are the secrets and what is below them is joined.
    pub fn read_file(path: &Path, separator: &str, values: Values) -> Result<Self, String> {
        let text = fs::read_to_string(path).map_err(|error| {
            format!("the secrets file {} cannot be read: {}", path.display(), reason(&error))
        })?;
        Self::parse(&text, separator, values)
            .ok_or_else(|| format!("the secrets file {} holds no JSON object", path.display()))
    }

    /// Reads the text of such a file; `None` if it is no JSON object. Why it is none is not told:
    /// the text of a JSON error quotes what it found, which may be a secret.
    pub fn parse(text: &str, separator: &str, values: Values) -> Option<Self> {
        let Ok(Value::Object(top)) = serde_json::from_str(text) else { return None };
        let mut secrets: BTreeMap<String, BTreeMap<String, String>> = BTreeMap::new();
        match values {
            Values::One => {
                let mut flat = BTreeMap::new();
                for (name, value) in &top {
                    flatten(name, value, separator, &mut flat);
                }
                for (name, value) in flat {
                    secrets.insert(name.clone(), BTreeMap::from([(name, value)]));
                }
            }
            Values::Several => {
                for (name, value) in &top {
                    let mut flat = BTreeMap::new();
                    match value {
                        Value::Object(inner) => {
                            for (key, value) in inner {
                                flatten(key, value, separator, &mut flat);
                            }
                        }
                        other => flatten(name, other, separator, &mut flat),
                    }
                    secrets.insert(name.clone(), flat);
                }
            }
        }
        Some(Self::File(secrets))
    }

    /// The value under a key of a secret. The error names the secret, never a value.
    pub fn look_up(
        &self,
        secret: &str,
        key: &str,
        environment: &dyn Environment,
    ) -> Result<String, String> {
        match self {
            Self::Environment { prefix } => {
                let variable = format!("{prefix}{secret}");
                if is_own_setting(&variable) {
                    return Err(format!("the variable {variable} is not open to components"));
                }
                let value = environment
                    .variable(&variable)
                    .ok_or_else(|| format!("the variable {variable} is not set"))?;
                if key != secret {
                    return Err(format!("secret {secret:?} has no key {key:?}"));
                }
                Ok(value)
            }
            Self::File(secrets) => {
                let values =
                    secrets.get(secret).ok_or_else(|| format!("secret {secret} not found"))?;
                let value = values.get(key);
                value.cloned().ok_or_else(|| format!("secret {secret:?} has no key {key:?}"))
            }
        }
    }
}

/// How many values a secret of a file has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// One, under the secret's own name.
    One,
    /// As many as the file says.
    Several,
}

/// Variables that no component may read: they are the sidecar's own and its tokens.
pub fn is_own_setting(variable: &str) -> bool {
    let upper = variable.to_uppercase();
    upper == "APP_API_TOKEN" || upper.starts_with("DAPR_")
}

fn flatten(name: &str, value: &Value, separator: &str, into: &mut BTreeMap<String, String>) {
    match value {
        Value::Null => drop(into.insert(name.to_owned(), String::new())),
        Value::String(text) => drop(into.insert(name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => {
            into.insert(name.to_owned(), value.to_string());
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                flatten(&format!("{name}{separator}{index}"), item, separator, into);
            }
        }
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(&format!("{name}{separator}{key}"), value, separator, into);
            }
        }
    }
}
