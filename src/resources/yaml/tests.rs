use super::*;

/// The tree in one line, with the line and column of everything that is no key.
fn shown(node: &Node) -> String {
    let Position { line, column } = node.at;
    let value = match &node.value {
        Value::Null => "null".to_owned(),
        Value::Scalar { text, plain: true } => text.clone(),
        Value::Scalar { text, plain: false } => format!("{text:?}"),
        Value::List(items) => {
            format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "))
        }
        Value::Map(entries) => {
            let entries = entries.iter().map(|it| format!("{}: {}", it.key, shown(&it.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    };
    format!("{line}:{column} {value}")
}

#[track_caller]
fn check(text: &str, expected: &str) {
    let tree = parse(text, 1).unwrap().map_or_else(|| "nothing".to_owned(), |root| shown(&root));
    assert_eq!(tree, expected);
}

#[track_caller]
fn check_refused(text: &str, line: usize, message: &str) {
    let refused = parse(text, 1).map(drop).unwrap_err();
    assert_eq!((refused.at.line, refused.message.as_str()), (line, message));
}

#[test]
fn everything_knows_its_place_and_keeps_its_text() {
    check("a: 05\nb:\n  - no\n  - \"no\"\n", "1:1 {a: 1:4 05, b: 3:3 [3:5 no, 4:5 \"no\"]}");
    check("a: 1e3\nb: ~\nc:\nd: '~'\n", "1:1 {a: 1:4 1e3, b: 2:4 null, c: 3:2 null, d: 4:4 \"~\"}");
    check("a: !!str 5\nb: !mine 5\nc: !!int 5\n", "1:1 {a: 1:4 \"5\", b: 2:4 \"5\", c: 3:4 5}");
    check("a: |\n  one\n  two\n", "1:1 {a: 2:3 \"one\\ntwo\\n\"}");
}

#[test]
fn a_document_that_says_nothing_is_none() {
    for text in ["", "\n\n", "# only this\n", "---\n", "null\n"] {
        check(text, "nothing");
    }
}

#[test]
fn a_key_that_stands_twice_stays_twice() {
    check("a: 1\na: 2\n", "1:1 {a: 1:4 1, a: 2:4 2}");
}

#[test]
fn aliases_and_merges_are_resolved() {
    check("a: &x {b: 1}\nc: *x\n", "1:1 {a: 1:4 {b: 1:11 1}, c: 2:4 {b: 1:11 1}}");
    check(
        "a: &x {b: 1, c: 2}\nd:\n  b: 3\n  <<: *x\n",
        "1:1 {a: 1:4 {b: 1:11 1, c: 1:17 2}, d: 3:3 {b: 3:6 3, c: 1:17 2}}",
    );
    check_refused("a: &x 1\n<<: *x\n", 2, "<< needs a map");
}

#[test]
fn what_would_exhaust_the_stack_or_the_memory_is_refused() {
    check_refused(&"[".repeat(101), 1, "nested too deeply");
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let below = format!("*a{}", level - 1);
        let ten = [below.as_str(); 10].join(", ");
        bomb.push_str(&format!("a{level}: &a{level} [{ten}]\n"));
    }
    check_refused(&bomb, 5, "aliases repeat too much");
    check_refused("a: &a [*a]\n", 1, "an alias stands inside its own anchor");
}

#[test]
fn broken_texts_are_told_with_their_line() {
    check_refused("? [a]\n: 1\n", 1, "a key must be a text");
    check_refused(
        "a: 1\n...\nb: 2\n",
        3,
        "a further document needs a line of three dashes before it",
    );
    assert_eq!(parse("a: 1\nb: }\n", 10).map(drop).unwrap_err().at.line, 11);
}

#[test]
fn documents_are_cut_at_lines_of_dashes_with_their_lines() {
    assert_eq!(split_documents("a\n---\nb\n--- # c\nd"), [(1, "a\n"), (3, "b\n"), (5, "d")]);
    assert_eq!(split_documents("---\na\n"), [(1, "---\na\n")]);
    assert_eq!(split_documents("\u{feff}a\r\n---\r\nb"), [(1, "a\r\n"), (3, "b")]);
    assert_eq!(split_documents("a: x---\n"), [(1, "a: x---\n")]);
}
