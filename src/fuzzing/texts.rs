//! Short texts: durations, numbers, etags, TTLs, keys, trip rules.

use std::{cell::LazyCell, sync::Arc};

use bytes::Bytes;
use tokio::runtime::{Builder, Runtime};

use super::{parts, text, whole_number};
use crate::{
    api::key::{KeyPrefix, UserKey},
    go_text::{self, GoDuration},
    resiliency::{circuit::Counts, trip::TripRule},
    state_store::{
        Change, Concurrency, Consistency, Expected, Prepared, PreparedChange, StateStore as _,
        StoreError, StoredKey, Ttl, Write,
        in_memory::InMemoryStore,
        redis::{RedisStore, health::RedisHealth, settings::RedisSettings},
    },
};

/// Durations and whole numbers in Go's syntax, and Go's quoting.
pub fn durations(input: &[u8]) {
    if let Some(bytes) = input.first_chunk() {
        let written = GoDuration::from_nanoseconds(i64::from_le_bytes(*bytes));
        assert_eq!(go_text::parse_duration(&written.to_string()), Ok(written));
    }
    let Some(text) = text(input) else { return };
    let read = go_text::parse_duration(text);
    check_duration(text, read.as_ref().ok().map(|duration| duration.nanoseconds()));
    if let Err(error) = &read {
        let told = error.to_string();
        assert!(told.starts_with("time: "), "{told}");
        // Go leaves DEL as it is.
        assert!(
            told.bytes().all(|byte| matches!(byte, b' '..=b'\x7f')),
            "{told:?} is not printable"
        );
    }
    let number = whole_number(text);
    assert_eq!(go_text::atoi(text).ok(), number, "{text:?}");
    assert_eq!(go_text::parse_int(text).ok(), number, "{text:?}");
    let policy = go_text::parse_policy_duration(text);
    match number {
        Some(millis) => {
            let nanos = i128::from(millis) * 1_000_000;
            let nanos = i64::try_from(nanos).ok().map(GoDuration::from_nanoseconds);
            assert_eq!(policy.ok(), nanos, "{text:?}");
        }
        None => assert_eq!(policy, read, "{text:?}"),
    }
    let quoted = go_text::quote(text);
    assert!(!quoted.contains(char::is_control), "{quoted:?}");
    assert_eq!(unquoted(&quoted).as_deref(), Some(text), "{quoted}");
}

/// Compares what was read with exact arithmetic. Go adds up fractions in floating point, so that
/// each part may be off by a nanosecond, or, where the part is of many hours, by its 53 bits.
fn check_duration(text: &str, read: Option<i64>) {
    let Some(exact) = exact_duration(text) else {
        assert_eq!(read, None, "{text:?} is no duration");
        return;
    };
    let Exact { nanos, parts, negative } = exact;
    let limit = i64::MAX.unsigned_abs() as f64;
    match read {
        Some(read) => {
            let slack = parts as f64 + nanos * 1e-9;
            let difference = (read.unsigned_abs() as f64 - nanos).abs();
            assert!(difference <= slack, "{text:?}: {read} instead of {nanos}");
            assert!(read == 0 || (read < 0) == negative, "{text:?}: {read}");
        }
        // A part that has more digits than an integer is refused although its sum is 0.
        None => assert!(nanos >= limit * (1.0 - 1e-9), "{text:?} is refused"),
    }
}

struct Exact {
    nanos: f64,
    parts: usize,
    negative: bool,
}

/// `[-+]?(0|([0-9]*(\.[0-9]*)?[a-z]+)+)` and its value, however large.
fn exact_duration(text: &str) -> Option<Exact> {
    const UNITS: [(&str, f64); 8] = [
        ("ns", 1.0),
        ("us", 1e3),
        ("\u{b5}s", 1e3),
        ("\u{3bc}s", 1e3),
        ("ms", 1e6),
        ("s", 1e9),
        ("m", 60e9),
        ("h", 3600e9),
    ];
    let negative = text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut exact = Exact { nanos: 0.0, parts: 0, negative };
    if unsigned == "0" {
        return Some(exact);
    }
    let is_number = |c: char| c == '.' || c.is_ascii_digit();
    let mut rest = unsigned;
    while !rest.is_empty() || exact.parts == 0 {
        let (number, after) = rest.split_at(rest.find(|c| !is_number(c))?);
        let (unit, next) = after.split_at(after.find(is_number).unwrap_or(after.len()));
        if !number.contains(|c: char| c.is_ascii_digit()) || number.matches('.').count() > 1 {
            return None;
        }
        let (_, scale) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        exact.nanos += number.parse::<f64>().ok()? * scale;
        exact.parts += 1;
        rest = next;
    }
    Some(exact)
}

