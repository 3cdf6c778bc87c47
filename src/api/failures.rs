//! The failure table: every way an attempt can end other than by plain success, and what follows.
//!
//! The engine asks this table, it does not repeat it: [`Class`] decides for [`StoreError`] whether
//! to retry and what the breaker counts, [`WriteFailureKind::told`] which code and status are
//! answered, [`ANSWERS`](crate::state_store::redis::answers::ANSWERS) what a reply of Redis means. `docs/failures.md` is this
//! table for people, and a test compares the two; another produces each row for real.

mod told;

pub use told::{GrpcCode, Told};

use crate::{
    api::error::WriteFailureKind,
    resiliency::{
        fault::{Fault, Outcome, Retry},
        policy::PolicyError,
    },
    state_store::{StoreError, redis::answers::Meaning},
};

/// How an attempt ended, as far as its consequences go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing failed in the end.
    Done,
    /// Another version is there than the one expected.
    Conflict,
    /// The etag is none that the store gives out.
    InvalidEtag,
    /// The time to live is none.
    InvalidTtl,
    /// The store said "no" and would again.
    Refused,
    /// The store said that it cannot work now.
    Unavailable,
    /// The store was not reached; nothing was sent.
    Unreachable,
    /// It was sent, and no answer came.
    Lost,
    /// The policy's timeout was over.
    TimedOut,
    /// The caller's own time was over.
    OutOfTime,
    /// The circuit breaker let nothing through.
    Rejected,
    /// The caller left.
    CallerLeft,
    /// The sidecar ended first.
    CutOff,
    /// The sidecar had too much to do, and did not begin with it.
    Overloaded,
}

/// What was asked for, as far as errors name it: `errorCode` over HTTP, the reason over gRPC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "they are the calls of the state API")]
pub enum Operation {
    Get,
    Save,
    Delete,
    BulkDelete,
    Transaction,
}

impl Operation {
    /// The word that says which of them failed.
    pub fn error_code(self) -> &'static str {
        match self {
            Self::Get => "ERR_STATE_GET",
            Self::Save => "ERR_STATE_SAVE",
            Self::Delete => "ERR_STATE_DELETE",
            Self::BulkDelete => "ERR_STATE_BULK_DELETE",
            Self::Transaction => "ERR_STATE_TRANSACTION",
        }
    }
}

impl From<&StoreError> for Class {
    fn from(error: &StoreError) -> Self {
        match error {
            StoreError::EtagMismatch(_) => Self::Conflict,
            StoreError::EtagInvalid(_) => Self::InvalidEtag,
            StoreError::TtlInvalid(_) => Self::InvalidTtl,
            StoreError::Refused(_) => Self::Refused,
            StoreError::Unconfirmed(_) => Self::Lost,
            StoreError::Unavailable(_) => Self::Unavailable,
            StoreError::Unreachable(_) => Self::Unreachable,
            StoreError::Lost(_) => Self::Lost,
        }
    }
}

impl Class {
    /// Whether another attempt can end differently.
    pub fn retry(self) -> Retry {
        match self {
            Self::Unavailable | Self::Unreachable | Self::Lost => Retry::Worthwhile,
            Self::TimedOut => TIMED_OUT.retry(),
            Self::OutOfTime => OUT_OF_TIME.retry(),
            Self::Rejected => REJECTED.retry(),
            Self::Done
            | Self::Conflict
            | Self::InvalidEtag
            | Self::InvalidTtl
            | Self::Refused
            | Self::CallerLeft
            | Self::CutOff
            | Self::Overloaded => Retry::Pointless,
        }
    }

    /// What the circuit breaker counts; `None` where no attempt was let through.
    pub fn breaker(self) -> Option<Outcome> {
        match self {
            Self::Done | Self::Conflict | Self::Refused => Some(Outcome::Success),
            Self::Unavailable | Self::Unreachable | Self::Lost => Some(Outcome::Failure),
            Self::TimedOut => Some(TIMED_OUT.outcome()),
            Self::OutOfTime => Some(OUT_OF_TIME.outcome()),
            Self::CallerLeft | Self::CutOff => Some(Outcome::Abandoned),
            // Read before the policy is asked, or turned away by it.
            Self::InvalidEtag | Self::InvalidTtl | Self::Rejected | Self::Overloaded => None,
        }
    }

