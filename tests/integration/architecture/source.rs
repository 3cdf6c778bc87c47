//! One source file with its comments, its strings and its tests told apart.

use std::ops::Range;

/// A file of `src/`.
pub struct Source {
    /// Its path from the root of the repository.
    pub name: String,
    /// Its text as it stands.
    pub text: String,
    /// The text, byte for byte as long, with comments and the insides of strings blanked.
    pub code: String,
    /// Where test modules stand.
    tests: Vec<Range<usize>>,
}

impl Source {
    pub fn new(name: &str, text: &str) -> Self {
        let code = blank(text);
        let stem = name.rsplit('/').next().unwrap_or(name);
        let tests = if stem == "tests.rs" || name.contains("/tests/") {
            std::iter::once(0..text.len()).collect()
        } else {
            test_modules(&code)
        };
        Self { name: name.to_owned(), text: text.to_owned(), code, tests }
    }

    /// The room the file belongs to: the first word of its path below `src/`.
    pub fn room(&self) -> &str {
        let below = self.name.trim_start_matches("src/");
        below.split(['/', '.']).next().unwrap_or(below)
    }

    pub fn is_test(&self, at: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&at))
    }

    pub fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    /// Lines that belong to no test.
    pub fn lines_without_tests(&self) -> usize {
        let starts = std::iter::once(0).chain(self.text.match_indices('\n').map(|(at, _)| at + 1));
        starts.filter(|&start| start < self.text.len() && !self.is_test(start)).count()
    }

    /// Where `word` stands in the code as a word of its own.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        let is_part =
            |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let bytes = self.code.as_bytes();
        self.code.match_indices(word).map(|(at, _)| at).filter(move |&at| {
            let before = at.checked_sub(1).and_then(|index| bytes.get(index));
            !is_part(before) && !is_part(bytes.get(at + word.len()))
        })
    }
}

/// Files that a `#[cfg(test)] mod name;` declares are tests as a whole.
pub fn mark_test_files(files: &mut [Source]) {
    let declared: Vec<String> = files.iter().flat_map(test_files).collect();
    for file in files {
        if declared.contains(&file.name) {
            file.tests = std::iter::once(0..file.text.len()).collect();
        }
    }
}

fn test_files(file: &Source) -> Vec<String> {
    let folder = match file.name.as_str() {
        "src/lib.rs" | "src/main.rs" => "src",
        name => name.trim_end_matches(".rs"),
    };
    let mut found = Vec::new();
    for (at, attribute) in file.code.match_indices("#[cfg(test)]") {
        let after = file.code[at + attribute.len()..].trim_start();
        let declaration = after.split(';').next().unwrap_or_default();
        if let Some(name) = declaration.strip_prefix("mod ").filter(|name| !name.contains('{')) {
            found.push(format!("{folder}/{}.rs", name.trim()));
        }
    }
    found
}

fn test_modules(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (start, attribute) in code.match_indices("#[cfg(test)]") {
        let after = &code[start + attribute.len()..];
        if !after.trim_start().starts_with("mod ") {
            continue;
        }
        let mut depth = 0;
        for (at, byte) in after.bytes().enumerate() {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                b';' if depth == 0 => {}
                _ => continue,
            }
            if depth == 0 {
                found.push(start..start + attribute.len() + at + 1);
                break;
            }
        }
    }
    found
}

/// Blanks comments and the insides of strings, keeping every byte's place.
fn blank(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let end = match rest {
            [b'/', b'/', ..] => at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()),
            [b'/', b'*', ..] => at + comment_length(rest),
            [b'r', b'"' | b'#', ..] if !continues_a_word(bytes, at) => at + raw_string_length(rest),
            [b'"', ..] => at + string_length(rest),
            [b'\'', ..] => at + character_length(rest),
            _ => at,
        };
        for byte in &mut code[at..end] {
            if *byte != b'\n' && *byte != b'"' {
                *byte = b' ';
            }
        }
        at = end.max(at + 1);
    }
    String::from_utf8(code).expect("whole characters were blanked")
}

fn continues_a_word(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map(|index| bytes[index]);
    // The `b` of a raw byte string belongs to the string.
    before.is_some_and(|b| (b.is_ascii_alphanumeric() && b != b'b') || b == b'_')
}

fn comment_length(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at + 1 < rest.len() {
        match &rest[at..at + 2] {
            b"/*" => depth += 1,
            b"*/" => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

fn raw_string_length(rest: &[u8]) -> usize {
    let hashes = rest[1..].iter().take_while(|b| **b == b'#').count();
    if rest.get(1 + hashes) != Some(&b'"') {
        return 1; // A raw identifier.
    }
    let mut closing = vec![b'"'];
    closing.resize(1 + hashes, b'#');
    let body = 2 + hashes;
    let inside = rest[body..].windows(closing.len()).position(|window| window == closing);
    inside.map_or(rest.len(), |inside| body + inside + closing.len())
}

fn string_length(rest: &[u8]) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A character such as `'"'`; a lifetime has length 1.
fn character_length(rest: &[u8]) -> usize {
    match rest {
        [_, b'\\', ..] => rest
            .iter()
            .skip(3)
            .position(|b| *b == b'\'')
            .map_or(rest.len(), |inside| 3 + inside + 1),
        _ => {
            let text = &rest[1..rest.len().min(6)];
            match text.iter().position(|b| *b == b'\'') {
                Some(inside) if inside == 1 || !text[0].is_ascii() => inside + 2,
                _ => 1,
            }
        }
    }
}
