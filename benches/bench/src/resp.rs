//! Commands in the protocol of Redis, as far as a proxy has to know them.

use std::ops::Range;

/// A command at the beginning of some bytes.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// How many bytes it takes.
    pub length: usize,
    /// How many keys it reads or writes: what a server that does N keys a second is asked for.
    pub cost: u64,
}

/// What the bytes begin with.
#[derive(Debug, PartialEq, Eq)]
pub enum Begin {
    /// A whole command.
    Command(Command),
    /// A part of one.
    Part,
    /// Nothing that Redis would understand.
    Foreign,
}

/// Reads the command the bytes begin with: an array of bulk strings.
pub fn command(bytes: &[u8]) -> Begin {
    let Some((count, mut at)) = header(bytes, 0, b'*') else { return part_or_foreign(bytes, b'*') };
    // Few words tell what a command costs, and the rest may be megabytes.
    let mut first: [Range<usize>; 3] = [0..0, 0..0, 0..0];
    for index in 0..count {
        if at >= bytes.len() {
            return Begin::Part;
        }
        let Some((length, begin)) = header(bytes, at, b'$') else {
            return part_or_foreign(&bytes[at..], b'$');
        };
        let end = begin.saturating_add(length);
        at = end.saturating_add(2);
        if at > bytes.len() {
            return Begin::Part;
        }
        if let Some(slot) = first.get_mut(index) {
            *slot = begin..end;
        }
    }
    let [name, _, third] = first.map(|range| &bytes[range]);
    Begin::Command(Command { length: at, cost: cost(name, third) })
}

/// A script is counted by its keys; everything else is one.
fn cost(name: &[u8], third: &[u8]) -> u64 {
    let scripts: [&[u8]; 3] = [b"EVALSHA", b"EVAL", b"FCALL"];
    if !scripts.iter().any(|script| name.eq_ignore_ascii_case(script)) {
        return 1;
    }
    std::str::from_utf8(third).ok().and_then(|keys| keys.parse().ok()).unwrap_or(1).max(1)
}

/// The number of a line such as `*3`, and where the next line begins.
fn header(bytes: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let line = bytes.get(at..)?;
    let end = line.iter().take(24).position(|byte| *byte == b'\n')?;
    let digits = line[..end].strip_prefix(&[mark])?.strip_suffix(b"\r")?;
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some((number, at + end + 1))
}

fn part_or_foreign(bytes: &[u8], mark: u8) -> Begin {
    let begins_well = bytes.first().is_none_or(|first| *first == mark);
    let unfinished = bytes.len() < 24 && !bytes.contains(&b'\n');
    if begins_well && unfinished { Begin::Part } else { Begin::Foreign }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_command_is_measured() {
        let bytes = b"*2\r\n$7\r\nHGETALL\r\n$3\r\na\r\n\r\n*1\r\n$4\r\nPING\r\n";
        assert_eq!(command(bytes), Begin::Command(Command { length: 26, cost: 1 }));
        assert_eq!(command(&bytes[26..]), Begin::Command(Command { length: 14, cost: 1 }));
        assert_eq!(command(b""), Begin::Part);
    }

    #[test]
    fn every_beginning_of_a_command_is_a_part() {
        let bytes = b"*3\r\n$7\r\nEVALSHA\r\n$2\r\nab\r\n$1\r\n0\r\n";
        for end in 0..bytes.len() {
            assert_eq!(command(&bytes[..end]), Begin::Part, "{end}");
        }
        assert_eq!(command(bytes), Begin::Command(Command { length: bytes.len(), cost: 1 }));
    }

    #[test]
    fn a_script_costs_its_keys() {
        let bytes = b"*5\r\n$7\r\nevalsha\r\n$2\r\nab\r\n$2\r\n12\r\n$1\r\nk\r\n$1\r\nk\r\n";
        assert_eq!(command(bytes), Begin::Command(Command { length: bytes.len(), cost: 12 }));
    }

    #[test]
    fn what_is_no_command_is_foreign() {
        for bytes in
            [&b"GET / HTTP/1.1\r\n"[..], b"*x\r\n", b"*1\r\n+OK\r\n", b"*1\n$4\r\nPING\r\n"]
        {
            assert_eq!(command(bytes), Begin::Foreign, "{}", bytes.escape_ascii());
        }
    }
}
