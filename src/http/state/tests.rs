//! The decoder against what Go's said to the same bodies.

use super::{decode::Malformed, *};

/// What we answer otherwise: what an array or an object holds is not repeated, because it may be
/// as large as the body.
const ELIDED: &[(&str, &str)] = &[("[1 a <nil> true]", "[...]"), ("map[a:[] b:1]", "map[...]")];

fn said(route: &str, body: &str) -> String {
    let body = body.as_bytes();
    let result = match route {
        "save" => decode::save(body).map(drop),
        "bulk" => decode::bulk_get(body).map(drop),
        "tx" => decode::transaction(body).and_then(|operations| {
            operations.iter().try_for_each(|operation| {
                let is_upsert = operation.operation == "upsert";
                let item = if is_upsert { operation.upsert() } else { operation.delete() };
                item.map(drop)
            })
        }),
        other => panic!("no such route: {other}"),
    };
    result.map_or_else(|error: Malformed| error.to_string(), |()| "ok".to_owned())
}

#[test]
fn bodies_are_refused_in_gos_words() {
    let mut cases = 0;
    for line in include_str!("tests/recorded.tsv").lines().filter(|line| !line.starts_with('#')) {
        let [route, body, expected] = line.splitn(3, '\t').collect::<Vec<_>>()[..] else {
            panic!("not a case: {line}");
        };
        let mut expected = expected.replace("\\n", "\n");
        for (theirs, ours) in ELIDED {
            expected = expected.replace(theirs, ours);
        }
        assert_eq!(said(route, body), expected, "{route} {body}");
        cases += 1;
    }
    assert!(cases > 100, "the recording was cut");
}

fn items(body: &str) -> Vec<ItemRequest> {
    decode::save(body.as_bytes()).unwrap()
}

#[test]
fn an_item_is_read_with_all_it_says() {
    let body = r#"[{"KEY":"a\u00e9\n","Value": {"b":1.00, "a":[ ]},"etag":"7",
        "metadata":{"ttlInSeconds":"5","x":null},"unknown":{"key":1},
        "options":{"concurrency":"first-write","CONSISTENCY":"strong"}}, null] trailing"#;
    let [item, empty] = &items(body)[..] else { panic!("two items") };
    assert_eq!(item.key, "aé\n");
    assert_eq!(item.value.as_deref(), Some(&br#"{"b":1.00,"a":[]}"#[..]));
    assert_eq!(item.etag.as_deref(), Some("7"));
    assert_eq!(item.metadata["ttlInSeconds"], "5");
    assert_eq!(item.metadata["x"], "");
    assert_eq!((item.concurrency.as_str(), item.consistency.as_str()), ("first-write", "strong"));
    assert!(*empty == ItemRequest::default());
}

#[test]
fn what_comes_twice_is_read_in_order_as_by_go() {
    let body = r#"[{"key":"a","KEY":"b","value":1,"value":{"x":1,"x":2},
        "metadata":{"a":"1"},"metadata":{"b":"2"},"etag":"1","etag":null}]"#;
    let item = items(body).remove(0);
    assert_eq!(item.key, "b");
    assert_eq!(item.value.as_deref(), Some(&br#"{"x":2}"#[..]));
    assert_eq!(item.metadata.len(), 2);
    assert_eq!(item.etag, None);
}

#[test]
fn bytes_that_are_no_text_become_replacement_characters_in_keys_too() {
    let item = decode::save(b"[{\"key\":\"a\xff\xfe\",\"value\":\"\xff\"}]").unwrap().remove(0);
    assert_eq!(item.key, "a\u{fffd}\u{fffd}");
    assert_eq!(item.value.as_deref(), Some("\"\u{fffd}\"".as_bytes()));
}

#[test]
fn the_first_of_a_querys_metadata_counts() {
    let target: PathAndQuery =
        "/?metadata.a=1&metadata.a=2&Metadata.b=3&metadata.c=4;d&metadata.=e&metadata.f+g=%2F"
            .parse()
            .unwrap();
    let metadata = query_metadata(&target);
    let pairs: Vec<_> =
        metadata.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    assert_eq!(pairs, [("", "e"), ("a", "1"), ("f g", "/")]);
}

#[test]
fn unknown_words_are_refused_the_consistency_first() {
    let refused =
        |concurrency, consistency| options::read(concurrency, consistency).unwrap_err().to_string();
    assert_eq!(refused("x", "y"), "unrecognized consistency model 'y'");
    assert_eq!(refused("First-write", ""), "unrecognized concurrency model 'First-write'");
    let meant = (Concurrency::FirstWrite, Consistency::Strong);
    assert_eq!(options::read("first-write", "strong"), Ok(meant));
    assert_eq!(options::read_leniently("x", "strong"), (Concurrency::Unspecified, meant.1));
}
