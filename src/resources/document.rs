//! From folders to documents: which files are read, what kind each document is, whose it is.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::resources::{
    error::{Place, Problem},
    fields::{Field, Findings, Letters, Quoting, Text},
    kinds::{self, API_VERSION, Kind},
    report::{Level, Report},
    yaml::{self, Node, Position},
};

/// A document of a kind that is served.
pub struct Document {
    /// Its file.
    pub file: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Where its name stands, or where the document begins.
    pub at: Position,
    /// `metadata.name`; empty if there is none.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: Option<String>,
    /// The apps it is for; none means all.
    pub scopes: Vec<String>,
    /// Everything in it.
    pub root: Node,
}

impl Document {
    /// Whether it is for this app.
    pub fn is_for(&self, app_id: &str) -> bool {
        self.scopes.is_empty() || self.scopes.iter().any(|scope| scope == app_id)
    }
}

/// Reads the folders in their order, each folder's files in the order of their names.
/// `configs` are the files that are read as Configurations, wherever they lie.
pub fn read_folders(
    folders: &[PathBuf],
    configs: &[PathBuf],
    report: &mut Report,
) -> Vec<Document> {
    let configs: Vec<PathBuf> =
        configs.iter().filter_map(|path| fs::canonicalize(path).ok()).collect();
    let mut documents = Vec::new();
    for folder in folders {
        match yaml_files(folder, report) {
            Ok(files) => {
                for path in files {
                    let is_config = fs::canonicalize(&path).is_ok_and(|it| configs.contains(&it));
                    let file = SourceFile { path: &path, is_config };
                    read_file(file, report, &mut documents);
                }
            }
            // As daprd's loader without hot reload, Go's word for the system's error included.
            Err(error) => report.refuse_start(format!(
                "failed to load components: open {}: {}",
                folder.display(),
                reason(&error)
            )),
        }
    }
    documents
}

/// The system's word for an error, as Go prints it.
pub fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::NotADirectory => "not a directory".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::InvalidData => "not UTF-8 text".to_owned(),
        _ => error.to_string(),
    }
}

fn yaml_files(folder: &Path, report: &mut Report) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // Follows links: in Kubernetes every file of a mounted folder is one.
        if !path.is_dir() {
            files.push(path);
        }
    }
    files.sort();
    files.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let lower = name.to_lowercase();
        let is_yaml = lower.ends_with(".yaml") || lower.ends_with(".yml");
        if !is_yaml {
            report.warn(format!(
                "A non-YAML Component file {name} was detected, it will not be loaded"
            ));
        }
        is_yaml
    });
    Ok(files)
}

/// A file of a resources folder.
#[derive(Clone, Copy)]
struct SourceFile<'a> {
    path: &'a Path,
    /// Whether it is a Configuration file of this sidecar, too.
    is_config: bool,
}

fn read_file(source: SourceFile<'_>, report: &mut Report, documents: &mut Vec<Document>) {
    let file = source.path;
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            let place = Place::new(file, TOP, "");
            let message = format!("cannot be read: {}", reason(&error));
            if report.is_strict() {
                report.refuse(place, message);
            } else {
                let text = format!("Could not read resiliency file {name}: {}", reason(&error));
                report.say(Level::Error, text);
            }
            return;
        }
    };
    let mut seen = 0;
    for (first_line, part) in yaml::split_documents(&text) {
        match yaml::parse(part, first_line) {
            Ok(None) => continue,
            Ok(Some(root)) => {
                documents.extend(read_header(source, root, Turn::new(seen), report));
            }
            Err(yaml::Malformed { at, message }) => refuse_text(file, at, &message, report),
        }
        seen += 1;
    }
}

const TOP: Position = Position { line: 1, column: 1 };

/// Whether a document is the first of its file: the only one daprd's resiliency loader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    First,
    Later,
}

impl Turn {
    fn new(seen: usize) -> Self {
        if seen == 0 { Self::First } else { Self::Later }
    }
}

/// Says that a text is no YAML; lenient, with the lines of the two loaders of daprd that we have.
fn refuse_text(file: &Path, at: Position, message: &str, report: &mut Report) {
    if report.is_strict() {
        let place = Place::new(file, at, "");
        report.refuse(place, format!("not YAML: {message}"));
        return;
    }
    let error = format!("error converting YAML to JSON: yaml: line {}: {message}", at.line);
    report.warn(format!(
        "daprd load Component error when parsing manifests yaml resource in {}: {error}",
        file.display()
    ));
    report.say(Level::Error, format!("Could not determine resource type: {error}"));
}

