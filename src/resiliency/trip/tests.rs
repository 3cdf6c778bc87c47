use proptest::prelude::*;

use super::*;

/// `requests, totalSuccesses, totalFailures, consecutiveSuccesses, consecutiveFailures`
fn counts(numbers: [u32; 5]) -> Counts {
    let [requests, total_successes, total_failures, consecutive_successes, consecutive_failures] =
        numbers;
    Counts {
        requests,
        total_successes,
        total_failures,
        consecutive_successes,
        consecutive_failures,
    }
}

fn rule(text: &str) -> TripRule {
    TripRule::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// At which failure a circuit that is never reset opens, told how each attempt ended.
fn trips_at(rule: &TripRule, history: &str) -> Option<usize> {
    let mut seen = Counts::default();
    for (index, ended) in history.chars().enumerate() {
        seen.requests += 1;
        if ended == '+' {
            seen.total_successes += 1;
            seen.consecutive_successes += 1;
            seen.consecutive_failures = 0;
            continue;
        }
        seen.total_failures += 1;
        seen.consecutive_failures += 1;
        seen.consecutive_successes = 0;
        if rule.matches(&seen) {
            return Some(index + 1);
        }
    }
    None
}

// The histories and outcomes that shared/conformance/trip-*.json recorded of a real daprd.
#[test]
fn rules_trip_at_the_very_attempt_at_which_daprd_trips() {
    let recorded = "++---+-----------";
    for (text, at) in [
        ("consecutiveFailures >= 3", Some(5)),
        ("consecutiveFailures > 2", Some(5)),
        ("requests >= 5", Some(5)),
        ("totalFailures >= 4", Some(7)),
        ("totalFailures / requests > 0.5", None),
        ("consecutiveFailures >= 2.0", Some(4)),
        ("totalSuccesses > 1 && consecutiveFailures > 1", Some(4)),
        ("consecutive_failures >= 2", None),
        ("'yes'", None),
        ("", Some(12)),
    ] {
        assert_eq!(trips_at(&rule(text), recorded), at, "{text}");
    }
    assert!(TripRule::parse("consecutiveFailures >=").is_err());
}

#[test]
fn the_default_rule_trips_at_the_sixth_failure_in_a_row() {
    assert_eq!(trips_at(&TripRule::default_rule(), "-----+------"), Some(12));
    assert_eq!(rule(""), TripRule::default_rule());
}

#[test]
fn numbers_of_all_kinds_compare_with_counts() {
    let two_of_three = counts([3, 1, 2, 0, 2]);
    for (text, trips) in [
        ("consecutiveFailures >= 2u", true),
        ("consecutiveFailures >= 2.0", true),
        ("consecutiveFailures >= 2.5", false),
        ("consecutiveFailures == 2.0", true),
        ("double(totalFailures) / double(requests) >= 0.6", true),
        ("double(totalFailures) / double(requests) >= 0.7", false),
        ("totalFailures * 100 / requests >= 66", true),
        ("totalFailures * 100 / requests >= 67", false),
        ("requests in [1, 3]", true),
        ("true", true),
        ("requests / consecutiveSuccesses > 1", false),
    ] {
        assert_eq!(rule(text).matches(&two_of_three), trips, "{text}");
        assert_eq!((rule(text).unknown_names(), rule(text).flaw()), (&[][..], None), "{text}");
    }
}

#[test]
fn a_ratio_of_whole_numbers_is_a_whole_number() {
    let ratio = rule("totalFailures / requests > 0.5");
    assert_eq!(trips_at(&ratio, "-"), Some(1));
    assert_eq!(trips_at(&ratio, "+-----"), None);
}

#[test]
fn names_that_are_no_counts_are_told_and_never_trip() {
    for (text, unknown) in [
        ("consecutive_failures >= 2", vec!["consecutive_failures"]),
        ("nope.of.any.kind > 2", vec!["nope"]),
        ("failures > 1 && fails > 1", vec!["failures", "fails"]),
        ("requests > 1000 && oops > 1", vec!["oops"]),
        ("[1, 2].all(x, y < requests)", vec!["y"]),
        ("[1, 2].all(x, x < requests) && x > 1", vec!["x"]),
        ("[1, 2].all(x, x < requests)", vec![]),
        ("type(requests) == int", vec![]),
    ] {
        let rule = rule(text);
        let mut names = rule.unknown_names().to_vec();
        names.sort_by_key(|name| text.find(name.as_str()));
        assert_eq!(names, unknown, "{text}");
        if !unknown.is_empty() {
            assert!(!rule.matches(&counts([9, 0, 9, 0, 9])), "{text}");
        }
    }
}

#[test]
fn parts_that_can_never_be_evaluated_are_told() {
    for (text, flaw) in [
        ("'yes'", "its result is of type string, not bool"),
        ("requests", "its result is of type int, not bool"),
        (
            "requests > 100 && requests > '5'",
            "found no matching overload for '_>_' applied to '(int, string)'",
        ),
        ("!requests", "found no matching overload for '!_' applied to '(int)'"),
        ("size(requests) > 1", "found no matching overload for 'size' applied to '(int)'"),
    ] {
        let rule = rule(text);
        assert_eq!(rule.flaw(), Some(flaw), "{text}");
        assert!(!rule.matches(&counts([9, 0, 9, 0, 9])), "{text}");
    }
    assert!(rule("totalFailures / 2.0 > 0.5").flaw().is_some());
    assert_eq!(rule("requests / 0 > 1").flaw(), None);
}

#[test]
fn what_is_no_rule_is_refused_in_one_line() {
    for (text, message) in [
        (
            "consecutiveFailures >=",
            r#"trip rule "consecutiveFailures >=" has a syntax error at line 1, column 23: something is missing at the end"#,
        ),
        (
            "requests = 5",
            r#"trip rule "requests = 5" has a syntax error at line 1, column 10: unexpected '='"#,
        ),
        (
            "requests > 1 and true",
            r#"trip rule "requests > 1 and true" has a syntax error at line 1, column 14: unexpected 'and'"#,
        ),
        (
            "requests >\n) 1",
            r#"trip rule "requests >\n) 1" has a syntax error at line 2, column 1: unexpected ')'"#,
        ),
        (
            "requests > \u{7f}",
            r#"trip rule "requests > \u{7f}" has a syntax error at line 1, column 12: unexpected '\u{7f}'"#,
        ),
        (
            "requests > 99999999999999999999",
            r#"trip rule "requests > 99999999999999999999" has a syntax error at line 1, column 12: invalid int literal"#,
        ),
        (
            "failed(requests)",
            r#"trip rule "failed(requests)" calls the function "failed", which does not exist"#,
        ),
        (
            "requests.failed()",
            r#"trip rule "requests.failed()" calls the function "failed", which does not exist"#,
        ),
    ] {
        assert_eq!(TripRule::parse(text).unwrap_err().to_string(), message);
    }
}

#[test]
fn a_rule_is_refused_before_it_is_too_deep_for_a_stack() {
    let nested = |depth: usize, open: &str, close: &str| {
        format!("{}true{}", open.repeat(depth), close.repeat(depth))
    };
    for (open, close) in [("(", ")"), ("!(", ")"), ("[1].all(x, ", ")"), ("{1: ", "}[1]")] {
        let rule = rule(&nested(16, open, close));
        assert!(rule.matches(&Counts::default()), "{open}");
        assert!(TripRule::parse(&nested(17, open, close)).is_err(), "{open}");
    }
    let chained =
        |operators: usize| format!("requests{} >= 0", " + requests".repeat(operators - 1));
    assert!(rule(&chained(32)).matches(&Counts::default()));
    assert_eq!(
        TripRule::parse(&chained(33)).unwrap_err().to_string(),
        "trip rule of 365 letters is too long or nested too deeply"
    );
    let both =
        format!("{}requests{}{} > 0", "(".repeat(16), " + requests".repeat(31), ")".repeat(16));
    assert!(rule(&both).matches(&counts([1, 0, 1, 0, 1])));
}

#[derive(Clone, Debug)]
enum Number {
    Count(usize),
    Literal(u8),
    Sum(Box<(Number, Number)>),
    Difference(Box<(Number, Number)>),
    Product(Box<(Number, Number)>),
    Quotient(Box<(Number, Number)>),
    Remainder(Box<(Number, Number)>),
}

#[derive(Clone, Debug)]
enum Truth {
    Literal(bool),
    Less(Number, Number),
    AtLeast(Number, Number),
    Equal(Number, Number),
    AtLeastDouble(Number, u8),
    MoreThanUnsigned(Number, u8),
    Not(Box<Truth>),
    And(Box<(Truth, Truth)>),
    Or(Box<(Truth, Truth)>),
    Choice(Box<(Truth, Truth, Truth)>),
}

impl Number {
    fn text(&self) -> String {
        let binary = |sides: &(Number, Number), operator| {
            format!("({} {operator} {})", sides.0.text(), sides.1.text())
        };
        match self {
            Self::Count(index) => TripRule::VARIABLES[*index].to_owned(),
            Self::Literal(number) => number.to_string(),
            Self::Sum(sides) => binary(sides, "+"),
            Self::Difference(sides) => binary(sides, "-"),
            Self::Product(sides) => binary(sides, "*"),
            Self::Quotient(sides) => binary(sides, "/"),
            Self::Remainder(sides) => binary(sides, "%"),
        }
    }

    fn value(&self, numbers: &[u32; 5]) -> Option<i64> {
        let both =
            |sides: &(Number, Number)| Some((sides.0.value(numbers)?, sides.1.value(numbers)?));
        match self {
            Self::Count(index) => Some(i64::from(numbers[*index])),
            Self::Literal(number) => Some(i64::from(*number)),
            Self::Sum(sides) => both(sides).and_then(|(a, b)| a.checked_add(b)),
            Self::Difference(sides) => both(sides).and_then(|(a, b)| a.checked_sub(b)),
            Self::Product(sides) => both(sides).and_then(|(a, b)| a.checked_mul(b)),
            Self::Quotient(sides) => both(sides).and_then(|(a, b)| a.checked_div(b)),
            Self::Remainder(sides) => both(sides).and_then(|(a, b)| a.checked_rem(b)),
        }
    }
}

impl Truth {
    fn text(&self) -> String {
        match self {
            Self::Literal(truth) => truth.to_string(),
            Self::Less(a, b) => format!("{} < {}", a.text(), b.text()),
            Self::AtLeast(a, b) => format!("{} >= {}", a.text(), b.text()),
            Self::Equal(a, b) => format!("{} == {}", a.text(), b.text()),
            Self::AtLeastDouble(a, halves) => {
                format!("{} >= {:.1}", a.text(), f64::from(*halves) / 2.0)
            }
            Self::MoreThanUnsigned(a, b) => format!("{} > {b}u", a.text()),
            Self::Not(inner) => format!("!({})", inner.text()),
            Self::And(sides) => format!("({}) && ({})", sides.0.text(), sides.1.text()),
            Self::Or(sides) => format!("({}) || ({})", sides.0.text(), sides.1.text()),
            Self::Choice(parts) => {
                format!("({}) ? ({}) : ({})", parts.0.text(), parts.1.text(), parts.2.text())
            }
        }
    }

    /// `None` where CEL cannot tell: a division by zero or an overflow that the other side of an
    /// `&&` or `||` does not make irrelevant.
    fn value(&self, numbers: &[u32; 5]) -> Option<bool> {
        let compare = |a: &Number, b: &Number| Some((a.value(numbers)?, b.value(numbers)?));
        match self {
            Self::Literal(truth) => Some(*truth),
            Self::Less(a, b) => compare(a, b).map(|(a, b)| a < b),
            Self::AtLeast(a, b) => compare(a, b).map(|(a, b)| a >= b),
            Self::Equal(a, b) => compare(a, b).map(|(a, b)| a == b),
            Self::AtLeastDouble(a, halves) => {
                a.value(numbers).map(|a| a as f64 >= f64::from(*halves) / 2.0)
            }
            Self::MoreThanUnsigned(a, b) => a.value(numbers).map(|a| a > i64::from(*b)),
            Self::Not(inner) => inner.value(numbers).map(|truth| !truth),
            Self::And(sides) => match (sides.0.value(numbers), sides.1.value(numbers)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (a, b) => Some(a? && b?),
            },
            Self::Or(sides) => match (sides.0.value(numbers), sides.1.value(numbers)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (a, b) => Some(a? || b?),
            },
            Self::Choice(parts) => {
                if parts.0.value(numbers)? {
                    parts.1.value(numbers)
                } else {
                    parts.2.value(numbers)
                }
            }
        }
    }
}

fn numbers() -> impl Strategy<Value = Number> {
    let leaf =
        prop_oneof![(0..5usize).prop_map(Number::Count), (0..8u8).prop_map(Number::Literal),];
    leaf.prop_recursive(2, 4, 2, |inner| {
        let sides = (inner.clone(), inner).prop_map(Box::new);
        prop_oneof![
            sides.clone().prop_map(Number::Sum),
            sides.clone().prop_map(Number::Difference),
            sides.clone().prop_map(Number::Product),
            sides.clone().prop_map(Number::Quotient),
            sides.prop_map(Number::Remainder),
        ]
    })
}

fn truths() -> impl Strategy<Value = Truth> {
    let leaf = prop_oneof![
        1 => any::<bool>().prop_map(Truth::Literal),
        3 => (numbers(), numbers()).prop_map(|(a, b)| Truth::Less(a, b)),
        3 => (numbers(), numbers()).prop_map(|(a, b)| Truth::AtLeast(a, b)),
        2 => (numbers(), numbers()).prop_map(|(a, b)| Truth::Equal(a, b)),
        2 => (numbers(), 0..16u8).prop_map(|(a, b)| Truth::AtLeastDouble(a, b)),
        2 => (numbers(), 0..8u8).prop_map(|(a, b)| Truth::MoreThanUnsigned(a, b)),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        let sides = (inner.clone(), inner.clone()).prop_map(Box::new);
        prop_oneof![
            inner.clone().prop_map(|truth| Truth::Not(Box::new(truth))),
            sides.clone().prop_map(Truth::And),
            sides.prop_map(Truth::Or),
            (inner.clone(), inner.clone(), inner).prop_map(|parts| Truth::Choice(Box::new(parts))),
        ]
    })
}

proptest! {
    // Compiling takes milliseconds in a debug build.
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_rule_says_what_the_same_expression_says_in_rust(
        truth in truths(),
        samples in prop::collection::vec(prop::array::uniform5(0..6u32), 12),
    ) {
        let rule = TripRule::parse(&truth.text());
        prop_assume!(!matches!(rule, Err(TripRuleError::TooDeep { .. })));
        let rule = rule.unwrap();
        prop_assert_eq!(rule.unknown_names().len(), 0);
        prop_assert_eq!(rule.flaw(), None);
        for numbers in samples {
            let trips = truth.value(&numbers) == Some(true);
            prop_assert_eq!(rule.matches(&counts(numbers)), trips, "{} {:?}", truth.text(), numbers);
        }
    }

    #[test]
    fn no_text_breaks_the_parser(text in "[a-z0-9(){}\\[\\].,'\"<>=!&|?: +*/%-]{0,24}") {
        if let Ok(rule) = TripRule::parse(&text) {
            rule.matches(&Counts::default());
        }
    }
}
