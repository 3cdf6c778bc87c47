use super::*;

fn counts(requests: u32, successes: u32, failures: u32, in_a_row: u32) -> Counts {
    Counts {
        requests,
        total_successes: successes,
        total_failures: failures,
        consecutive_successes: 0,
        consecutive_failures: in_a_row,
    }
}

#[test]
fn explore() {
    for text in [
        "consecutiveFailures >=",
        "consecutiveFailures = 5",
        ")",
        "a b",
        "\"abc",
        "consecutiveFailures >= 5 and requests > 3",
        "1 +\n+ ;",
        "foo(1) > 2",
        "requests.foo()",
        "foo > 2",
        "consecutive_failures >= 2",
        "requests > 1 || nope",
        "nope.x.y > 2",
        "type(requests) == int",
        "[1,2].all(x, x < requests)",
        "[1,2].all(x, y < requests)",
        "requests >= '2'",
        "requests && true",
        "totalFailures / 2.0 > 1.0",
        "totalFailures / 2u > 1u",
        "requests",
        "'yes'",
        "requests ? 1 : 2",
        "double(totalFailures) / double(requests) >= 0.6",
        "requests >= 2u",
        "requests >= 2.0",
        "requests == 2.0",
        "requests == 3u",
        "requests in [1,2,3]",
        "size('abc') > 2",
        "size(1) > 2",
        "'abc'.contains('b')",
        "has(requests.x)",
        "true",
        "null",
        "requests > 100 && requests > 'a'",
        "-requests < 0",
        "!requests",
        "requests > 99999999999999999999",
        "math.greatest(1,2) > 1",
        "'a'.matches('b')",
        "timestamp('2020-01-01T00:00:00Z') > 1",
        "requests > 1 ? true : nope",
        "Foo{a: 1}",
        "1/0 == 1",
        "requests[0] > 1",
        "all(x, y)",
        "int(requests) > 3",
        "string(requests) == '3'",
        "requests == '3'",
        "requests != null",
        "dyn(requests) > 1",
        "optional.of(1).hasValue()",
        "{1: 2}[1] > requests",
        "requests % 2 == 1",
    ] {
        match TripRule::parse(text) {
            Ok(r) => println!(
                "{text:60} unknown {:?} flaw {:?} {}",
                r.unknown_names(),
                r.flaw(),
                r.matches(&counts(3, 0, 3, 3))
            ),
            Err(e) => println!("{text:60} ERR {e}"),
        }
    }
}
