//! The file of a run of several apps, `dapr.yaml`: which apps, where, and their sidecars' flags.

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use crate::resources::{
    Environment,
    document::reason,
    error::{LoadErrors, Place, Problem},
    fields::{Field, Findings, Letters, Quoting},
    yaml::{self, Malformed, Position},
};

mod app;
mod settings;

#[cfg(test)]
mod tests;

/// What a folder's file is called.
const FILE_NAME: &str = "dapr.yaml";

const TOP: Position = Position { line: 1, column: 1 };

/// A run of several apps.
#[derive(Debug)]
pub struct RunFile {
    /// Where the file lies; `None` for standard input.
    pub path: Option<PathBuf>,
    /// The run's name; empty without one.
    pub name: String,
    /// The apps in the file's order; at least one.
    pub apps: Vec<AppRun>,
}

/// An app of a run, and its sidecar.
#[derive(Debug)]
pub struct AppRun {
    /// Where it stands in the file.
    pub place: Place,
    /// Its app id.
    pub id: String,
    /// Where both run.
    pub directory: PathBuf,
    /// Its command; empty for a sidecar alone.
    pub command: Vec<String>,
    /// Its variables besides the inherited ones.
    pub environment: Vec<(String, String)>,
    /// The flags of its sidecar besides the app id and the ports below: `--name=value`.
    pub flags: Vec<String>,
    /// The HTTP API's port, if the file gives one.
    pub http_port: Option<u16>,
    /// The gRPC API's port, if the file gives one.
    pub grpc_port: Option<u16>,
    /// The port for metrics, if the file gives one.
    pub metrics_port: Option<u16>,
    /// Where the app's lines go.
    pub app_log: LogDestination,
    /// Where the sidecar's lines go.
    pub sidecar_log: LogDestination,
}

/// Where lines go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogDestination {
    /// To the terminal.
    Console,
    /// Into a file of their own.
    File,
    /// To both.
    FileAndConsole,
}

impl LogDestination {
    /// Whether there is a file.
    pub fn has_file(self) -> bool {
        matches!(self, Self::File | Self::FileAndConsole)
    }

    /// Whether the terminal shows them.
    pub fn has_console(self) -> bool {
        matches!(self, Self::Console | Self::FileAndConsole)
    }
}

/// Reads what `--run-file` names: a file, a folder with a `dapr.yaml`, or `-` for standard input.
pub fn load(given: &str, environment: &dyn Environment) -> Result<RunFile, LoadErrors> {
    let source = Source::read(given).map_err(|problem| LoadErrors::new(vec![problem]))?;
    source.parse(environment).map_err(LoadErrors::new)
}

/// The whole path of the file that a path names, itself or as its folder's.
pub fn locate(given: &str) -> io::Result<PathBuf> {
    let mut path = std::path::absolute(given)?;
    if path.is_dir() {
        path.push(FILE_NAME);
    }
    Ok(path)
}

/// A text and what its relative paths begin at.
struct Source {
    path: Option<PathBuf>,
    folder: PathBuf,
    text: String,
}

impl Source {
    fn read(given: &str) -> Result<Self, Problem> {
        let refuse = |path: &Path, error: &io::Error| {
            problem(format!("cannot read {}: {}", path.display(), reason(error)))
        };
        if given == "-" {
            let stdin = Path::new("standard input");
            let folder = env::current_dir().map_err(|error| refuse(Path::new("."), &error))?;
            let mut text = String::new();
            io::stdin().read_to_string(&mut text).map_err(|error| refuse(stdin, &error))?;
            return Ok(Self { path: None, folder, text });
        }
        let path = locate(given).map_err(|error| refuse(Path::new(given), &error))?;
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        if !matches!(ending, "yaml" | "yml") {
            let path = path.display();
            return Err(problem(format!("{path} is neither a .yaml or .yml file nor a folder")));
        }
        let text = fs::read_to_string(&path).map_err(|error| refuse(&path, &error))?;
        let folder = path.parent().unwrap_or(Path::new("/")).to_owned();
        Ok(Self { path: Some(path), folder, text })
    }

    /// What problems name.
    fn file(&self) -> PathBuf {
        self.path.clone().unwrap_or_else(|| PathBuf::from("standard input"))
    }

    fn parse(self, environment: &dyn Environment) -> Result<RunFile, Vec<Problem>> {
        let file = self.file();
        let mut roots = Vec::new();
        for (line, part) in yaml::split_documents(&self.text) {
            match yaml::parse(part, line) {
                Ok(root) => roots.extend(root),
                Err(Malformed { at, message }) => {
                    let message = format!("not YAML: {message}");
                    return Err(vec![Problem { place: Some(Place::new(&file, at, "")), message }]);
                }
            }
        }
        let at = |at| Some(Place::new(&file, at, ""));
        let root = match roots.as_slice() {
            [root] => root,
            [] => {
                let message = "says nothing; it needs version and apps".to_owned();
                return Err(vec![Problem { place: at(TOP), message }]);
            }
            [_, second, ..] => {
                let message = "a run file has one document only".to_owned();
                return Err(vec![Problem { place: at(second.at), message }]);
            }
        };
        // Variables may hold secrets, which no problem may show.
        let mut findings = Findings::new(&file, Quoting::KindsOnly, Letters::Exact);
        let top = Field { path: String::new(), node: root };
        let (name, apps) = self.read_top(&top, &mut findings, environment);
        let Findings { mut shape, ignored, .. } = findings;
        shape.extend(ignored);
        if shape.is_empty() { Ok(RunFile { path: self.path, name, apps }) } else { Err(shape) }
    }

    fn read_top(
        &self,
        top: &Field<'_>,
        findings: &mut Findings<'_>,
        environment: &dyn Environment,
    ) -> (String, Vec<AppRun>) {
        let mut fields = top.fields(findings);
        let place = |at, field: &str, findings: &Findings<'_>| Some(findings.place(at, field));
        if fields.get("version", findings).is_none() {
            let message = "is missing; the version is 1".to_owned();
            let place = place(top.node.at, "version", findings);
            findings.shape.push(Problem { place, message });
        } else if let Some(version) = fields.integer("version", findings)
            && version.value == 0
        {
            let message = "must not be 0; the version is 1".to_owned();
            findings.shape.push(Problem { place: Some(version.place), message });
        }
        let name = fields.text("name", findings).map(|name| name.text).unwrap_or_default();
        let mut common = fields.map("common", findings);
        let shared = settings::Settings::read(&mut common, &self.folder, findings);
        common.finish(findings);
        let items = fields.items("apps", findings);
        if items.is_empty() && findings.shape.is_empty() {
            let message = "names no app".to_owned();
            let place = place(top.node.at, "apps", findings);
            findings.shape.push(Problem { place, message });
        }
        let reading = app::Reading { folder: &self.folder, common: &shared, environment };
        let apps: Vec<AppRun> =
            items.iter().filter_map(|item| reading.app(item, findings)).collect();
        refuse_twins(&apps, findings);
        fields.finish(findings);
        (name, apps)
    }
}

/// Two sidecars of one app id would take each other's state for their own.
fn refuse_twins(apps: &[AppRun], findings: &mut Findings<'_>) {
    let mut known = BTreeSet::new();
    for app in apps {
        if !known.insert(&app.id) {
            let message = format!("another app has the id {:?} already", app.id);
            findings.shape.push(Problem { place: Some(app.place.clone()), message });
        }
    }
}

fn problem(message: String) -> Problem {
    Problem { place: None, message }
}
