//! From what was typed to what a sidecar is started with: daprd's checks, in its words.

use std::{num::TryFromIntError, path::PathBuf, time::Duration};

use super::{
    Lookup, Typed,
    go_flag::{parse_bool, split_list},
    limits::Limits,
    quantity, scope,
};
use crate::{
    edge::token::ApiToken,
    go_text::{atoi, parse_duration},
    http::cors::Cors,
    log::Level,
    sidecar::options::{AppChannel, AppProtocol, MetricsPort, SidecarOptions},
};

const DEFAULT_GRACE_SECONDS: u64 = 5;
const DEFAULT_BODY_SIZE: usize = 4 << 20;
const DEFAULT_HEAD_SIZE: usize = 4 << 10;
const DEFAULT_PROBE_INTERVAL_SECONDS: i64 = 5;
const DEFAULT_PROBE_TIMEOUT_MILLIS: i64 = 500;

/// Where `run` listens: a machine on which somebody tries an app is no server.
const LOOPBACK: &str = "127.0.0.1";

/// Which of the two command lines it is; they differ in their defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// As daprd is started.
    Daprd {
        /// Whether the program runs under daprd's name.
        lenient_by_name: bool,
    },
    /// `outrigger run`.
    Run,
}

/// Options a sidecar cannot be started with; the text stands behind `Fatal error from runtime: `.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionsError {
    /// `--app-id` is missing.
    #[error("parameter app-id cannot be empty")]
    AppIdEmpty,
    /// `--app-id` is not a name.
    #[error("parameter app-id cannot contain dots")]
    AppIdDots,
    /// Text that is no number where a port should be.
    #[error("error parsing {flag} flag: {problem}")]
    Port {
        /// The flag without its dashes.
        flag: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The application and an API want the same port.
    #[error("the '{flag}' argument value {port} conflicts with 'app-port'")]
    PortConflict {
        /// The API's flag.
        flag: &'static str,
        /// The port.
        port: u16,
    },
    /// A word that is none of those the flag knows.
    #[error("invalid value for '{flag}': {value}")]
    Word {
        /// The flag without its dashes.
        flag: &'static str,
        /// What was given.
        value: String,
    },
    /// `--mode` with a word that is no mode.
    #[error("invalid mode: {0}")]
    Mode(String),
    /// `--mode kubernetes`.
    #[error("mode kubernetes is not served, only standalone is")]
    Kubernetes,
    /// The health check's times contradict each other.
    #[error("value for 'health-probe-timeout' must be smaller than 'health-probe-interval'")]
    ProbeTimeout,
    /// Text that is no quantity.
    #[error("invalid value for '{flag}' option: {problem}")]
    Quantity {
        /// The flag without its dashes.
        flag: &'static str,
        /// What is wrong.
        problem: &'static str,
    },
    /// A number outside what the flag takes.
    #[error("value for '{flag}' must be {expected}, not {value}")]
    Range {
        /// The flag without its dashes.
        flag: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What was given.
        value: String,
    },
}

/// The two limits that daprd reads before it logs.
pub(super) struct Sizes {
    pub(super) body: Option<usize>,
    pub(super) head: usize,
}

impl Sizes {
    /// Reads them; the error is the whole text of daprd's fatal line.
    pub(super) fn read(typed: &Typed) -> Result<Self, String> {
        let flags = &typed.flags;
        let body =
            if typed.is_given("dapr-http-max-request-size") && !typed.is_given("max-body-size") {
                scaled(flags.dapr_http_max_request_size, 20)
            } else {
                size("max-body-size", &flags.max_body_size)?
            };
        let head = if typed.is_given("dapr-http-read-buffer-size")
            && !typed.is_given("read-buffer-size")
        {
            scaled(flags.dapr_http_read_buffer_size, 10)
        } else {
            size("read-buffer-size", &flags.read_buffer_size)?
        };
        Ok(Self {
            body: match body {
                -1 => Some(DEFAULT_BODY_SIZE),
                limit => usize::try_from(limit).ok().filter(|&limit| limit > 0),
            },
            head: usize::try_from(head).ok().filter(|&head| head > 0).unwrap_or(DEFAULT_HEAD_SIZE),
        })
    }
}

/// -1 asks for the default, in whatever unit.
fn scaled(number: i64, bits: u32) -> i64 {
    if number == -1 { -1 } else { number.saturating_mul(1 << bits) }
}

fn size(flag: &str, text: &str) -> Result<i64, String> {
    quantity::parse(text).map_err(|problem| {
        format!("Failed to parse flags: invalid value for '{flag}' option: {problem}")
    })
}

