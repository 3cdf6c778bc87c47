//! A tree as YAML, in whatever style its bytes choose.

/// A field that no resource has.
pub const MISTAKEN_FIELD: &str = "polices";

/// What is to be written.
pub enum Yaml {
    /// A text, in any quotes.
    Text(String),
    /// A number, which quotes would make a text.
    Bare(String),
    /// A text in whose line the reader is to find a mistake.
    Mistake(String),
    /// A list.
    List(Vec<Yaml>),
    /// A map, in this order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    /// A scalar's text.
    pub fn text(&self) -> String {
        match self {
            Self::Text(text) | Self::Bare(text) | Self::Mistake(text) => text.clone(),
            Self::List(_) | Self::Map(_) => String::new(),
        }
    }
}

pub fn text(text: &str) -> Yaml {
    Yaml::Text(text.to_owned())
}

pub fn bare(number: usize) -> Yaml {
    Yaml::Bare(number.to_string())
}

pub fn map<'a>(members: impl IntoIterator<Item = (&'a str, Yaml)>) -> Yaml {
    let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
    Yaml::Map(members.collect())
}

/// Bytes that decide; where they end, everything is the first of its kind.
pub struct Choices<'a>(pub &'a [u8]);

impl Choices<'_> {
    /// A number below this one, and below 256.
    pub fn below(&mut self, limit: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(*first) % limit
    }

    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A number, which may be a text as well.
    pub fn number(&mut self, limit: usize) -> Yaml {
        let number = self.below(limit.min(256));
        if self.below(2) == 1 { text(&number.to_string()) } else { bare(number) }
    }

    /// A text of all that has a meaning in YAML.
    pub fn any_text(&mut self) -> String {
        const LETTERS: &[char] = &[
            'a', 'Z', '0', ' ', '\'', '"', '\\', ':', '#', '-', '\n', '\t', 'é', '漢', '%', '&',
            '*', '!', '|', '>', '@', '`', '[', ']', ',', '?', '~', '=', '.', '}', '\u{7f}',
            '\u{85}',
        ];
        let length = self.below(8);
        (0..length).map(|_| self.one_of(LETTERS)).collect()
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A file, and the line of the mistake in it.
pub struct Written {
    pub text: String,
    pub mistake_at: Option<usize>,
}

/// Writes documents into one file.
pub fn write(documents: &[Yaml], choices: &mut Choices<'_>) -> Written {
    let mut writer =
        Writer { out: String::new(), choices, anchored: Vec::new(), anchors: 0, mistake_at: None };
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            writer.out.push_str("---\n");
            // An anchor is one of its document.
            writer.anchored.clear();
        }
        writer.between(0);
        writer.block(document, 0, false);
    }
    let Writer { out, mistake_at, .. } = writer;
    let crlf = choices.below(8) == 1;
    Written { text: if crlf { out.replace('\n', "\r\n") } else { out }, mistake_at }
}

struct Writer<'w, 'c> {
    out: String,
    choices: &'w mut Choices<'c>,
    /// Texts with their anchors.
    anchored: Vec<(String, usize)>,
    anchors: usize,
    mistake_at: Option<usize>,
}

impl Writer<'_, '_> {
    fn indent(&mut self, by: usize) {
        self.out.extend(std::iter::repeat_n(' ', by));
    }

    /// What may stand between two lines.
    fn between(&mut self, indent: usize) {
        match self.choices.below(8) {
            1 => self.out.push('\n'),
            2 => {
                self.indent(indent);
                self.out.push_str("# kind: Nothing, \"[{\n");
            }
            _ => {}
        }
    }

    fn end_line(&mut self) {
        let end = self.choices.one_of(&["\n", "\n", "\n", " # 'comment': [\n", "  \n"]);
        self.out.push_str(end);
    }

    /// A map or a list, an entry a line; the first line may have begun already.
    fn block(&mut self, node: &Yaml, indent: usize, mut begun: bool) {
        match node {
            Yaml::Map(members) => {
                for (name, value) in members {
                    if !std::mem::take(&mut begun) {
                        self.between(indent);
                        self.indent(indent);
                    }
                    self.name(name);
                    self.out.push(':');
                    self.value(value, indent);
                }
            }
            Yaml::List(items) => {
                for item in items {
                    self.between(indent);
                    self.indent(indent);
                    self.out.push('-');
                    if matches!(item, Yaml::Map(_)) && self.choices.below(4) > 0 {
                        self.out.push(' ');
                        self.block(item, indent + 2, true);
                    } else {
                        self.value(item, indent);
                    }
                }
            }
            scalar => self.value(scalar, indent),
        }
    }

