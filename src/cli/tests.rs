use std::{collections::HashMap, ffi::OsString, path::PathBuf, time::Duration};

use proptest::prelude::{any, proptest};

use super::{CliError, Command, Launch, parse};
use crate::{
    log::Level,
    sidecar::options::{AppProtocol, MetricsPort, SidecarOptions},
};

fn parsed(program: &str, line: &str, environment: &[(&str, &str)]) -> Result<Command, CliError> {
    let environment: HashMap<&str, &str> = environment.iter().copied().collect();
    let words: Vec<OsString> =
        std::iter::once(program).chain(line.split_whitespace()).map(OsString::from).collect();
    parse(&words, &|name| environment.get(name).map(|&value| value.to_owned()))
}

fn launch(line: &str) -> Launch {
    match parsed("/usr/bin/outrigger", line, &[]) {
        Ok(Command::Serve(launch)) => *launch,
        other => panic!("{line}: {other:?}"),
    }
}

fn options(line: &str) -> SidecarOptions {
    launch(&format!("--app-id a {line}")).options.unwrap()
}

fn run(line: &str) -> (SidecarOptions, Vec<OsString>) {
    match parsed("outrigger", &format!("run {line}"), &[]) {
        Ok(Command::Run(launch, command)) => (launch.options.unwrap(), command),
        other => panic!("{line}: {other:?}"),
    }
}

fn runtime_error(line: &str) -> String {
    launch(line).options.unwrap_err().to_string()
}

fn usage_error(line: &str) -> String {
    match parsed("outrigger", line, &[]) {
        Err(CliError::Usage { usage, message }) => {
            assert!(usage.contains("--dapr-http-port"), "{usage}");
            message
        }
        other => panic!("{line}: {other:?}"),
    }
}

