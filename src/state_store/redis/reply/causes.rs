//! Why there is no connection, in the words of daprd's users.

use fred::error::{Error, ErrorKind};

use super::{TASK_GONE, TIMED_OUT};

/// What stands before the cause when a name could not be looked up.
const LOOKUP: &str = "lookup: ";

/// Why a connection could not be made or ended, in the words of daprd's users.
pub(in super::super) fn connect_cause(address: &str, error: &Error) -> String {
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
pub(in super::super) fn lost_cause(error: &Error) -> String {
    match error.kind() {
        ErrorKind::Timeout => TIMED_OUT.to_owned(),
        ErrorKind::IO | ErrorKind::Tls => cause_of(error),
        _ if error.details() == TASK_GONE => "EOF".to_owned(),
        _ => error.details().to_owned(),
    }
}

/// An I/O error in words; fred gives it as the debug output of `std::io::Error`.
pub(super) fn cause_of(error: &Error) -> String {
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
