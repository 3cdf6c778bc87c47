//! The rows.

use super::{Class, GrpcCode, Operation, Told};
use crate::{
    resiliency::fault::{Outcome, Retry},
    state_store::redis::answers::Meaning,
};

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

/// What the circuit breaker counts for a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Counted {
    /// What the row's class says.
    ByClass,
    /// What the last attempt had met.
    As(Outcome),
    /// Nothing: it was not asked.
    NotAsked,
}

/// One way an attempt can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Its name: how a reply of Redis begins, or ours.
    pub id: &'static str,
    /// What happened.
    pub when: &'static str,
    /// What that is; `None` if the sidecar had too much to do, and did not begin with it.
    pub class: Option<Class>,
    /// Whether the store carried it out.
    pub executed: Executed,
    /// What was asked for.
    pub operation: Operation,
    counted: Counted,
    /// The reason in the `ErrorInfo`, if it is not the operation's.
    reason: Option<&'static str>,
}

/// A reply of Redis to a command; what it means stands in the list of answers.
const fn reply(id: &'static str, when: &'static str, meaning: Meaning) -> Row {
    let (class, executed) = match meaning {
        Meaning::Passes => (Class::Unavailable, Executed::No),
        Meaning::Stays => (Class::Refused, Executed::No),
        Meaning::SendText => (Class::Ok, Executed::Yes),
    };
    row(id, when, class, executed)
}

const fn row(id: &'static str, when: &'static str, class: Class, executed: Executed) -> Row {
    let (operation, counted) = (Operation::Save, Counted::ByClass);
    Row { id, when, class: Some(class), executed, operation, counted, reason: None }
}

/// Why a connection could not be made, a reply of Redis among the reasons.
const fn no_connection(id: &'static str, when: &'static str) -> Row {
    row(id, when, Class::Unreachable, Executed::No)
}

/// Of whatever call: nothing of it was looked at.
const fn too_many(id: &'static str, when: &'static str, reason: &'static str) -> Row {
    let nothing = row(id, when, Class::Refused, Executed::No);
    Row { class: None, counted: Counted::NotAsked, reason: Some(reason), ..nothing }
}

/// `errorCode` over HTTP of a call that was refused for there was too much to do.
pub const OVERLOADED: &str = "ERR_OVERLOADED";

/// The reasons over gRPC and HTTP of such refusals.
pub const TOO_MANY_CALLS: &str = "OUTRIGGER_TOO_MANY_CALLS_IN_FLIGHT";
/// The same for bytes.
pub const TOO_MANY_BYTES: &str = "OUTRIGGER_TOO_MANY_BYTES_IN_FLIGHT";
/// The same for connections.
pub const TOO_MANY_CONNECTIONS: &str = "OUTRIGGER_TOO_MANY_CONNECTIONS";

const OVERLOADED_TOLD: Told = Told { grpc: GrpcCode::ResourceExhausted, http: 429 };

