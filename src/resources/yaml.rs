//! A YAML document as a tree in which everything knows its line and every scalar keeps its text.
//!
//! The only file that names the YAML crate. Which type a scalar has is asked of the field that
//! takes it, so `05`, `no` and `1e3` stay what was written.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span, Tag};

#[cfg(test)]
mod tests;

/// No resource is nested this deeply; a tree that is would end the stack.
const MAX_DEPTH: usize = 100;
/// How many nodes aliases may repeat: nested anchors grow exponentially.
const MAX_REPEATED_NODES: usize = 100_000;

/// Where something begins in its file; both count from one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

/// A value and where it begins.
#[derive(Clone)]
pub struct Node {
    /// Where the value begins.
    pub at: Position,
    /// The value.
    pub value: Value,
}

/// What YAML can say.
#[derive(Clone)]
pub enum Value {
    /// Nothing, `~` or `null`.
    Null,
    /// A text as written.
    Scalar {
        /// The text.
        text: String,
        /// Whether it stands without quotes, so that it may be a number or a boolean.
        plain: bool,
    },
    /// A list.
    List(Vec<Node>),
    /// A map in the order of the file; a key may occur twice.
    Map(Vec<Entry>),
}

/// A key of a map and its value.
#[derive(Clone)]
pub struct Entry {
    /// Where the key begins.
    pub at: Position,
    /// The key's text.
    pub key: String,
    /// The value.
    pub value: Node,
}

/// A text that is not YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where the reader stopped.
    pub at: Position,
    /// What it did not understand.
    pub message: String,
}

/// Cuts a file where Dapr does: at each line that begins with three dashes. What else stands in
/// such a line belongs to no document. Each part comes with the line it begins in, counted from
/// one.
pub fn split_documents(text: &str) -> Vec<(usize, &str)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut parts = Vec::new();
    let (mut first_line, mut begin, mut offset) = (1, 0, 0);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let next = offset + line.len();
        if index > 0 && line.starts_with("---") {
            parts.push((first_line, &text[begin..offset]));
            (first_line, begin) = (index + 2, next);
        }
        offset = next;
    }
    parts.push((first_line, &text[begin..]));
    parts
}

/// Reads one document whose text begins in the given line; `None` if it says nothing.
pub fn parse(text: &str, first_line: usize) -> Result<Option<Node>, Malformed> {
    let mut tree = Tree::new(first_line);
    let mut parser = Parser::new_from_str(text);
    while let Some(next) = parser.next_event() {
        let (event, span) = next.map_err(|error| Malformed {
            at: tree.position(*error.marker()),
            message: error.info().to_owned(),
        })?;
        if tree.root.is_some() && matches!(event, Event::DocumentStart(_)) {
            return Err(Malformed {
                at: tree.position(span.start),
                message: "a further document needs a line of three dashes before it".to_owned(),
            });
        }
        tree.take(event, span)?;
    }
    Ok(tree.root.filter(|node| !matches!(node.value, Value::Null)))
}

/// The tree while it grows.
struct Tree {
    first_line: usize,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    repeated: usize,
    root: Option<Node>,
}

/// A list or map whose end was not read yet.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map {
        entries: Vec<Entry>,
        /// What `<<` brings in: it yields to the map's own keys.
        merged: Vec<Entry>,
        key: Option<Key>,
    },
}

struct Key {
    at: Position,
    text: String,
    merges: bool,
}

impl Tree {
    fn new(first_line: usize) -> Self {
        let (open, anchors) = (Vec::new(), BTreeMap::new());
        Self { first_line, open, anchors, repeated: 0, root: None }
    }

    fn position(&self, marker: Marker) -> Position {
        let line = self.first_line + marker.line().max(1) - 1;
        Position { line, column: marker.col() + 1 }
    }

    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Malformed> {
        let at = self.position(span.start);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let node = Node { at, value: scalar(&text, style, tag.as_deref()) };
                self.close(node, anchor)
            }
            Event::SequenceStart(anchor, _) => self.descend(at, anchor, Content::List(Vec::new())),
            Event::MappingStart(anchor, _) => {
                let (entries, merged) = (Vec::new(), Vec::new());
                self.descend(at, anchor, Content::Map { entries, merged, key: None })
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open { at, anchor, content }) = self.open.pop() else { return Ok(()) };
                let value = match content {
                    Content::List(items) => Value::List(items),
                    Content::Map { entries, merged, .. } => Value::Map(merge(entries, merged)),
                };
                self.close(Node { at, value }, anchor)
            }
            Event::Alias(anchor) => self.repeat(at, anchor),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn descend(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), Malformed> {
        if self.open.len() == MAX_DEPTH {
            return Err(malformed(at, "nested too deeply"));
        }
        self.open.push(Open { at, anchor, content });
        Ok(())
    }

    fn repeat(&mut self, at: Position, anchor: usize) -> Result<(), Malformed> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(malformed(at, "an alias stands inside its own anchor"));
        };
        self.repeated += size(node);
        if self.repeated > MAX_REPEATED_NODES {
            return Err(malformed(at, "aliases repeat too much"));
        }
        let value = node.value.clone();
        self.close(Node { at, value }, 0)
    }

    /// Hands a complete node to what surrounds it.
    fn close(&mut self, node: Node, anchor: usize) -> Result<(), Malformed> {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, merged, key }) => match key.take() {
                None => *key = Some(as_key(node)?),
                Some(Key { merges: true, .. }) => merged.extend(merge_source(node)?),
                Some(Key { at, text, .. }) => entries.push(Entry { at, key: text, value: node }),
            },
        }
        Ok(())
    }
}

fn malformed(at: Position, message: &str) -> Malformed {
    Malformed { at, message: message.to_owned() }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_text = tag.is_some_and(|tag| !tag.is_yaml_core_schema() || tag.suffix == "str");
    let plain = style == ScalarStyle::Plain && !is_text;
    if plain && matches!(text, "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text: text.to_owned(), plain }
}

fn as_key(node: Node) -> Result<Key, Malformed> {
    let at = node.at;
    match node.value {
        Value::Scalar { text, plain } => Ok(Key { at, merges: plain && text == "<<", text }),
        Value::Null => Ok(Key { at, text: "null".to_owned(), merges: false }),
        Value::List(_) | Value::Map(_) => Err(malformed(at, "a key must be a text")),
    }
}

fn merge_source(node: Node) -> Result<Vec<Entry>, Malformed> {
    match node.value {
        Value::Map(entries) => Ok(entries),
        Value::List(items) => {
            let mut all = Vec::new();
            for item in items {
                all.extend(merge_source(item)?);
            }
            Ok(all)
        }
        Value::Null | Value::Scalar { .. } => Err(malformed(node.at, "<< needs a map")),
    }
}

fn merge(mut entries: Vec<Entry>, merged: Vec<Entry>) -> Vec<Entry> {
    for entry in merged {
        if entries.iter().all(|own| own.key != entry.key) {
            entries.push(entry);
        }
    }
    entries
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Null | Value::Scalar { .. } => 0,
        Value::List(items) => items.iter().map(size).sum(),
        Value::Map(entries) => entries.iter().map(|entry| size(&entry.value)).sum(),
    }
}