/// Checks everything and makes the options.
pub(super) fn options(
    typed: &Typed,
    log_level: Level,
    shape: Shape,
    sizes: Sizes,
    limits: Limits,
    environment: Lookup<'_>,
) -> Result<SidecarOptions, OptionsError> {
    let flags = &typed.flags;
    check_app_id(&flags.app_id)?;
    check_mode(&flags.mode)?;
    check_without_effect(typed)?;
    let app = app_channel(typed)?;
    let http_port = api_port(typed, shape, "dapr-http-port", &flags.dapr_http_port)?;
    let grpc_port = api_port(typed, shape, "dapr-grpc-port", &flags.dapr_grpc_port)?;
    for (flag, port) in [("dapr-http-port", http_port), ("dapr-grpc-port", grpc_port)] {
        if port != 0 && app.port == Some(port) {
            return Err(OptionsError::PortConflict { flag, port });
        }
    }
    let resources_paths = resources_paths(typed);
    let Limits { most, streams, header_list } = limits;
    Ok(SidecarOptions {
        app_id: flags.app_id.clone(),
        http_port,
        grpc_port,
        internal_grpc_port: optional_port(
            "dapr-internal-grpc-port",
            &flags.dapr_internal_grpc_port,
        )?,
        internal_grpc_listen_address: internal_address(typed, shape),
        listen_addresses: listen_addresses(&flags.dapr_listen_addresses, shape),
        socket_folder: (!flags.unix_domain_socket.is_empty())
            .then(|| flags.unix_domain_socket.clone().into()),
        public_port: optional_port("dapr-public-port", &flags.dapr_public_port)?,
        public_listen_addresses: listen_addresses(&flags.dapr_public_listen_address, shape),
        metrics: metrics(typed, shape)?,
        http2: !environment("DAPR_HTTP_DISABLE_H2C").is_some_and(|word| is_truthy(&word)),
        cors: Cors::parse(&flags.allowed_origins),
        api_logging: flags.enable_api_logging,
        config_paths: paths(&split_list(&flags.config)),
        app,
        max_body_size: sizes.body,
        read_buffer_size: sizes.head,
        most,
        max_streams: streams,
        max_header_list_size: header_list,
        graceful_shutdown: grace(flags.dapr_graceful_shutdown_seconds),
        api_token: environment("DAPR_API_TOKEN").as_deref().and_then(ApiToken::new),
        lenient: lenient(flags.lenient, shape, environment)?,
        embedded: flags.embedded || (shape == Shape::Run && resources_paths.is_empty()),
        resources_paths,
        data_plane_threads: data_plane_threads(flags.data_plane_threads)?,
        log_level,
        namespace: environment("NAMESPACE"),
    })
}

fn check_app_id(app_id: &str) -> Result<(), OptionsError> {
    if app_id.is_empty() {
        return Err(OptionsError::AppIdEmpty);
    }
    if app_id.contains('.') {
        return Err(OptionsError::AppIdDots);
    }
    Ok(())
}

fn check_mode(mode: &str) -> Result<(), OptionsError> {
    match mode {
        "standalone" => Ok(()),
        "kubernetes" => Err(OptionsError::Kubernetes),
        other => Err(OptionsError::Mode(other.to_owned())),
    }
}

/// Flags without effect are checked all the same, so that nobody can move to daprd and fail there.
fn check_without_effect(typed: &Typed) -> Result<(), OptionsError> {
    for (flag, value) in scope::ports(&typed.matches) {
        if !value.is_empty() {
            atoi(value).map_err(|problem| OptionsError::Port { flag, problem })?;
        }
    }
    for value in scope::list(&typed.matches, "disable-init-endpoints") {
        if !matches!(value.as_str(), "config" | "subscribe") {
            return Err(OptionsError::Word { flag: "disable-init-endpoints", value });
        }
    }
    let number = |flag, default| match scope::value(&typed.matches, flag).parse::<i64>() {
        Ok(number) if number > 0 => number,
        _ => default,
    };
    let interval = number("app-health-probe-interval", DEFAULT_PROBE_INTERVAL_SECONDS);
    let timeout = number("app-health-probe-timeout", DEFAULT_PROBE_TIMEOUT_MILLIS);
    if timeout > interval.saturating_mul(1000) {
        return Err(OptionsError::ProbeTimeout);
    }
    let flag = "actors-disseminate-timeout";
    let value = scope::value(&typed.matches, flag);
    if parse_duration(value).is_ok_and(|duration| duration.positive().is_none()) {
        let expected = "greater than 0";
        return Err(OptionsError::Range { flag, expected, value: value.to_owned() });
    }
    Ok(())
}

fn app_channel(typed: &Typed) -> Result<AppChannel, OptionsError> {
    let flags = &typed.flags;
    let protocol = match flags.app_protocol.to_ascii_lowercase().as_str() {
        "" | "http" => AppProtocol::Http,
        "https" => AppProtocol::Https,
        "grpc" => AppProtocol::Grpc,
        "grpcs" => AppProtocol::Grpcs,
        "h2c" => AppProtocol::H2c,
        _ => {
            let value = flags.app_protocol.clone();
            return Err(OptionsError::Word { flag: "app-protocol", value });
        }
    };
    let protocol = match (flags.app_ssl, protocol) {
        (true, AppProtocol::Http) => AppProtocol::Https,
        (true, AppProtocol::Grpc) => AppProtocol::Grpcs,
        (_, protocol) => protocol,
    };
    let max_concurrency: Result<i32, TryFromIntError> = flags.app_max_concurrency.try_into();
    Ok(AppChannel {
        port: optional_port("app-port", &flags.app_port)?,
        protocol,
        address: flags.app_channel_address.clone(),
        max_concurrency: max_concurrency.map_err(|_| OptionsError::Range {
            flag: "app-max-concurrency",
            expected: "a number of 32 bits",
            value: flags.app_max_concurrency.to_string(),
        })?,
    })
}