fn read_header(
    source: SourceFile<'_>,
    root: Node,
    turn: Turn,
    report: &mut Report,
) -> Option<Document> {
    let file = source.path;
    let mut findings = Findings::new(file, Quoting::KindsOnly, Letters::AnyCase);
    let top = Field { path: String::new(), node: &root };
    let mut fields = top.fields(&mut findings);
    let at = root.at;
    let api_version = fields.text("apiVersion", &mut findings);
    let kind = fields.text("kind", &mut findings);
    let mut metadata = fields.map("metadata", &mut findings);
    let name = metadata.text("name", &mut findings);
    let namespace = metadata.text("namespace", &mut findings);
    let scopes = fields.texts("scopes", &mut findings);
    let shape = std::mem::take(&mut findings.shape);

    let Some(kind) = kind else {
        let place = Place::new(file, at, "kind");
        let missing = "is missing; served are Component and Resiliency".to_owned();
        let missing = Problem { place: Some(place), message: missing };
        // Of another shape it is not missing.
        let problems = if shape.is_empty() { vec![missing] } else { shape };
        report.ignored(problems);
        return None;
    };
    let kind = Sorting { source, at, turn }.kind(api_version.as_ref(), &kind, report)?;
    // A strict start goes on reading, to tell everything at once.
    if !refuse_shape(file, kind, shape, report) && !report.is_strict() {
        return None;
    }
    let at = name.as_ref().map_or(at, |name| name.place.at);
    let document = Document {
        file: file.to_owned(),
        kind,
        at,
        name: name.map(|name| name.text).unwrap_or_default(),
        namespace: namespace.map(|namespace| namespace.text),
        scopes: scopes.into_iter().map(|scope| scope.text).collect(),
        root,
    };
    has_legal_name(&document, report).then_some(document)
}

/// Says what daprd's decoder would stumble over. Whether there was nothing of it.
pub fn refuse_shape(file: &Path, kind: Kind, shape: Vec<Problem>, report: &mut Report) -> bool {
    let Some(first) = shape.first() else { return true };
    if report.is_strict() {
        report.problems.extend(shape);
        return false;
    }
    let path = file.display();
    match kind {
        Kind::Component => report.warn(format!(
            "daprd load Component error when parsing manifests yaml resource in {path}: {first}"
        )),
        Kind::Resiliency => {
            let name = file.file_name().unwrap_or_default().to_string_lossy();
            report.say(Level::Error, format!("Could not parse resiliency file {name}: {first}"));
        }
    }
    false
}

/// A name becomes a segment of a path in the API.
fn has_legal_name(document: &Document, report: &mut Report) -> bool {
    let Document { file, kind, at, name, .. } = document;
    let flaw = match name.as_str() {
        // A Resiliency's name is only shown.
        name if *kind == Kind::Resiliency && !(name.is_empty() && report.is_strict()) => {
            return true;
        }
        // Nobody can call a store without a name, but daprd loads it.
        "" if report.is_strict() => "is missing".to_owned(),
        "." | ".." => format!("invalid name {name:?} for {kind:?}: it may not be '.' or '..'"),
        _ => match name.chars().find(|c| matches!(c, '/' | '%')) {
            Some(c) => format!("invalid name {name:?} for {kind:?}: it may not contain '{c}'"),
            None => return true,
        },
    };
    let place = Place::new(file, *at, "metadata.name");
    if report.is_strict() {
        report.refuse(place, flaw);
    } else {
        report.warn(format!(
            "daprd load {kind:?} error when parsing manifests yaml resource in {}: {flaw}",
            file.display()
        ));
    }
    false
}

/// A document on its way to its kind.
struct Sorting<'a> {
    source: SourceFile<'a>,
    at: Position,
    turn: Turn,
}

impl Sorting<'_> {
    /// The kind, if it is one we serve. As in daprd both words must match letter for letter.
    fn kind(&self, api_version: Option<&Text>, kind: &Text, report: &mut Report) -> Option<Kind> {
        let version = api_version.map_or("", |text| text.text.as_str());
        match kinds::served(&kind.text) {
            Some(served) => self.served(served, version, api_version, report).then_some(served),
            None => {
                self.refuse(kind, version, report);
                None
            }
        }
    }

    fn served(
        &self,
        kind: Kind,
        version: &str,
        api_version: Option<&Text>,
        report: &mut Report,
    ) -> bool {
        let place = match api_version {
            Some(text) => text.place.clone(),
            None => Place::new(self.source.path, self.at, "apiVersion"),
        };
        if kind == Kind::Resiliency && !report.is_strict() {
            if self.turn == Turn::Later {
                report.warn_at(
                    &Place::new(self.source.path, self.at, ""),
                    "this Resiliency is not loaded, because it is not the file's first document",
                );
            }
            return self.turn == Turn::First;
        }
        if version != API_VERSION {
            let found = if version.is_empty() {
                "is missing".to_owned()
            } else {
                format!("found {version:?}")
            };
            report.refuse_if_strict(place, format!("{found}; valid is {API_VERSION}"));
        }
        version == API_VERSION
    }

    /// Passes over a kind that is another program's or another product's part, and refuses one that
    /// was probably meant for us.
    fn refuse(&self, kind: &Text, version: &str, report: &mut Report) {
        let Text { text, place } = kind;
        if text == kinds::CONFIGURATION {
            if !self.source.is_config {
                report.warn_at(place, "has no effect in a resources folder; pass it with --config");
            }
            return;
        }
        if kinds::KNOWN_TO_DAPR.contains(&text.as_str()) {
            return report.warn_at(place, format!("{text} is not served; the document is skipped"));
        }
        let meant = kinds::meant(text);
        if meant.is_none() && !version.is_empty() && !version.starts_with("dapr.io/") {
            let message = format!("{text} ({version}) is not Dapr's; the document is skipped");
            return report.warn_at(place, message);
        }
        let hint = meant.map_or_else(String::new, |name| format!("; did you mean {name:?}?"));
        let message = format!("unknown kind {text:?}; served are Component and Resiliency{hint}");
        report.refuse_if_strict(place.clone(), message);
    }
}
