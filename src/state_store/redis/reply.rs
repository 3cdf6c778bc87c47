//! What Redis and fred say, and what it means.

use bytes::Bytes;
use fred::{
    error::{Error, ErrorKind},
    types::{Resp3Frame, Value},
};

use super::answers::{self, Meaning};
use crate::state_store::{Entry, Outage, Prepared, PreparedChange, StoreError};

#[cfg(test)]
mod tests;

/// The text of an attempt whose time was over.
pub(super) const TIMED_OUT: &str = "i/o timeout";

/// What fred says to those whose connection's task ended.
const TASK_GONE: &str = "channel closed";

/// What stands before the cause when a name could not be looked up.
const LOOKUP: &str = "lookup: ";

/// How one write ended, as far as the connection knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It was carried out.
    Done,
    /// Another version is there than the one expected.
    Conflict,
    /// The key holds a RedisJSON document.
    Document,
    /// Redis answered with an error.
    Error(String),
    /// It was never handed to the connection, or the connection did not take it.
    NotSent(String),
    /// It was handed to the connection and no answer came.
    Unanswered(String),
    /// It was carried out, but whether the replicas have it is not known.
    Unconfirmed(String),
}

/// What a write was part of: the same refusal has other words in a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    /// It stood for itself.
    Single,
    /// It was one of a transaction.
    Transaction,
}

impl Verdict {
    /// What the caller of `write` is told.
    pub(super) fn into_result(self, write: &Prepared, scope: Scope) -> Result<(), StoreError> {
        match self {
            Self::Done => Ok(()),
            Self::Conflict => Err(conflict(write, scope)),
            Self::Document => Err(StoreError::Refused(in_words(
                write,
                scope,
                "the key holds a RedisJSON document, which this store neither writes nor compares: \
                 delete it without an etag first, or change it through the sidecar that made it",
            ))),
            Self::Error(text) if will_pass(&text) => {
                Err(StoreError::Unavailable(outage(write, scope, text)))
            }
            Self::Error(text) => Err(StoreError::Refused(in_words(write, scope, &text))),
            Self::NotSent(cause) => Err(StoreError::Unreachable(outage(write, scope, cause))),
            Self::Unanswered(cause) => Err(StoreError::Lost(outage(write, scope, cause))),
            Self::Unconfirmed(text) => Err(StoreError::Lost(text.into())),
        }
    }
}

/// How a try that fred ended without a value ended.
pub(super) fn verdict_of(error: &Error) -> Verdict {
    let text = error.details();
    match error.kind() {
        ErrorKind::Canceled => Verdict::NotSent("the connection was closed".to_owned()),
        ErrorKind::IO => Verdict::Unanswered(cause_of(error)),
        ErrorKind::Routing => Verdict::Error(text.to_owned()),
        _ if is_server_text(text) => Verdict::Error(text.to_owned()),
        // fred's texts for commands that reached no connection.
        _ if text.starts_with("Failed to route") || text.starts_with("Client is not") => {
            Verdict::NotSent("the connection was closed".to_owned())
        }
        _ if is_without_cause(error) => Verdict::Unanswered("EOF".to_owned()),
        _ => Verdict::Unanswered(text.to_owned()),
    }
}

/// How a read that brought no value ended.
pub(super) fn read_error(error: &Error) -> StoreError {
    match verdict_of(error) {
        Verdict::Error(text) => refusal(text),
        Verdict::NotSent(cause) => StoreError::Unreachable(cause.into()),
        Verdict::Unanswered(cause) | Verdict::Unconfirmed(cause) => StoreError::Lost(cause.into()),
        Verdict::Done | Verdict::Conflict | Verdict::Document => {
            StoreError::Lost(error.details().to_owned().into())
        }
    }
}

/// What the caller of a read is told when Redis answered with this error.
fn refusal(text: String) -> StoreError {
    if will_pass(&text) { StoreError::Unavailable(text.into()) } else { StoreError::Refused(text) }
}

/// The answers of the write script, one per write; it gives one for all that are done.
pub(super) fn verdicts(value: Value, count: usize) -> Vec<Verdict> {
    let answers = match value {
        Value::Integer(1) => return vec![Verdict::Done; count],
        Value::Array(answers) => answers,
        _ => return vec![Verdict::Unanswered("the script gave no list".to_owned()); count],
    };
    let mut verdicts: Vec<_> = answers.into_iter().map(verdict).collect();
    verdicts.resize(count, Verdict::Unanswered("the script gave no answer".to_owned()));
    verdicts
}

