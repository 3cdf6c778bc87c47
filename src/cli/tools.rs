//! The commands that start no sidecar: what they take.

use std::{ffi::OsString, path::PathBuf};

use clap::{Command as Flagset, error::ErrorKind};

use super::{CliError, Lookup};

/// Their names.
const NAMES: &[&str] = &["list", "stop", "health", "install-as-daprd"];

/// A command that starts no sidecar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Show the sidecars of this machine.
    List(ListFormat),
    /// End sidecars and what runs beside them.
    Stop {
        /// The ids of their apps.
        app_ids: Vec<String>,
        /// The file whose run is to end, or its folder.
        run_file: Option<String>,
    },
    /// Ask a sidecar whether it is ready.
    Health {
        /// Its HTTP port.
        http_port: u16,
    },
    /// Stand where Dapr's CLI looks for daprd.
    Install(Install),
}

/// How `list` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum ListFormat {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// What `install-as-daprd` is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// The folder in which `.dapr` lies; `None` if it cannot be known.
    pub base: Option<PathBuf>,
    /// Whether to install where Dapr's CLI has nothing installed.
    pub force: bool,
    /// Whether to put the original back instead.
    pub undo: bool,
}

#[derive(clap::Args)]
struct ListFlags {
    /// How to write it.
    #[arg(short, long, value_enum, default_value_t)]
    output: ListFormat,
}

#[derive(clap::Args)]
struct StopFlags {
    /// The app whose sidecar is to end; may be given several times.
    #[arg(short, long, required_unless_present = "run_file", value_delimiter = ',')]
    app_id: Vec<String>,
    /// The file, or its folder, whose run of several apps is to end.
    #[arg(short = 'f', long, conflicts_with = "app_id")]
    run_file: Option<String>,
}

#[derive(clap::Args)]
struct HealthFlags {
    /// The sidecar's HTTP port; DAPR_HTTP_PORT or 3500 unless given.
    #[arg(long, visible_alias = "dapr-http-port", value_parser = clap::value_parser!(u16).range(1..))]
    http_port: Option<u16>,
}

#[derive(clap::Args)]
struct InstallFlags {
    /// The folder in which `.dapr` lies; DAPR_RUNTIME_PATH or the home directory unless given.
    #[arg(long)]
    runtime_path: Option<PathBuf>,
    /// Install even where there is no daprd.
    #[arg(long, conflicts_with = "undo")]
    force: bool,
    /// Put the original daprd back.
    #[arg(long)]
    undo: bool,
}

/// Reads the words of such a command; `None` if they are of another one.
pub(super) fn parse(words: &[OsString], environment: Lookup<'_>) -> Option<Result<Tool, CliError>> {
    let (name, words) = words.split_first()?;
    let name = NAMES.iter().find(|known| name == *known)?;
    Some(parse_named(name, words, environment))
}

fn parse_named(
    name: &'static str,
    words: &[OsString],
    environment: Lookup<'_>,
) -> Result<Tool, CliError> {
    match name {
        "list" => Ok(Tool::List(flags::<ListFlags>(name, words)?.output)),
        "stop" => {
            let StopFlags { app_id: app_ids, run_file } = flags(name, words)?;
            Ok(Tool::Stop { app_ids, run_file })
        }
        "health" => health(&flags(name, words)?, environment),
        _ => Ok(Tool::Install(install(flags(name, words)?, environment))),
    }
}

fn flags<Flags: clap::Args>(name: &'static str, words: &[OsString]) -> Result<Flags, CliError> {
    let flagset = Flags::augment_args(Flagset::new(name))
        .bin_name(format!("outrigger {name}"))
        .about(about(name))
        .no_binary_name(true);
    let matches = flagset.try_get_matches_from(words).map_err(|error| refusal(&error))?;
    Flags::from_arg_matches(&matches).map_err(|error| refusal(&error))
}

fn about(name: &str) -> &'static str {
    match name {
        "list" => "Shows the sidecars that run on this machine, ours and daprd's.",
        "stop" => "Ends the sidecars of these apps, and with them the apps that `run` started.",
        "health" => "Asks a sidecar of this machine whether it is ready: exit code 0 if it is.",
        _ => "Puts this program where Dapr's CLI looks for daprd; daprd is kept beside it.",
    }
}

