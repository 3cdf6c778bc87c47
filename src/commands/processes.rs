//! The sidecars that run on this machine, as `/proc` and they themselves tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::OsString,
    fs,
    os::unix::{ffi::OsStringExt as _, fs::MetadataExt as _},
    time::Duration,
};

use jiff::Timestamp;
use serde::Deserialize;

use super::http_client::{self, Request};
use crate::cli::{self, Command, Launch};

/// How long a sidecar may take to tell about itself.
const PATIENCE: Duration = Duration::from_secs(1);

/// The kernel's names of processes that may be sidecars. Dapr's CLI knows the second only.
const NAMES: &[&str] = &["outrigger", "daprd"];

/// In what `/proc` counts a process's start; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: i64 = 100;

/// The key under which `run` tells the gRPC port, which may stand in no command line.
pub(super) const GRPC_PORT: &str = "outrigger.grpcPort";

/// A sidecar that runs.
pub(super) struct SidecarProcess {
    pub(super) pid: i32,
    pub(super) parent: i32,
    pub(super) started: Timestamp,
    pub(super) app_id: String,
    pub(super) http_port: u16,
    pub(super) grpc_port: u16,
    /// 0 without one.
    pub(super) app_port: u16,
    pub(super) metrics_enabled: bool,
    pub(super) max_body_size: usize,
    pub(super) read_buffer_size: usize,
    /// What was remembered with it, such as `appPID`; empty if it did not tell.
    pub(super) extended: BTreeMap<String, String>,
}

/// The part of `GET /v1.0/metadata` that is of interest.
#[derive(Deserialize)]
struct Metadata {
    id: String,
    #[serde(default)]
    extended: BTreeMap<String, String>,
}

/// Every sidecar that can be seen, in the order of its start.
pub(super) fn sidecars() -> Vec<SidecarProcess> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let mut found: Vec<SidecarProcess> = pids.filter_map(sidecar).collect();
    found.sort_by_key(|sidecar| (sidecar.started, sidecar.pid));
    found
}

/// The process, if it is a sidecar. One that ends meanwhile is none.
fn sidecar(pid: i32) -> Option<SidecarProcess> {
    let folder = format!("/proc/{pid}");
    let name = fs::read_to_string(format!("{folder}/comm")).ok()?;
    if !NAMES.contains(&name.trim_end().to_lowercase().as_str()) {
        return None;
    }
    let words = words(&fs::read(format!("{folder}/cmdline")).ok()?);
    let launch = launch(&words)?;
    let options = launch.options.ok()?;
    let stat = Stat::read(&fs::read_to_string(format!("{folder}/stat")).ok()?)?;
    let mut sidecar = SidecarProcess {
        pid,
        parent: stat.parent,
        started: started(stat.start_ticks)?,
        app_id: options.app_id,
        http_port: options.http_port,
        grpc_port: options.grpc_port,
        app_port: options.app.port.unwrap_or(0),
        metrics_enabled: !words.iter().any(|word| word == "--enable-metrics=false"),
        max_body_size: options.max_body_size.unwrap_or(0),
        read_buffer_size: options.read_buffer_size,
        extended: BTreeMap::new(),
    };
    sidecar.ask(token_for(&folder).as_deref());
    Some(sidecar)
}

fn launch(words: &[OsString]) -> Option<Launch> {
    match cli::parse(words, &|_| None).ok()? {
        Command::Serve(launch) | Command::Run(launch, _) => Some(*launch),
        Command::Version
        | Command::BuildInfo
        | Command::Wait { .. }
        | Command::RunFile { .. }
        | Command::Limits(_)
        | Command::Tool(_) => None,
    }
}

impl SidecarProcess {
    /// Has the sidecar tell about itself, if it does.
    fn ask(&mut self, token: Option<&str>) {
        let ports = match self.http_port {
            0 => listening_ports(self.pid),
            port => BTreeSet::from([port]),
        };
        for port in ports {
            let Some(metadata) = metadata(port, token).filter(|it| it.id == self.app_id) else {
                continue;
            };
            self.http_port = port;
            let told = metadata.extended.get(GRPC_PORT).and_then(|port| port.parse().ok());
            if let (0, Some(told)) = (self.grpc_port, told) {
                self.grpc_port = told;
            }
            self.extended = metadata.extended;
            return;
        }
    }

