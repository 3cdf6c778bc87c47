//! The scripts and their arguments.

use bytes::Bytes;
use fred::types::{Key, Value};

use super::reply::Scope;
use crate::state_store::{Concurrency, Expected, Prepared, PreparedChange, Ttl};

/// A script; what it takes and answers stands in its head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Script {
    /// What it does.
    pub(super) text: &'static str,
    /// Its name in Redis, which is the SHA-1 of its text; a test compares them.
    pub(super) sha: &'static str,
}

/// Carries out a batch of writes.
pub(super) const WRITE: Script =
    Script { text: include_str!("write.lua"), sha: "29552ecf0e7fd5846cbf6c243836f80ad69ff7b8" };

/// Reads several keys.
pub(super) const READ: Script =
    Script { text: include_str!("read.lua"), sha: "dfb6c2f92431a36daad11fbd19ef16aad720c514" };

/// The keys and arguments of one call of [`WRITE`] for so many writes.
pub(super) fn arguments<'w>(
    count: usize,
    writes: impl Iterator<Item = (&'w Prepared, Scope)>,
) -> (Vec<Key>, Vec<Value>) {
    let mut keys = Vec::with_capacity(count);
    let mut arguments = Vec::with_capacity(count * 2);
    for (write, scope) in writes {
        keys.push(Key::from(write.key.bytes().clone()));
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

    use super::{READ, Script, WRITE};

    fn hash(Script { text, .. }: Script) -> String {
        let mut child =
            Command::new("sha1sum").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
    }

    #[test]
    fn a_scripts_name_is_the_hash_of_its_text() {
        assert_eq!(hash(WRITE), WRITE.sha);
        assert_eq!(hash(READ), READ.sha);
    }
}