fn refusal(error: &clap::Error) -> CliError {
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelp {
        return CliError::Help(text);
    }
    CliError::Usage { usage: String::new(), message: text.trim_end().to_owned() }
}

fn health(flags: &HealthFlags, environment: Lookup<'_>) -> Result<Tool, CliError> {
    const VARIABLE: &str = "DAPR_HTTP_PORT";
    const DEFAULT: u16 = 3500;
    if let Some(http_port) = flags.http_port {
        return Ok(Tool::Health { http_port });
    }
    let Some(text) = environment(VARIABLE).filter(|text| !text.is_empty()) else {
        return Ok(Tool::Health { http_port: DEFAULT });
    };
    match text.parse() {
        Ok(http_port) => Ok(Tool::Health { http_port }),
        Err(_) => Err(CliError::Usage {
            usage: String::new(),
            message: format!("error: {VARIABLE} is {text:?}, which is no port"),
        }),
    }
}

fn install(flags: InstallFlags, environment: Lookup<'_>) -> Install {
    let InstallFlags { runtime_path, force, undo } = flags;
    let folder = |name| environment(name).filter(|text| !text.is_empty()).map(PathBuf::from);
    let base = runtime_path.or_else(|| folder("DAPR_RUNTIME_PATH")).or_else(|| folder("HOME"));
    Install { base, force, undo }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, environment: &[(&str, &str)]) -> Result<Tool, CliError> {
        let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        let found = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        };
        parse(&words, &found).expect("a tool")
    }

    fn message(line: &str) -> String {
        match parsed(line, &[]) {
            Err(CliError::Usage { message, .. }) => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn every_tool_is_understood() {
        assert_eq!(parsed("list", &[]), Ok(Tool::List(ListFormat::Table)));
        assert_eq!(parsed("list -o json", &[]), Ok(Tool::List(ListFormat::Json)));
        let app_ids = ["a", "b", "c"].map(str::to_owned).to_vec();
        let stop = Tool::Stop { app_ids, run_file: None };
        assert_eq!(parsed("stop --app-id a,b -a c", &[]), Ok(stop));
        let stop = Tool::Stop { app_ids: vec![], run_file: Some(".".to_owned()) };
        assert_eq!(parsed("stop -f .", &[]), Ok(stop));
        assert_eq!(parsed("health --http-port 1", &[]), Ok(Tool::Health { http_port: 1 }));
        assert!(parse(&["run".into()], &|_| None).is_none());
        assert!(parse(&[], &|_| None).is_none());
    }

    #[test]
    fn the_health_of_the_port_an_app_would_use_is_asked() {
        let port = |environment: &[(&str, &str)]| parsed("health", environment);
        assert_eq!(port(&[]), Ok(Tool::Health { http_port: 3500 }));
        assert_eq!(port(&[("DAPR_HTTP_PORT", "77")]), Ok(Tool::Health { http_port: 77 }));
        assert!(port(&[("DAPR_HTTP_PORT", "x")]).is_err());
    }

    #[test]
    fn the_cli_s_folder_is_found_as_the_cli_finds_it() {
        let base = |line: &str, environment: &[(&str, &str)]| match parsed(line, environment) {
            Ok(Tool::Install(install)) => install.base,
            other => panic!("{line}: {other:?}"),
        };
        let all = [("HOME", "/home"), ("DAPR_RUNTIME_PATH", "/variable")];
        let line = "install-as-daprd";
        let given = "install-as-daprd --runtime-path /given";
        assert_eq!(base(given, &all), Some("/given".into()));
        assert_eq!(base(line, &all), Some("/variable".into()));
        assert_eq!(base(line, &all[..1]), Some("/home".into()));
        assert_eq!(base(line, &[]), None);
    }

    #[test]
    fn what_a_tool_does_not_know_is_refused() {
        assert!(message("list --novel").contains("--novel"));
        assert!(message("list -o csv").contains("table"));
        assert!(message("stop").contains("--app-id"));
        assert!(message("stop -f . -a x").contains("--app-id"));
        assert!(message("health --http-port 0").contains("--http-port"));
        assert!(message("install-as-daprd --undo --force").contains("--force"));
        assert!(
            matches!(parsed("stop --help", &[]), Err(CliError::Help(text)) if text.contains("--app-id"))
        );
    }
}
