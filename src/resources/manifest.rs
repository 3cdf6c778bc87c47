//! A Component document as written: shape checked, values not looked up yet.

use std::collections::BTreeMap;

use crate::{
    go_text,
    resources::{
        document::{Document, refuse_shape},
        error::Place,
        fields::{Field, Fields, Findings, Letters, Quoting, Text, as_boolean},
        kinds::Kind,
        report::{FailedComponent, Level, Notice, Report},
        yaml::{Node, Value},
    },
};

/// What Kubernetes may put into `metadata`.
const OBJECT_FIELDS: [&str; 13] = [
    "name",
    "namespace",
    "labels",
    "annotations",
    "uid",
    "generation",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "ownerReferences",
    "finalizers",
    "generateName",
    "selfLink",
];

/// What a component is called and what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// `metadata.name`.
    pub name: String,
    /// `spec.type` as written.
    pub kind_type: String,
    /// `spec.version` as written.
    pub version: String,
}

impl Identity {
    /// Reads the identity and passes over everything else.
    pub fn of(document: &Document) -> Self {
        let mut findings = Findings::new(&document.file, Quoting::KindsOnly, Letters::AnyCase);
        let top = Field { path: String::new(), node: &document.root };
        let mut spec = top.fields(&mut findings).map("spec", &mut findings);
        let mut text =
            |name| spec.text(name, &mut findings).map(|text| text.text).unwrap_or_default();
        let (kind_type, version) = (text("type"), text("version"));
        Self { name: document.name.clone(), kind_type, version }
    }

    /// How log lines call it: `NAME (TYPE/VERSION)`.
    pub fn log_name(&self) -> String {
        let Self { name, kind_type, version } = self;
        if version.is_empty() {
            format!("{name} ({kind_type})")
        } else {
            format!("{name} ({kind_type}/{version})")
        }
    }
}

/// A Component document. It has no `Debug`: it may hold secrets.
pub struct Manifest {
    /// What it is.
    pub identity: Identity,
    /// Where its type stands.
    pub type_place: Place,
    /// `spec.ignoreErrors`: a failure of this component does not end the start.
    pub ignore_errors: bool,
    /// `spec.metadata`.
    pub entries: Vec<Entry>,
    /// `auth.secretStore`.
    pub secret_store: Option<Text>,
}

/// A setting of a component.
pub struct Entry {
    /// Its name as written.
    pub name: String,
    /// Where its value stands, or the entry.
    pub place: Place,
    /// Where its value comes from.
    pub source: Source,
}

/// Where a setting's value comes from.
pub enum Source {
    /// It was written down.
    Written(String),
    /// A secret store has it.
    Secret {
        /// The secret.
        secret: String,
        /// Which of its values.
        key: String,
    },
    /// A variable has it.
    Variable(String),
}

/// During which step of daprd's start a component fails; a part of its texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Nobody knows how to make it.
    Create,
    /// It does not accept its settings.
    Init,
}

impl Manifest {
    /// Reads everything; `None` if the document is refused or passed over.
    pub fn read(document: &Document, report: &mut Report) -> Option<Self> {
        let mut findings = Findings::new(&document.file, Quoting::KindsOnly, Letters::AnyCase);
        let top = Field { path: String::new(), node: &document.root };
        let mut fields = top.fields(&mut findings);
        for name in ["apiVersion", "kind", "scopes"] {
            fields.skip(name, &mut findings);
        }
        let mut metadata = fields.map("metadata", &mut findings);
        for name in OBJECT_FIELDS {
            metadata.skip(name, &mut findings);
        }
        metadata.finish(&mut findings);
        let mut auth = fields.map("auth", &mut findings);
        let secret_store = auth.text("secretStore", &mut findings);
        auth.finish(&mut findings);
        let mut spec = fields.map("spec", &mut findings);
        fields.finish(&mut findings);

        let at = spec.at;
        let type_place = spec
            .text("type", &mut findings)
            .map_or_else(|| findings.place(at, "spec.type"), |text| text.place);
        spec.skip("version", &mut findings);
        let ignore_errors = spec.boolean("ignoreErrors", &mut findings).unwrap_or(false);
        check_init_timeout(&mut spec, &mut findings, report);
        let entries = read_entries(&mut spec, &mut findings, report);
        spec.finish(&mut findings);

        let shape = std::mem::take(&mut findings.shape);
        // A strict start goes on reading, to tell everything at once.
        let readable =
            refuse_shape(&document.file, Kind::Component, shape, report) || report.is_strict();
        report.ignored(findings.ignored);
        let identity = Identity::of(document);
        readable.then_some(Self { identity, type_place, ignore_errors, entries, secret_store })
    }

    /// Ends the start because of this component, or, if its failures are to be ignored, says so.
    pub fn fail(&self, stage: Stage, cause: &str, place: Place, report: &mut Report) {
        let Identity { name, .. } = &self.identity;
        let log_name = self.identity.log_name();
        let wrapped = |stage: Stage, cause: &str| {
            let word = match stage {
                Stage::Create => "CREATE",
                Stage::Init => "INIT",
            };
            format!(
                "[{word}_COMPONENT_FAILURE]: initialization error occurred for {log_name}: {cause}"
            )
        };
        let inner = wrapped(stage, cause);
        // daprd wraps twice, and its users' tests match on that.
        let outer = format!("process component {name} error: {}", wrapped(Stage::Init, &inner));
        if self.ignore_errors {
            let text = format!("Failed to init component {log_name}: {inner}");
            let scope = "dapr.runtime.processor.loops.root";
            report.notices.push(Notice { level: Level::Error, scope, text });
            report.say(Level::Error, format!("Ignoring error processing component: {outer}"));
            let reason = match stage {
                Stage::Create => "creation",
                Stage::Init => "init",
            };
            let (name, kind_type) = (name.clone(), self.identity.kind_type.clone());
            report.failed_components.push(FailedComponent { name, kind_type, reason });
        } else if report.is_strict() {
            report.refuse(place, cause);
        } else {
            report.refuse(place, outer);
        }
    }
}