fn fatal(line: &str) -> String {
    match parsed("outrigger", line, &[]) {
        Err(CliError::Fatal(text)) => text,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn without_flags_everything_is_daprds_default() {
    let launch = launch("--app-id order-processor");
    assert_eq!(launch.log.level, Level::Info);
    assert_eq!((launch.log.json, launch.log.file.as_str()), (false, ""));
    assert_eq!(launch.log.app_id, "order-processor");
    assert_eq!(launch.notes, super::Notes::default());
    assert_eq!(launch.deprecations, Vec::<String>::new());
    let options = launch.options.unwrap();
    assert_eq!(options.app_id, "order-processor");
    assert_eq!((options.http_port, options.grpc_port), (3500, 50001));
    assert_eq!(options.internal_grpc_port, None);
    assert_eq!(options.internal_grpc_listen_address, "");
    assert_eq!(options.listen_addresses, Vec::<String>::new());
    assert_eq!(options.resources_paths, Vec::<PathBuf>::new());
    assert_eq!(options.config_paths, Vec::<PathBuf>::new());
    assert_eq!((options.app.port, options.app.protocol), (None, AppProtocol::Http));
    assert_eq!((options.app.address.as_str(), options.app.max_concurrency), ("127.0.0.1", -1));
    assert_eq!((options.max_body_size, options.read_buffer_size), (Some(4 << 20), 4096));
    assert_eq!(options.graceful_shutdown, Some(Duration::from_secs(5)));
    assert!(options.api_token.is_none() && options.namespace.is_none());
    assert!(!options.lenient && !options.embedded);
    assert_eq!(options.data_plane_threads, 1);
}

#[test]
fn the_command_line_of_daprs_cli_is_understood() {
    let launch = launch(
        "--config /h/.dapr/config.yaml --app-protocol http --dapr-listen-addresses 127.0.0.1 \
         --log-level info --app-max-concurrency -1 --placement-host-address localhost:50005 \
         --components-path /h/.dapr/components --max-body-size 4Mi --read-buffer-size 4Ki \
         --scheduler-host-address localhost:50006 --app-id order-processor --app-port 0 \
         --dapr-http-port 3501 --dapr-grpc-port 50002 --profile-port -1 --metrics-port 9091 \
         --dapr-internal-grpc-port 50003 --log-as-json",
    );
    assert!(launch.log.json);
    assert_eq!(
        launch.deprecations,
        ["Flag --components-path has been deprecated, use '--resources-path' instead"]
    );
    assert_eq!(
        launch.notes.quiet.as_deref(),
        Some(
            "Flags without effect: --placement-host-address, --profile-port, --scheduler-host-address"
        )
    );
    assert_eq!(launch.notes.warnings, Vec::<String>::new());
    let options = launch.options.unwrap();
    assert_eq!(options.config_paths, [PathBuf::from("/h/.dapr/config.yaml")]);
    assert_eq!(options.resources_paths, [PathBuf::from("/h/.dapr/components")]);
    assert_eq!(options.listen_addresses, ["127.0.0.1"]);
    assert_eq!((options.http_port, options.grpc_port), (3501, 50002));
    assert_eq!((options.internal_grpc_port, options.app.port), (Some(50003), None));
    let metrics = MetricsPort { address: "0.0.0.0".to_owned(), port: 9091 };
    assert_eq!(options.metrics, Some(metrics));
}

#[test]
fn the_same_flags_with_one_dash_are_understood() {
    let options =
        options("-dapr-http-port 1 -dapr-grpc-port=2 -embedded -config c -enable-metrics=f");
    assert_eq!((options.http_port, options.grpc_port, options.embedded), (1, 2, true));
    assert_eq!(options.metrics, None);
    assert_eq!(options.config_paths, [PathBuf::from("c")]);
    // The rewriting is blind, as daprd's is: it hits values, too.
    assert_eq!(
        usage_error("-app-max-concurrency -10"),
        "invalid argument \"--10\" for \"--app-max-concurrency\" flag: strconv.ParseInt: parsing \
         \"--10\": invalid syntax"
    );
}

#[test]
fn bools_take_any_of_gos_spellings_and_never_the_next_word() {
    for (text, value) in [
        ("", true),
        ("=1", true),
        ("=t", true),
        ("=T", true),
        ("=true", true),
        ("=True", true),
        ("=TRUE", true),
        ("=0", false),
        ("=f", false),
        ("=F", false),
        ("=false", false),
        ("=False", false),
        ("=FALSE", false),
    ] {
        assert_eq!(options(&format!("--embedded{text}")).embedded, value, "{text}");
    }
    assert!(options("--embedded false").embedded);
    assert!(!options("--embedded --embedded=false").embedded);
    for flag in ["enable-metrics", "embedded", "log-as-json", "lenient", "wait"] {
        assert_eq!(
            usage_error(&format!("--{flag}=maybe")),
            format!(
                "invalid argument \"maybe\" for \"--{flag}\" flag: strconv.ParseBool: parsing \
                 \"maybe\": invalid syntax"
            )
        );
    }
    usage_error("--embedded=");
}

#[test]
fn wrong_flags_are_refused_in_pflags_words() {
    assert_eq!(usage_error("--nope"), "unknown flag: --nope");
    assert_eq!(usage_error("--nope=1"), "unknown flag: --nope");
    assert_eq!(usage_error("-nope"), "unknown flag: --nope");
    assert_eq!(usage_error("--app-id"), "flag needs an argument: --app-id");
    assert_eq!(usage_error("--app-id x --app-port"), "flag needs an argument: --app-port");
    assert_eq!(usage_error("-x"), "unknown shorthand flag: 'x' in -x");
    assert_eq!(usage_error("---x"), "bad flag syntax: ---x");
    assert_eq!(usage_error("--=x"), "bad flag syntax: --=x");
    assert_eq!(
        usage_error("--dapr-graceful-shutdown-seconds x"),
        "invalid argument \"x\" for \"--dapr-graceful-shutdown-seconds\" flag: strconv.ParseInt: \
         parsing \"x\": invalid syntax"
    );
    assert_eq!(
        usage_error("--scheduler-job-streams 99999999999999999999"),
        "invalid argument \"99999999999999999999\" for \"--scheduler-job-streams\" flag: \
         strconv.ParseInt: parsing \"99999999999999999999\": value out of range"
    );
    assert_eq!(
        usage_error("--dapr-block-shutdown-duration 5x"),
        "invalid argument \"5x\" for \"--dapr-block-shutdown-duration\" flag: time: unknown unit \
         \"x\" in duration \"5x\""
    );
}

/// As in the fact sheet.
const DAPRD_FLAGS: &[&str] = &[
    "app-id",
    "app-port",
    "app-protocol",
    "app-ssl",
    "app-channel-address",
    "app-max-concurrency",
    "enable-app-health-check",
    "app-health-check-path",
    "app-health-probe-interval",
    "app-health-probe-timeout",
    "app-health-threshold",
    "dapr-http-port",
    "dapr-grpc-port",
    "dapr-internal-grpc-port",
    "dapr-internal-grpc-listen-address",
    "dapr-listen-addresses",
    "dapr-public-port",
    "dapr-public-listen-address",
    "unix-domain-socket",
    "profile-port",
    "enable-profiling",
    "metrics-port",
    "metrics-listen-address",
    "enable-metrics",
    "components-path",
    "resources-path",
    "config",
    "mode",
    "log-level",
    "log-as-json",
    "log-file",
    "enable-api-logging",
    "allowed-origins",
    "max-body-size",
    "dapr-http-max-request-size",
    "read-buffer-size",
    "dapr-http-read-buffer-size",
    "dapr-graceful-shutdown-seconds",
    "dapr-block-shutdown-duration",
    "disable-init-endpoints",
    "placement-host-address",
    "scheduler-host-address",
    "scheduler-job-streams",
    "actors-disseminate-timeout",
    "hot-reload-reconcile-interval",
    "app-binding-options-timeout",
    "control-plane-address",
    "sentry-address",
    "control-plane-trust-domain",
    "control-plane-namespace",
    "sentry-request-jwt-audiences",
    "enable-mtls",
    "disable-builtin-k8s-secret-store",
    "actors-service",
    "reminders-service",
    "version",
    "build-info",
    "wait",
];

#[test]
fn every_flag_of_daprd_is_known() {
    for flag in DAPRD_FLAGS {
        // Each kind of flag takes one of these; what matters is that none is unknown.
        let takes = ["1", "1s", "standalone"].iter().any(|value| {
            match parsed("outrigger", &format!("--{flag}={value}"), &[]) {
                Ok(_) | Err(CliError::Fatal(_)) => true,
                Err(CliError::Usage { message, .. }) => {
                    assert!(!message.contains("unknown"), "{message}");
                    false
                }
                Err(CliError::Help(_)) => false,
            }
        });
        assert!(takes, "--{flag}");
    }
}

#[test]
fn words_that_look_like_flags_may_be_values_and_other_words_are_overlooked() {
    assert_eq!(options("--app-channel-address --dapr-http-port").app.address, "--dapr-http-port");
    assert_eq!(options("stray words --embedded more -- --nope").http_port, 3500);
}

#[test]
fn ports_are_checked_late_in_gos_words() {
    for flag in [
        "dapr-http-port",
        "dapr-grpc-port",
        "dapr-internal-grpc-port",
        "app-port",
        "metrics-port",
        "profile-port",
        "dapr-public-port",
    ] {
        assert_eq!(
            runtime_error(&format!("--app-id a --{flag} abc")),
            format!("error parsing {flag} flag: strconv.Atoi: parsing \"abc\": invalid syntax")
        );
    }
    assert_eq!(
        runtime_error("--app-id a --dapr-http-port="),
        "error parsing dapr-http-port flag: strconv.Atoi: parsing \"\": invalid syntax"
    );
    assert_eq!(
        runtime_error("--app-id a --dapr-grpc-port 70000"),
        "error parsing dapr-grpc-port flag: 70000 is not between 0 and 65535"
    );
    assert_eq!(
        runtime_error("--app-id a --app-port 3500"),
        "the 'dapr-http-port' argument value 3500 conflicts with 'app-port'"
    );
    assert_eq!(
        runtime_error("--app-id a --app-port 9 --dapr-grpc-port 9"),
        "the 'dapr-grpc-port' argument value 9 conflicts with 'app-port'"
    );
    assert_eq!(options("--dapr-internal-grpc-port 0").internal_grpc_port, None);
    assert_eq!(options("--app-port 8080").app.port, Some(8080));
}

#[test]
fn names_and_words_are_checked_as_in_daprd() {
    assert_eq!(runtime_error(""), "parameter app-id cannot be empty");
    assert_eq!(runtime_error("--app-id a.b"), "parameter app-id cannot contain dots");
    assert_eq!(runtime_error("--app-id a --mode moon"), "invalid mode: moon");
    assert_eq!(
        runtime_error("--app-id a --mode kubernetes"),
        "mode kubernetes is not served, only standalone is"
    );
    assert_eq!(
        runtime_error("--app-id a --app-protocol Tcp"),
        "invalid value for 'app-protocol': Tcp"
    );
    assert_eq!(
        runtime_error("--app-id a --disable-init-endpoints config,foo"),
        "invalid value for 'disable-init-endpoints': foo"
    );
    assert_eq!(
        runtime_error("--app-id a --app-health-probe-timeout 5001"),
        "value for 'health-probe-timeout' must be smaller than 'health-probe-interval'"
    );
    assert_eq!(
        runtime_error("--app-id a --actors-disseminate-timeout=-1s"),
        "value for 'actors-disseminate-timeout' must be greater than 0, not -1s"
    );
    assert_eq!(
        runtime_error("--app-id a --data-plane-threads 0"),
        "value for 'data-plane-threads' must be between 1 and 1024, not 0"
    );
    assert_eq!(fatal("--log-level panic"), "invalid value for --log-level: panic");
    assert_eq!(launch("--log-level WARN").log.level, Level::Warn);
}

#[test]
fn the_protocol_is_read_in_any_case_and_app_ssl_adds_tls() {
    for (line, protocol) in [
        ("--app-protocol=", AppProtocol::Http),
        ("--app-protocol GRPC", AppProtocol::Grpc),
        ("--app-protocol h2c", AppProtocol::H2c),
        ("--app-ssl", AppProtocol::Https),
        ("--app-ssl --app-protocol grpc", AppProtocol::Grpcs),
        ("--app-ssl --app-protocol h2c", AppProtocol::H2c),
    ] {
        assert_eq!(options(line).app.protocol, protocol, "{line}");
    }
}

#[test]
fn sizes_are_quantities_and_old_flags_count_only_alone() {
    for (line, limit) in [
        ("--max-body-size 1Ki", Some(1024)),
        ("--max-body-size -1", Some(4 << 20)),
        ("--max-body-size 0", None),
        ("--dapr-http-max-request-size 16", Some(16 << 20)),
        ("--dapr-http-max-request-size -1", Some(4 << 20)),
        ("--dapr-http-max-request-size 16 --max-body-size 1M", Some(1_000_000)),
    ] {
        assert_eq!(options(line).max_body_size, limit, "{line}");
    }
    for (line, limit) in [
        ("--read-buffer-size 8Ki", 8192),
        ("--read-buffer-size -1", 4096),
        ("--dapr-http-read-buffer-size 16", 16 << 10),
    ] {
        assert_eq!(options(line).read_buffer_size, limit, "{line}");
    }
    assert_eq!(
        fatal("--max-body-size big"),
        "Failed to parse flags: invalid value for 'max-body-size' option: quantities must match \
         the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    assert!(
        fatal("--read-buffer-size=")
            .starts_with("Failed to parse flags: invalid value for 'read-buffer-size'")
    );
}

#[test]
fn the_grace_may_be_without_end() {
    assert_eq!(options("--dapr-graceful-shutdown-seconds 0").graceful_shutdown, None);
    let five = Some(Duration::from_secs(5));
    assert_eq!(options("--dapr-graceful-shutdown-seconds -1").graceful_shutdown, five);
    let two = Some(Duration::from_secs(2));
    assert_eq!(options("--dapr-graceful-shutdown-seconds 2").graceful_shutdown, two);
}

#[test]
fn lists_repeat_and_split_at_commas() {
    let paths =
        options("--resources-path a,b --resources-path c --components-path d").resources_paths;
    assert_eq!(paths, ["a", "b", "c"].map(PathBuf::from));
    assert_eq!(options("--config a --config b,c").config_paths, ["a", "b", "c"].map(PathBuf::from));
    assert_eq!(
        options("--dapr-listen-addresses 127.0.0.1,::1").listen_addresses,
        ["127.0.0.1", "::1"]
    );
}

#[test]
fn who_asks_for_something_that_is_not_done_is_warned() {
    let notes = launch(
        "--app-id a --enable-mtls --enable-profiling=false --profile-port -1 \
         --dapr-block-shutdown-duration 0s --enable-app-health-check",
    )
    .notes;
    assert_eq!(
        notes.quiet.as_deref(),
        Some("Flags without effect: --enable-profiling, --profile-port")
    );
    assert_eq!(
        notes.warnings,
        [
            "--dapr-block-shutdown-duration has no effect yet: a signal begins the shutdown at once",
            "--enable-app-health-check has no effect yet: the app's health is not checked",
            "--enable-mtls has no effect yet: nothing is encrypted between sidecars",
        ]
    );
}

#[test]
fn the_environment_gives_the_token_and_the_namespace_and_the_token_stays_hidden() {
    let environment = [("DAPR_API_TOKEN", "hunter2"), ("NAMESPACE", "prod")];
    let Ok(Command::Serve(launch)) = parsed("outrigger", "--app-id a", &environment) else {
        panic!("not served")
    };
    assert!(!format!("{launch:?}").contains("hunter2"));
    let options = launch.options.unwrap();
    assert_eq!(options.namespace.as_deref(), Some("prod"));
    assert!(options.api_token.unwrap().check(Some(b"hunter2")).is_ok());
}

#[test]
fn further_doors_are_opened_only_when_asked_for() {
    let plain = options("--dapr-public-port 0 --allowed-origins= --unix-domain-socket=");
    assert_eq!((plain.public_port, plain.cors, plain.socket_folder), (None, None, None));
    assert_eq!((plain.api_logging, plain.http2), (None, true));
    let asked = options(
        "--dapr-public-port 3501 --dapr-public-listen-address 127.0.0.1 --allowed-origins * \
         --unix-domain-socket /run/x --enable-api-logging=false",
    );
    assert_eq!((asked.public_port, asked.api_logging), (Some(3501), Some(false)));
    assert_eq!(asked.public_listen_addresses, ["127.0.0.1"]);
    assert_eq!(asked.socket_folder, Some(PathBuf::from("/run/x")));
    assert!(asked.cors.is_some());
    assert_eq!(options("--enable-api-logging").api_logging, Some(true));
    for (word, http2) in
        [("y", false), ("YES", false), ("1", false), ("on", false), ("0", true), ("no", true)]
    {
        let environment = [("DAPR_HTTP_DISABLE_H2C", word)];
        let Ok(Command::Serve(launch)) = parsed("outrigger", "--app-id a", &environment) else {
            panic!("not served")
        };
        assert_eq!(launch.options.unwrap().http2, http2, "{word}");
    }
}

#[test]
fn leniency_comes_from_the_flag_then_the_environment_then_the_name() {
    for (program, line, variable, lenient) in [
        ("outrigger", "", None, false),
        ("/h/.dapr/bin/daprd", "", None, true),
        ("daprd", "--lenient=false", None, false),
        ("daprd", "", Some("0"), false),
        ("daprd-old", "", None, false),
        ("outrigger", "", Some("1"), true),
        ("outrigger", "", Some(""), false),
        ("outrigger", "--lenient", Some("0"), true),
        ("outrigger", "--lenient=false", Some("1"), false),
    ] {
        let environment: Vec<_> =
            variable.map(|value| ("OUTRIGGER_LENIENT", value)).into_iter().collect();
        let Ok(Command::Serve(launch)) =
            parsed(program, &format!("--app-id a {line}"), &environment)
        else {
            panic!("not served")
        };
        assert_eq!(launch.options.unwrap().lenient, lenient, "{program} {line} {variable:?}");
    }
}

#[test]
fn the_other_commands_are_recognised() {
    assert!(matches!(parsed("daprd", "--version", &[]), Ok(Command::Version)));
    assert!(matches!(parsed("daprd", "-version --app-port x", &[]), Ok(Command::Version)));
    assert!(matches!(parsed("daprd", "--build-info", &[]), Ok(Command::BuildInfo)));
    let Ok(Command::Wait { http_port }) = parsed("daprd", "--wait --dapr-http-port 3501", &[])
    else {
        panic!("not waited")
    };
    assert_eq!(http_port, "3501");
    assert!(matches!(parsed("outrigger", "run --version", &[]), Ok(Command::Version)));
    assert!(matches!(parsed("outrigger", "run --build-info", &[]), Ok(Command::BuildInfo)));
    assert!(matches!(parsed("outrigger", "run --wait -- app", &[]), Ok(Command::Wait { .. })));
    for line in ["--help", "-h", "-help", "run --help", "run -h", "run -help"] {
        let Err(CliError::Help(text)) = parsed("outrigger", line, &[]) else { panic!("{line}") };
        assert!(text.contains("Usage") && text.contains("--resources-path"), "{text}");
    }
}

#[test]
fn run_serves_loopback_on_free_ports_with_an_embedded_store() {
    let (options, command) = run("--app-id a -- python3 -u app.py --nope");
    assert_eq!((options.http_port, options.grpc_port), (0, 0));
    assert_eq!(options.listen_addresses, ["127.0.0.1"]);
    assert_eq!(options.internal_grpc_listen_address, "127.0.0.1");
    assert!(options.embedded);
    assert_eq!(command, ["python3", "-u", "app.py", "--nope"].map(OsString::from));
}

#[test]
fn run_takes_the_flags_of_dapr_run_in_their_short_forms_too() {
    let (options, command) =
        run("-a x -p 6001 -H 3501 -G50002 -c c.yaml -d r1 -d=r2 -P grpc -I 7 \
         -dapr-listen-addresses 0.0.0.0 -dapr-internal-grpc-listen-address ::1 app -a y");
    assert_eq!((options.app_id.as_str(), options.app.port), ("x", Some(6001)));
    assert_eq!((options.http_port, options.grpc_port), (3501, 50002));
    assert_eq!((options.internal_grpc_port, options.app.protocol), (Some(7), AppProtocol::Grpc));
    assert_eq!(options.config_paths, [PathBuf::from("c.yaml")]);
    assert_eq!(options.resources_paths, ["r1", "r2"].map(PathBuf::from));
    assert_eq!(options.listen_addresses, ["0.0.0.0"]);
    assert_eq!(options.internal_grpc_listen_address, "::1");
    assert!(!options.embedded);
    assert_eq!(command, ["app", "-a", "y"].map(OsString::from));
}

#[test]
fn run_without_a_command_and_with_ports_of_minus_one_is_fine() {
    let (options, command) = run("--app-id a --dapr-http-port -1 --app-port -1 --");
    assert_eq!((options.http_port, options.app.port), (0, None));
    assert_eq!(command, Vec::<OsString>::new());
}

#[test]
fn daprd_has_no_run() {
    let Ok(Command::Serve(_)) = parsed("daprd", "run --app-id a", &[]) else { panic!("run") };
}

#[test]
fn a_command_that_is_not_utf8_is_handed_on() {
    use std::os::unix::ffi::OsStringExt as _;
    let odd = OsString::from_vec(vec![b'a', 0xff]);
    let mut words: Vec<OsString> =
        ["outrigger", "run", "--app-id", "a", "--"].map(OsString::from).into();
    words.push(odd.clone());
    let Ok(Command::Run(_, command)) = parse(&words, &|_| None) else { panic!("not run") };
    assert_eq!(command, std::slice::from_ref(&odd));
    let Err(CliError::Usage { message, .. }) = parse(&["outrigger".into(), odd], &|_| None) else {
        panic!("accepted")
    };
    assert_eq!(message, "a\u{fffd} is not UTF-8");
}

proptest! {
    #[test]
    fn no_words_whatever_break_it(words in proptest::collection::vec("-{0,3}(app-id|wait|run|help|[a-z=-]{0,4})(=.{0,5})?", 0..6)) {
        let words: Vec<OsString> = words.into_iter().map(OsString::from).collect();
        let _ = parse(&words, &|_| None);
    }

    #[test]
    fn whole_numbers_are_read_in_every_base(number in any::<i64>()) {
        let magnitude = number.unsigned_abs();
        let sign = if number < 0 { "-" } else { "" };
        for text in [
            format!("{sign}{magnitude}"),
            format!("{sign}{magnitude:#x}"),
            format!("{sign}{magnitude:#o}"),
            format!("{sign}0{magnitude:o}"),
            format!("{sign}{magnitude:#b}"),
        ] {
            proptest::prop_assert_eq!(super::go_flag::parse_int(&text), Ok(number), "{}", text);
        }
    }
}

#[test]
fn limits_are_numbers_or_quantities_and_0_is_none_of_those_that_can_be_absent() {
    use crate::edge::admission::Most;
    let most = |line: &str| options(line).most;
    let bytes = Some(64 << 20);
    let default = Most { calls: Some(1024), bytes, connections: Some(2048) };
    assert_eq!(most(""), default);
    assert_eq!(most("--max-calls-in-flight 7"), Most { calls: Some(7), ..default });
    assert_eq!(most("--max-bytes-in-flight 1Ki"), Most { bytes: Some(1024), ..default });
    let none = "--max-calls-in-flight 0 --max-bytes-in-flight 0 --max-connections 0";
    assert_eq!(most(none), Most::default());
    assert_eq!(options("--max-streams-per-connection 1").max_streams, 1);
    assert_eq!(options("").max_header_list_size, 64 << 10);
    assert_eq!(options("--read-buffer-size 1Mi").max_header_list_size, 1 << 20);
    assert_eq!(options("--max-header-list-size 8Ki").max_header_list_size, 8 << 10);
    for (line, expected) in [
        ("--max-calls-in-flight -1", "value for 'max-calls-in-flight' must be 0 or more, not -1"),
        (
            "--max-streams-per-connection 0",
            "value for 'max-streams-per-connection' must be between 1 and 2147483647, not 0",
        ),
        (
            "--max-header-list-size 0",
            "value for 'max-header-list-size' must be between 1 and 4294967295 bytes, not 0",
        ),
    ] {
        assert_eq!(runtime_error(&format!("--app-id a {line}")), expected);
    }
    let error = runtime_error("--app-id a --max-bytes-in-flight lots");
    assert!(error.starts_with("invalid value for 'max-bytes-in-flight' option: "), "{error}");
}
