use super::*;
use crate::state_store::{Concurrency, Consistency, Expected, StoredKey, Ttl};

fn write(change: PreparedChange) -> Prepared {
    Prepared {
        key: StoredKey::new("app||k".to_owned()),
        change,
        expected: Expected::Any,
        conditional: false,
        concurrency: Concurrency::Unspecified,
        consistency: Consistency::Unspecified,
    }
}

fn set() -> Prepared {
    write(PreparedChange::Set { value: bytes::Bytes::new(), ttl: Ttl::Unchanged })
}

#[test]
fn an_outage_says_whether_the_command_may_have_executed() {
    for (kind, text, verdict) in [
        (
            ErrorKind::Canceled,
            "Connection closed unexpectedly.",
            Verdict::NotSent("the connection was closed".to_owned()),
        ),
        (
            ErrorKind::Unknown,
            "Failed to route command.",
            Verdict::NotSent("the connection was closed".to_owned()),
        ),
        (ErrorKind::Unknown, "channel closed", Verdict::Unanswered("EOF".to_owned())),
        (ErrorKind::IO, "Connection closed.", Verdict::Unanswered("EOF".to_owned())),
        (
            ErrorKind::IO,
            "Os { code: 104, kind: ConnectionReset, message: \"Connection reset by peer\" }",
            Verdict::Unanswered("connection reset by peer".to_owned()),
        ),
        (ErrorKind::Protocol, "Invalid frame.", Verdict::Unanswered("Invalid frame.".to_owned())),
        (ErrorKind::Auth, "NOAUTH no", Verdict::Error("NOAUTH no".to_owned())),
        (ErrorKind::Cluster, "MOVED 1 a:1", Verdict::Error("MOVED 1 a:1".to_owned())),
        (ErrorKind::Unknown, "ERR wrong", Verdict::Error("ERR wrong".to_owned())),
    ] {
        assert_eq!(verdict_of(&Error::new(kind, text)), verdict);
    }
}

#[test]
fn what_passes_is_unavailable_and_what_stays_is_refused() {
    for text in [
        "READONLY You can't write against a read only replica.",
        "OOM command not allowed when used memory > 'maxmemory'.",
        "LOADING Redis is loading the dataset in memory",
        "CLUSTERDOWN The cluster is down",
        "MISCONF Errors writing to the AOF file",
        "BUSY Redis is busy running a script.",
        "MASTERDOWN Link with MASTER is down",
        "NOREPLICAS Not enough good replicas to write.",
        "TRYAGAIN Multiple keys request during rehashing of slot",
        "NOAUTH Authentication required.",
        "WRONGPASS invalid username-password pair or user is disabled.",
        "ERR max number of clients reached",
    ] {
        let told = Verdict::Error(text.to_owned()).into_result(&set(), Scope::Single);
        let Err(StoreError::Unavailable(outage)) = told else { panic!("{told:?}") };
        assert_eq!(outage.to_string(), format!("failed to set key app||k: {text}"));
        assert_eq!(outage.cause(), text);
        let delete = write(PreparedChange::Delete);
        let told = Verdict::Error(text.to_owned()).into_result(&delete, Scope::Single);
        assert_eq!(told, Err(StoreError::Unavailable(text.to_owned().into())));
    }
    for text in ["NOPERM this user has no permissions", "ERR syntax error", "READONLYISH no"] {
        let told = Verdict::Error(text.to_owned()).into_result(&set(), Scope::Transaction);
        assert_eq!(told, Err(StoreError::Refused(text.to_owned())));
    }
}

#[test]
fn an_outage_is_never_an_etag_mismatch() {
    let conditional = Prepared { conditional: true, ..set() };
    for verdict in [
        Verdict::NotSent("x".to_owned()),
        Verdict::Unanswered("x".to_owned()),
        Verdict::Unconfirmed("x".to_owned()),
        Verdict::WaitUnanswered("x".to_owned()),
        Verdict::Error("OOM x".to_owned()),
    ] {
        let told = verdict.into_result(&conditional, Scope::Single).unwrap_err();
        assert!(!matches!(told, StoreError::EtagMismatch(_)), "{told:?}");
    }
    let told = Verdict::Conflict.into_result(&conditional, Scope::Single).unwrap_err();
    assert_eq!(
        told.to_string(),
        "possible etag mismatch. error from state store: failed to set key app||k"
    );
}

