//! Reads what a redis-server did from its append-only file.

use std::{fs, path::Path};

/// The keys into whose field `data` something was written, in order.
pub fn written_keys(data_folder: &Path) -> Vec<String> {
    let folder = data_folder.join("appendonlydir");
    let entries = fs::read_dir(folder).expect("the server keeps an append-only file");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".incr.aof"));
    files.sort();
    let bytes: Vec<u8> =
        files.iter().flat_map(|path| fs::read(path).expect("the append-only file")).collect();
    let commands = commands(&bytes);
    let writes = commands.iter().filter(|words| is_write_of_data(words));
    writes.map(|words| String::from_utf8_lossy(words[1]).into_owned()).collect()
}

fn is_write_of_data(words: &[&[u8]]) -> bool {
    let is_hset = words[0].eq_ignore_ascii_case(b"hset") || words[0].eq_ignore_ascii_case(b"hmset");
    is_hset && words.iter().skip(2).step_by(2).any(|field| *field == b"data")
}

/// Splits RESP arrays of bulk strings; a torn last one is left out.
fn commands(mut bytes: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut found = Vec::new();
    while let Some(command) = command(&mut bytes) {
        found.push(command);
    }
    found
}

fn command<'a>(bytes: &mut &'a [u8]) -> Option<Vec<&'a [u8]>> {
    // The file may hold annotations such as `#TS:1700000000`.
    while bytes.first() == Some(&b'#') {
        line(bytes)?;
    }
    let words = number(bytes, b'*')?;
    let mut command = Vec::new();
    for _ in 0..words {
        let length = number(bytes, b'$')?;
        let word = bytes.get(..length)?;
        *bytes = bytes.get(length + 2..)?;
        command.push(word);
    }
    Some(command)
}

fn number(bytes: &mut &[u8], mark: u8) -> Option<usize> {
    let text = line(bytes)?;
    let digits = text.strip_prefix(&[mark])?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn line<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = &bytes[..end];
    *bytes = &bytes[end + 2..];
    Some(line)
}

#[test]
fn writes_of_data_are_found_in_order() {
    let text = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n\
        *4\r\n$4\r\nHSET\r\n$1\r\na\r\n$4\r\ndata\r\n$3\r\nx\r\n\r\n\
        *4\r\n$7\r\nHINCRBY\r\n$1\r\na\r\n$7\r\nversion\r\n$1\r\n1\r\n\
        *2\r\n$3\r\nDEL\r\n$1";
    let all = commands(text);
    assert_eq!(all.len(), 3);
    let writes: Vec<_> = all.iter().filter(|words| is_write_of_data(words)).collect();
    assert_eq!(writes, [&[&b"HSET"[..], b"a", b"data", b"x\r\n"]]);
}