    /// The process that started the sidecar and its app, if the sidecar was told of one and it is
    /// true: anybody who can call the API can tell it anything.
    pub(super) fn launcher(&self) -> Option<i32> {
        let told: i32 = self.extended.get("cliPID")?.parse().ok()?;
        (told == self.parent || told == self.pid).then_some(told)
    }
}

fn metadata(port: u16, token: Option<&str>) -> Option<Metadata> {
    let request = Request { token, ..Request::get("/v1.0/metadata") };
    let answer = http_client::send(port, &request, PATIENCE).ok()?;
    serde_json::from_slice(&answer.body).ok()
}

/// Our token, for a process of our own user; nobody else is shown it.
fn token_for(folder: &str) -> Option<String> {
    let owner = fs::metadata(folder).ok()?.uid();
    let is_ours = owner == nix::unistd::getuid().as_raw();
    is_ours.then(|| env::var("DAPR_API_TOKEN").ok()).flatten().filter(|token| !token.is_empty())
}

/// A command line as the kernel keeps it: each word ends in a zero byte.
fn words(bytes: &[u8]) -> Vec<OsString> {
    let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
    bytes.split(|&byte| byte == 0).map(|word| OsString::from_vec(word.to_vec())).collect()
}

/// What of `/proc/PID/stat` is of interest.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: i32,
    start_ticks: i64,
}

impl Stat {
    /// The name in parentheses may have anything in it, parentheses included.
    fn read(text: &str) -> Option<Self> {
        let (_, rest) = text.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        Some(Self {
            parent: fields.nth(1)?.parse().ok()?,
            start_ticks: fields.nth(17)?.parse().ok()?,
        })
    }
}

fn started(ticks: i64) -> Option<Timestamp> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Timestamp::from_second(boot.trim().parse::<i64>().ok()? + ticks / TICKS_PER_SECOND).ok()
}

/// The TCP ports a process listens on; none of another user's process.
fn listening_ports(pid: i32) -> BTreeSet<u16> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    let targets = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    let sockets: BTreeSet<String> = targets
        .filter_map(|target| {
            let target = target.to_str()?;
            Some(target.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned())
        })
        .collect();
    ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listeners(&table, &sockets))
        .collect()
}

/// The ports of a table's lines that listen on one of these sockets.
fn listeners(table: &str, sockets: &BTreeSet<String>) -> Vec<u16> {
    const LISTENING: &str = "0A";
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, state, socket) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
        let (_, port) = local.rsplit_once(':')?;
        let port = u16::from_str_radix(port, 16).ok()?;
        (*state == LISTENING && sockets.contains(*socket)).then_some(port)
    };
    table.lines().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_s_name_may_have_anything_in_it() {
        let rest = (4..=52).map(|number| number.to_string()).collect::<Vec<_>>().join(" ");
        let stat = Stat::read(&format!("77 (a) S 1 (b) S {rest}\n"));
        assert_eq!(stat, Some(Stat { parent: 4, start_ticks: 22 }));
        assert_eq!(Stat::read("77"), None);
    }

    #[test]
    fn only_the_ports_of_its_own_listening_sockets_are_found() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt uid timeout inode\n   \
            0: 0100007F:0DAC 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 11 1\n   \
            1: 0100007F:0DAD 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 12 1\n   \
            2: 0100007F:0DAE 0100007F:1111 01 00000000:00000000 00:00000000 00000000 0 0 13 1\n";
        let sockets = ["11", "13"].map(str::to_owned).into();
        assert_eq!(listeners(table, &sockets), [3500]);
    }

    #[test]
    fn words_are_cut_at_zero_bytes_and_may_be_empty() {
        assert_eq!(words(b"daprd\0--app-id\0\0"), ["daprd", "--app-id", ""]);
    }

    #[test]
    fn a_launcher_is_believed_only_if_it_is_the_parent_or_the_sidecar_itself() {
        let launcher = |told: &str| {
            let sidecar = SidecarProcess {
                pid: 20,
                parent: 10,
                started: Timestamp::UNIX_EPOCH,
                app_id: "a".to_owned(),
                http_port: 1,
                grpc_port: 2,
                app_port: 0,
                metrics_enabled: true,
                max_body_size: 0,
                read_buffer_size: 0,
                extended: BTreeMap::from([("cliPID".to_owned(), told.to_owned())]),
            };
            sidecar.launcher()
        };
        assert_eq!(launcher("10"), Some(10));
        assert_eq!(launcher("20"), Some(20));
        assert_eq!(launcher("1"), None);
        assert_eq!(launcher("x"), None);
    }
}
