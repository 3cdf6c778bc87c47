//! The names in the metadata of requests and answers that mean something to the state API; exact
//! in their case.

use std::collections::BTreeMap;

/// Under which an answer tells when its entry expires, as Dapr's stores that know it do.
pub const EXPIRY: &str = "ttlExpireTime";

const TTL: &str = "ttlInSeconds";
const CONTENT_TYPE: &str = "contentType";
const JSON: &str = "application/json";

/// The metadata of a request or of one of its items, whichever map an edge keeps it in.
pub trait ItemMetadata {
    /// The text under `name`.
    fn text(&self, name: &str) -> Option<&str>;

    /// The time to live, as given.
    fn ttl(&self) -> Option<String> {
        self.text(TTL).map(str::to_owned)
    }

    /// Whether the value is announced as JSON.
    fn announces_json(&self) -> bool {
        self.text(CONTENT_TYPE) == Some(JSON)
    }
}

impl ItemMetadata for BTreeMap<String, String> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}

impl ItemMetadata for std::collections::HashMap<String, String> {
    fn text(&self, name: &str) -> Option<&str> {
        self.get(name).map(String::as_str)
    }
}