#[test]
fn connecting_fails_in_the_words_people_know() {
    for (kind, text, told) in [
        (
            ErrorKind::IO,
            "Os { code: 111, kind: ConnectionRefused, message: \"Connection refused\" }",
            "dial tcp h:1: connect: connection refused",
        ),
        (
            ErrorKind::IO,
            "Custom { kind: Uncategorized, error: \"failed to lookup address information: Name or \
             service not known\" }",
            "dial tcp: lookup h:1: name or service not known",
        ),
        (
            ErrorKind::IO,
            "Custom { kind: InvalidData, error: InvalidCertificate(UnknownIssuer) }",
            "dial tcp h:1: tls: InvalidCertificate(UnknownIssuer)",
        ),
        (ErrorKind::Timeout, "Request timed out.", "dial tcp h:1: i/o timeout"),
        (ErrorKind::Auth, "WRONGPASS no", "WRONGPASS no"),
    ] {
        assert_eq!(connect_cause("h:1", &Error::new(kind, text)), told);
    }
}

#[test]
fn an_error_that_redis_6_passes_on_is_told_without_its_place_in_the_script() {
    let told = "OOM command not allowed when used memory > 'maxmemory'.";
    let passed_on = Value::String(format!("@user_script: 157: -{told}\r\n").into());
    let verdict = Verdict::Error(told.to_owned());
    assert_eq!(verdicts(Value::Array(vec![passed_on.clone()]), 1), [verdict]);
    let read = reads(Value::Array(vec![passed_on, Value::Integer(2)]), 1).unwrap();
    assert_eq!(read, [Err(StoreError::Unavailable(told.to_owned().into()))]);
    for whole in [told, "@user_script: no place", "@user_script: x: -OOM"] {
        let answer = Value::Array(vec![Value::String(whole.into())]);
        assert_eq!(verdicts(answer, 1), [Verdict::Error(whole.to_owned())]);
    }
}

#[test]
fn the_scripts_answers_are_read_one_by_one_and_none_is_made_up() {
    let answers = Value::Array(vec![
        Value::Integer(1),
        Value::Integer(0),
        Value::Integer(-1),
        Value::String("OOM full".into()),
    ]);
    let read = verdicts(answers, 5);
    assert_eq!(
        read[..4],
        [
            Verdict::Done,
            Verdict::Conflict,
            Verdict::Document,
            Verdict::Error("OOM full".to_owned())
        ]
    );
    assert!(matches!(read[4], Verdict::Unanswered(_)));
    assert_eq!(verdicts(Value::Integer(1), 2), [Verdict::Done, Verdict::Done]);
    for unknown in [Value::Null, Value::Integer(0), Value::Integer(2)] {
        assert!(matches!(verdicts(unknown, 1)[..], [Verdict::Unanswered(_)]));
    }
}

#[test]
fn a_reply_of_the_wrong_shape_is_lost_for_reads_as_it_is_for_writes() {
    let number = |number: i64| Value::Integer(number);
    for unknown in [
        Value::Null,
        number(1),
        Value::String("OK".into()),
        Value::Array(Vec::new()),
        Value::Array(vec![number(1)]),
        Value::Array(vec![number(1), number(1), number(1), number(1)]),
    ] {
        let read = reads(unknown.clone(), 1);
        assert!(matches!(read, Err(StoreError::Lost(_))), "{unknown:?}: {read:?}");
    }
    let answers = Value::Array(vec![Value::Array(Vec::new()), Value::String("1".into())]);
    assert!(matches!(reads(answers, 1).unwrap()[..], [Err(StoreError::Lost(_))]));

    let frame =
        |data: &str| Resp3Frame::SimpleString { data: data.to_owned().into(), attributes: None };
    let fields = vec![frame("data"), Resp3Frame::Null, frame("version"), frame("1")];
    for unknown in [frame("OK"), Resp3Frame::Array { data: fields, attributes: None }] {
        let read = entry(unknown);
        assert!(matches!(read, Err(StoreError::Lost(_))), "{read:?}");
    }
}

#[test]
fn who_may_not_ping_is_connected_and_whoever_is_not_served_is_not() {
    let answer = |text: &'static str| is_about_the_command(&Error::new(ErrorKind::Unknown, text));
    assert!(answer("NOPERM this user has no permissions to run the 'ping' command"));
    for text in [
        "NOAUTH Authentication required.",
        "DENIED Redis is running in protected mode",
        "LOADING Redis is loading the dataset in memory",
        "ERR max number of clients reached",
        "PONG",
    ] {
        assert!(!answer(text), "{text}");
    }
}
