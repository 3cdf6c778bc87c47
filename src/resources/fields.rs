//! Reads the fields of one document and notes what is wrong with their shape.

use std::path::Path;

use crate::{
    nearest::{did_you_mean, listed},
    resources::{
        error::{Place, Problem},
        yaml::{Entry, Node, Position, Value},
    },
};

/// What was found wrong in one document.
pub struct Findings<'a> {
    file: &'a Path,
    quoting: Quoting,
    letters: Letters,
    /// Values of a wrong type: daprd cannot read such a document.
    pub shape: Vec<Problem>,
    /// What daprd passes over in silence: unknown fields, fields that stand twice.
    pub ignored: Vec<Problem>,
}

/// Whether a value may be shown. Where secrets may stand it may not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quoting {
    /// Show what was found.
    Values,
    /// Say only what kind of thing was found.
    KindsOnly,
}

/// How field names are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Letters {
    /// `Spec` is `spec`: as in manifests.
    AnyCase,
    /// As in a Configuration.
    Exact,
}

impl<'a> Findings<'a> {
    /// Nothing was found yet.
    pub fn new(file: &'a Path, quoting: Quoting, letters: Letters) -> Self {
        Self { file, quoting, letters, shape: Vec::new(), ignored: Vec::new() }
    }

    /// A place in this document.
    pub fn place(&self, at: Position, field: impl Into<String>) -> Place {
        Place::new(self.file, at, field)
    }

    fn expected(&mut self, what: &str, field: &Field<'_>) {
        let found = match &field.node.value {
            Value::Null => "nothing".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Map(_) => "a map".to_owned(),
            Value::Scalar { text, plain: true } if self.quoting == Quoting::Values => text.clone(),
            Value::Scalar { text, .. } if self.quoting == Quoting::Values => {
                format!("the text {text:?}")
            }
            Value::Scalar { .. } => "a text".to_owned(),
        };
        let message = format!("expected {what}, found {found}");
        let place = Some(self.place(field.node.at, field.path.clone()));
        self.shape.push(Problem { place, message });
    }

    fn note_twice(&mut self, entry: &Entry, path: String, first: Position) {
        let message = format!("stands twice; first in line {}", first.line);
        let place = Some(self.place(entry.at, path));
        self.ignored.push(Problem { place, message });
    }
}

/// A value and its path from the document's top.
#[derive(Clone)]
pub struct Field<'n> {
    /// The path: `spec.metadata[0].value`.
    pub path: String,
    /// The value.
    pub node: &'n Node,
}

/// A text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    /// The text.
    pub text: String,
    /// The field it stands in.
    pub place: Place,
}

impl<'n> Field<'n> {
    /// The text; of a number or a boolean, what was written.
    pub fn text(&self, findings: &mut Findings<'_>) -> Option<Text> {
        match &self.node.value {
            Value::Scalar { text, .. } => {
                let place = findings.place(self.node.at, self.path.clone());
                Some(Text { text: text.clone(), place })
            }
            Value::Null => None,
            Value::List(_) | Value::Map(_) => {
                findings.expected("a text", self);
                None
            }
        }
    }

    /// The list's items; none for nothing.
    pub fn items(&self, findings: &mut Findings<'_>) -> Vec<Field<'n>> {
        match &self.node.value {
            Value::List(items) => items
                .iter()
                .enumerate()
                .map(|(index, node)| Field { path: format!("{}[{index}]", self.path), node })
                .collect(),
            Value::Null => Vec::new(),
            Value::Scalar { .. } | Value::Map(_) => {
                findings.expected("a list", self);
                Vec::new()
            }
        }
    }

    /// The entries of a map whose keys are names that users choose.
    pub fn named(&self, findings: &mut Findings<'_>) -> Vec<Named<'n>> {
        let mut all: Vec<Named<'n>> = Vec::new();
        for entry in self.entries(findings) {
            let path = join(&self.path, &entry.key);
            if let Some(earlier) = all.iter().position(|named| named.name == entry.key) {
                findings.note_twice(entry, path.clone(), all[earlier].at);
                all.remove(earlier);
            }
            let field = Field { path, node: &entry.value };
            all.push(Named { name: &entry.key, at: entry.at, field });
        }
        all
    }

    /// The fields of a map whose keys are fixed.
    pub fn fields(&self, findings: &mut Findings<'_>) -> Fields<'n> {
        let entries = self.entries(findings);
        Fields { path: self.path.clone(), at: self.node.at, entries, asked: Vec::new() }
    }

    fn entries(&self, findings: &mut Findings<'_>) -> &'n [Entry] {
        match &self.node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Scalar { .. } | Value::List(_) => {
                findings.expected("a map", self);
                &[]
            }
        }
    }
}

/// A value that has a name of the user's choice.
pub struct Named<'n> {
    /// The name.
    pub name: &'n str,
    /// Where the name stands.
    pub at: Position,
    /// The value.
    pub field: Field<'n>,
}

/// A map whose keys are fixed. Ask for each field, then [`finish`](Self::finish).
pub struct Fields<'n> {
    /// The map's path.
    pub path: String,
    /// Where the map begins.
    pub at: Position,
    entries: &'n [Entry],
    asked: Vec<&'static str>,
}

impl<'n> Fields<'n> {
    /// The field of this name, if it is there and not empty.
    pub fn get(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Option<Field<'n>> {
        self.asked.push(name);
        let mut found: Option<&Entry> = None;
        for entry in self.entries {
            if !same(&entry.key, name, findings.letters) {
                continue;
            }
            if let Some(first) = found {
                findings.note_twice(entry, join(&self.path, name), first.at);
            }
            found = Some(entry);
        }
        let entry = found.filter(|entry| !matches!(entry.value.value, Value::Null))?;
        Some(Field { path: join(&self.path, name), node: &entry.value })
    }

