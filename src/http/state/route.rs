//! Which route of the state API a request means. It is found by hand: axum's router hands a request
//! from box to box, which is a good part of what a call of these routes costs.

use std::borrow::Cow;

use http::Method;

use crate::http::{
    access::{STATE, STATE_ALPHA},
    path,
};

const STABLE: &str = "/v1.0/state/";
const ALPHA: &str = "/v1.0-alpha1/state/";

/// What is asked of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// To write keys.
    Save,
    /// To read one key.
    Get,
    /// To delete one key.
    Delete,
    /// To read keys.
    BulkGet,
    /// To write and delete keys, all or none.
    Transact,
    /// To find values.
    Query,
}

impl Route {
    /// All of them, in their order.
    pub const ALL: [Self; 6] =
        [Self::Save, Self::Get, Self::Delete, Self::BulkGet, Self::Transact, Self::Query];

    /// The one that a method and a clean path mean. `bulk` and `transaction` are words where
    /// something is sent; for GET and DELETE they are keys like any other.
    pub fn of(method: &Method, path: &str) -> Option<Self> {
        let sends = *method == Method::POST || *method == Method::PUT;
        if let Some(rest) = path.strip_prefix(STABLE) {
            return match (split(rest)?, method) {
                ((_, None), _) if sends => Some(Self::Save),
                ((_, Some("bulk")), _) if sends => Some(Self::BulkGet),
                ((_, Some("transaction")), _) if sends => Some(Self::Transact),
                ((_, Some(_)), &Method::GET) => Some(Self::Get),
                ((_, Some(_)), &Method::DELETE) => Some(Self::Delete),
                _ => None,
            };
        }
        let (_, word) = split(path.strip_prefix(ALPHA)?)?;
        (sends && word == Some("query")).then_some(Self::Query)
    }

    /// What Dapr calls it.
    pub fn dapr_name(self) -> &'static str {
        match self {
            Self::Save => "SaveState",
            Self::Get => "GetState",
            Self::Delete => "DeleteState",
            Self::BulkGet => "GetBulkState",
            Self::Transact => "ExecuteStateTransaction",
            Self::Query => "QueryStateAlpha1",
        }
    }

    /// The part of the API that it belongs to, and its path, by which rules of `spec.api` mean it.
    pub fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Save => (STATE, "/v1.0/state/{store}"),
            Self::Get | Self::Delete => (STATE, "/v1.0/state/{store}/{key}"),
            Self::BulkGet => (STATE, "/v1.0/state/{store}/bulk"),
            Self::Transact => (STATE, "/v1.0/state/{store}/transaction"),
            Self::Query => (STATE_ALPHA, "/v1.0-alpha1/state/{store}/query"),
        }
    }
}

/// What stands in a path is no text once it is unescaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotText;

/// What the path of a route names.
#[derive(Debug, PartialEq, Eq)]
pub struct Names<'p> {
    /// The store.
    pub store: Cow<'p, str>,
    /// The key, or the word that stands in its place; empty where there is neither.
    pub key: Cow<'p, str>,
}

impl<'p> Names<'p> {
    /// Those of a path that has a [`Route`].
    pub fn of(path: &'p str) -> Result<Self, NotText> {
        let rest = path.strip_prefix(STABLE).or_else(|| path.strip_prefix(ALPHA));
        let (store, key) = rest.and_then(split).unwrap_or_default();
        let text = |segment| path::unescaped_strictly(segment).ok_or(NotText);
        Ok(Self { store: text(store)?, key: text(key.unwrap_or_default())? })
    }
}

/// A store, and one more segment if there is one. In a clean path none is empty.
fn split(rest: &str) -> Option<(&str, Option<&str>)> {
    let Some((store, last)) = rest.split_once('/') else { return Some((rest, None)) };
    (!last.contains('/')).then_some((store, Some(last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_meant_by_method_and_path() {
        use Route::{BulkGet, Delete, Get, Query, Save, Transact};
        let none = [None; 4];
        for (path, [get, post, put, delete]) in [
            ("/v1.0/state/s", [None, Some(Save), Some(Save), None]),
            ("/v1.0/state/s/k", [Some(Get), None, None, Some(Delete)]),
            ("/v1.0/state/s/k%2Fx", [Some(Get), None, None, Some(Delete)]),
            ("/v1.0/state/s/bulk", [Some(Get), Some(BulkGet), Some(BulkGet), Some(Delete)]),
            ("/v1.0/state/s/%62ulk", [Some(Get), None, None, Some(Delete)]),
            (
                "/v1.0/state/s/transaction",
                [Some(Get), Some(Transact), Some(Transact), Some(Delete)],
            ),
            ("/v1.0/state/s/query", [Some(Get), None, None, Some(Delete)]),
            ("/v1.0-alpha1/state/s/query", [None, Some(Query), Some(Query), None]),
            ("/v1.0-alpha1/state/s", none),
            ("/v1.0-alpha1/state/s/query/x", none),
            ("/v1.0-alpha1/state/s/k", none),
            ("/v1.0/state/s/bulk/x", none),
            ("/v1.0/state/s/k/x", none),
            ("/v1.0/state", none),
            ("/v1.0/states/s", none),
            ("/v1.0/State/s", none),
            ("/v1.0", none),
            ("/", none),
            ("*", none),
            ("", none),
        ] {
            let found = [Method::GET, Method::POST, Method::PUT, Method::DELETE]
                .map(|method| Route::of(&method, path));
            assert_eq!(found, [get, post, put, delete], "{path}");
            for method in [Method::HEAD, Method::OPTIONS, Method::PATCH, Method::CONNECT] {
                assert_eq!(Route::of(&method, path), None, "{method} {path}");
            }
        }
        let numbers = Route::ALL.map(|route| route as usize);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn names_are_unescaped_and_must_be_text() {
        for (path, expected) in [
            ("/v1.0/state/s", Some(("s", ""))),
            ("/v1.0/state/s%20t/k%2Fx%C3%A9", Some(("s t", "k/xé"))),
            ("/v1.0/state/s/bulk", Some(("s", "bulk"))),
            ("/v1.0-alpha1/state/s/query", Some(("s", "query"))),
            ("/v1.0/state/%ff", None),
            ("/v1.0/state/s/%C3", None),
        ] {
            let expected =
                expected.map(|(store, key)| Names { store: store.into(), key: key.into() });
            assert_eq!(Names::of(path), expected.ok_or(NotText), "{path}");
        }
    }
}
