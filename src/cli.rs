//! What the user typed -> typed options; in daprd's shape, or as `outrigger run ... -- COMMAND`.

mod checks;
mod flags;
mod go_flag;
mod limits;
mod quantity;
mod scope;
mod tools;
mod words;

use std::{ffi::OsString, path::Path};

pub use checks::OptionsError;
use clap::{Arg, Args as _, Command as Flagset, FromArgMatches as _};
use flags::Flags;
pub use limits::{AllLimits, Limits};
pub use scope::Notes;
pub use tools::{Install, ListFormat, Tool};
use words::{Grammar, Positional};

use crate::{log::Level, sidecar::options::SidecarOptions};

/// The name under which this program behaves leniently, because somebody put it in daprd's place.
const DAPRD: &str = "daprd";

/// Where the environment is looked up.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// What the user wants.
#[derive(Debug)]
pub enum Command {
    /// Print the Dapr version.
    Version,
    /// Print all versions.
    BuildInfo,
    /// Wait until the sidecar on this HTTP port is ready for calls.
    Wait {
        /// The port as typed.
        http_port: String,
    },
    /// Be a sidecar.
    Serve(Box<Launch>),
    /// Be a sidecar and run an application beside it.
    Run(Box<Launch>, Vec<OsString>),
    /// Run the applications of a file, each beside a sidecar of its own.
    RunFile {
        /// A file, a folder with a `dapr.yaml`, or `-` for standard input.
        path: String,
    },
    /// Show the limits that a sidecar with these flags keeps.
    Limits(AllLimits),
    /// Do something that needs no sidecar of its own.
    Tool(Tool),
}

/// A sidecar to be started.
#[derive(Debug)]
pub struct Launch {
    /// How to log.
    pub log: LogSettings,
    /// The options, or what is wrong with them; that is told once the log goes.
    pub options: Result<SidecarOptions, OptionsError>,
    /// What to say about flags without effect.
    pub notes: Notes,
    /// Lines about deprecated flags, for standard error.
    pub deprecations: Vec<String>,
}

/// How to log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// The least important level.
    pub level: Level,
    /// JSON instead of text.
    pub json: bool,
    /// A file instead of standard output; empty for none.
    pub file: String,
    /// The app id each line names.
    pub app_id: String,
}

/// A command line that cannot be followed.
#[derive(Debug, PartialEq, Eq)]
pub enum CliError {
    /// Help was asked for: this text, exit code 0.
    Help(String),
    /// A flag is wrong: usage, then the message as last line, exit code 2.
    Usage {
        /// How to use the program.
        usage: String,
        /// What is wrong.
        message: String,
    },
    /// A value is wrong that daprd checks later: the text of a fatal line, exit code 1.
    Fatal(String),
}

/// The one-letter flags that users of `dapr run` know.
const RUN_SHORTHANDS: &[(char, &str)] = &[
    ('a', "app-id"),
    ('p', "app-port"),
    ('P', "app-protocol"),
    ('H', "dapr-http-port"),
    ('G', "dapr-grpc-port"),
    ('I', "dapr-internal-grpc-port"),
    ('M', "metrics-port"),
    ('c', "config"),
    ('d', "resources-path"),
    ('u', "unix-domain-socket"),
    ('f', RUN_FILE),
];

/// The flag that names a file with several applications.
const RUN_FILE: &str = "run-file";

/// Deprecated flags with what pflag says behind `Flag --NAME has been deprecated, `.
const DEPRECATED: &[(&str, &str)] = &[
    ("app-ssl", "use '--app-protocol https|grpcs' instead"),
    ("components-path", "use '--resources-path' instead"),
    ("dapr-http-max-request-size", "use '--max-body-size' instead"),
    ("dapr-http-read-buffer-size", "use '--read-buffer-size' instead"),
    ("actors-service", "it has no effect"),
    ("reminders-service", "it has no effect"),
];

/// Reads a whole command line, the program's own name included.
pub fn parse(words: &[OsString], environment: Lookup<'_>) -> Result<Command, CliError> {
    let (program, words) = words.split_first().map_or(("", words), |(program, words)| {
        let name = Path::new(program).file_name().and_then(|name| name.to_str());
        (name.unwrap_or_default(), words)
    });
    if program == DAPRD {
        return parse_serve(words, true, environment);
    }
    if let Some(tool) = tools::parse(words, environment) {
        return tool.map(Command::Tool);
    }
    match words.split_first() {
        Some((first, words)) if first == "run" => parse_run(words, environment),
        Some((first, words)) if first == "limits" => parse_limits(words),
        _ => parse_serve(words, false, environment),
    }
}

fn parse_serve(
    words: &[OsString],
    named_daprd: bool,
    environment: Lookup<'_>,
) -> Result<Command, CliError> {
    let usage = "outrigger --app-id APP-ID [FLAGS]\n       \
                 outrigger run [FLAGS] -- COMMAND [ARGUMENTS]\n       \
                 outrigger run -f FILE\n       \
                 outrigger list | stop | health | limits | install-as-daprd [--help]";
    let typed = Typed::read(flagset(usage, &[]), &[], Positional::Overlooked, words)?;
    if let Some(command) = typed.no_launch() {
        return Ok(command);
    }
    let launch =
        typed.launch(checks::Shape::Daprd { lenient_by_name: named_daprd }, environment)?;
    Ok(Command::Serve(Box::new(launch)))
}