/// An API's port. `run` takes a free one unless told otherwise, as `dapr run` does.
fn api_port(
    typed: &Typed,
    shape: Shape,
    flag: &'static str,
    text: &str,
) -> Result<u16, OptionsError> {
    match shape {
        Shape::Run if !typed.is_given(flag) => Ok(0),
        Shape::Run => Ok(optional_port(flag, text)?.unwrap_or(0)),
        Shape::Daprd { .. } => port(flag, text, atoi(text)),
    }
}

/// Where metrics are served; as with the APIs, `run` takes a free port of loopback unless told
/// otherwise.
fn metrics(typed: &Typed, shape: Shape) -> Result<Option<MetricsPort>, OptionsError> {
    let flags = &typed.flags;
    let port = api_port(typed, shape, "metrics-port", &flags.metrics_port)?;
    let address = match shape {
        Shape::Run if !typed.is_given("metrics-listen-address") => LOOPBACK.to_owned(),
        Shape::Run | Shape::Daprd { .. } => flags.metrics_listen_address.clone(),
    };
    Ok(flags.enable_metrics.then_some(MetricsPort { address, port }))
}

/// A port that may be left out: empty, 0 or less.
fn optional_port(flag: &'static str, text: &str) -> Result<Option<u16>, OptionsError> {
    if text.is_empty() {
        return Ok(None);
    }
    match atoi(text) {
        Ok(..=0) => Ok(None),
        number => port(flag, text, number).map(Some),
    }
}

fn port(flag: &'static str, text: &str, number: Result<i64, String>) -> Result<u16, OptionsError> {
    let number = number.map_err(|problem| OptionsError::Port { flag, problem })?;
    let problem = || format!("{text} is not between 0 and {}", u16::MAX);
    number.try_into().map_err(|_| OptionsError::Port { flag, problem: problem() })
}

fn resources_paths(typed: &Typed) -> Vec<PathBuf> {
    let flags = &typed.flags;
    let listed = paths(&split_list(&flags.resources_path));
    if listed.is_empty() && !flags.components_path.is_empty() {
        return vec![flags.components_path.clone().into()];
    }
    listed
}

fn paths(texts: &[String]) -> Vec<PathBuf> {
    texts.iter().map(PathBuf::from).collect()
}

fn listen_addresses(text: &str, shape: Shape) -> Vec<String> {
    let listed: Vec<String> =
        text.split(',').map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned).collect();
    match shape {
        Shape::Run if listed.is_empty() => vec![LOOPBACK.to_owned()],
        Shape::Run | Shape::Daprd { .. } => listed,
    }
}

fn internal_address(typed: &Typed, shape: Shape) -> String {
    match (shape, typed.flags.dapr_internal_grpc_listen_address.as_str()) {
        (Shape::Run, "") => LOOPBACK.to_owned(),
        (Shape::Run | Shape::Daprd { .. }, given) => given.to_owned(),
    }
}

fn grace(seconds: i64) -> Option<Duration> {
    match u64::try_from(seconds) {
        Ok(0) => None,
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => Some(Duration::from_secs(DEFAULT_GRACE_SECONDS)),
    }
}

fn lenient(
    typed: Option<bool>,
    shape: Shape,
    environment: Lookup<'_>,
) -> Result<bool, OptionsError> {
    const VARIABLE: &str = "OUTRIGGER_LENIENT";
    if let Some(lenient) = typed {
        return Ok(lenient);
    }
    match environment(VARIABLE).filter(|value| !value.is_empty()) {
        Some(value) => parse_bool(&value).map_err(|_| OptionsError::Word { flag: VARIABLE, value }),
        None => Ok(matches!(shape, Shape::Daprd { lenient_by_name: true })),
    }
}

/// The words by which daprd's variables are turned on.
fn is_truthy(word: &str) -> bool {
    matches!(word.to_ascii_lowercase().as_str(), "y" | "yes" | "true" | "t" | "on" | "1")
}

fn data_plane_threads(number: i64) -> Result<usize, OptionsError> {
    const MOST: usize = 1024;
    usize::try_from(number).ok().filter(|threads| (1..=MOST).contains(threads)).ok_or_else(|| {
        OptionsError::Range {
            flag: "data-plane-threads",
            expected: "between 1 and 1024",
            value: number.to_string(),
        }
    })
}