    /// What an attempt that ended so means to the policies.
    pub fn fault(self) -> Fault {
        let outcome = self.breaker().unwrap_or(Outcome::Abandoned);
        Fault { retry: self.retry(), outcome }
    }

    /// What kind of answer it deserves; `None` where there is nothing or nobody to tell.
    pub fn kind(self) -> Option<WriteFailureKind> {
        match self {
            Self::Conflict => Some(WriteFailureKind::Conflict),
            Self::InvalidEtag => Some(WriteFailureKind::InvalidEtag),
            Self::OutOfTime => Some(WriteFailureKind::OutOfTime),
            Self::InvalidTtl
            | Self::Refused
            | Self::Unavailable
            | Self::Unreachable
            | Self::Lost
            | Self::TimedOut
            | Self::Rejected => Some(WriteFailureKind::Internal),
            Self::Done | Self::CallerLeft | Self::CutOff | Self::Overloaded => None,
        }
    }

    /// What its caller is told; `None` if nobody is there to be told, or nobody to tell.
    pub fn told(self) -> Option<Told> {
        match self {
            Self::Done => Some(Told { grpc: GrpcCode::Ok, http: Some(204) }),
            Self::Overloaded => Some(Told { grpc: GrpcCode::ResourceExhausted, http: Some(429) }),
            _ => self.kind().map(WriteFailureKind::told),
        }
    }

    /// The word for it in the document.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Conflict => "conflict",
            Self::InvalidEtag => "invalid etag",
            Self::InvalidTtl => "invalid TTL",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Unreachable => "unreachable",
            Self::Lost => "lost",
            Self::TimedOut => "timed out",
            Self::OutOfTime => "out of time",
            Self::Rejected => "rejected",
            Self::CallerLeft => "caller left",
            Self::CutOff => "cut off",
            Self::Overloaded => "overloaded",
        }
    }
}

// The policy's own failures are classified where it is.
const TIMED_OUT: PolicyError<StoreError> = PolicyError::TimedOut;
const OUT_OF_TIME: PolicyError<StoreError> = PolicyError::DeadlineExceeded;
const REJECTED: PolicyError<StoreError> = PolicyError::CircuitOpen;

/// Whether the store carried out what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Executed {
    /// It did not.
    No,
    /// Nobody knows.
    Perhaps,
    /// It did.
    Yes,
}

/// One way an attempt can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name: the first word of a reply of Redis, or ours.
    pub id: &'static str,
    /// What happened.
    pub when: &'static str,
    /// What that is.
    pub class: Class,
    /// Whether the store carried it out.
    pub executed: Executed,
    /// What was asked for.
    pub operation: Operation,
    /// The reason in the `ErrorInfo`, if it is not the operation's.
    pub reason: Option<&'static str>,
}

/// A reply of Redis to a command; what it means stands in the list of answers.
const fn reply(id: &'static str, when: &'static str, meaning: Meaning) -> Row {
    let (class, executed) = match meaning {
        Meaning::Passes => (Class::Unavailable, Executed::No),
        Meaning::Stays => (Class::Refused, Executed::No),
        Meaning::SendText => (Class::Done, Executed::Yes),
    };
    row(id, when, class, executed)
}

const fn row(id: &'static str, when: &'static str, class: Class, executed: Executed) -> Row {
    Row { id, when, class, executed, operation: Operation::Save, reason: None }
}

/// Why a connection could not be made, a reply of Redis among the reasons.
const fn no_connection(id: &'static str, when: &'static str) -> Row {
    row(id, when, Class::Unreachable, Executed::No)
}