fn verdict(answer: Value) -> Verdict {
    match answer {
        Value::Integer(1) => Verdict::Done,
        Value::Integer(0) => Verdict::Conflict,
        Value::Integer(-1) => Verdict::Document,
        answer => match answer.into_string() {
            Some(text) => Verdict::Error(text),
            None => Verdict::Unanswered("the script gave no known answer".to_owned()),
        },
    }
}

/// What a read of one key gives.
pub(super) type Read = Result<Option<Entry>, StoreError>;

/// The answers of the read script: one per key, as far as it came, which is at least the first.
pub(super) fn reads(value: Value, keys: usize) -> Result<Vec<Read>, StoreError> {
    let answers = match value {
        Value::Array(answers) if (2..=2 * keys).contains(&answers.len()) => answers,
        _ => return Err(StoreError::Refused("the script gave no list of answers".to_owned())),
    };
    let mut reads = Vec::with_capacity(answers.len() / 2);
    let mut answers = answers.into_iter();
    while let (Some(first), Some(second)) = (answers.next(), answers.next()) {
        reads.push(match (first, second) {
            (Value::Null, Value::Null) => Ok(None),
            (Value::Null, Value::Integer(0)) => Err(missing_field()),
            (data, Value::Integer(1)) => Ok(plain_entry(data)),
            (text, Value::Integer(2)) => Err(refusal(text.into_string().unwrap_or_default())),
            (data, version) => Ok(Some(versioned(data.into_bytes(), version.into_string()))),
        });
    }
    Ok(reads)
}

/// The entry in what HGETALL gave; no fields mean that there is no key.
pub(super) fn entry(reply: Resp3Frame) -> Read {
    let Resp3Frame::Array { data: fields, .. } = reply else {
        return Err(StoreError::Refused("HGETALL gave no list".to_owned()));
    };
    if fields.is_empty() {
        return Ok(None);
    }
    let (mut data, mut version) = (None, None);
    let mut fields = fields.into_iter();
    while let (Some(name), Some(value)) = (fields.next(), fields.next()) {
        match text_of(name).as_deref() {
            Some(b"data") => data = Some(value),
            Some(b"version") => version = Some(value),
            _ => {}
        }
    }
    let (Some(data), Some(version)) = (data, version) else { return Err(missing_field()) };
    let version = text_of(version).and_then(|version| String::from_utf8(version.into()).ok());
    Ok(Some(versioned(text_of(data), version)))
}

fn text_of(reply: Resp3Frame) -> Option<Bytes> {
    match reply {
        Resp3Frame::BlobString { data, .. } | Resp3Frame::SimpleString { data, .. } => Some(data),
        _ => None,
    }
}

/// A reply as it came, unless the server refused the command: fred tells only what it understands.
pub(super) fn unless_refused(reply: Resp3Frame) -> Result<Resp3Frame, Error> {
    match reply {
        Resp3Frame::SimpleError { data, .. } => {
            Err(Error::new(ErrorKind::Unknown, data.to_string()))
        }
        reply => Ok(reply),
    }
}

fn versioned(data: Option<Bytes>, version: Option<String>) -> Entry {
    Entry { data: data.unwrap_or_default(), etag: version, expires_at: None }
}

fn missing_field() -> StoreError {
    let text = "required hash field 'data' or 'version' was not found";
    StoreError::Refused(text.to_owned())
}

/// The entry in a value that is no hash: another program's, so it has no version.
pub(super) fn plain_entry(value: Value) -> Option<Entry> {
    let data = value.into_bytes()?;
    Some(Entry { data, etag: None, expires_at: None })
}

/// Whether the key holds another type than the command is for.
pub(super) fn is_wrong_type(error: &Error) -> bool {
    error.details().starts_with("WRONGTYPE")
}

/// Whether the server does not know the script.
pub(super) fn is_unknown_script(error: &Error) -> bool {
    answers::find(error.details()).is_some_and(|answer| answer.meaning == Meaning::SendText)
}