fn parse_run(words: &[OsString], environment: Lookup<'_>) -> Result<Command, CliError> {
    let usage = "outrigger run --app-id APP-ID [FLAGS] -- COMMAND [ARGUMENTS]\n       \
                 outrigger run -f FILE";
    let file = Arg::new(RUN_FILE)
        .long(RUN_FILE)
        .short('f')
        .help("A file that names several apps, a folder with a dapr.yaml, or - for standard input");
    let flagset = flagset(usage, RUN_SHORTHANDS).arg(file);
    let typed = Typed::read(flagset, RUN_SHORTHANDS, Positional::EndsFlags, words)?;
    if let Some(command) = typed.no_launch() {
        return Ok(command);
    }
    let command = words[typed.read..].to_vec();
    if let Some(path) = typed.matches.get_one::<String>(RUN_FILE) {
        return run_file(path, &typed.given, &command);
    }
    let launch = typed.launch(checks::Shape::Run, environment)?;
    Ok(Command::Run(Box::new(launch), command))
}

/// The same flags as a sidecar's: what is shown is what they would mean.
fn parse_limits(words: &[OsString]) -> Result<Command, CliError> {
    let usage = "outrigger limits [FLAGS OF A SIDECAR]";
    let typed = Typed::read(flagset(usage, &[]), &[], Positional::Overlooked, words)?;
    Ok(Command::Limits(AllLimits::read(&typed)?))
}

/// Everything about its apps stands in the file; what is said beside it would have no effect.
fn run_file(path: &str, given: &[String], command: &[OsString]) -> Result<Command, CliError> {
    let refuse = |message| Err(CliError::Usage { usage: String::new(), message });
    if let Some(other) = given.iter().find(|name| *name != RUN_FILE) {
        return refuse(format!(
            "--{other} has no effect beside --{RUN_FILE}: put it into the file"
        ));
    }
    if !command.is_empty() {
        return refuse(format!("--{RUN_FILE} takes no command: the file names the apps'"));
    }
    Ok(Command::RunFile { path: path.to_owned() })
}

/// The flags of one command line.
struct Typed {
    flags: Flags,
    matches: clap::ArgMatches,
    given: Vec<String>,
    /// How many words the flags were.
    read: usize,
}

impl Typed {
    fn read(
        mut flagset: Flagset,
        shorthands: &[(char, &'static str)],
        positional: Positional,
        words: &[OsString],
    ) -> Result<Self, CliError> {
        let usage = flagset.render_help().to_string();
        let refuse = |message| CliError::Usage { usage: usage.clone(), message };
        let grammar = Grammar { flagset: &flagset, shorthands, positional };
        let sorted = grammar.sort(words).map_err(refuse)?;
        if sorted.help {
            return Err(CliError::Help(usage));
        }
        let matches = flagset
            .try_get_matches_from(&sorted.flags)
            .map_err(|error| go_flag::value_error(&error, &usage))?;
        let flags = Flags::from_arg_matches(&matches)
            .map_err(|error| go_flag::value_error(&error, &usage))?;
        Ok(Self { flags, matches, given: sorted.given, read: sorted.read })
    }

    fn launch(&self, shape: checks::Shape, environment: Lookup<'_>) -> Result<Launch, CliError> {
        let sizes = checks::Sizes::read(self).map_err(CliError::Fatal)?;
        let limits = Limits::read(self, sizes.head);
        let level = &self.flags.log_level;
        let level = Level::parse(level)
            .ok_or_else(|| CliError::Fatal(format!("invalid value for --log-level: {level}")))?;
        let deprecated = DEPRECATED.iter().filter(|(name, _)| self.is_given(name));
        Ok(Launch {
            log: LogSettings {
                level,
                json: self.flags.log_as_json,
                file: self.flags.log_file.clone(),
                app_id: self.flags.app_id.clone(),
            },
            options: limits
                .and_then(|limits| checks::options(self, level, shape, sizes, limits, environment)),
            notes: Notes::about(&self.given, &self.matches),
            deprecations: deprecated
                .map(|(name, hint)| format!("Flag --{name} has been deprecated, {hint}"))
                .collect(),
        })
    }

    /// What is done instead of being a sidecar.
    fn no_launch(&self) -> Option<Command> {
        let Flags { version, build_info, wait, ref dapr_http_port, .. } = self.flags;
        if version {
            Some(Command::Version)
        } else if build_info {
            Some(Command::BuildInfo)
        } else {
            wait.then(|| Command::Wait { http_port: dapr_http_port.clone() })
        }
    }

    fn is_given(&self, name: &str) -> bool {
        self.given.iter().any(|given| given == name)
    }
}

fn flagset(usage: &'static str, shorthands: &[(char, &'static str)]) -> Flagset {
    let flagset = scope::declare(Flags::augment_args(Flagset::new("outrigger")))
        .about("Serves the Dapr state API through timeouts, retries and circuit breakers.")
        .after_help("daprd's other flags are accepted; they have no effect.")
        .override_usage(usage)
        .no_binary_name(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true);
    flagset.mut_args(|flag| {
        let name = flag.get_long();
        let short =
            shorthands.iter().find(|(_, long)| Some(*long) == name).map(|(short, _)| *short);
        let flag = go_flag::with_optional_value(flag);
        match short {
            Some(short) => flag.short(short),
            None => flag,
        }
    })
}

#[cfg(test)]
mod tests;