/// Of whatever call: nothing of it was looked at.
const fn too_many(id: &'static str, when: &'static str, reason: &'static str) -> Row {
    Row { reason: Some(reason), ..row(id, when, Class::Overloaded, Executed::No) }
}

/// `errorCode` over HTTP of a call that was refused for there was too much to do.
pub const OVERLOADED: &str = "ERR_OVERLOADED";

/// The reasons over gRPC and HTTP of such refusals.
pub const TOO_MANY_CALLS: &str = "OUTRIGGER_TOO_MANY_CALLS_IN_FLIGHT";
/// The same for bytes.
pub const TOO_MANY_BYTES: &str = "OUTRIGGER_TOO_MANY_BYTES_IN_FLIGHT";
/// The same for connections.
pub const TOO_MANY_CONNECTIONS: &str = "OUTRIGGER_TOO_MANY_CONNECTIONS";

/// Every row, of a save unless it says otherwise.
pub const TABLE: [Row; 40] = [
    reply("READONLY", "the server is a replica", Meaning::Passes),
    reply("LOADING", "the server reads its data from disk", Meaning::Passes),
    reply("OOM", "the server's memory is full", Meaning::Passes),
    no_connection("NOAUTH", "the server wants a password, and none is set"),
    no_connection("WRONGPASS", "the password or the user is wrong"),
    reply("NOPERM", "the user may not use this command or this key", Meaning::Stays),
    Row {
        operation: Operation::Get,
        ..reply("WRONGTYPE", "a read of a key that holds a list or the like", Meaning::Stays)
    },
    reply("BUSY", "a script keeps the server busy", Meaning::Passes),
    reply("MASTERDOWN", "the server is a replica that lost its master", Meaning::Passes),
    reply("NOSCRIPT", "the server forgot the script: its text is sent", Meaning::SendText),
    reply("NOREPLICAS", "the server has fewer replicas than it wants", Meaning::Passes),
    reply("MISCONF", "the server cannot save to its disk", Meaning::Passes),
    reply("MOVED", "the server is one of a cluster, and the key is another's", Meaning::Stays),
    reply("ASK", "the same, and the key is on its way to another", Meaning::Stays),
    reply("CROSSSLOT", "the server is one of a cluster, and wants one key a call", Meaning::Stays),
    reply("CLUSTERDOWN", "the cluster lacks a part", Meaning::Passes),
    reply("TRYAGAIN", "the key's part of the cluster is on the move", Meaning::Passes),
    no_connection("connection-refused", "nobody listens there"),
    no_connection("name-unknown", "the host's name is not found"),
    no_connection("tls-refused", "no trust in the server's certificate"),
    no_connection("lost-before-sent", "the connection ended before the command was on it"),
    row(
        "lost-after-sent",
        "the connection ended before the answer",
        Class::Lost,
        Executed::Perhaps,
    ),
    no_connection("read-timeout-before-sent", "`readTimeout` was over before it could be sent"),
    row("read-timeout-after-sent", "`readTimeout` was over", Class::Lost, Executed::Perhaps),
    row(
        "timeout-before-sent",
        "the policy's timeout was over before it could be sent",
        Class::TimedOut,
        Executed::No,
    ),
    row("timeout-after-sent", "the policy's timeout was over", Class::TimedOut, Executed::Perhaps),
    row("conflict", "the etag is not the key's version", Class::Conflict, Executed::No),
    row("bad-etag", "the etag is no number", Class::InvalidEtag, Executed::No),
    row("bad-ttl", "`ttlInSeconds` is no number", Class::InvalidTtl, Executed::No),
    row(
        "first-write",
        "the key was once written with first-write, and this save brings no etag",
        Class::Refused,
        Executed::No,
    ),
    row("wait-short", "fewer replicas had it within a second", Class::Done, Executed::Yes),
    row("wait-refused", "WAIT itself failed", Class::Lost, Executed::Yes),
    row("caller-left", "the caller hung up", Class::CallerLeft, Executed::Perhaps),
    row("deadline", "the caller's deadline came", Class::OutOfTime, Executed::Perhaps),
    row("breaker-open", "the circuit breaker is open", Class::Rejected, Executed::No),
    row(
        "breaker-half-open",
        "the circuit breaker is half-open and has its probes",
        Class::Rejected,
        Executed::No,
    ),
    row("shutting-down", "the sidecar's grace was over", Class::CutOff, Executed::Perhaps),
    too_many("too-many-calls", "`--max-calls-in-flight` was reached", TOO_MANY_CALLS),
    too_many("too-many-bytes", "`--max-bytes-in-flight` was reached", TOO_MANY_BYTES),
    too_many("too-many-connections", "`--max-connections` was reached", TOO_MANY_CONNECTIONS),
];

