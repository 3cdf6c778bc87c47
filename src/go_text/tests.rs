use proptest::prelude::*;

use super::*;

#[test]
fn durations_are_written_as_go_writes_them() {
    let table = [
        (0, "0s"),
        (1, "1ns"),
        (1_100, "1.1µs"),
        (250_000, "250µs"),
        (2_200_000, "2.2ms"),
        (487_300_000, "487.3ms"),
        (999_999_999, "999.999999ms"),
        (1_000_000_000, "1s"),
        (1_500_000_000, "1.5s"),
        (5_000_000_000, "5s"),
        (60_000_000_000, "1m0s"),
        (90_000_000_000, "1m30s"),
        (90_000_000_001, "1m30.000000001s"),
        (3_600_000_000_000, "1h0m0s"),
        (3_661_001_000_000, "1h1m1.001s"),
        (360_000_000_000_000, "100h0m0s"),
        (-1_500_000_000, "-1.5s"),
        (i64::MAX, "2562047h47m16.854775807s"),
        (i64::MIN, "-2562047h47m16.854775808s"),
    ];
    for (nanos, text) in table {
        assert_eq!(GoDuration::from_nanoseconds(nanos).to_string(), text);
    }
    assert_eq!(duration(Duration::from_millis(1_500)), "1.5s");
    assert_eq!(duration(Duration::MAX), "2562047h47m16.854775807s");
}