    /// What follows a colon or a dash, and the end of the line.
    fn value(&mut self, node: &Yaml, indent: usize) {
        let deeper = match node {
            // Dashes may stand right below their map's name.
            Yaml::List(_) => indent + self.choices.below(3),
            _ => indent + 1 + self.choices.below(4),
        };
        match node {
            Yaml::Map(_) | Yaml::List(_) if self.choices.below(4) > 0 => {
                self.end_line();
                self.block(node, deeper, false);
            }
            Yaml::Map(_) | Yaml::List(_) => {
                self.out.push(' ');
                self.flow(node, indent + 1);
                self.end_line();
            }
            scalar => {
                self.out.push(' ');
                if !self.block_scalar(scalar, indent + 1) {
                    self.scalar(scalar);
                    self.end_line();
                }
            }
        }
    }

    fn flow(&mut self, node: &Yaml, indent: usize) {
        match node {
            Yaml::Map(members) => {
                self.out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    self.separate(index, indent);
                    self.name(name);
                    self.out.push_str(": ");
                    self.flow(value, indent);
                }
                self.out.push('}');
            }
            Yaml::List(items) => {
                self.out.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.separate(index, indent);
                    self.flow(item, indent);
                }
                self.out.push(']');
            }
            scalar => {
                self.scalar(scalar);
            }
        }
    }

    fn separate(&mut self, index: usize, indent: usize) {
        if index > 0 {
            self.out.push_str(self.choices.one_of(&[",", ", ", " , "]));
        }
        if self.choices.below(4) == 1 {
            self.end_line();
            self.indent(indent);
        } else if index > 0 {
            self.out.push(' ');
        }
    }

    fn name(&mut self, name: &str) {
        if name == MISTAKEN_FIELD {
            self.mark();
        }
        self.quoted(name);
    }

    fn mark(&mut self) {
        self.mistake_at = Some(1 + self.out.matches('\n').count());
    }

    /// A text in a line of its own or several, if it can be written so.
    fn block_scalar(&mut self, node: &Yaml, indent: usize) -> bool {
        let (Yaml::Text(text) | Yaml::Mistake(text)) = node else { return false };
        let is_plain_line = |line: &str| {
            line.starts_with(|c: char| !c.is_whitespace()) && line.chars().all(is_printable)
        };
        if !text.split('\n').all(is_plain_line) || self.choices.below(4) != 1 {
            return false;
        }
        let folded = !text.contains('\n') && self.choices.below(2) == 1;
        self.out.push_str(if folded { ">-" } else { "|-" });
        self.end_line();
        // The reader tells where the text stands, not what announces it.
        if matches!(node, Yaml::Mistake(_)) {
            self.mark();
        }
        let indent = indent + self.choices.below(3);
        for line in text.split('\n') {
            self.indent(indent);
            self.out.push_str(line);
            self.out.push('\n');
        }
        true
    }

    fn scalar(&mut self, node: &Yaml) {
        match node {
            Yaml::Bare(text) => self.out.push_str(text),
            Yaml::Mistake(text) => {
                self.mark();
                self.quoted(text);
            }
            Yaml::Text(text) => {
                let known = self.anchored.iter().find(|(anchored, _)| anchored == text);
                match known.map(|(_, anchor)| *anchor) {
                    Some(anchor) if self.choices.below(2) == 1 => {
                        self.out.push_str(&format!("*a{anchor} "));
                        return;
                    }
                    None if self.choices.below(4) == 1 => {
                        self.anchors += 1;
                        self.out.push_str(&format!("&a{} ", self.anchors));
                        self.anchored.push((text.clone(), self.anchors));
                    }
                    _ => {}
                }
                self.quoted(text);
            }
            Yaml::List(_) | Yaml::Map(_) => {}
        }
    }

    /// A text with quotes or, where it needs none, without.
    fn quoted(&mut self, text: &str) {
        let style = self.choices.below(3);
        if style == 0 && is_plain(text) {
            self.out.push_str(text);
        } else if style == 1 && text.chars().all(is_printable) {
            self.out.push_str(&format!("'{}'", text.replace('\'', "''")));
        } else {
            self.out.push('"');
            for letter in text.chars() {
                match letter {
                    '"' | '\\' => self.out.extend(['\\', letter]),
                    '\n' => self.out.push_str("\\n"),
                    letter if is_printable(letter) => self.out.push(letter),
                    letter => self.out.push_str(&format!("\\u{:04x}", u32::from(letter))),
                }
            }
            self.out.push('"');
        }
    }
}

fn is_printable(letter: char) -> bool {
    !letter.is_control() && letter != '\u{85}'
}

/// Whether a text says the same without quotes, also between brackets.
fn is_plain(text: &str) -> bool {
    let is_word = |letter: char| letter.is_alphanumeric();
    text.starts_with(char::is_alphabetic)
        && text.ends_with(is_word)
        && text.chars().all(|letter| is_word(letter) || "./:> &".contains(letter))
        && ![": ", " &", "  "].iter().any(|other| text.contains(other))
}
