//! Resiliency resources: policies, what they apply to, and what of that cannot be meant.

use crate::{
    nearest::listed,
    resiliency::catalog::Definitions,
    resources::{
        document::{Document, refuse_shape},
        error::Place,
        fields::{Field, Findings, Letters, Quoting},
        kinds::Kind,
        report::{Level, Report},
        resiliency::{ledger::Ledger, policies::Policies, targets::Targets},
    },
};

mod ledger;
mod matching;
mod names;
mod policies;
mod targets;

pub use crate::resources::resiliency::names::Reach;

/// What the Resiliency resources of this app say together.
pub struct Resiliency {
    /// The resources' names in the order they were loaded.
    pub names: Vec<String>,
    /// The namespace of each; empty for none.
    pub namespaces: Vec<String>,
    /// Policies and targets, later resources over earlier ones.
    pub definitions: Definitions,
    /// What each resource reaches.
    pub reaches: Vec<Reach>,
}

/// Reads the resources whose scopes include the app.
pub fn load(documents: &[Document], app_id: &str, report: &mut Report) -> Resiliency {
    let mut own = Vec::new();
    for document in documents.iter().filter(|document| document.kind == Kind::Resiliency) {
        if document.is_for(app_id) {
            own.push(document);
            continue;
        }
        report.warn(format!(
            "Resiliency {:?} in {} is not loaded: its scopes are {}, and the app id is {app_id}",
            document.name,
            document.file.display(),
            listed(document.scopes.iter().map(String::as_str)),
        ));
    }
    report.say(
        Level::Debug,
        format!("Found {} resiliency configurations in resources path", own.len()),
    );

    let mut definitions = policies::built_in();
    let mut ledger = Ledger::default();
    let mut targets = Vec::new();
    let (mut names, mut namespaces) = (Vec::new(), Vec::new());
    for document in own {
        let Some(Read { policies, wanted, shape }) = read(document, report) else { continue };
        report.say(Level::Info, format!("Loading Resiliency configuration: {}", document.name));
        names.push(document.name.clone());
        namespaces.push(document.namespace.clone().unwrap_or_default());
        let mut decoding = Decoding::new(&document.name);
        policies.decode(&mut decoding, &mut definitions, &mut ledger, report);
        wanted.decode(&mut decoding, report);
        // Where a policy could not be read, its name would only seem to be missing.
        if !decoding.is_over && shape == Shape::Right {
            targets.push((document.name.clone(), wanted));
        }
    }
    let mut reaches = Vec::new();
    for (resource, wanted) in targets {
        reaches.push(names::resolve(&resource, wanted, &mut definitions, &mut ledger, report));
    }
    Resiliency { names, namespaces, definitions, reaches }
}

/// A resource as written.
struct Read {
    policies: Policies,
    wanted: Targets,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Right,
    Wrong,
}

/// Reads the document's shape; what it means comes later, because daprd gives a resource of a
/// wrong shape up as a whole.
fn read(document: &Document, report: &mut Report) -> Option<Read> {
    let mut findings = Findings::new(&document.file, Quoting::Values, Letters::AnyCase);
    let top = Field { path: String::new(), node: &document.root };
    let mut fields = top.fields(&mut findings);
    for name in ["apiVersion", "kind", "metadata", "scopes"] {
        fields.skip(name, &mut findings);
    }
    let mut spec = fields.map("spec", &mut findings);
    fields.finish(&mut findings);
    let policies = Policies::read(&mut spec, &mut findings);
    let wanted = Targets::read(&mut spec, &mut findings);
    spec.finish(&mut findings);

    let shape = std::mem::take(&mut findings.shape);
    let is_right = refuse_shape(&document.file, Kind::Resiliency, shape, report);
    report.ignored(findings.ignored);
    let shape = if is_right { Shape::Right } else { Shape::Wrong };
    // A strict start goes on reading, to tell everything at once.
    (is_right || report.is_strict()).then_some(Read { policies, wanted, shape })
}

/// How far the decoding of one resource got. daprd stops at the first bad policy and keeps what
/// came before it.
struct Decoding<'a> {
    resource: &'a str,
    is_over: bool,
}

impl<'a> Decoding<'a> {
    fn new(resource: &'a str) -> Self {
        Self { resource, is_over: false }
    }

    /// A policy that cannot be: strict, one of possibly many; lenient, the end of the resource.
    /// `daprd` is how daprd words it.
    fn flaw(&mut self, place: Place, message: String, daprd: String, report: &mut Report) {
        if report.is_strict() {
            report.refuse(place, message);
            return;
        }
        self.is_over = true;
        let resource = self.resource;
        let text = format!("Could not read resiliency policy {resource}: {daprd}");
        report.say(Level::Error, text);
    }
}
