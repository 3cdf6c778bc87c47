//! A scrape's text: Prometheus' format 0.0.4, families by name, labels and series in alphabetical
//! order, as daprd writes them.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::Write as _,
};

use super::{families::Family, instrument::Snapshot};

/// The content type of the text.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";

/// What a family's numbers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Values by size.
    Histogram,
}

impl Kind {
    /// The format's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A series' labels: by name.
pub type Labels = BTreeMap<&'static str, String>;

/// What a series has.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(f64),
    Histogram(Snapshot),
}

/// What was found at one scrape.
#[derive(Debug, Default)]
pub struct Scrape {
    /// By name; a family without series is not here.
    families: BTreeMap<&'static str, (&'static Family, BTreeMap<Labels, Value>)>,
}

/// What becomes of one label's values.
#[derive(Clone, Debug)]
pub struct Rule {
    /// The family's name.
    pub metric: String,
    /// The label's name.
    pub label: String,
    /// What a value is replaced by, with the pattern it has to match.
    pub replacements: Vec<(String, regex::Regex)>,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, other): (&(String, regex::Regex), &(String, regex::Regex))| {
            one.0 == other.0 && one.1.as_str() == other.1.as_str()
        };
        self.metric == other.metric
            && self.label == other.label
            && self.replacements.len() == other.replacements.len()
            && self.replacements.iter().zip(&other.replacements).all(same)
    }
}

impl Scrape {
    /// A counter's number. As in daprd there is no series before something was counted.
    pub fn counter<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, &str); N],
        count: u64,
    ) {
        if count > 0 {
            self.add(family, labels, Value::Number(count as f64));
        }
    }

    /// A number that is there from the start on.
    pub fn number<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, &str); N],
        number: f64,
    ) {
        self.add(family, labels, Value::Number(number));
    }

    /// A histogram, unless nothing was recorded.
    pub fn histogram<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, &str); N],
        snapshot: Snapshot,
    ) {
        if snapshot.count > 0 {
            self.add(family, labels, Value::Histogram(snapshot));
        }
    }

    /// Rewrites label values; series that then are the same become one.
    pub fn rewrite(&mut self, rules: &[Rule]) {
        for rule in rules {
            let Some((_, series)) = self.families.get_mut(rule.metric.as_str()) else { continue };
            for (mut labels, value) in std::mem::take(series) {
                if let Some(text) = labels.get_mut(rule.label.as_str()) {
                    for (replacement, pattern) in &rule.replacements {
                        *text = pattern.replace_all(text, replacement).into_owned();
                    }
                }
                insert(series, labels, value);
            }
        }
    }

    /// The whole text.
    pub fn into_text(self) -> String {
        let mut text = String::new();
        for (family, series) in self.families.into_values() {
            let Family { name, kind, help, .. } = family;
            let _ = writeln!(text, "# HELP {name} {help}");
            let _ = writeln!(text, "# TYPE {name} {}", kind.as_str());
            for (labels, value) in &series {
                match value {
                    Value::Number(number) => {
                        write_number(&mut text, name, "", labels, None, *number)
                    }
                    Value::Histogram(snapshot) => {
                        write_histogram(&mut text, name, labels, snapshot);
                    }
                }
            }
        }
        text
    }

    fn add<const N: usize>(
        &mut self,
        family: &'static Family,
        labels: [(&'static str, &str); N],
        value: Value,
    ) {
        let labels = labels.into_iter().map(|(name, text)| (name, text.to_owned())).collect();
        let (_, series) =
            self.families.entry(family.name).or_insert_with(|| (family, BTreeMap::new()));
        insert(series, labels, value);
    }
}

/// Adds a series, or its value to that of the same one.
fn insert(series: &mut BTreeMap<Labels, Value>, labels: Labels, value: Value) {
    let present = match series.entry(labels) {
        Entry::Vacant(entry) => {
            entry.insert(value);
            return;
        }
        Entry::Occupied(entry) => entry.into_mut(),
    };
    match (present, value) {
        (Value::Number(present), Value::Number(more)) => *present += more,
        (Value::Histogram(present), Value::Histogram(more)) => {
            for ((_, count), (_, further)) in present.cumulative.iter_mut().zip(more.cumulative) {
                *count += further;
            }
            present.count += more.count;
            present.sum += more.sum;
        }
        // A family has one kind.
        (Value::Number(_), Value::Histogram(_)) | (Value::Histogram(_), Value::Number(_)) => {}
    }
}

fn write_histogram(text: &mut String, name: &str, labels: &Labels, snapshot: &Snapshot) {
    for (bound, count) in &snapshot.cumulative {
        let bound = bound.to_string();
        write_number(text, name, "_bucket", labels, Some(&bound), *count as f64);
    }
    write_number(text, name, "_bucket", labels, Some("+Inf"), snapshot.count as f64);
    write_number(text, name, "_sum", labels, None, snapshot.sum);
    write_number(text, name, "_count", labels, None, snapshot.count as f64);
}

fn write_number(
    text: &mut String,
    name: &str,
    ending: &str,
    labels: &Labels,
    bound: Option<&str>,
    number: f64,
) {
    text.push_str(name);
    text.push_str(ending);
    // The bound comes last, as everywhere.
    let labels = labels.iter().map(|(name, text)| (*name, text.as_str()));
    let mut open = '{';
    for (name, value) in labels.chain(bound.map(|bound| ("le", bound))) {
        text.push(open);
        open = ',';
        text.push_str(name);
        text.push_str("=\"");
        write_escaped(text, value);
        text.push('"');
    }
    if open == ',' {
        text.push('}');
    }
    let _ = writeln!(text, " {number}");
}

fn write_escaped(text: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests;