impl Row {
    /// The names of the columns of [`cells`](Self::cells).
    pub const COLUMNS: [&'static str; 10] = [
        "id",
        "when",
        "class",
        "retried",
        "executed",
        "breaker",
        "gRPC",
        "HTTP",
        "errorCode",
        "reason",
    ];

    /// Over HTTP, unless nothing failed or nobody is told there.
    pub fn error_code(&self) -> Option<&'static str> {
        if self.class == Class::Overloaded {
            return Some(OVERLOADED);
        }
        let failed = self.class.kind().and_then(|kind| kind.told().http);
        failed.map(|_| self.operation.error_code())
    }

    /// Over gRPC, unless nothing failed or nobody is told.
    pub fn reason(&self) -> Option<&'static str> {
        self.reason.or_else(|| self.class.kind().map(|_| self.operation.error_code()))
    }

    /// The row as the document has it.
    pub fn cells(&self) -> [String; 10] {
        let told = self.class.told();
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.id.to_owned(),
            self.when.to_owned(),
            self.class.word().to_owned(),
            match self.class.retry() {
                Retry::Worthwhile => "yes",
                Retry::Pointless => "no",
            }
            .to_owned(),
            match self.executed {
                Executed::No => "no",
                Executed::Perhaps => "perhaps",
                Executed::Yes => "yes",
            }
            .to_owned(),
            match self.class.breaker() {
                Some(Outcome::Success) => "success",
                Some(Outcome::Failure) => "failure",
                Some(Outcome::Abandoned) => "abandoned",
                None => "not asked",
            }
            .to_owned(),
            or_none(told.map(|told| told.grpc.as_str().to_owned())),
            or_none(told.and_then(|told| told.http).map(|status| status.to_string())),
            or_none(self.error_code().map(str::to_owned)),
            or_none(self.reason().map(str::to_owned)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reply_of_redis_that_is_known_has_a_row_that_means_the_same() {
        for answer in crate::state_store::redis::answers::ANSWERS {
            // Said to a connection that is one too many, which then is closed.
            if answer.begins == "ERR max number of clients" {
                continue;
            }
            let row = TABLE.iter().find(|row| row.id == answer.begins);
            let row = row.unwrap_or_else(|| panic!("{} has no row", answer.begins));
            let by_answer = reply(row.id, row.when, answer.meaning);
            assert_eq!(row.class.fault(), by_answer.class.fault(), "{}", row.id);
            assert_eq!(row.executed, by_answer.executed, "{}", row.id);
        }
    }

    #[test]
    fn what_was_never_sent_is_not_said_to_be_carried_out() {
        for row in TABLE {
            let nothing_sent = matches!(
                row.class,
                Class::Conflict
                    | Class::InvalidEtag
                    | Class::InvalidTtl
                    | Class::Refused
                    | Class::Unavailable
                    | Class::Unreachable
                    | Class::Rejected
                    | Class::Overloaded
            );
            assert!(!nothing_sent || row.executed == Executed::No, "{}", row.id);
            assert!(row.class != Class::Lost || row.executed != Executed::No, "{}", row.id);
        }
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let names: std::collections::BTreeSet<_> = TABLE.iter().map(|row| row.id).collect();
        assert_eq!(names.len(), TABLE.len());
    }
}