#[test]
fn durations_are_read_as_go_reads_them() {
    let table = [
        ("0", 0),
        ("-0", 0),
        ("0s", 0),
        ("5s", 5_000_000_000),
        ("+5s", 5_000_000_000),
        ("-5s", -5_000_000_000),
        ("1478s", 1_478_000_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("5.6s", 5_600_000_000),
        ("1.004s", 1_004_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12µs", 12_000),
        ("12μs", 12_000),
        ("13ms", 13_000_000),
        ("3h30m", 12_600_000_000_000),
        ("4m10.5s", 250_500_000_000),
        ("-2m3.4s", -123_400_000_000),
        ("1h2m3s4ms5us6ns", 3_723_004_005_006),
        ("39h9m14.425s", 140_954_425_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        ("0.100000000000000000000h", 360_000_000_000),
        ("9007199254740993ns", 9_007_199_254_740_993),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("-2562047h47m16.854775808s", i64::MIN),
    ];
    for (text, nanos) in table {
        assert_eq!(parse_duration(text), Ok(GoDuration::from_nanoseconds(nanos)), "{text}");
    }
}

#[test]
fn what_is_no_duration_is_told_in_gos_words() {
    let table = [
        ("", r#"time: invalid duration """#),
        ("soon", r#"time: invalid duration "soon""#),
        ("-", r#"time: invalid duration "-""#),
        (".", r#"time: invalid duration ".""#),
        ("s", r#"time: invalid duration "s""#),
        (".s", r#"time: invalid duration ".s""#),
        ("+-5s", r#"time: invalid duration "+-5s""#),
        (" 5s", r#"time: invalid duration " 5s""#),
        ("3000000h", r#"time: invalid duration "3000000h""#),
        ("9223372036854775808ns", r#"time: invalid duration "9223372036854775808ns""#),
        ("99999999999999999999s", r#"time: invalid duration "99999999999999999999s""#),
        ("-9223372036854775809ns", r#"time: invalid duration "-9223372036854775809ns""#),
        ("5", r#"time: missing unit in duration "5""#),
        ("1s5", r#"time: missing unit in duration "1s5""#),
        ("5x", r#"time: unknown unit "x" in duration "5x""#),
        ("5 s", r#"time: unknown unit " s" in duration "5 s""#),
        ("1d", r#"time: unknown unit "d" in duration "1d""#),
        ("5S", r#"time: unknown unit "S" in duration "5S""#),
        ("1é", r#"time: unknown unit "\xc3\xa9" in duration "1\xc3\xa9""#),
        ("1\"\\", r#"time: unknown unit "\"\\" in duration "1\"\\""#),
    ];
    for (text, error) in table {
        assert_eq!(parse_duration(text).unwrap_err().to_string(), error, "{text}");
    }
}

#[test]
fn a_whole_number_in_a_policy_is_milliseconds() {
    let table = [
        ("500", 500_000_000),
        ("5", 5_000_000),
        ("0", 0),
        ("-5", -5_000_000),
        ("5s", 5_000_000_000),
        ("-1s", -1_000_000_000),
    ];
    for (text, nanos) in table {
        assert_eq!(parse_policy_duration(text), Ok(GoDuration::from_nanoseconds(nanos)), "{text}");
    }
    for text in ["", "soon", "1.5", "9223372036854775807"] {
        assert!(parse_policy_duration(text).is_err(), "{text}");
    }
}

#[test]
fn zero_and_less_is_no_duration_to_wait_for() {
    let positive = |text| parse_policy_duration(text).unwrap().positive();
    assert_eq!(positive("0s"), None);
    assert_eq!(positive("-1s"), None);
    assert_eq!(positive("1s"), Some(Duration::from_secs(1)));
}

#[test]
fn numbers_are_read_as_go_reads_them() {
    for (text, number) in [
        ("0", 0),
        ("007", 7),
        ("+7", 7),
        ("-7", -7),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        assert_eq!(atoi(text), Ok(number), "{text}");
        assert_eq!(parse_int(text), Ok(number), "{text}");
    }
    for (text, problem) in [
        ("abc", r#"parsing "abc": invalid syntax"#),
        ("", r#"parsing "": invalid syntax"#),
        ("-", r#"parsing "-": invalid syntax"#),
        ("+-7", r#"parsing "+-7": invalid syntax"#),
        ("1.5", r#"parsing "1.5": invalid syntax"#),
        (" 1", r#"parsing " 1": invalid syntax"#),
        ("1_000", r#"parsing "1_000": invalid syntax"#),
        ("٣", r#"parsing "٣": invalid syntax"#),
        ("a\nb", r#"parsing "a\nb": invalid syntax"#),
        ("9223372036854775808", r#"parsing "9223372036854775808": value out of range"#),
        ("-9223372036854775809", r#"parsing "-9223372036854775809": value out of range"#),
    ] {
        assert_eq!(atoi(text), Err(format!("strconv.Atoi: {problem}")), "{text}");
        assert_eq!(parse_int(text), Err(format!("strconv.ParseInt: {problem}")), "{text}");
    }
}

#[test]
fn quoting_escapes_what_cannot_be_printed() {
    let table = [
        ("plain text", r#""plain text""#),
        ("a\"b\\c", r#""a\"b\\c""#),
        ("\n\t\r", r#""\n\t\r""#),
        ("\x07\x08\x0b\x0c", r#""\a\b\v\f""#),
        ("\0\x1b\x7f", r#""\x00\x1b\x7f""#),
        ("it's", r#""it's""#),
        ("größe 漢字 😀", r#""größe 漢字 😀""#),
        ("\u{301}e\u{301}", "\"\u{301}e\u{301}\""),
        ("\u{85}\u{a0}\u{2028}\u{feff}", r#""\u0085\u00a0\u2028\ufeff""#),
        ("\u{200c}\u{200d}", r#""\u200c\u200d""#),
        ("\u{e0001}\u{10ffff}", r#""\U000e0001\U0010ffff""#),
    ];
    for (text, quoted) in table {
        assert_eq!(quote(text), quoted);
    }
}

proptest! {
    #[test]
    fn a_written_duration_reads_back_the_same(nanos: i64) {
        let duration = GoDuration::from_nanoseconds(nanos);
        prop_assert_eq!(parse_duration(&duration.to_string()), Ok(duration));
    }

    #[test]
    fn no_text_breaks_the_readers(text: String) {
        let _ = (parse_duration(&text), parse_policy_duration(&text), atoi(&text), quote(&text));
    }
}
