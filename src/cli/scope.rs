//! daprd's flags that have no effect here: all are accepted and checked, and whoever asked for
//! something that is not done is told so.

use clap::{Arg, ArgAction, ArgMatches, Command};

use super::go_flag::{BOOL, parse_bool, parse_go_duration, parse_int, split_list};

/// What a flag's value must be.
enum Kind {
    Text(&'static str),
    Number(&'static str),
    Bool(&'static str),
    Duration(&'static str),
    Port(&'static str),
    List,
}

/// Whether somebody who gives the flag expects something from it.
enum Loss {
    /// Launchers always pass it, or what it is about does not exist here.
    None,
    /// With another value than the default something is missed, namely this.
    Missed(&'static str),
}

struct Flag {
    name: &'static str,
    kind: Kind,
    loss: Loss,
}

const fn flag(name: &'static str, kind: Kind) -> Flag {
    Flag { name, kind, loss: Loss::None }
}

const fn missed(name: &'static str, kind: Kind, what: &'static str) -> Flag {
    Flag { name, kind, loss: Loss::Missed(what) }
}

/// Every such flag with its default.
const FLAGS: &[Flag] = &[
    flag("actors-disseminate-timeout", Kind::Duration("30s")),
    flag("actors-service", Kind::Text("")),
    flag("app-binding-options-timeout", Kind::Duration("3s")),
    flag("app-health-check-path", Kind::Text("/healthz")),
    flag("app-health-probe-interval", Kind::Number("5")),
    flag("app-health-probe-timeout", Kind::Number("500")),
    flag("app-health-threshold", Kind::Number("3")),
    flag("control-plane-address", Kind::Text("")),
    flag("control-plane-namespace", Kind::Text("default")),
    flag("control-plane-trust-domain", Kind::Text("localhost")),
    missed(
        "dapr-block-shutdown-duration",
        Kind::Duration(""),
        "a signal begins the shutdown at once",
    ),
    flag("disable-builtin-k8s-secret-store", Kind::Bool("false")),
    flag("disable-init-endpoints", Kind::List),
    missed("enable-app-health-check", Kind::Bool("false"), "the app's health is not checked"),
    missed("enable-mtls", Kind::Bool("false"), "nothing is encrypted between sidecars"),
    missed("enable-profiling", Kind::Bool("false"), "no profiles are served"),
    flag("hot-reload-reconcile-interval", Kind::Duration("0s")),
    flag("placement-host-address", Kind::Text("")),
    flag("profile-port", Kind::Port("7777")),
    flag("reminders-service", Kind::Text("")),
    flag("scheduler-host-address", Kind::List),
    flag("scheduler-job-streams", Kind::Number("3")),
    flag("sentry-address", Kind::Text("")),
    flag("sentry-request-jwt-audiences", Kind::List),
];

/// What is to be said about flags that have no effect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notes {
    /// One line naming the flags whose loss nobody notices, for the debug level.
    pub quiet: Option<String>,
    /// One line per flag that asked for something which is not done.
    pub warnings: Vec<String>,
}

impl Notes {
    /// What is to be said about the flags in `given`.
    pub(super) fn about(given: &[String], matches: &ArgMatches) -> Self {
        let mut notes = Self::default();
        let mut quiet = Vec::new();
        for flag in FLAGS.iter().filter(|flag| given.iter().any(|name| name == flag.name)) {
            match flag.loss {
                Loss::Missed(what) if flag.asks_for_something(matches) => {
                    notes.warnings.push(format!("--{} has no effect yet: {what}", flag.name));
                }
                Loss::Missed(_) | Loss::None => quiet.push(format!("--{}", flag.name)),
            }
        }
        if !quiet.is_empty() {
            notes.quiet = Some(format!("Flags without effect: {}", quiet.join(", ")));
        }
        notes
    }
}

/// Adds every flag of this kind to the command.
pub(super) fn declare(command: Command) -> Command {
    command.args(FLAGS.iter().map(Flag::declaration))
}

/// The value of such a flag; empty when it has none.
pub(super) fn value<'a>(matches: &'a ArgMatches, name: &str) -> &'a str {
    matches.get_one::<String>(name).map_or("", String::as_str)
}

/// The values of such a list.
pub(super) fn list(matches: &ArgMatches, name: &str) -> Vec<String> {
    let occurrences = matches.get_many::<String>(name).into_iter().flatten();
    split_list(&occurrences.cloned().collect::<Vec<_>>())
}

/// The names of those that are ports, with their values.
pub(super) fn ports(matches: &ArgMatches) -> impl Iterator<Item = (&'static str, &str)> {
    let ports = FLAGS.iter().filter(|flag| matches!(flag.kind, Kind::Port(_)));
    ports.map(|flag| (flag.name, value(matches, flag.name)))
}

impl Flag {
    fn declaration(&self) -> Arg {
        let arg = Arg::new(self.name).long(self.name).hide(true);
        let with_default = |arg: Arg, default: &'static str| {
            if default.is_empty() { arg } else { arg.default_value(default) }
        };
        match self.kind {
            Kind::Text(default) | Kind::Port(default) => with_default(arg, default),
            Kind::Number(default) => with_default(arg, default)
                .value_parser(|text: &str| parse_int(text).map(|number| number.to_string())),
            Kind::Bool(default) => with_default(arg, default)
                .value_name(BOOL)
                .value_parser(|text: &str| parse_bool(text).map(|value| value.to_string())),
            Kind::Duration(default) => with_default(arg, default).value_parser(parse_go_duration),
            Kind::List => arg.action(ArgAction::Append),
        }
    }

    fn asks_for_something(&self, matches: &ArgMatches) -> bool {
        let value = value(matches, self.name);
        match self.kind {
            Kind::Bool(default) => value != default,
            Kind::Port(_) => !matches!(value, "" | "0"),
            Kind::Text(_) | Kind::Number(_) | Kind::Duration(_) | Kind::List => !value.is_empty(),
        }
    }
}
