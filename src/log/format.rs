//! daprd's three line formats: text, text for a terminal, JSON.

use std::io::Write as _;

use jiff::Zoned;
use tokio::time::Instant;

/// How wide a terminal line's text is at least.
const TERMINAL_TEXT_WIDTH: usize = 44;

/// Which of the formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Terminal,
    Json,
}

/// How important a line is, in daprd's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Debug,
    Info,
    Warning,
    Error,
    Fatal,
}

impl Severity {
    fn word(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Fatal => "fatal",
        }
    }

    fn terminal_word(self) -> &'static str {
        match self {
            Self::Debug => "DEBU",
            Self::Info => "INFO",
            Self::Warning => "WARN",
            Self::Error => "ERRO",
            Self::Fatal => "FATA",
        }
    }

    /// The number of its ANSI colour.
    fn colour(self) -> u8 {
        match self {
            Self::Debug => 37,
            Self::Info => 36,
            Self::Warning => 33,
            Self::Error | Self::Fatal => 31,
        }
    }
}

/// A field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    /// A number or a bool: JSON writes it without quotes.
    Plain(String),
}

/// What one line tells.
pub(super) struct Record<'a> {
    pub(super) severity: Severity,
    pub(super) scope: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: Vec<(&'static str, Value)>,
}

/// Writes lines with what all of them have in common.
#[derive(Clone)]
pub(super) struct Formatter {
    format: Format,
    app_id: Option<String>,
    instance: String,
    version: &'static str,
    begin: Instant,
}

impl Formatter {
    pub(super) fn new(format: Format, app_id: Option<String>, version: &'static str) -> Self {
        let instance = nix::unistd::gethostname()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        Self { format, app_id, instance, version, begin: Instant::now() }
    }

    /// Appends the line for `record`, with its newline.
    pub(super) fn line(&self, record: Record<'_>, out: &mut Vec<u8>) {
        let now = Zoned::now();
        self.line_at(&now, self.begin.elapsed().as_secs(), record, out);
    }

    /// Appends the line that tells how many could not be written.
    pub(super) fn dropped_lines(&self, dropped: u64, out: &mut Vec<u8>) {
        let record = Record {
            severity: Severity::Warning,
            scope: "outrigger.log",
            message: &format!("{dropped} log lines were lost because the output took none"),
            fields: Vec::new(),
        };
        self.line(record, out);
    }

    fn line_at(&self, now: &Zoned, uptime: u64, record: Record<'_>, out: &mut Vec<u8>) {
        let Record { severity, scope, message, mut fields } = record;
        if let Some(app_id) = &self.app_id {
            fields.push(("app_id", Value::Text(app_id.clone())));
        }
        fields.push(("instance", Value::Text(self.instance.clone())));
        fields.push(("scope", Value::Text(scope.to_owned())));
        fields.push(("type", Value::Text("log".to_owned())));
        fields.push(("ver", Value::Text(self.version.to_owned())));
        match self.format {
            Format::Text => text_line(now, severity, message, fields, out),
            Format::Terminal => terminal_line(uptime, severity, message, fields, out),
            Format::Json => json_line(now, severity, message, fields, out),
        }
        out.push(b'\n');
    }
}

type Fields = Vec<(&'static str, Value)>;

fn text_line(
    now: &Zoned,
    severity: Severity,
    message: &str,
    mut fields: Fields,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"time=\"");
    push_time(now, out);
    out.extend_from_slice(b"\" level=");
    out.extend_from_slice(severity.word().as_bytes());
    if !message.is_empty() {
        out.extend_from_slice(b" msg=");
        push_text(message, out);
    }
    fields.sort_by_key(|field| field.0);
    for (name, value) in &fields {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        push_value(value, out);
    }
}

fn terminal_line(
    uptime: u64,
    severity: Severity,
    message: &str,
    mut fields: Fields,
    out: &mut Vec<u8>,
) {
    let colour = severity.colour();
    let word = severity.terminal_word();
    let text = message.strip_suffix('\n').unwrap_or(message);
    push_formatted(
        out,
        format_args!("\x1b[{colour}m{word}\x1b[0m[{uptime:04}] {text:TERMINAL_TEXT_WIDTH$} "),
    );
    fields.sort_by_key(|field| field.0);
    for (name, value) in &fields {
        push_formatted(out, format_args!(" \x1b[{colour}m{name}\x1b[0m="));
        push_value(value, out);
    }
}

fn json_line(
    now: &Zoned,
    severity: Severity,
    message: &str,
    mut fields: Fields,
    out: &mut Vec<u8>,
) {
    let mut time = Vec::new();
    push_time(now, &mut time);
    fields.push(("time", Value::Text(String::from_utf8_lossy(&time).into_owned())));
    fields.push(("level", Value::Text(severity.word().to_owned())));
    fields.push(("msg", Value::Text(message.to_owned())));
    fields.sort_by_key(|field| field.0);
    for (index, (name, value)) in fields.iter().enumerate() {
        out.push(if index == 0 { b'{' } else { b',' });
        push_json_text(name, out);
        out.push(b':');
        match value {
            Value::Text(text) => push_json_text(text, out),
            Value::Plain(text) => out.extend_from_slice(text.as_bytes()),
        }
    }
    out.push(b'}');
}

/// RFC 3339 as Go writes it: no zeros at the fraction's end, `Z` for UTC.
fn push_time(now: &Zoned, out: &mut Vec<u8>) {
    let time = now.strftime("%Y-%m-%dT%H:%M:%S%.f");
    push_formatted(out, format_args!("{time}"));
    if now.offset().is_zero() {
        out.push(b'Z');
    } else {
        push_formatted(out, format_args!("{}", now.strftime("%:z")));
    }
}

fn push_formatted(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    out.write_fmt(text).expect("invariant: writing to a Vec does not fail");
}

fn push_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => push_text(text, out),
        Value::Plain(text) => out.extend_from_slice(text.as_bytes()),
    }
}

/// A value of the text formats, quoted as Go does where it must be.
fn push_text(text: &str, out: &mut Vec<u8>) {
    let bare = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/@^+".contains(&byte);
    if text.bytes().all(bare) {
        out.extend_from_slice(text.as_bytes());
        return;
    }
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{7}' => out.extend_from_slice(b"\\a"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{b}' => out.extend_from_slice(b"\\v"),
            _ if is_printable(character) => push_formatted(out, format_args!("{character}")),
            '\0'..='\u{7f}' => push_formatted(out, format_args!("\\x{:02x}", u32::from(character))),
            '\u{80}'..='\u{ffff}' => {
                push_formatted(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => push_formatted(out, format_args!("\\U{:08x}", u32::from(character))),
        }
    }
    out.push(b'"');
}

/// Whether Go shows a character as it is: control, format and private ones, and every space but
/// the plain one, it does not.
fn is_printable(character: char) -> bool {
    let hidden = matches!(
        character,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{e000}'..='\u{f8ff}' | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            | '\u{fffe}' | '\u{ffff}' | '\u{e0000}'..='\u{10ffff}'
    );
    character == ' ' || !(character.is_control() || character.is_whitespace() || hidden)
}

/// A JSON string with `<`, `>` and `&` escaped, as Go's encoder has it.
fn push_json_text(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    for character in text.chars() {
        match character {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                push_formatted(out, format_args!("\\u{:04x}", u32::from(character)));
            }
            _ => push_formatted(out, format_args!("{character}")),
        }
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests;