/// Every row, of a save of one item unless it says otherwise.
pub const TABLE: [Row; 53] = [
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
    no_connection("ERR max number of clients", "the server has as many clients as it takes"),
    row("other-reply", "any other error reply", Class::Refused, Executed::No),
    row("wrong-reply", "a reply that is none to this command", Class::Lost, Executed::Perhaps),
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
    no_connection("write-timeout-before-sent", "`writeTimeout` was over before it could be sent"),
    row("write-timeout-after-sent", "`writeTimeout` was over", Class::Lost, Executed::Perhaps),
    row(
        "timeout-before-sent",
        "the policy's timeout was over before it could be sent",
        Class::Timeout,
        Executed::No,
    ),
    row("timeout-after-sent", "the policy's timeout was over", Class::Timeout, Executed::Perhaps),
    row("conflict", "the etag is not the key's version", Class::Conflict, Executed::No),
    row(
        "conflict-after-lost",
        "the same, met by a retry after an attempt without an answer",
        Class::Unclear,
        Executed::Perhaps,
    ),
    row("bad-etag", "the etag is no number", Class::BadEtag, Executed::No),
    row(
        "bad-ttl",
        "`ttlInSeconds` is no number, or more than Redis can keep",
        Class::BadTtl,
        Executed::No,
    ),
    row(
        "first-write",
        "the key was once written with first-write, and this save brings no etag",
        Class::Refused,
        Executed::No,
    ),
    row("document", "the key holds a RedisJSON document", Class::Refused, Executed::No),
    Row {
        operation: Operation::Get,
        ..row("other-hash", "a read of a hash of another program", Class::Refused, Executed::No)
    },
    Row {
        operation: Operation::Delete,
        ..row("conflict-delete", "the etag is not the key's version", Class::Conflict, Executed::No)
    },
    Row {
        operation: Operation::Transaction,
        ..row("conflict-transaction", "the same in a transaction", Class::Refused, Executed::No)
    },
    Row {
        operation: Operation::BulkGet,
        ..row(
            "timeout-bulk-get",
            "the policy's timeout was over, and no key was answered",
            Class::Timeout,
            Executed::Perhaps,
        )
    },
    Row {
        operation: Operation::BulkGet,
        ..row("breaker-open-bulk-get", "the breaker is open", Class::BreakerOpen, Executed::No)
    },
    row("wait-short", "fewer replicas had it within a second", Class::Ok, Executed::Yes),
    row("wait-refused", "WAIT itself was refused", Class::Unconfirmed, Executed::Yes),
    row("wait-lost", "the connection ended during WAIT", Class::Lost, Executed::Yes),
    row("caller-left", "the caller hung up", Class::Abandoned, Executed::Perhaps),
    row("deadline", "the caller's deadline came", Class::DeadlineExceeded, Executed::Perhaps),
    Row {
        counted: Counted::NotAsked,
        ..row(
            "deadline-at-once",
            "the caller's deadline was over before it began",
            Class::DeadlineExceeded,
            Executed::No,
        )
    },
    Row {
        counted: Counted::As(Outcome::Failure),
        ..row(
            "no-time-to-retry",
            "the caller's deadline comes before the retry",
            Class::DeadlineExceeded,
            Executed::Perhaps,
        )
    },
    row("breaker-open", "the circuit breaker is open", Class::BreakerOpen, Executed::No),
    row(
        "breaker-half-open",
        "the circuit breaker is half-open and has its probes",
        Class::ProbesExhausted,
        Executed::No,
    ),
    row("shutting-down", "the sidecar's grace was over", Class::Abandoned, Executed::Perhaps),
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

    /// Whether the retry policy may try again.
    pub fn retry(&self) -> Retry {
        self.class.map_or(Retry::Pointless, Class::retry)
    }

    /// What the circuit breaker counts; `None` if it was not asked.
    pub fn breaker(&self) -> Option<Outcome> {
        match self.counted {
            Counted::ByClass => self.class.and_then(Class::breaker),
            Counted::As(outcome) => Some(outcome),
            Counted::NotAsked => None,
        }
    }

    /// What the caller is told, if there is somebody to be told.
    pub fn told(&self) -> Option<Told> {
        match self.class {
            None => Some(OVERLOADED_TOLD),
            Some(Class::Abandoned) => None,
            Some(class) => Some(class.told(self.operation)),
        }
    }

    /// The status over HTTP, where no caller has a deadline.
    pub fn status(&self) -> Option<u16> {
        let over_http = self.class != Some(Class::DeadlineExceeded);
        self.told().filter(|_| over_http).map(|told| told.http)
    }

    /// Over HTTP, unless nothing failed or nobody is told there.
    pub fn error_code(&self) -> Option<&'static str> {
        match self.class {
            None => Some(OVERLOADED),
            Some(Class::Ok) => None,
            Some(_) => self.status().map(|_| self.operation.error_code()),
        }
    }

    /// Over gRPC, unless nothing failed or nobody is told. As in Dapr, a bulk read gives none.
    pub fn reason(&self) -> Option<&'static str> {
        let named = self.class != Some(Class::Ok) && self.operation != Operation::BulkGet;
        let own = self.told().filter(|_| named).map(|_| self.operation.error_code());
        self.reason.or(own)
    }

    /// The row as the document has it.
    pub fn cells(&self) -> [String; 10] {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.id.to_owned(),
            self.when.to_owned(),
            self.class.map_or("overloaded", Class::as_str).to_owned(),
            match self.retry() {
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
            match self.breaker() {
                Some(Outcome::Success) => "success",
                Some(Outcome::Failure) => "failure",
                Some(Outcome::Abandoned) => "abandoned",
                None => "not asked",
            }
            .to_owned(),
            or_none(self.told().map(|told| told.grpc.as_str().to_owned())),
            or_none(self.status().map(|status| status.to_string())),
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
            let row = TABLE.iter().find(|row| row.id == answer.begins);
            let row = row.unwrap_or_else(|| panic!("{} has no row", answer.begins));
            let by_answer = reply(row.id, row.when, answer.meaning);
            assert_eq!(row.retry(), by_answer.retry(), "{}", row.id);
            assert_eq!(row.breaker(), by_answer.breaker(), "{}", row.id);
            assert_eq!(row.executed, by_answer.executed, "{}", row.id);
        }
    }

    #[test]
    fn what_was_never_sent_is_not_said_to_be_carried_out() {
        use Class as C;
        for row in TABLE {
            let nothing_done = match row.class {
                None => true,
                Some(C::Conflict | C::BadEtag | C::BadTtl | C::Refused) => true,
                Some(C::Unavailable | C::Unreachable | C::BreakerOpen | C::ProbesExhausted) => true,
                Some(C::Ok | C::Unclear | C::Unconfirmed | C::Lost | C::Timeout) => false,
                Some(C::DeadlineExceeded | C::Abandoned) => false,
            };
            assert!(!nothing_done || row.executed == Executed::No, "{}", row.id);
            assert!(row.class != Some(C::Lost) || row.executed != Executed::No, "{}", row.id);
        }
    }

    #[test]
    fn no_two_rows_have_one_name() {
        let names: std::collections::BTreeSet<_> = TABLE.iter().map(|row| row.id).collect();
        assert_eq!(names.len(), TABLE.len());
    }
}
