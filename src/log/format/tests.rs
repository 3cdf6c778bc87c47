use jiff::{SignedDuration, Timestamp, Zoned, tz::TimeZone};

use super::{Format, Formatter, Record, Severity, Value};

fn moment(nanoseconds: i32, zone: TimeZone) -> Zoned {
    let second = "2026-01-02T03:04:05Z".parse::<Timestamp>().unwrap();
    (second + SignedDuration::new(0, nanoseconds)).to_zoned(zone)
}

fn formatter(format: Format) -> Formatter {
    Formatter {
        instance: "host".to_owned(),
        ..Formatter::new(format, Some("order-processor".to_owned()), "1.18.3")
    }
}

fn line(
    formatter: &Formatter,
    severity: Severity,
    message: &str,
    fields: Vec<(&'static str, Value)>,
) -> String {
    let mut out = Vec::new();
    let record = Record { severity, scope: "dapr.runtime", message, fields };
    formatter.line_at(&moment(123_456_789, TimeZone::UTC), 6, record, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn text_is_daprds() {
    assert_eq!(
        line(
            &formatter(Format::Text),
            Severity::Warning,
            "Error processing operation component[statestore] output. Retrying in 5s…",
            Vec::new()
        ),
        "time=\"2026-01-02T03:04:05.123456789Z\" level=warning msg=\"Error processing operation \
         component[statestore] output. Retrying in 5s…\" app_id=order-processor instance=host \
         scope=dapr.runtime type=log ver=1.18.3\n"
    );
}

#[test]
fn text_quotes_what_is_not_bare_and_sorts_the_fields() {
    let fields = vec![
        ("empty", Value::Text(String::new())),
        ("component", Value::Text("statestore (state.redis/v1)".to_owned())),
        ("bytes", Value::Plain("-7".to_owned())),
    ];
    assert_eq!(
        line(
            &formatter(Format::Text),
            Severity::Info,
            "Circuit \"a\"\n\u{1b}[31m\u{a0}\u{1f600}\\",
            fields
        ),
        "time=\"2026-01-02T03:04:05.123456789Z\" level=info \
         msg=\"Circuit \\\"a\\\"\\n\\x1b[31m\\u00a0\u{1f600}\\\\\" app_id=order-processor bytes=-7 \
         component=\"statestore (state.redis/v1)\" empty= instance=host scope=dapr.runtime type=log \
         ver=1.18.3\n"
    );
}

#[test]
fn terminal_lines_are_coloured_and_padded() {
    let expected = |colour: u8, word: &str, text: &str| {
        let mut line = format!("\u{1b}[{colour}m{word}\u{1b}[0m[0006] {text} ");
        for field in [
            "app_id=order-processor",
            "instance=host",
            "scope=dapr.runtime",
            "type=log",
            "ver=1.18.3",
        ] {
            let (name, value) = field.split_once('=').unwrap();
            line += &format!(" \u{1b}[{colour}m{name}\u{1b}[0m={value}");
        }
        line + "\n"
    };
    let terminal = formatter(Format::Terminal);
    let padded = format!("short…{}", " ".repeat(38));
    assert_eq!(
        line(&terminal, Severity::Info, "short…", Vec::new()),
        expected(36, "INFO", &padded)
    );
    let long = "x".repeat(60);
    assert_eq!(line(&terminal, Severity::Warning, &long, Vec::new()), expected(33, "WARN", &long));
    assert_eq!(line(&terminal, Severity::Fatal, &long, Vec::new()), expected(31, "FATA", &long));
    assert_eq!(line(&terminal, Severity::Debug, &long, Vec::new()), expected(37, "DEBU", &long));
}

#[test]
fn json_is_one_object_with_its_keys_in_order() {
    let fields = vec![("code", Value::Plain("204".to_owned()))];
    assert_eq!(
        line(&formatter(Format::Json), Severity::Error, "a <b> & \"c\"\n\u{1}…", fields),
        "{\"app_id\":\"order-processor\",\"code\":204,\"instance\":\"host\",\"level\":\"error\",\
         \"msg\":\"a \\u003cb\\u003e \\u0026 \\\"c\\\"\\n\\u0001…\",\"scope\":\"dapr.runtime\",\
         \"time\":\"2026-01-02T03:04:05.123456789Z\",\"type\":\"log\",\"ver\":\"1.18.3\"}\n"
    );
}

#[test]
fn without_an_app_id_its_field_is_absent() {
    let early = Formatter { app_id: None, ..formatter(Format::Text) };
    assert!(!line(&early, Severity::Fatal, "x", Vec::new()).contains("app_id"));
}

#[test]
fn times_are_written_as_go_writes_them() {
    let written = |moment: &Zoned| {
        let mut out = Vec::new();
        super::push_time(moment, &mut out);
        String::from_utf8(out).unwrap()
    };
    let tokyo = TimeZone::fixed(jiff::tz::offset(9));
    assert_eq!(written(&moment(0, TimeZone::UTC)), "2026-01-02T03:04:05Z");
    assert_eq!(written(&moment(120_000_000, TimeZone::UTC)), "2026-01-02T03:04:05.12Z");
    assert_eq!(written(&moment(1, tokyo)), "2026-01-02T12:04:05.000000001+09:00");
}