/// Checked, because it is meant for daprd too, and of no effect: no start waits for a store.
fn check_init_timeout(spec: &mut Fields<'_>, findings: &mut Findings<'_>, report: &mut Report) {
    let written = spec.text("initTimeout", findings).filter(|text| !text.text.is_empty());
    let Some(Text { text, place }) = written else { return };
    let problem = match go_text::parse_duration(&text) {
        Ok(duration) if duration.positive().is_some() => {
            let text = format!("{place}: has no effect: the start does not wait for stores");
            return report.say(Level::Debug, text);
        }
        Ok(_) => "must be more than zero".to_owned(),
        Err(error) => error.to_string(),
    };
    report.refuse_if_strict(place, format!("{problem}; valid is a time such as 5s"));
}

fn read_entries(
    spec: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    for item in spec.items("metadata", findings) {
        let Some(entry) = read_entry(&item, findings, report) else { continue };
        let earlier = entries.iter().position(|known| known.name.eq_ignore_ascii_case(&entry.name));
        if let Some(earlier) = earlier {
            let line = entries[earlier].place.at.line;
            let message = format!("{} is given twice; first in line {line}", entry.name);
            report.refuse_if_strict(entry.place.clone(), message);
            entries.remove(earlier);
        }
        entries.push(entry);
    }
    entries
}

fn read_entry(item: &Field<'_>, findings: &mut Findings<'_>, report: &mut Report) -> Option<Entry> {
    let mut fields = item.fields(findings);
    let name = fields.text("name", findings);
    let value = fields.get("value", findings);
    let variable = fields.text("envRef", findings).filter(|text| !text.text.is_empty());
    let secret = read_secret_reference(&mut fields, findings, report);
    let place = findings.place(
        value.as_ref().map_or(item.node.at, |value| value.node.at),
        value.as_ref().map_or(item.path.clone(), |value| value.path.clone()),
    );
    fields.finish(findings);

    let given = usize::from(value.is_some())
        + usize::from(variable.is_some())
        + usize::from(secret.is_some());
    if given > 1 {
        let message = "has more than one of value, secretKeyRef and envRef; valid is one";
        report.refuse_if_strict(findings.place(item.node.at, item.path.clone()), message);
    }
    let Some(name) = name.filter(|name| !name.text.is_empty()) else {
        let place = findings.place(item.node.at, format!("{}.name", item.path));
        report.refuse_if_strict(place, "is missing");
        return None;
    };
    let written = value.map(|value| value_text(value.node));
    // As in daprd: a secret replaces a value, a variable only stands in for one.
    let source = match (secret, written, variable) {
        (Some((secret, key)), _, _) => Source::Secret { secret, key },
        (None, Some(written), _) => Source::Written(written),
        (None, None, Some(variable)) => Source::Variable(variable.text),
        (None, None, None) => Source::Written(String::new()),
    };
    Some(Entry { name: name.text, place, source })
}

fn read_secret_reference(
    fields: &mut Fields<'_>,
    findings: &mut Findings<'_>,
    report: &mut Report,
) -> Option<(String, String)> {
    let field = fields.get("secretKeyRef", findings)?;
    let mut reference = field.fields(findings);
    let name = reference.text("name", findings).map(|text| text.text).unwrap_or_default();
    let key = reference.text("key", findings).map(|text| text.text).unwrap_or_default();
    reference.finish(findings);
    if name.is_empty() {
        let place = findings.place(field.node.at, format!("{}.name", field.path));
        report.refuse_if_strict(place, "is missing");
        return None;
    }
    let key = if key.is_empty() { name.clone() } else { key };
    Some((name, key))
}

/// A value as a component gets it: scalars as written, lists and maps as JSON.
fn value_text(node: &Node) -> String {
    match &node.value {
        Value::Null => String::new(),
        Value::Scalar { text, .. } => text.clone(),
        Value::List(_) | Value::Map(_) => as_json(node).to_string(),
    }
}

fn as_json(node: &Node) -> serde_json::Value {
    match &node.value {
        Value::Null => serde_json::Value::Null,
        Value::Scalar { text, plain: false } => text.clone().into(),
        Value::Scalar { text, plain: true } => match as_boolean(text) {
            Some(boolean) => boolean.into(),
            None => text
                .parse::<serde_json::Number>()
                .map_or_else(|_| text.clone().into(), serde_json::Value::Number),
        },
        Value::List(items) => items.iter().map(as_json).collect(),
        Value::Map(entries) => {
            let sorted: BTreeMap<&String, &Node> =
                entries.iter().map(|entry| (&entry.key, &entry.value)).collect();
            sorted.into_iter().map(|(key, node)| (key.clone(), as_json(node))).collect()
        }
    }
}
