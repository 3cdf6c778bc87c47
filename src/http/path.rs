//! Paths and queries as Dapr's router reads them: the path cleaned while it is still escaped, so
//! that `%2F` and `%2E%2E` can be part of a key, and `+` a space everywhere.

use std::borrow::Cow;

use http::{Uri, uri::PathAndQuery};

/// A `%` that two hex digits do not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadEscape;

/// The address to route by: `None` if `uri` already is, as almost always.
///
/// Doubled slashes, `.` and `..` are resolved and one slash at the end is ignored; `+` becomes
/// `%20`, because the router unescapes what it captures as a path and not as a query.
pub fn cleaned(uri: &Uri) -> Result<Option<Uri>, BadEscape> {
    let path = uri.path();
    check_escapes(path)?;
    if is_clean(path) {
        return Ok(None);
    }
    let mut text = clean(path).replace('+', "%20");
    if let Some(query) = uri.query() {
        text.push('?');
        text.push_str(query);
    }
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(text).map_err(|_| BadEscape)?);
    Uri::from_parts(parts).map(Some).map_err(|_| BadEscape)
}

/// The pairs of a query, unescaped. As Go does, a pair that cannot be read is no pair, nor is one
/// that holds a semicolon.
pub fn query_pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';')).filter_map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        Some((unescape(name)?, unescape(value)?))
    })
}

/// The first value of `name` in a query, unescaped.
pub fn query_value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    query_pairs(query).find(|(given, _)| given == name).map(|(_, value)| value)
}

/// A cleaned path, unescaped.
pub fn unescaped(path: &str) -> Cow<'_, str> {
    unescape(path).unwrap_or(Cow::Borrowed(path))
}

/// A segment of a cleaned path, unescaped; `None` if that is no UTF-8.
pub fn unescaped_strictly(segment: &str) -> Option<Cow<'_, str>> {
    if !is_escaped(segment) {
        return Some(Cow::Borrowed(segment));
    }
    String::from_utf8(unescaped_bytes(segment)?).ok().map(Cow::Owned)
}

fn unescape(text: &str) -> Option<Cow<'_, str>> {
    if !is_escaped(text) {
        return Some(Cow::Borrowed(text));
    }
    Some(Cow::Owned(String::from_utf8_lossy(&unescaped_bytes(text)?).into_owned()))
}

fn is_escaped(text: &str) -> bool {
    memchr::memchr2(b'%', b'+', text.as_bytes()).is_some()
}

fn unescaped_bytes(text: &str) -> Option<Vec<u8>> {
    check_escapes(text).ok()?;
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) => {
                bytes.push((hex_value(*high)? << 4) | hex_value(*low)?);
                rest = after;
            }
            (byte, _) => bytes.push(byte),
        }
    }
    Some(bytes)
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn check_escapes(text: &str) -> Result<(), BadEscape> {
    if memchr::memchr(b'%', text.as_bytes()).is_none() {
        return Ok(());
    }
    let mut after_percent = text.split('%').skip(1);
    let good = after_percent.all(|rest| {
        let digits = rest.as_bytes();
        digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit)
    });
    if good { Ok(()) } else { Err(BadEscape) }
}

fn is_clean(path: &str) -> bool {
    let segments = match path.as_bytes() {
        b"/" => return true,
        [b'/', segments @ ..] => segments,
        _ => return false,
    };
    memchr::memchr(b'+', segments).is_none()
        && segments
            .split(|byte| *byte == b'/')
            .all(|segment| !matches!(segment, b"" | b"." | b".."))
}

fn clean(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_while_escaped() {
        for (path, expected) in [
            ("/", "/"),
            ("/v1.0/state/s/A", "/v1.0/state/s/A"),
            ("/v1.0/state/s/A/", "/v1.0/state/s/A"),
            ("/v1.0/state/s/A//", "/v1.0/state/s/A"),
            ("//v1.0/state/s//A?x=a+b//c", "/v1.0/state/s/A?x=a+b//c"),
            ("/v1.0/state/s/./A", "/v1.0/state/s/A"),
            ("/v1.0/state/s/x/../A", "/v1.0/state/s/A"),
            ("/v1.0/state/s/..", "/v1.0/state"),
            ("/../..", "/"),
            ("/v1.0/state/s/%2E%2E", "/v1.0/state/s/%2E%2E"),
            ("/v1.0/state/s/a%2Fb/", "/v1.0/state/s/a%2Fb"),
            ("/v1.0/state/s/a+b%2B", "/v1.0/state/s/a%20b%2B"),
            ("/a?", "/a?"),
            ("http://localhost//a/", "http://localhost/a"),
        ] {
            let uri: Uri = path.parse().unwrap();
            let result = cleaned(&uri).unwrap().unwrap_or(uri);
            assert_eq!(result.to_string(), expected, "{path}");
        }
    }

    #[test]
    fn a_bad_escape_in_the_path_is_refused_and_one_in_the_query_is_not() {
        for path in ["/a%zz", "/a%", "/a%2", "/%", "/a%2/b"] {
            assert_eq!(cleaned(&path.parse().unwrap()), Err(BadEscape), "{path}");
        }
        assert_eq!(cleaned(&"/a?b=%zz".parse().unwrap()), Ok(None));
    }

    #[test]
    fn the_first_readable_value_of_a_query_counts() {
        for (query, expected) in [
            ("", None),
            ("appid", Some("")),
            ("appid=", Some("")),
            ("x=1&appid=a+b%2Bc&appid=d", Some("a b+c")),
            ("appid=%zz&appid=b", Some("b")),
            ("%61ppid=c", Some("c")),
            ("appid=a;b&appid=c", Some("c")),
            ("APPID=c", None),
            ("appid=%ff", Some("\u{fffd}")),
        ] {
            assert_eq!(query_value(query, "appid").as_deref(), expected, "{query}");
        }
    }
}