/// What a text in Go's quotes says.
fn unquoted(quoted: &str) -> Option<String> {
    let mut said = String::new();
    let mut letters = quoted.strip_prefix('"')?.strip_suffix('"')?.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            said.push(letter);
            continue;
        }
        let kind = letters.next()?;
        let digits = match kind {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let code: String = letters.by_ref().take(digits).collect();
        said.push(match kind {
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\x0b',
            '"' | '\\' => kind,
            _ => char::from_u32(u32::from_str_radix(&code, 16).ok()?)?,
        });
    }
    Some(said)
}

/// A Redis store that never connects: its runtime is not driven.
struct Stores {
    redis: RedisStore,
    in_memory: InMemoryStore,
    _runtime: Runtime,
}

impl Stores {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("invariant: a runtime can be made");
        let metadata = [("redisHost".to_owned(), "127.0.0.1:1".to_owned())];
        let parsed = RedisSettings::parse(&metadata);
        let (settings, _) = parsed.expect("invariant: an address is all that is needed");
        let entered = runtime.enter();
        let health = Arc::new(RedisHealth::new("store"));
        let redis = RedisStore::new("store", Arc::new(settings), health);
        drop(entered);
        Self { redis, in_memory: InMemoryStore::default(), _runtime: runtime }
    }
}

thread_local! {
    static STORES: LazyCell<Stores> = const { LazyCell::new(Stores::new) };
}

/// Lends a Redis store that never connects.
#[cfg(test)]
pub(super) fn with_redis<T>(work: impl FnOnce(&RedisStore) -> T) -> T {
    STORES.with(|stores| work(&stores.redis))
}

/// An etag and a TTL, a line each, as both stores read them.
pub fn etag_ttl(input: &[u8]) {
    let Some([etag, ttl]) = text(input).map(parts) else { return };
    for concurrency in [Concurrency::Unspecified, Concurrency::FirstWrite, Concurrency::LastWrite] {
        let value = Bytes::from_static(b"1");
        let set = Change::Set { value, ttl: Some(ttl.to_owned()) };
        let write = |change| Write {
            key: stored("k"),
            change,
            etag: Some(etag.to_owned()),
            concurrency,
            consistency: Consistency::Unspecified,
        };
        STORES.with(|stores| {
            check_redis_set(stores.redis.prepare(write(set.clone())), etag, ttl, concurrency);
            check_in_memory_set(stores.in_memory.prepare(write(set)), etag, ttl);
            for deleted in [
                stores.redis.prepare(write(Change::Delete)),
                stores.in_memory.prepare(write(Change::Delete)),
            ] {
                assert_eq!(deleted.map(|write| write.expected), Ok(opaque(etag)));
            }
        });
    }
}

fn stored(key: &str) -> StoredKey {
    let key = UserKey::parse(key.to_owned()).expect("invariant: the key has no bars");
    KeyPrefix::by_app_id("app").stored(&key)
}

fn opaque(etag: &str) -> Expected {
    if etag.is_empty() { Expected::Any } else { Expected::Text(etag.to_owned()) }
}

fn check_redis_set(
    prepared: Result<Prepared, StoreError>,
    etag: &str,
    ttl: &str,
    concurrency: Concurrency,
) {
    let unread = etag.is_empty() || concurrency == Concurrency::LastWrite;
    let expected = match whole_number(etag) {
        _ if unread => Some(Expected::Any),
        Some(0) => Some(Expected::Any),
        number => number.map(Expected::Version),
    };
    let time = match whole_number(ttl) {
        _ if ttl.is_empty() => Some(Ttl::Unchanged),
        Some(..=0) => Some(Ttl::Persist),
        // Redis adds the time of the day to it, in milliseconds.
        Some(seconds @ 1..) => {
            let most = i64::MAX / 1000 - 100_000_000_000;
            (seconds <= most).then_some(Ttl::Seconds(seconds.unsigned_abs()))
        }
        None => None,
    };
    match prepared {
        Err(StoreError::EtagInvalid(told)) => {
            assert_eq!(expected, None, "{etag:?}");
            assert!(told.starts_with("strconv.Atoi: parsing "), "{told}");
        }
        Err(StoreError::TtlInvalid(_)) => {
            assert!(expected.is_some(), "the etag {etag:?} is to be told first");
            assert_eq!(time, None, "{ttl:?}");
        }
        Err(other) => panic!("{etag:?} {ttl:?}: {other}"),
        Ok(write) => {
            assert_eq!(Some(&write.expected), expected.as_ref(), "{etag:?}");
            assert_eq!(write.conditional, !etag.is_empty());
            check_time(&write, time, ttl);
        }
    }
}

