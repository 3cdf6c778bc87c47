use std::collections::HashMap;

use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use serde_json::Value;

use super::{JsonError, Kind, compact};

fn compacted(input: &str) -> String {
    String::from_utf8(compact(input.as_bytes()).unwrap()).unwrap()
}

/// What Go 1.26's encoding/json says to each text, recorded by running it.
const REFUSED: &[(&[u8], &str)] = &[
    (b"", "unexpected end of JSON input"),
    (b"  ", "unexpected end of JSON input"),
    (b"-", "invalid character ' ' in numeric literal"),
    (b"tru", "invalid character ' ' in literal true (expecting 'e')"),
    (b"t", "invalid character ' ' in literal true (expecting 'r')"),
    (b"nul x", "invalid character ' ' in literal null (expecting 'l')"),
    (b"nope", "invalid character 'o' in literal null (expecting 'u')"),
    (b"{bad}", "invalid character 'b' looking for beginning of object key string"),
    (b"{\"a\"", "unexpected end of JSON input"),
    (b"{\"a\":", "unexpected end of JSON input"),
    (b"{\"a\" 1}", "invalid character '1' after object key"),
    (b"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"),
    (b"{\"a\":1 2}", "invalid character '2' after object key:value pair"),
    (b"[1,]", "invalid character ']' looking for beginning of value"),
    (b"[1 2]", "invalid character '2' after array element"),
    (b"[1", "unexpected end of JSON input"),
    (b"1 2", "invalid character '2' after top-level value"),
    (b"1]", "invalid character ']' after top-level value"),
    (b"01", "invalid character '1' after top-level value"),
    (b"+1", "invalid character '+' looking for beginning of value"),
    (b".5", "invalid character '.' looking for beginning of value"),
    (b"NaN", "invalid character 'N' looking for beginning of value"),
    (b"'a'", "invalid character '\\'' looking for beginning of value"),
    (b"\"a\x09b\"", "invalid character '\\t' in string literal"),
    (b"\"a", "unexpected end of JSON input"),
    (b"\"\\", "invalid character ' ' in string escape code"),
    (b"\"\\x\"", "invalid character 'x' in string escape code"),
    (b"\"\\u", "invalid character ' ' in \\u hexadecimal character escape"),
    (b"\"\\u12", "invalid character ' ' in \\u hexadecimal character escape"),
    (b"\"\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"),
    (b"\"\\uD8", "invalid character ' ' in \\u hexadecimal character escape"),
    (b"1.", "invalid character ' ' after decimal point in numeric literal"),
    (b"1.x", "invalid character 'x' after decimal point in numeric literal"),
    (b"1e", "invalid character ' ' in exponent of numeric literal"),
    (b"1e+", "invalid character ' ' in exponent of numeric literal"),
    (b"1ex", "invalid character 'x' in exponent of numeric literal"),
    (b"-x", "invalid character 'x' in numeric literal"),
    (b"-01", "invalid character '1' after top-level value"),
    (b"{", "unexpected end of JSON input"),
    (b"[", "unexpected end of JSON input"),
    (b"{]", "invalid character ']' looking for beginning of object key string"),
    (b"[}", "invalid character '}' looking for beginning of value"),
    (b"}", "invalid character '}' looking for beginning of value"),
    (b"{\"a\":}", "invalid character '}' looking for beginning of value"),
    (b"{1:2}", "invalid character '1' looking for beginning of object key string"),
    (b"\xef\xbb\xbf1", "invalid character 'ï' looking for beginning of value"),
    (b"\x00", "invalid character '\\x00' looking for beginning of value"),
    (b"\x7f", "invalid character '\\x7f' looking for beginning of value"),
    (b"\xa0", "invalid character '\\u00a0' looking for beginning of value"),
    (b"\xad", "invalid character '\\u00ad' looking for beginning of value"),
    (b"\x85", "invalid character '\\u0085' looking for beginning of value"),
    (b"\\", "invalid character '\\\\' looking for beginning of value"),
    (b"\"\"\"", "invalid character '\"' after top-level value"),
    (b"[\"a\" \"b\"]", "invalid character '\"' after array element"),
    (b"1e400", "json: cannot unmarshal number 1e400 into Go value of type float64"),
    (b"[1e400,-1e999]", "json: cannot unmarshal number 1e400 into Go value of type float64"),
    (b"{\"a\":1e400}", "json: cannot unmarshal number 1e400 into Go value of type float64"),
    (b"1e400 x", "invalid character 'x' after top-level value"),
    (b"-1e400", "json: cannot unmarshal number -1e400 into Go value of type float64"),
    (b"\xc3\xa91", "invalid character 'Ã' looking for beginning of value"),
    (b"{\"a\":1\x0a\"b\"}", "invalid character '\"' after object key:value pair"),
    (b"falsy", "invalid character 'y' in literal false (expecting 'e')"),
    (b"nulL", "invalid character 'L' in literal null (expecting 'l')"),
    (b"[1e400,2", "unexpected end of JSON input"),
    (b"\"\x01\"", "invalid character '\\x01' in string literal"),
    (b"\"\x1f\"", "invalid character '\\x1f' in string literal"),
    (b"\"\x07\"", "invalid character '\\a' in string literal"),
    (b"\"\x0b\"", "invalid character '\\v' in string literal"),
    (b"\x07", "invalid character '\\a' looking for beginning of value"),
    (b"\x0b", "invalid character '\\v' looking for beginning of value"),
    (b"\x08", "invalid character '\\b' looking for beginning of value"),
    (b"\x0c", "invalid character '\\f' looking for beginning of value"),
    (b"\x0d\x0a x", "invalid character 'x' looking for beginning of value"),
];

