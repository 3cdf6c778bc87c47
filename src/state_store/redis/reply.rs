//! What Redis and fred say, and what it means.

use bytes::Bytes;
use fred::{
    error::{Error, ErrorKind},
    types::{Resp3Frame, Value},
};

use super::answers::{self, Meaning};
use crate::state_store::{Entry, Outage, Prepared, PreparedChange, StoreError};

mod causes;
#[cfg(test)]
mod tests;

use self::causes::cause_of;
pub(super) use self::causes::{connect_cause, lost_cause};

/// The text of an attempt whose time was over.
pub(super) const TIMED_OUT: &str = "i/o timeout";

/// What fred says to those whose connection's task ended.
const TASK_GONE: &str = "channel closed";

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
    /// It was carried out, but Redis refused to say whether the replicas have it.
    Unconfirmed(String),
    /// It was carried out, but the connection ended before it was known whether the replicas have it.
    /// They may not, and then a failover loses it.
    WaitUnanswered(String),
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
            Self::Unconfirmed(text) => Err(StoreError::Unconfirmed(text)),
            Self::WaitUnanswered(text) => Err(StoreError::Lost(text.into())),
        }
    }
}

/// How a command that brought no value ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Redis answered with an error.
    Answered(String),
    /// It was never handed to the connection, or the connection did not take it.
    NotSent(String),
    /// It was handed to the connection and no answer came.
    Unanswered(String),
}

impl From<&Error> for Failure {
    fn from(error: &Error) -> Self {
        let text = error.details();
        match error.kind() {
            ErrorKind::Canceled => Self::NotSent("the connection was closed".to_owned()),
            ErrorKind::IO => Self::Unanswered(cause_of(error)),
            ErrorKind::Routing => Self::Answered(text.to_owned()),
            _ if is_server_text(text) => Self::Answered(text.to_owned()),
            // fred's texts for commands that reached no connection.
            _ if text.starts_with("Failed to route") || text.starts_with("Client is not") => {
                Self::NotSent("the connection was closed".to_owned())
            }
            _ if is_without_cause(error) => Self::Unanswered("EOF".to_owned()),
            _ => Self::Unanswered(text.to_owned()),
        }
    }
}

/// How a write that fred ended without a value ended.
pub(super) fn verdict_of(error: &Error) -> Verdict {
    match Failure::from(error) {
        Failure::Answered(text) => Verdict::Error(text),
        Failure::NotSent(cause) => Verdict::NotSent(cause),
        Failure::Unanswered(cause) => Verdict::Unanswered(cause),
    }
}

/// How writes ended that were not sent, because what had to be asked before brought no value.
pub(super) fn verdict_before(error: &Error) -> Verdict {
    match Failure::from(error) {
        Failure::Answered(text) => Verdict::Error(text),
        Failure::NotSent(cause) | Failure::Unanswered(cause) => Verdict::NotSent(cause),
    }
}

/// How a read that brought no value ended.
pub(super) fn read_error(error: &Error) -> StoreError {
    match Failure::from(error) {
        Failure::Answered(text) => refusal(text),
        Failure::NotSent(cause) => StoreError::Unreachable(cause.into()),
        Failure::Unanswered(cause) => StoreError::Lost(cause.into()),
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
            Some(text) => Verdict::Error(passed_on(text)),
            None => Verdict::Unanswered("the script gave no known answer".to_owned()),
        },
    }
}

/// An error that a script passed on. Before version 7, Redis puts before it where in the script it
/// arose, and leaves the marks of its line: `@user_script: 157: -OOM ...` and an end of line.
fn passed_on(text: String) -> String {
    let place = text.strip_prefix("@user_script: ").and_then(|rest| rest.split_once(": "));
    match place {
        Some((line, error)) if line.bytes().all(|byte| byte.is_ascii_digit()) => {
            error.strip_prefix('-').unwrap_or(error).trim_end().to_owned()
        }
        Some(_) | None => text,
    }
}

/// What a read of one key gives.
pub(super) type Read = Result<Option<Entry>, StoreError>;

/// The answers of the read script: one per key, as far as it came, which is at least the first.
pub(super) fn reads(value: Value, keys: usize) -> Result<Vec<Read>, StoreError> {
    let answers = match value {
        Value::Array(answers) if (2..=2 * keys).contains(&answers.len()) => answers,
        _ => return Err(wrong_shape("the script gave no list of answers")),
    };
    let mut reads = Vec::with_capacity(answers.len() / 2);
    let mut answers = answers.into_iter();
    while let (Some(first), Some(second)) = (answers.next(), answers.next()) {
        reads.push(match (first, second) {
            (Value::Null, Value::Null) => Ok(None),
            (Value::Null, Value::Integer(0)) => Err(missing_field()),
            (data, Value::Integer(1)) => Ok(plain_entry(data)),
            (text, Value::Integer(2)) => {
                Err(refusal(passed_on(text.into_string().unwrap_or_default())))
            }
            (data, version) => match data.into_bytes() {
                Some(data) => Ok(Some(versioned(data, version.into_string()))),
                None => Err(wrong_shape("the script gave no known answer")),
            },
        });
    }
    Ok(reads)
}

/// The entry in what HGETALL gave; no fields mean that there is no key.
pub(super) fn entry(reply: Resp3Frame) -> Read {
    let Resp3Frame::Array { data: fields, .. } = reply else {
        return Err(wrong_shape("HGETALL gave no list"));
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
    let Some(data) = text_of(data) else { return Err(wrong_shape("HGETALL gave no text")) };
    let version = text_of(version).and_then(|version| String::from_utf8(version.into()).ok());
    Ok(Some(versioned(data, version)))
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

fn versioned(data: Bytes, version: Option<String>) -> Entry {
    Entry { data, etag: version, expires_at: None }
}

/// The server answered, but not what the command answers with: it did something else.
fn wrong_shape(text: &str) -> StoreError {
    StoreError::Lost(text.to_owned().into())
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

/// Whether it is an answer about what was asked, as for want of a right: the server itself works.
pub(super) fn is_about_the_command(error: &Error) -> bool {
    answers::find(error.details()).is_some_and(|answer| answer.meaning == Meaning::Stays)
}

/// Whether the server answered "no" and would again.
pub(super) fn is_refusal(error: &Error) -> bool {
    matches!(Failure::from(error), Failure::Answered(text) if !will_pass(&text))
}

/// Whether another connection may find a server that can do what this one cannot.
pub(super) fn wants_new_connection(text: &str) -> bool {
    answers::find(text).is_some_and(|answer| answer.ask_another)
}

/// Whether fred says that the connection ended.
pub(super) fn is_end(error: &Error) -> bool {
    *error.kind() == ErrorKind::IO || is_without_cause(error)
}

/// Whether fred only says that its task is gone; the lane knows why.
pub(super) fn is_without_cause(error: &Error) -> bool {
    *error.kind() == ErrorKind::Unknown && error.details() == TASK_GONE
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