fn check_in_memory_set(prepared: Result<Prepared, StoreError>, etag: &str, ttl: &str) {
    match (prepared, whole_number(ttl)) {
        (Err(StoreError::TtlInvalid(_)), None) => assert!(!ttl.is_empty()),
        // When the end of time is, is the clock's to say; a thousand years it must last.
        (Err(StoreError::TtlInvalid(_)), Some(seconds)) => assert!(seconds > 31_556_952_000),
        (Err(other), _) => panic!("{etag:?} {ttl:?}: {other}"),
        (Ok(write), number) => {
            assert_eq!(write.expected, opaque(etag));
            let seconds = number.unwrap_or_default();
            let time =
                if seconds > 0 { Ttl::Seconds(seconds.unsigned_abs()) } else { Ttl::Persist };
            assert!(number.is_some() || ttl.is_empty(), "{ttl:?} is accepted");
            check_time(&write, Some(time), ttl);
        }
    }
}

fn check_time(write: &Prepared, time: Option<Ttl>, ttl: &str) {
    match &write.change {
        PreparedChange::Set { ttl: read, .. } => assert_eq!(Some(*read), time, "{ttl:?}"),
        PreparedChange::Delete => panic!("a set became a delete"),
    }
}

/// The strategy of `keyPrefix`, the app id, the component's name, the namespace and a key, a line
/// each.
pub fn keys(input: &[u8]) {
    let Some([strategy, app_id, component, namespace, key]) = text(input).map(parts) else {
        return;
    };
    let parsed = UserKey::parse(key.to_owned());
    assert_eq!(parsed.is_ok(), !key.contains("||"), "{key:?}");
    let given = KeyPrefix::parse(Some(strategy), app_id, component, Some(namespace));
    let wanted = strategy.to_lowercase();
    assert_eq!(given.is_ok(), !wanted.contains("||"), "{strategy:?}");
    let (Ok(key), Ok(prefix)) = (parsed, given) else { return };
    assert_eq!(key.as_str(), parts::<5>(text(input).unwrap_or_default())[4]);
    let own = match wanted.as_str() {
        "none" => None,
        "name" => Some(component.to_owned()),
        "appid" | "namespace" if app_id.is_empty() => None,
        "namespace" if !namespace.is_empty() => Some(format!("{namespace}.{app_id}")),
        "appid" | "namespace" => Some(app_id.to_owned()),
        _ => Some(wanted),
    };
    let own = own.map(|own| own + "||").unwrap_or_default();
    let stored = prefix.stored(&key);
    assert_eq!(stored.as_str().strip_prefix(&own), Some(key.as_str()), "{stored:?}");
    let absent = KeyPrefix::parse(None, app_id, component, Some(namespace));
    assert_eq!(absent, Ok(KeyPrefix::by_app_id(app_id)));
}

/// A trip rule, with counts that it could meet.
pub fn trip_rule(input: &[u8]) {
    let Some(rule) = text(input) else { return };
    match TripRule::parse(rule) {
        Ok(parsed) => {
            assert_eq!(parsed.text(), rule);
            for counts in SAMPLES {
                let verdict = parsed.matches(&counts);
                assert_eq!(parsed.matches(&counts), verdict, "{rule:?}");
                assert!(!rule.is_empty() || verdict == (counts.consecutive_failures > 5));
            }
        }
        Err(error) => {
            let told = error.to_string();
            assert!(told.starts_with("trip rule "), "{told}");
            assert!(!told.contains(char::is_control), "{told:?}");
        }
    }
}

const SAMPLES: [Counts; 5] = [
    counts(0, 0, 0, 0, 0),
    counts(5, 0, 5, 0, 5),
    counts(7, 1, 6, 0, 6),
    counts(5, 5, 0, 5, 0),
    counts(u32::MAX, u32::MAX, u32::MAX, u32::MAX, u32::MAX),
];

const fn counts(
    requests: u32,
    total_successes: u32,
    total_failures: u32,
    consecutive_successes: u32,
    consecutive_failures: u32,
) -> Counts {
    Counts {
        requests,
        total_successes,
        total_failures,
        consecutive_successes,
        consecutive_failures,
    }
}
