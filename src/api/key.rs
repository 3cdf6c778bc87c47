//! A caller's key, a component's prefix, and the key in the store that the two make.

use crate::state_store::StoredKey;

/// What stands between prefix and key. As Dapr's `state_config.go`, so that both can share a store.
const SEPARATOR: &str = "||";

/// A key as the application knows it: without the separator, so that it stays recognisable.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UserKey(String);

/// The key cannot be told apart from its prefix once stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("input key/keyPrefix '{0}' can't contain '||'")]
pub struct InvalidKey(pub String);

impl UserKey {
    /// Accepts every text, the empty one included, that does not contain `||`.
    pub fn parse(text: String) -> Result<Self, InvalidKey> {
        if has_separator(&text) { Err(InvalidKey(text)) } else { Ok(Self(text)) }
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a component puts before its keys, separator included; empty for bare keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPrefix(String);

impl KeyPrefix {
    /// Reads the metadata entry `keyPrefix`: `appid` (also when absent), `name`, `namespace`,
    /// `none`, or any other text, which then is the prefix. The text is lower-cased first, as Dapr
    /// does, so `MyApp` stores under `myapp||`.
    pub fn parse(
        strategy: Option<&str>,
        app_id: &str,
        component: &str,
        namespace: Option<&str>,
    ) -> Result<Self, InvalidKey> {
        let strategy = strategy.unwrap_or("appid").to_lowercase();
        if has_separator(&strategy) {
            return Err(InvalidKey(strategy));
        }
        Ok(match (strategy.as_str(), namespace) {
            ("none", _) => Self(String::new()),
            ("name", _) => Self::of(component.to_owned()),
            ("namespace", Some(namespace)) if !namespace.is_empty() && !app_id.is_empty() => {
                Self::of(format!("{namespace}.{app_id}"))
            }
            ("appid" | "namespace", _) => Self::by_app_id(app_id),
            _ => Self::of(strategy),
        })
    }

    /// The default: the app id, or bare keys for an app without one.
    pub fn by_app_id(app_id: &str) -> Self {
        if app_id.is_empty() { Self(String::new()) } else { Self::of(app_id.to_owned()) }
    }

    fn of(prefix: String) -> Self {
        Self(prefix + SEPARATOR)
    }

    /// The key under which `key` is stored.
    pub fn stored(&self, key: &UserKey) -> StoredKey {
        let mut text = String::with_capacity(self.0.len() + key.0.len());
        text.push_str(&self.0);
        text.push_str(&key.0);
        StoredKey::new(text)
    }
}

/// Whether [`SEPARATOR`] is in a text. Looked for by its first byte, which few keys have: a search
/// for any text takes longer to set up than a key is to read.
fn has_separator(text: &str) -> bool {
    let (bytes, separator) = (text.as_bytes(), SEPARATOR.as_bytes());
    memchr::memchr_iter(separator[0], bytes).any(|at| bytes[at..].starts_with(separator))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(strategy: Option<&str>, namespace: Option<&str>, expected: &str) {
        let prefix = KeyPrefix::parse(strategy, "app1", "store1", namespace).unwrap();
        let key = UserKey::parse("k".to_owned()).unwrap();
        assert_eq!(prefix.stored(&key).as_str(), expected);
    }

    #[test]
    fn each_strategy_makes_the_key_dapr_makes() {
        check(None, None, "app1||k");
        check(Some("appid"), None, "app1||k");
        check(Some("AppID"), None, "app1||k");
        check(Some("name"), None, "store1||k");
        check(Some("namespace"), Some("prod"), "prod.app1||k");
        check(Some("namespace"), None, "app1||k");
        check(Some("namespace"), Some(""), "app1||k");
        check(Some("none"), None, "k");
        check(Some("NONE"), None, "k");
        check(Some("MyPrefix"), None, "myprefix||k");
        check(Some("x|"), None, "x|||k");
        check(Some(""), None, "||k");
    }

    #[test]
    fn an_empty_app_id_stores_the_bare_key() {
        let key = UserKey::parse("k".to_owned()).unwrap();
        for strategy in [None, Some("appid"), Some("namespace")] {
            let prefix = KeyPrefix::parse(strategy, "", "store1", Some("prod")).unwrap();
            assert_eq!(prefix.stored(&key).as_str(), "k");
        }
    }

    #[test]
    fn the_separator_is_refused_in_keys_and_prefixes() {
        let refused = UserKey::parse("a||b".to_owned()).unwrap_err();
        assert_eq!(refused.to_string(), "input key/keyPrefix 'a||b' can't contain '||'");
        for text in ["||", "||b", "a||", "a|||b"] {
            assert!(UserKey::parse(text.to_owned()).is_err(), "{text}");
        }
        for text in ["a|b", "|", "a|b|c|", "é|"] {
            assert!(UserKey::parse(text.to_owned()).is_ok(), "{text}");
        }
        assert!(UserKey::parse(String::new()).is_ok());
        assert!(KeyPrefix::parse(Some("a||b"), "app1", "store1", None).is_err());
    }
}
