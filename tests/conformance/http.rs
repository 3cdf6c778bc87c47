//! Requests whose bytes are the recorded ones, on a connection of their own.

use std::{
    io::{self, Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Map, Value, json};

use crate::{harness::PATIENCE, recording::Http};

/// Sends a request and says what came back, in the form of the recordings.
pub fn send(port: u16, request: &Http) -> Value {
    match exchange(port, request) {
        Ok(received) => parse(&received)
            .unwrap_or_else(|| json!(format!("no HTTP: {}", String::from_utf8_lossy(&received)))),
        Err(error) => json!(format!("no answer: {error}")),
    }
}

fn exchange(port: u16, request: &Http) -> io::Result<Vec<u8>> {
    let Http { verb, path, headers, body } = request;
    let mut head = format!("{verb} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    // A request without a body announces that only where one is usual.
    if body.is_some() || matches!(verb.as_str(), "POST" | "PUT" | "PATCH") {
        let length = body.as_ref().map_or(0, String::len);
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("connection: close\r\n\r\n");
    let sent = [head.as_bytes(), body.as_deref().unwrap_or_default().as_bytes()].concat();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&sent)?;
    let mut received = Vec::new();
    stream.read_to_end(&mut received)?;
    Ok(received)
}

fn parse(received: &[u8]) -> Option<Value> {
    let end = received.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&received[..end]);
    let mut lines = head.lines();
    let status: u16 = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let mut headers = Map::new();
    let mut chunked = false;
    for line in lines {
        let (name, value) = line.split_once(':')?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim());
        chunked |= name == "transfer-encoding" && value == "chunked";
        // A header that comes twice is the list of its values.
        let value = match headers.remove(&name) {
            None => json!(value),
            Some(Value::Array(values)) => values.into_iter().chain([json!(value)]).collect(),
            Some(first) => json!([first, value]),
        };
        headers.insert(name, value);
    }
    let body = &received[end + 4..];
    let body = if chunked { without_chunks(body)? } else { body.to_vec() };
    Some(json!({"status": status, "headers": headers, "body": String::from_utf8_lossy(&body)}))
}

fn without_chunks(mut body: &[u8]) -> Option<Vec<u8>> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|bytes| bytes == b"\r\n")?;
        let length = std::str::from_utf8(&body[..end]).ok()?;
        let length = usize::from_str_radix(length.split(';').next()?.trim(), 16).ok()?;
        if length == 0 {
            return Some(whole);
        }
        whole.extend_from_slice(body.get(end + 2..end + 2 + length)?);
        body = body.get(end + 4 + length..)?;
    }
}

pub fn a_header_that_comes_twice_is_a_list() {
    let answer = parse(b"HTTP/1.1 200 OK\r\nETag: 1\r\na: x\r\netag: 2\r\n\r\n").unwrap();
    assert_eq!(answer["headers"], json!({"a": "x", "etag": ["1", "2"]}));
}