    /// The text of a field.
    pub fn text(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Option<Text> {
        self.get(name, findings)?.text(findings)
    }

    /// A boolean; quotes make it a text.
    pub fn boolean(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Option<bool> {
        let field = self.get(name, findings)?;
        let boolean = match &field.node.value {
            Value::Scalar { text, plain: true } => as_boolean(text),
            _ => None,
        };
        if boolean.is_none() {
            findings.expected("true or false", &field);
        }
        boolean
    }

    /// A whole number; quotes make it a text.
    pub fn integer(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Option<Integer> {
        let field = self.get(name, findings)?;
        let value = match &field.node.value {
            Value::Scalar { text, plain: true } => as_integer(text),
            _ => None,
        };
        if value.is_none() {
            findings.expected("a whole number", &field);
        }
        let place = findings.place(field.node.at, field.path.clone());
        value.map(|value| Integer { value, place })
    }

    /// The fields of a map under this name; without it, of an empty map.
    pub fn map(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Fields<'n> {
        match self.get(name, findings) {
            Some(field) => field.fields(findings),
            None => {
                let path = join(&self.path, name);
                Fields { path, at: self.at, entries: &[], asked: Vec::new() }
            }
        }
    }

    /// The named entries of a map under this name.
    pub fn named(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Vec<Named<'n>> {
        self.get(name, findings).map_or_else(Vec::new, |field| field.named(findings))
    }

    /// The items of a list under this name.
    pub fn items(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Vec<Field<'n>> {
        self.get(name, findings).map_or_else(Vec::new, |field| field.items(findings))
    }

    /// The texts of a list under this name.
    pub fn texts(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Vec<Text> {
        let items = self.items(name, findings);
        items.iter().filter_map(|item| item.text(findings)).collect()
    }

    /// Whether a field that nothing here reads is there.
    pub fn skip(&mut self, name: &'static str, findings: &mut Findings<'_>) -> Option<Place> {
        let field = self.get(name, findings)?;
        Some(findings.place(field.node.at, field.path))
    }

    /// Notes the fields nobody asked for.
    pub fn finish(self, findings: &mut Findings<'_>) {
        for entry in self.entries {
            if self.asked.iter().any(|name| same(&entry.key, name, findings.letters)) {
                continue;
            }
            let meant = did_you_mean(&entry.key, self.asked.iter().copied());
            let valid = listed(self.asked.iter().copied());
            let message = format!("unknown field; valid are {valid}{meant}");
            let place = Some(findings.place(entry.at, join(&self.path, &entry.key)));
            findings.ignored.push(Problem { place, message });
        }
    }
}

/// A whole number and where it stands.
pub struct Integer {
    /// The number.
    pub value: i64,
    /// The field it stands in.
    pub place: Place,
}

/// A path with one more step.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn same(found: &str, name: &str, letters: Letters) -> bool {
    match letters {
        Letters::AnyCase => found.to_lowercase() == name.to_lowercase(),
        Letters::Exact => found == name,
    }
}

/// The booleans of YAML 1.1, which daprd's reader follows.
pub fn as_boolean(text: &str) -> Option<bool> {
    let is_one_case = |word: &str| {
        let capitalised = word[..1].to_uppercase() + &word[1..];
        text == word || text == word.to_uppercase() || text == capitalised
    };
    if ["true", "yes", "on", "y"].into_iter().any(is_one_case) {
        Some(true)
    } else if ["false", "no", "off", "n"].into_iter().any(is_one_case) {
        Some(false)
    } else {
        None
    }
}

/// The whole numbers of YAML 1.1: decimal, `0x`, `0o`, `0b`, octal after a leading zero; also a
/// fraction that is none, as in `2.0`.
fn as_integer(text: &str) -> Option<i64> {
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let digits = digits.strip_suffix(".0").unwrap_or(digits);
    let (radix, digits) = match digits.as_bytes() {
        [b'0', b'x', ..] => (16, &digits[2..]),
        [b'0', b'o', ..] => (8, &digits[2..]),
        [b'0', b'b', ..] => (2, &digits[2..]),
        [b'0', _, ..] => (8, &digits[1..]),
        _ => (10, digits),
    };
    if !digits.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_are_read_as_yaml_1_1_has_them() {
        for (text, number) in [
            ("5", Some(5)),
            ("-1", Some(-1)),
            ("+3", Some(3)),
            ("0", Some(0)),
            ("010", Some(8)),
            ("0x1F", Some(31)),
            ("0o17", Some(15)),
            ("0b11", Some(3)),
            ("1_000", Some(1000)),
            ("2.0", Some(2)),
            ("2.5", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("ten", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(as_integer(text), number, "{text}");
        }
    }

    #[test]
    fn booleans_are_read_as_yaml_1_1_has_them() {
        for text in ["true", "True", "TRUE", "yes", "On", "y"] {
            assert_eq!(as_boolean(text), Some(true), "{text}");
        }
        for text in ["false", "No", "OFF", "n"] {
            assert_eq!(as_boolean(text), Some(false), "{text}");
        }
        for text in ["1", "tRue", "", "maybe"] {
            assert_eq!(as_boolean(text), None, "{text}");
        }
    }
}
