//! Prometheus' text format 0.0.4, read strictly.

use std::collections::{BTreeMap, BTreeSet};

/// What a scrape said.
#[derive(Debug, Default)]
pub struct Exposition {
    /// Each family's type, by its name.
    pub types: BTreeMap<String, String>,
    /// Each sample's value, by its name and labels as they were written.
    pub samples: BTreeMap<String, f64>,
    /// The label names of each family's series, `le` left out.
    pub labels: BTreeMap<String, BTreeSet<Vec<String>>>,
}

impl Exposition {
    /// Reads a text; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut read = Self::default();
        let mut family: Option<(String, String)> = None;
        let mut helped: Option<String> = None;
        if !text.ends_with('\n') {
            return Err("the last line does not end".to_owned());
        }
        for line in text.lines() {
            let wrong = |what: &str| format!("{what}: {line}");
            if let Some(rest) = line.strip_prefix("# HELP ") {
                let (name, help) = rest.split_once(' ').ok_or_else(|| wrong("no help"))?;
                if help.is_empty() || !is_name(name) {
                    return Err(wrong("a bad HELP"));
                }
                helped = Some(name.to_owned());
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').ok_or_else(|| wrong("no type"))?;
                if helped.take().as_deref() != Some(name) {
                    return Err(wrong("a TYPE without its HELP before it"));
                }
                if !matches!(kind, "counter" | "gauge" | "histogram") {
                    return Err(wrong("an unknown type"));
                }
                if read.types.insert(name.to_owned(), kind.to_owned()).is_some() {
                    return Err(wrong("a family stands twice"));
                }
                family = Some((name.to_owned(), kind.to_owned()));
            } else {
                let (name, kind) = family.as_ref().ok_or_else(|| wrong("no family"))?;
                read.add(name, kind, line).map_err(|what| wrong(&what))?;
            }
        }
        read.check_histograms()?;
        Ok(read)
    }

    fn add(&mut self, family: &str, kind: &str, line: &str) -> Result<(), String> {
        let (series, value) = line.rsplit_once(' ').ok_or("no value")?;
        let value: f64 = value.parse().map_err(|_| "no number")?;
        if kind != "gauge" && value < 0.0 {
            return Err("a negative count".to_owned());
        }
        let (name, mut labels) = match series.split_once('{') {
            None => (series, Vec::new()),
            Some((name, rest)) => {
                (name, labels(rest.strip_suffix('}').ok_or("no closing bracket")?)?)
            }
        };
        let ending = name.strip_prefix(family).ok_or("another family's sample")?;
        let endings: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        if !endings.contains(&ending) {
            return Err("a name that is not the family's".to_owned());
        }
        if ending == "_bucket" && labels.pop().as_deref() != Some("le") {
            return Err("a bucket without a bound".to_owned());
        }
        if !labels.is_sorted() {
            return Err("labels out of order".to_owned());
        }
        self.labels.entry(family.to_owned()).or_default().insert(labels);
        if self.samples.insert(series.to_owned(), value).is_some() {
            return Err("a series stands twice".to_owned());
        }
        Ok(())
    }

    /// Buckets rise, and the last one holds all.
    fn check_histograms(&self) -> Result<(), String> {
        let mut by_series: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
        for (series, count) in &self.samples {
            let Some((before, bound)) = series.rsplit_once("le=\"") else { continue };
            let bound = bound.trim_end_matches("\"}").replace("+Inf", "inf");
            let bound: f64 = bound.parse().map_err(|_| format!("no bound: {series}"))?;
            by_series.entry(before.to_owned()).or_default().push((bound, *count));
        }
        for (before, mut buckets) in by_series {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            if !buckets.is_sorted_by(|one, other| one.1 <= other.1) {
                return Err(format!("{before}: counts fall"));
            }
            let (bound, all) = buckets.pop().expect("there is one");
            let series = before.replacen("_bucket{", "_count{", 1);
            let series = match series.trim_end_matches(',') {
                plain if plain.ends_with('{') => plain.trim_end_matches('{').to_owned(),
                labelled => format!("{labelled}}}"),
            };
            if bound.is_finite() || self.samples.get(&series) != Some(&all) {
                return Err(format!("{series}: not the count of the last bucket, {all}"));
            }
        }
        Ok(())
    }

    /// A series' value; 0 if it is not there.
    pub fn value(&self, series: &str) -> f64 {
        self.samples.get(series).copied().unwrap_or(0.0)
    }

    /// The samples whose names and labels contain the text, in their order.
    pub fn with(&self, text: &str) -> Vec<String> {
        let found = self.samples.iter().filter(|(series, _)| series.contains(text));
        found.map(|(series, value)| format!("{series} {value}")).collect()
    }
}

fn is_name(text: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    text.starts_with(|c: char| !c.is_ascii_digit()) && text.chars().all(rest)
}

/// The names of `a="b",c="d"`.
fn labels(text: &str) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = rest.split_once("=\"").ok_or("a label without value")?;
        if !is_name(name) || name.contains(':') {
            return Err(format!("a bad label {name}"));
        }
        names.push(name.to_owned());
        let mut letters = after.char_indices();
        let end = loop {
            match letters.next() {
                Some((_, '\\')) => match letters.next() {
                    Some((_, '\\' | '"' | 'n')) => {}
                    _ => return Err("a bad escape".to_owned()),
                },
                Some((at, '"')) => break at,
                Some(_) => {}
                None => return Err("a value that does not end".to_owned()),
            }
        };
        rest = &after[end + 1..];
        rest = match rest.strip_prefix(',') {
            Some(more) if !more.is_empty() => more,
            None if rest.is_empty() => rest,
            _ => return Err("a stray comma or letter".to_owned()),
        };
    }
    Ok(names)
}

#[test]
fn what_is_not_the_format_is_reported() {
    let head = "# HELP a_b text\n# TYPE a_b counter\n";
    assert!(Exposition::parse(&format!("{head}a_b{{x=\"1\",y=\"\\\"\"}} 2\n")).is_ok());
    let histogram = "# HELP h text\n# TYPE h histogram\n";
    for (text, problem) in [
        ("a_b 1\n".to_owned(), "no family"),
        ("# TYPE a_b counter\na_b 1\n".to_owned(), "without its HELP"),
        (format!("{head}a_b 1"), "does not end"),
        (format!("{head}a_c 1\n"), "another family"),
        (format!("{head}a_b_total 1\n"), "not the family's"),
        (format!("{head}a_b -1\n"), "negative"),
        (format!("{head}a_b x\n"), "no number"),
        (format!("{head}a_b{{y=\"1\",x=\"2\"}} 1\n"), "out of order"),
        (format!("{head}a_b{{x=\"1\",}} 1\n"), "stray comma"),
        (format!("{head}a_b{{x=\"\\z\"}} 1\n"), "bad escape"),
        (format!("{head}a_b 1\na_b 2\n"), "stands twice"),
        (format!("{head}a_b 1\n{head}"), "stands twice"),
        (format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_sum 2\nh_count 2\n"), "last bucket"),
        (
            format!("{histogram}h_bucket{{le=\"1\"}} 2\nh_bucket{{le=\"+Inf\"}} 1\nh_count 1\n"),
            "counts fall",
        ),
        (
            format!("{histogram}h_bucket{{le=\"1\"}} 1\nh_bucket{{le=\"+Inf\"}} 2\nh_count 1\n"),
            "not the count",
        ),
    ] {
        let found = Exposition::parse(&text).expect_err(&text);
        assert!(found.contains(problem), "{found} lacks {problem}:\n{text}");
    }
}
