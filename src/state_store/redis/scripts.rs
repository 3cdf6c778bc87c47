//! The write script and its arguments.

use bytes::Bytes;
use fred::types::{Key, Value};

use super::reply::Scope;
use crate::state_store::{Concurrency, Expected, Prepared, PreparedChange, Ttl};

/// The script; what it takes and answers stands in its head.
pub(super) const WRITE: &str = include_str!("write.lua");

/// The script's name in Redis, which is the SHA-1 of its text; a test compares them.
pub(super) const WRITE_SHA: &str = "63149287505bc188c41e1fdf615709ea2af969cf";

/// The keys and arguments of one call of the script.
pub(super) fn arguments<'w>(
    writes: impl ExactSizeIterator<Item = &'w Prepared>,
    scope: Scope,
) -> (Vec<Key>, Vec<Value>) {
    let mut keys = Vec::with_capacity(writes.len());
    let mut arguments = Vec::with_capacity(writes.len() * 2);
    for write in writes {
        keys.push(Key::from(write.key.as_str()));
        match &write.change {
            PreparedChange::Set { value, ttl } => {
                push_set(&mut arguments, write, value, *ttl, scope);
            }
            PreparedChange::Delete => {
                arguments.push(Value::from_static_str("d"));
                arguments.push(version(&write.expected));
            }
        }
    }
    (keys, arguments)
}

fn push_set(to: &mut Vec<Value>, write: &Prepared, data: &Bytes, ttl: Ttl, scope: Scope) {
    // As components-contrib state/redis: a transaction never makes a key first-write.
    let flag = scope == Scope::Single && write.concurrency == Concurrency::FirstWrite;
    let data = Value::Bytes(data.clone());
    if !flag && write.expected == Expected::Any && ttl == Ttl::Unchanged {
        to.extend([Value::from_static_str("u"), data]);
        return;
    }
    to.extend([
        Value::from_static_str("s"),
        Value::from_static_str(if flag { "0" } else { "1" }),
        version(&write.expected),
        match ttl {
            Ttl::Unchanged => Value::from_static_str(""),
            Ttl::Persist => Value::from_static_str("p"),
            Ttl::Seconds(seconds) => Value::String(seconds.to_string().into()),
        },
        data,
    ]);
}

fn version(expected: &Expected) -> Value {
    match expected {
        Expected::Any => Value::from_static_str("0"),
        Expected::Version(number) => Value::String(number.to_string().into()),
        Expected::Text(text) => Value::String(text.as_str().into()),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    use super::{WRITE, WRITE_SHA};

    #[test]
    fn the_scripts_name_is_the_hash_of_its_text() {
        let mut child =
            Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(WRITE.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let hash = String::from_utf8(output.stdout).unwrap();
        assert_eq!(hash.split(' ').next(), Some(WRITE_SHA));
    }
}
