//! Links between the documents lead somewhere.

use std::{
    fs,
    path::{Path, PathBuf},
};

fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in [root.to_owned(), root.join("docs")] {
        let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        found.extend(paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    found
}

/// The targets of `[text](target)`, outside of code, that name a file or a heading.
fn links(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut in_code = false;
    for line in text.lines() {
        in_code ^= line.trim_start().starts_with("```");
        if in_code {
            continue;
        }
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        found.extend(
            targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:")),
        );
    }
    found
}

/// The anchors of a document's headings, as code hosts make them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with a link in a document, if anything is.
fn problem(document: &Path, target: &str) -> Option<String> {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = document.parent().expect("a document is in a folder");
    let path = if file.is_empty() { document.to_owned() } else { folder.join(file) };
    if !path.exists() {
        return Some(format!("{}: {target}: no such file", document.display()));
    }
    if anchor.is_empty() || path.is_dir() {
        return None;
    }
    let text = fs::read_to_string(&path).unwrap_or_default();
    let known = anchors(&text).iter().any(|known| known == anchor);
    (!known).then(|| format!("{}: {target}: no such heading", document.display()))
}

#[test]
fn links_of_the_documents_lead_somewhere() {
    let mut problems = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        problems.extend(links(&text).into_iter().filter_map(|link| problem(&document, link)));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}

#[test]
fn a_link_into_nowhere_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let document = folder.path().join("a.md");
    let text = "# One heading\n[a](b.md) [b](https://example.org/x) [c](#one-heading)\n\
        ```\n[d](code.md)\n```\n[e](#none)\n";
    fs::write(&document, text).expect("a file");
    let found = links(text);
    assert_eq!(found, ["b.md", "#one-heading", "#none"]);
    let problems: Vec<_> = found.iter().filter_map(|link| problem(&document, link)).collect();
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].ends_with("b.md: no such file"), "{problems:?}");
    assert!(problems[1].ends_with("#none: no such heading"), "{problems:?}");
}
