//! Which web pages may read our answers: `--allowed-origins`.

use axum::{body::Body, response::IntoResponse as _};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};

/// What a page may use, in Dapr as here.
const METHODS: [Method; 6] =
    [Method::HEAD, Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE];

const ANY: HeaderValue = HeaderValue::from_static("*");

/// What the answer to a preflight depends on.
const ASKED: [HeaderValue; 3] = [
    ORIGIN,
    HeaderValue::from_static("Access-Control-Request-Method"),
    HeaderValue::from_static("Access-Control-Request-Headers"),
];

const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");

/// The origins that are let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cors {
    /// `None` lets everybody in.
    origins: Option<Vec<Pattern>>,
}

/// An origin in lower case, around a `*` if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    before: String,
    after: Option<String>,
}

impl Cors {
    /// Reads `--allowed-origins`; `None` without one: then nothing is said about origins.
    pub fn parse(text: &str) -> Option<Self> {
        let listed: Vec<&str> =
            text.split(',').map(str::trim).filter(|origin| !origin.is_empty()).collect();
        if listed.is_empty() {
            return None;
        }
        let origins = (!listed.contains(&"*"))
            .then(|| listed.iter().map(|origin| Pattern::parse(origin)).collect());
        Some(Self { origins })
    }

    /// Whether a request only asks what it would be allowed.
    pub fn is_preflight<B>(request: &Request<B>) -> bool {
        request.method() == Method::OPTIONS
            && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
    }

    /// Answers a preflight, whatever its path.
    pub fn preflight(&self, asked: &HeaderMap) -> Response<Body> {
        let mut response = StatusCode::OK.into_response();
        let answer = response.headers_mut();
        for name in ASKED {
            answer.append(header::VARY, name);
        }
        let Some(origin) = self.let_in(asked) else { return response };
        let Some(method) = method(asked) else { return response };
        answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method);
        if let Some(headers) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS)
            && !headers.is_empty()
        {
            answer.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        response
    }

    /// Tells the one who asked with any other request whether it is let in.
    pub fn mark(allowed: Option<HeaderValue>, answer: &mut HeaderMap) {
        answer.append(header::VARY, ORIGIN);
        if let Some(origin) = allowed {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        }
    }

    /// Who is told to be let in, if the one who asks is.
    pub fn let_in(&self, asked: &HeaderMap) -> Option<HeaderValue> {
        let origin = asked.get(header::ORIGIN).filter(|origin| !origin.is_empty())?;
        let Some(origins) = &self.origins else { return Some(ANY) };
        let text = origin.to_str().ok()?.to_ascii_lowercase();
        origins.iter().any(|pattern| pattern.matches(&text)).then(|| origin.clone())
    }
}

impl Pattern {
    fn parse(origin: &str) -> Self {
        let origin = origin.to_ascii_lowercase();
        match origin.split_once('*') {
            Some((before, after)) => {
                Self { before: before.to_owned(), after: Some(after.to_owned()) }
            }
            None => Self { before: origin, after: None },
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match &self.after {
            None => self.before == origin,
            Some(after) => origin
                .strip_prefix(self.before.as_str())
                .is_some_and(|rest| rest.ends_with(after.as_str())),
        }
    }
}

/// The method that is asked about, if pages may use it.
fn method(asked: &HeaderMap) -> Option<HeaderValue> {
    let asked = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD)?.to_str().ok()?;
    let method = METHODS.iter().find(|method| asked.eq_ignore_ascii_case(method.as_str()))?;
    HeaderValue::from_str(method.as_str()).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn asked(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn nothing_is_said_without_a_list() {
        assert_eq!(Cors::parse(""), None);
        assert_eq!(Cors::parse(" , "), None);
    }

    #[test]
    fn origins_are_let_in_by_the_list_in_any_case() {
        let cors = Cors::parse("http://a.test, https://*.b.test").unwrap();
        for (origin, good) in [
            ("http://a.test", true),
            ("HTTP://A.TEST", true),
            ("http://a.test:80", false),
            ("https://x.b.test", true),
            ("https://b.test", false),
            ("http://x.b.test", false),
            ("", false),
        ] {
            let found = cors.let_in(&asked(&[("origin", origin)]));
            assert_eq!(found, good.then(|| HeaderValue::from_static(origin)), "{origin}");
        }
        assert_eq!(cors.let_in(&HeaderMap::new()), None);
        let all = Cors::parse("http://a.test,*").unwrap();
        assert_eq!(all.let_in(&asked(&[("origin", "http://c.test")])), Some(ANY));
    }
}