/// Whether one key of the call is enough for the server to refuse all of it.
pub(super) fn is_for_one_key(error: &Error) -> bool {
    answers::find(error.details()).is_some_and(|answer| answer.for_one_key)
}

/// Whether this server or this user may read a key, but not several in one script call.
pub(super) fn refuses_scripts(error: &Error) -> bool {
    // EVALSHA itself may be renamed.
    is_for_one_key(error) || error.details().starts_with("ERR unknown command")
}

/// Whether the text is an answer of the server: those begin with a word in capitals.
pub(super) fn is_server_text(text: &str) -> bool {
    let word = text.split(' ').next().unwrap_or_default();
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Whether another connection may find a server that can do what this one cannot.
pub(super) fn wants_new_connection(text: &str) -> bool {
    answers::find(text).is_some_and(|answer| answer.ask_another)
}

/// Whether fred only says that its task is gone; the lane knows why.
pub(super) fn is_without_cause(error: &Error) -> bool {
    *error.kind() == ErrorKind::Unknown && error.details() == TASK_GONE
}

/// Why a connection could not be made or ended, in the words of daprd's users.
pub(super) fn connect_cause(address: &str, error: &Error) -> String {
    match error.kind() {
        ErrorKind::Timeout => format!("dial tcp {address}: i/o timeout"),
        ErrorKind::IO | ErrorKind::Tls => {
            let cause = cause_of(error);
            if let Some(cause) = cause.strip_prefix(LOOKUP) {
                return format!("dial tcp: lookup {address}: {cause}");
            }
            match cause.as_str() {
                "EOF" => cause,
                _ if cause.starts_with("tls:") => format!("dial tcp {address}: {cause}"),
                _ => format!("dial tcp {address}: connect: {cause}"),
            }
        }
        _ => error.details().to_owned(),
    }
}

/// Why a connection that was there is gone.
pub(super) fn lost_cause(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Timeout => TIMED_OUT.to_owned(),
        ErrorKind::IO | ErrorKind::Tls => cause_of(error),
        _ if error.details() == TASK_GONE => "EOF".to_owned(),
        _ => error.details().to_owned(),
    }
}

/// An I/O error in words; fred gives it as the debug output of `std::io::Error`.
fn cause_of(error: &Error) -> String {
    let text = error.details();
    if text == "Connection closed." {
        return "EOF".to_owned();
    }
    if let Some(message) = between(text, "message: \"", "\"") {
        return message.to_lowercase();
    }
    if let Some(message) = between(text, "failed to lookup address information: ", "\"") {
        return format!("{LOOKUP}{}", message.to_lowercase());
    }
    if let Some(cause) = between(text, "error: ", " }") {
        return format!("tls: {cause}");
    }
    if *error.kind() == ErrorKind::Tls {
        return format!("tls: {text}");
    }
    text.to_owned()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let rest = &text[text.find(before)? + before.len()..];
    rest.rfind(after).map(|end| &rest[..end])
}

fn conflict(write: &Prepared, scope: Scope) -> StoreError {
    let key = write.key.as_str();
    let text = match write.change {
        PreparedChange::Set { .. } => format!("failed to set key {key}"),
        PreparedChange::Delete => format!("failed to delete {key}"),
    };
    match scope {
        Scope::Transaction => StoreError::Refused(text),
        Scope::Single if write.conditional => StoreError::EtagMismatch(text),
        Scope::Single => StoreError::Refused(format!(
            "{text}: it was written with first-write before, and this write names no matching etag"
        )),
    }
}

/// Whether a server's error is one that will pass, so that another attempt may hear better.
fn will_pass(answer: &str) -> bool {
    answers::find(answer).is_some_and(|answer| answer.meaning == Meaning::Passes)
}

/// As components-contrib state/redis: a set that fails names its key, all else is as it is.
fn in_words(write: &Prepared, scope: Scope, inner: &str) -> String {
    outage(write, scope, inner.to_owned()).to_string()
}

fn outage(write: &Prepared, scope: Scope, cause: String) -> Outage {
    match (&write.change, scope) {
        (PreparedChange::Set { .. }, Scope::Single) => Outage::of_setting(&write.key, cause),
        (PreparedChange::Set { .. } | PreparedChange::Delete, _) => cause.into(),
    }
}
