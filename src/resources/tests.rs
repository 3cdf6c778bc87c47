//! What each kind of file leads to, strict and lenient, with the exact texts.

use std::{collections::BTreeMap, fs, path::PathBuf};

use crate::resources::{Level, LoadErrors, LoadOptions, Resources, Strictness, load};

mod components;
mod configuration;
mod documents;
mod recorded;
mod resiliency;
mod secrets;
mod shipped;

const STORE: &str = "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.redis
  version: v1
  metadata:
  - name: redisHost
    value: localhost:6379
";

/// A folder with files, and who asks for it.
struct Case {
    root: tempfile::TempDir,
    configs: Vec<PathBuf>,
    app_id: &'static str,
    namespace: Option<&'static str>,
    variables: BTreeMap<String, String>,
}

impl Case {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        for name in ["beside", "resources"] {
            fs::create_dir(root.path().join(name)).unwrap();
        }
        let (configs, variables) = (Vec::new(), BTreeMap::new());
        Self { root, configs, app_id: "app1", namespace: None, variables }
    }

    /// With one file, `r.yaml`. A line break at its start is not part of it.
    fn of(text: &str) -> Self {
        Self::new().file("r.yaml", text)
    }

    fn file(self, name: &str, text: &str) -> Self {
        fs::write(self.path(name), text.strip_prefix('\n').unwrap_or(text)).unwrap();
        self
    }

    fn config(mut self, text: &str) -> Self {
        let path = self.beside(&format!("config{}.yaml", self.configs.len()));
        fs::write(&path, text.strip_prefix('\n').unwrap_or(text)).unwrap();
        self.configs.push(path);
        self
    }

    fn app_id(self, app_id: &'static str) -> Self {
        Self { app_id, ..self }
    }

    fn namespace(self, namespace: &'static str) -> Self {
        Self { namespace: Some(namespace), ..self }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.insert(name.to_owned(), value.to_owned());
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("resources").join(name)
    }

    /// A file outside the resources folder.
    fn beside(&self, name: &str) -> PathBuf {
        self.root.path().join("beside").join(name)
    }

    fn load(&self, mode: Strictness) -> Result<Resources, LoadErrors> {
        load(&LoadOptions {
            resources_paths: &[self.path("")],
            config_paths: &self.configs,
            app_id: self.app_id,
            namespace: self.namespace,
            mode,
            environment: &self.variables,
        })
    }

    #[track_caller]
    fn loaded(&self, mode: Strictness) -> Resources {
        self.load(mode).unwrap_or_else(|errors| panic!("{errors}"))
    }

    /// What a strict start says.
    fn strict(&self) -> String {
        self.outcome(Strictness::Strict)
    }

    /// What a lenient start says.
    fn lenient(&self) -> String {
        self.outcome(Strictness::Lenient)
    }

    /// The stores and the log lines worth reading, or the problems. Lines that every start has are
    /// left out.
    fn outcome(&self, mode: Strictness) -> String {
        let mut lines = Vec::new();
        match self.load(mode) {
            Err(errors) => lines.extend(errors.problems().iter().map(|it| format!("refused {it}"))),
            Ok(resources) => {
                lines.extend(
                    resources.components.iter().map(|it| format!("store {}", it.log_name())),
                );
                lines.extend(resources.notices.iter().filter_map(|notice| {
                    let level = match notice.level {
                        Level::Debug if notice.text.starts_with("Found ") => return None,
                        Level::Info if notice.text.starts_with("loading default") => return None,
                        Level::Debug => "debug",
                        Level::Info => "info",
                        Level::Warning => "warning",
                        Level::Error => "error",
                    };
                    Some(format!("{level} {}", notice.text))
                }));
            }
        }
        // The random name of the folder must not decide what the test compares.
        let mut text = lines.join("\n");
        for path in [self.path(""), self.beside("")] {
            text = text.replace(&path.display().to_string(), "");
        }
        text
    }
}

/// A component with these lines of metadata.
fn store(metadata: &str) -> String {
    format!(
        "
apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: statestore
spec:
  type: state.redis
  version: v1
  metadata:
{metadata}"
    )
}

/// A Resiliency with this `spec`.
fn resiliency(spec: &str) -> String {
    format!(
        "
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata:
  name: res
spec:{spec}"
    )
}