#[test]
fn refusals_are_gos_word_for_word() {
    for &(input, message) in REFUSED {
        let refusal = compact(input).unwrap_err();
        assert_eq!(refusal.to_string(), message, "{:?}", String::from_utf8_lossy(input));
    }
}

#[test]
fn numbers_keep_their_spelling() {
    for number in ["0", "-0", "-0.0", "1.0", "1E2", "1e+3", "1e-400", "1.23456789"] {
        assert_eq!(compacted(number), number);
    }
    assert_eq!(
        compacted("[12345678901234567890, 9007199254740993]"),
        "[12345678901234567890,9007199254740993]"
    );
}

#[test]
fn a_number_beyond_a_float_is_refused_however_it_is_spelt() {
    let long = "9".repeat(310);
    assert!(matches!(compact(long.as_bytes()), Err(JsonError::NumberOutOfRange(_))));
    assert_eq!(compacted(&"9".repeat(308)), "9".repeat(308));
    let tiny = format!("0.{}1", "0".repeat(1000));
    assert_eq!(compacted(&tiny), tiny);
}

#[test]
fn strings_have_one_spelling() {
    for (input, output) in [
        (r#""\u00e9\u4e2d""#, "\"é中\""),
        (r#""\ud83d\ude00""#, "\"😀\""),
        (r#""\ud800""#, "\"\u{fffd}\""),
        (r#""\ud800\ud800x""#, "\"\u{fffd}\u{fffd}x\""),
        (r#""\udc00\ud83d\ude00""#, "\"\u{fffd}😀\""),
        (r#""\ud800\u0041""#, "\"\u{fffd}A\""),
        (r#""\ud800\n""#, "\"\u{fffd}\\n\""),
        (r#""a\u0000b""#, r#""a\u0000b""#),
        (r#""\/\b\f\n\r\t\"\\""#, r#""/\u0008\u000c\n\r\t\"\\""#),
        (r#""\u0022\u005C\u000A\u000d\u001F""#, r#""\"\\\n\r\u001f""#),
        (r#""\u2028\u2029\u007f<&>""#, "\"\u{2028}\u{2029}\u{7f}<&>\""),
    ] {
        assert_eq!(compacted(input), output, "{input}");
    }
}

#[test]
fn each_byte_that_is_not_utf8_becomes_one_replacement_character() {
    let output = compact(b"\"a\xff\xe2\x82z\xed\xa0\x80\xc3\xa9\"").unwrap();
    let replaced = "\u{fffd}";
    let expected = format!("\"a{replaced}{replaced}{replaced}z{replaced}{replaced}{replaced}é\"");
    assert_eq!(String::from_utf8(output).unwrap(), expected);
}

#[test]
fn the_last_of_duplicate_members_stays_and_the_order_does() {
    for (input, output) in [
        (r#"{"b":1,"a":2}"#, r#"{"b":1,"a":2}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{"a":1,"b":2,"a":3,"c":4}"#, r#"{"b":2,"a":3,"c":4}"#),
        (r#"{"a":1,"\u0061":2,"a":3}"#, r#"{"a":3}"#),
        (r#"{"a":{"x":1,"x":2},"a":{"y":1,"y":2}}"#, r#"{"a":{"y":2}}"#),
        (r#"[{"a":1,"a":[{"b":1,"b":2}]},{"a":1}]"#, r#"[{"a":[{"b":2}]},{"a":1}]"#),
        (r#"{"":"","":null}"#, r#"{"":null}"#),
    ] {
        assert_eq!(compacted(input), output, "{input}");
    }
}

#[test]
fn many_duplicates_leave_one_member_each() {
    let members: Vec<String> = (0..1000).map(|n| format!("\"k{}\" : {n}", n % 100)).collect();
    let output = compacted(&format!("{{{}}}", members.join(" , ")));
    let expected: Vec<String> = (900..1000).map(|n| format!("\"k{}\":{n}", n % 100)).collect();
    assert_eq!(output, format!("{{{}}}", expected.join(",")));
}

#[test]
fn nesting_ends_where_go_ends_it() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(compacted(&nested(10_000)), nested(10_000));
    let refusal = compact(nested(10_001).as_bytes()).unwrap_err();
    assert_eq!(refusal.to_string(), "invalid character '[' exceeded max depth");
    let endless = compact("{\"a\":".repeat(1_000_000).as_bytes()).unwrap_err();
    assert_eq!(endless.to_string(), "invalid character '{' exceeded max depth");
}

/// Each value of the recording and what daprd stored for it.
fn recorded() -> Vec<(String, Option<String>)> {
    let recording = include_str!("recorded.txt");
    let mut values = Vec::new();
    for line in recording.lines().filter(|line| !line.starts_with('#')) {
        let (value, stored) = line.split_once(" => ").unwrap();
        values.push((value.to_owned(), (stored != "refused").then(|| stored.to_owned())));
    }
    values
}

#[test]
fn values_that_daprd_stored_are_stored_as_the_same_json() {
    let same_number = |ours: &Value, daprd: &Value| match (ours.as_f64(), daprd.as_f64()) {
        // daprd rounds to six decimals, up to 2^26 or so.
        (Some(ours), Some(daprd)) => {
            (ours - daprd).abs() <= 0.000_000_51_f64.max(daprd.abs() * 1e-15)
        }
        _ => false,
    };
    let recorded = recorded();
    assert!(recorded.len() > 40, "the recording was cut");
    for (value, stored) in recorded {
        let Some(stored) = stored else {
            assert!(compact(value.as_bytes()).is_err(), "{value}");
            continue;
        };
        let ours: Value = serde_json::from_str(&compacted(&value)).unwrap();
        let daprd: Value = serde_json::from_str(&stored).unwrap();
        assert!(ours == daprd || same_number(&ours, &daprd), "{value}: {ours} instead of {daprd}");
        if !daprd.is_number() {
            assert_eq!(compacted(&value), stored);
        }
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter("JSON has no such number", |f| f.is_finite())
            .prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 100, 20, |inner| {
        let member = (".{0,3}", inner.clone());
        prop_oneof![
            proptest::collection::vec(inner, 0..20).prop_map(Value::from),
            proptest::collection::vec(member, 0..20)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

/// Puts white space around every token that stands outside a string.
fn spaced(json: &str) -> String {
    let mut output = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for character in json.chars() {
        let structural = !in_string && "{}[],:".contains(character);
        if structural {
            output.push_str(" \t");
        }
        output.push(character);
        if structural {
            output.push_str("\r\n");
        }
        in_string ^= character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
    }
    output
}

/// Puts together again what [`super::Value`] takes apart.
fn rebuilt(value: &super::Value) -> Value {
    match value.kind() {
        Kind::Null | Kind::Bool | Kind::Number => serde_json::from_slice(value.text()).unwrap(),
        Kind::String => value.string().unwrap().into(),
        Kind::Array => value.elements().map(|element| rebuilt(&element)).collect(),
        Kind::Object => {
            let members =
                value.members().map(|(name, member)| (name.into_owned(), rebuilt(&member)));
            Value::Object(members.collect())
        }
    }
}

#[test]
fn of_a_stream_the_first_value_is_read_and_kept_as_it_stands() {
    let first = |input: &str| super::Value::first_of(input.as_bytes());
    for (input, text) in [
        (" [1 , 2.0] garbage", "[1,2.0]"),
        ("nullx", "null"),
        ("1 2", "1"),
        (r#"{"a":1,"a":1e400}{"#, r#"{"a":1,"a":1e400}"#),
    ] {
        assert_eq!(first(input).unwrap().text(), text.as_bytes(), "{input}");
    }
    assert_eq!(first(r#"{"a":1,"a":2}"#).unwrap().into_stored().unwrap(), r#"{"a":2}"#);
    let refused = first("[1e400]").unwrap().into_stored().unwrap_err();
    assert_eq!(refused, JsonError::NumberOutOfRange("1e400".to_owned()));
    for (input, message) in [("", "EOF"), (" \n", "EOF"), ("[1", "unexpected EOF")] {
        assert_eq!(first(input).err().unwrap().to_string(), message);
    }
}

#[test]
fn a_value_of_another_kind_has_no_parts() {
    let value = super::Value::first_of(br#"[{"a":1}]"#).unwrap();
    assert_eq!((value.members().count(), value.string()), (0, None));
    let member = value.elements().next().unwrap();
    assert_eq!((member.kind(), member.elements().count()), (Kind::Object, 0));
}

proptest! {
    #[test]
    fn a_value_taken_apart_is_what_was_sent(value in json()) {
        let sent = serde_json::to_string(&value).unwrap();
        let taken = super::Value::first_of(spaced(&sent).as_bytes()).unwrap();
        let read: Value = serde_json::from_str(&sent).unwrap();
        proptest::prop_assert_eq!(rebuilt(&taken), read);
    }

    #[test]
    fn what_is_stored_is_the_value_that_was_sent(value in json()) {
        let sent = serde_json::to_string(&value).unwrap();
        let stored = compacted(&spaced(&sent));
        // serde_json reads some floats a little wrong, so both texts pass through it.
        let read: Value = serde_json::from_str(&sent).unwrap();
        proptest::prop_assert_eq!(&serde_json::from_str::<Value>(&stored).unwrap(), &read);
        proptest::prop_assert_eq!(&compacted(&stored), &stored);
    }

    #[test]
    fn the_same_texts_are_accepted_as_by_serde_json(
        input in r#"([\[\]{},:" ]|"[ab]":|[0-9.eE+-]|true|false|null|"(\\[\\"/bfnrtu]|[0-9a-f]{4}|é|x)*"){0,12}"#,
    ) {
        // serde_json refuses a lone surrogate, which Go replaces.
        if !input.contains("\\u") {
            let valid = serde_json::from_str::<Value>(&input).is_ok();
            proptest::prop_assert_eq!(compact(input.as_bytes()).is_ok(), valid);
        }
    }

    #[test]
    fn no_bytes_whatever_break_it(input in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(stored) = compact(&input) {
            proptest::prop_assert!(serde_json::from_slice::<Value>(&stored).is_ok());
        }
    }

    #[test]
    fn members_are_those_a_map_would_keep(
        members in proptest::collection::vec((0_u8..12, any::<u16>()), 0..40),
    ) {
        let written: Vec<String> =
            members.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
        let stored = compacted(&format!("{{{}}}", written.join(",")));
        let kept: HashMap<String, u16> = serde_json::from_str(&stored).unwrap();
        let model: HashMap<String, u16> =
            members.iter().map(|(key, value)| (key.to_string(), *value)).collect();
        proptest::prop_assert_eq!(stored.matches(':').count(), model.len());
        proptest::prop_assert_eq!(kept, model);
    }
}
