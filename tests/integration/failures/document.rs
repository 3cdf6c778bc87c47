//! `docs/failures.md` and the table in the code are the same.

use std::{collections::BTreeSet, fs, path::Path};

use outrigger::api::failures::{Row, TABLE};

/// What differs between the table in the document and these rows, in words.
fn differences(document: &str, rows: &[Vec<String>]) -> Vec<String> {
    let mut problems = Vec::new();
    let mut lines = document
        .lines()
        .map(cells)
        .skip_while(|cells| cells.first().is_none_or(|first| first != Row::COLUMNS[0]));
    match lines.next() {
        None => return vec!["the document has no table".to_owned()],
        Some(columns) if columns != Row::COLUMNS => problems.push(format!("columns: {columns:?}")),
        Some(_) => {}
    }
    let written: Vec<Vec<String>> = lines.skip(1).take_while(|cells| !cells.is_empty()).collect();
    for row in rows {
        match written.iter().find(|line| line[0] == row[0]) {
            None => problems.push(format!("missing: | {} |", row.join(" | "))),
            Some(line) if line != row => problems.push(format!("not: | {} |", row.join(" | "))),
            Some(_) => {}
        }
    }
    for line in &written {
        if !rows.iter().any(|row| row[0] == line[0]) {
            problems.push(format!("no such row: {}", line[0]));
        }
    }
    if problems.is_empty() && written != rows {
        problems.push("the rows stand in another order, or one of them twice".to_owned());
    }
    problems
}

/// The cells of a line of a table; none for any other line.
fn cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').and_then(|line| line.strip_suffix('|'));
    inner.map_or_else(Vec::new, |inner| {
        inner.split('|').map(|cell| cell.trim().to_owned()).collect()
    })
}

fn table() -> Vec<Vec<String>> {
    TABLE.iter().map(|row| row.cells().to_vec()).collect()
}

fn document() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/failures.md");
    fs::read_to_string(path).expect("docs/failures.md")
}

#[test]
fn the_document_says_what_the_code_does() {
    let problems = differences(&document(), &table());
    assert!(problems.is_empty(), "docs/failures.md:\n{}", problems.join("\n"));
}

#[test]
fn a_row_that_is_changed_missing_or_made_up_is_reported() {
    let (document, table) = (document(), table());
    for row in &table {
        let line = document.lines().find(|line| cells(line) == *row).expect("the row's line");
        let without = document.replace(&format!("{line}\n"), "");
        assert_eq!(differences(&without, &table), [format!("missing: | {} |", row.join(" | "))]);
        for column in 0..row.len() {
            let mut changed = row.clone();
            changed[column].push('x');
            let changed = format!("| {} |", changed.join(" | "));
            assert!(
                !differences(&document.replace(line, &changed), &table).is_empty(),
                "{changed}"
            );
        }
        let twice = format!("{line}\n{line}");
        assert!(!differences(&document.replace(line, &twice), &table).is_empty(), "{line}");
    }
}

/// The classes of which the document says what to do about them.
fn advised(document: &str) -> Vec<String> {
    let mut lines = document.lines().map(cells);
    assert!(lines.any(|cells| cells == ["class", "the operator", "the app"]), "what to do");
    let lines = lines.skip(1).take_while(|cells| !cells.is_empty());
    lines.flat_map(|cells| cells[0].split(", ").map(str::to_owned).collect::<Vec<_>>()).collect()
}

#[test]
fn there_is_something_to_do_about_every_class_of_the_table_and_no_other() {
    let column = Row::COLUMNS.iter().position(|name| *name == "class").expect("the column");
    let classes: BTreeSet<String> = table().into_iter().map(|row| row[column].clone()).collect();
    let advised = advised(&document());
    assert_eq!(advised.iter().cloned().collect::<BTreeSet<_>>(), classes);
    assert_eq!(advised.len(), classes.len(), "one of them stands twice: {advised:?}");
}
