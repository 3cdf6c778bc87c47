//! In the place where Dapr's CLI looks for daprd, started and treated as the CLI does it.

use std::{
    fs,
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::{
    canary::{key, value},
    eventually, http,
    ports::free_port,
    process::Process,
    redis::Redis,
    resources::statestore,
};

const OUTRIGGER: &str = env!("CARGO_BIN_EXE_outrigger");

const PUBSUB: &str = "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata:\n  name: pubsub\n\
    spec:\n  type: pubsub.redis\n  version: v1\n  metadata:\n  - name: redisHost\n    \
    value: localhost:6379\n  - name: redisPassword\n    value: \"\"\n";

const CONFIG: &str = "apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata:\n  \
    name: daprConfig\nspec:\n  tracing:\n    samplingRate: \"1\"\n    zipkin:\n      \
    endpointAddress: http://localhost:9411/api/v2/spans\n";

/// A policy that does not exist: daprd goes on without it.
const MISTAKEN: &str = "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata:\n  name: mistaken\n\
    spec:\n  targets:\n    components:\n      statestore:\n        outbound:\n          retry: none\n";

/// A copy that can be started at once. A file that this process writes may for a moment be open in
/// a child that another test is just starting, and is "busy" then.
fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args([from, to]).status().expect("cp runs");
    assert!(copied.success());
}

/// What `dapr init` leaves in a home directory, with us in daprd's place.
struct Home {
    folder: TempDir,
}

impl Home {
    fn new(redis: &Redis) -> Self {
        let home = Self { folder: tempfile::tempdir().expect("a folder") };
        let dapr = home.folder.path().join(".dapr");
        fs::create_dir_all(dapr.join("bin")).expect("a folder");
        fs::create_dir_all(dapr.join("components")).expect("a folder");
        // A link is quicker, but not every two folders allow it.
        if fs::hard_link(OUTRIGGER, home.daprd()).is_err() {
            copy(Path::new(OUTRIGGER), &home.daprd());
        }
        let actors = "  - name: actorStateStore\n    value: \"true\"\n";
        let store = format!("{}{actors}", statestore(redis));
        fs::write(dapr.join("components/statestore.yaml"), store).expect("a file");
        fs::write(dapr.join("components/pubsub.yaml"), PUBSUB).expect("a file");
        fs::write(dapr.join("config.yaml"), CONFIG).expect("a file");
        home
    }

    fn daprd(&self) -> PathBuf {
        self.folder.path().join(".dapr/bin/daprd")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.folder.path());
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// The CLI's command line, word for word.
    fn start(&self, program: &Path, app_id: &str, ports: &Ports) -> Process {
        let dapr = self.folder.path().join(".dapr");
        let (config, components) = (dapr.join("config.yaml"), dapr.join("components"));
        let mut command = self.command(program);
        command.arg("--config").arg(config);
        command.args(["--app-protocol", "http", "--log-level", "info"]);
        command.args(["--app-max-concurrency", "-1"]);
        command.args(["--placement-host-address", "localhost:50005"]);
        command.arg("--components-path").arg(components);
        command.args(["--max-body-size", "4Mi", "--read-buffer-size", "4Ki"]);
        command.args(["--scheduler-host-address", "localhost:50006"]);
        command.args(["--app-id", app_id, "--app-port", "0"]);
        command.args(["--dapr-http-port", &ports.http.to_string()]);
        command.args(["--dapr-grpc-port", &ports.grpc.to_string()]);
        command.args(["--profile-port", "-1", "--metrics-port", &ports.metrics.to_string()]);
        command.args(["--dapr-internal-grpc-port", &ports.internal.to_string()]);
        // The CLI starts it in a process group of its own.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        Process::spawn("daprd", &mut command)
    }

    fn tool(&self, words: &[&str]) -> Output {
        self.command(Path::new(OUTRIGGER)).args(words).output().expect("it runs")
    }
}

struct Ports {
    http: u16,
    grpc: u16,
    internal: u16,
    metrics: u16,
}

impl Ports {
    fn free() -> Self {
        let [http, grpc, internal, metrics] = std::array::from_fn(|_| free_port());
        Self { http, grpc, internal, metrics }
    }

    /// All that the CLI waits for: no request is made.
    fn wait(&self) {
        for port in [self.http, self.grpc] {
            eventually("a port accepts", || TcpStream::connect(("127.0.0.1", port)).is_ok());
        }
    }
}

#[track_caller]
fn put(ports: &Ports, key: &str, value: &str) {
    let path = format!("/v1.0/metadata/{key}");
    let answer = http::request("PUT", ports.http, &path, &[], value.as_bytes()).expect("answered");
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[track_caller]
fn metadata(ports: &Ports) -> serde_json::Value {
    let answer = http::request("GET", ports.http, "/v1.0/metadata", &[], &[]).expect("answered");
    serde_json::from_str(&answer.body).expect("JSON")
}

#[test]
fn the_cli_reads_our_version() {
    let home = Home::new(&Redis::start());
    let output = home.command(&home.daprd()).arg("--version").output().expect("it runs");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let numbers: Vec<u32> =
        text.replace('\n', "").split('.').map(|part| part.parse().expect("a number")).collect();
    // From 1.14.0-rc.1 on the CLI passes the scheduler's address.
    assert!(numbers.len() == 3 && numbers.as_slice() >= &[1, 14, 0][..], "{text}");
}

#[test]
fn the_cli_starts_us_tells_us_and_kills_us() {
    let redis = Redis::start();
    let (home, ports) = (Home::new(&redis), Ports::free());
    let mut daprd = home.start(&home.daprd(), "cli-starts-us", &ports);
    ports.wait();
    // What the CLI and `dapr list` take for a daprd.
    let name = fs::read_to_string(format!("/proc/{}/comm", daprd.pid())).expect("it runs");
    assert_eq!(name, "daprd\n");

    for (key, value) in [("cliPID", "4200"), ("appPID", "4242"), ("appCommand", "python3 app.py")] {
        put(&ports, key, value);
    }
    let told = metadata(&ports);
    assert_eq!(told["id"], "cli-starts-us");
    assert_eq!(told["extended"]["cliPID"], "4200");
    assert_eq!(told["extended"]["appPID"], "4242");
    assert_eq!(told["extended"]["appCommand"], "python3 app.py");
    let names: Vec<_> = told["components"].as_array().expect("a list").iter().collect();
    assert_eq!(names.len(), 1, "the pubsub component is skipped: {names:?}");

    let body = format!(r#"[{{"key":"{}","value":"{}"}}]"#, key("1"), value("1"));
    let saved = http::request("POST", ports.http, "/v1.0/state/statestore", &[], body.as_bytes());
    assert_eq!(saved.expect("answered").status, 204);
    let stored = redis.field(&format!("cli-starts-us||{}", key("1")), "data");
    assert_eq!(stored, Some(format!("\"{}\"", value("1"))));

    // The CLI ends it by SIGKILL only; the next one has its ports at once.
    daprd.signal(Signal::SIGKILL);
    assert_eq!(daprd.exit_code(), -9);
    let again = home.start(&home.daprd(), "cli-starts-us", &ports);
    ports.wait();
    again.wait_for_line(0, "dapr initialized. Status: Running.");
}

#[test]
fn its_lines_are_those_that_the_cli_passes_on() {
    let redis = Redis::start();
    let (home, ports) = (Home::new(&redis), Ports::free());
    let mut daprd = home.start(&home.daprd(), "cli-lines", &ports);
    daprd.wait_for_line(0, "dapr initialized. Status: Running. Init Elapsed ");
    daprd.signal(Signal::SIGTERM);
    assert_eq!(daprd.exit_code(), 0);
    let text = daprd.text();
    let (deprecation, lines): (Vec<_>, Vec<_>) =
        text.lines().partition(|line| line.starts_with("Flag --"));
    assert_eq!(
        deprecation,
        ["Flag --components-path has been deprecated, use '--resources-path' instead"]
    );
    for line in &lines {
        let in_form = line.starts_with("time=\"")
            && line.contains(" level=")
            && line.contains(" app_id=cli-lines ")
            && line.ends_with(" type=log ver=1.18.3");
        assert!(in_form, "{line}");
    }
    let warnings: Vec<_> = lines.iter().filter(|line| line.contains("level=warning")).collect();
    assert!(warnings.iter().any(|line| line.contains("pubsub.redis")), "{text}");
    assert!(!text.contains("level=error") && !text.contains("level=fatal"), "{text}");
}

#[test]
fn under_that_name_mistakes_in_resources_are_told_and_passed_over() {
    let redis = Redis::start();
    let (home, ports) = (Home::new(&redis), Ports::free());
    let components = home.folder.path().join(".dapr/components");
    fs::write(components.join("mistaken.yaml"), MISTAKEN).expect("a file");
    let daprd = home.start(&home.daprd(), "cli-lenient", &ports);
    ports.wait();
    daprd.wait_for_line(0, "mistaken.yaml:");
    drop(daprd);
    // Under our own name the same command line is refused.
    let mut outrigger = home.start(Path::new(OUTRIGGER), "cli-lenient", &Ports::free());
    assert_eq!(outrigger.exit_code(), 1);
    assert!(outrigger.text().contains("mistaken.yaml:"), "{}", outrigger.text());
}

#[test]
fn it_is_listed_and_stopped_as_dapr_stop_does_it() {
    let redis = Redis::start();
    let (home, ports) = (Home::new(&redis), Ports::free());
    let mut daprd = home.start(&home.daprd(), "cli-stops-us", &ports);
    ports.wait();
    // The launcher of this one is the test, which shall live: a word of the wrong process.
    put(&ports, "cliPID", "1");
    let rows: serde_json::Value =
        serde_json::from_slice(&home.tool(&["list", "-o", "json"]).stdout).expect("JSON");
    let rows = rows.as_array().expect("a list");
    let row = rows.iter().find(|row| row["appId"] == "cli-stops-us").expect("it is listed");
    assert_eq!(row["httpPort"], ports.http);
    assert_eq!(row["grpcPort"], ports.grpc);
    assert_eq!(row["daprdPid"], daprd.pid().as_raw());
    let stopped = home.tool(&["stop", "--app-id", "cli-stops-us"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(daprd.exit_code(), 0, "{}", daprd.text());
    daprd.wait_for_line(0, "Received signal 'terminated'; beginning shutdown");
}

/// Stands for the daprd that the CLI installed.
const ORIGINAL: &str = "#!/bin/sh\necho 1.18.3 of Dapr\n";

fn base_with(daprd: Option<&str>) -> (TempDir, PathBuf) {
    let base = tempfile::tempdir().expect("a folder");
    let path = base.path().join(".dapr/bin/daprd");
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    if let Some(text) = daprd {
        fs::write(&path, text).expect("a file");
    }
    (base, path)
}

/// The exit code and everything said.
fn install(base: &Path, more: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(OUTRIGGER);
    command.arg("install-as-daprd").args(more).env("DAPR_RUNTIME_PATH", base);
    let output = command.output().expect("it runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(text).expect("UTF-8"))
}

fn is_ours(path: &Path) -> bool {
    let output = Command::new(path).arg("--build-info").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("Outrigger: "))
}

fn files(path: &Path) -> Vec<String> {
    let entries = fs::read_dir(path.parent().expect("a parent")).expect("a folder");
    let mut names: Vec<String> =
        entries.map(|it| it.expect("an entry").file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

#[test]
fn we_are_installed_beside_the_original_and_taken_away_again() {
    let (base, daprd) = base_with(Some(ORIGINAL));
    let original = daprd.with_file_name("daprd.dapr-original");
    for told in ["is this program now", "is this program already"] {
        let (code, text) = install(base.path(), &[]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(told) && text.contains(daprd.to_str().expect("UTF-8")), "{text}");
        assert!(is_ours(&daprd));
        assert_eq!(fs::read_to_string(&original).expect("kept"), ORIGINAL);
        assert_eq!(files(&daprd), ["daprd", "daprd.dapr-original"]);
    }
    for told in ["is Dapr's own again", "nothing to undo"] {
        let (code, text) = install(base.path(), &["--undo"]);
        assert_eq!(code, Some(0), "{text}");
        assert!(text.contains(told), "{text}");
        assert_eq!(fs::read_to_string(&daprd).expect("there"), ORIGINAL);
        assert_eq!(files(&daprd), ["daprd"]);
    }
}

#[test]
fn where_nothing_is_installed_we_are_only_by_force() {
    let (base, daprd) = base_with(None);
    let (code, text) = install(base.path(), &[]);
    assert_eq!(code, Some(1));
    assert!(text.contains("dapr init") && text.contains("--force"), "{text}");
    assert_eq!(files(&daprd), [""; 0]);

    let empty = tempfile::tempdir().expect("a folder");
    let path = empty.path().to_str().expect("UTF-8");
    let (code, text) = install(base.path(), &["--force", "--runtime-path", path]);
    assert_eq!(code, Some(0), "{text}");
    let there = empty.path().join(".dapr/bin/daprd");
    assert!(is_ours(&there));
    assert_eq!(files(&daprd), [""; 0], "--runtime-path wins");
    let (code, text) = install(empty.path(), &["--undo"]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(files(&there), [""; 0]);
}

#[test]
fn another_version_of_us_is_replaced_and_never_taken_for_the_original() {
    let (base, daprd) = base_with(Some(ORIGINAL));
    install(base.path(), &[]);
    // Another build of this program: the same with something behind it.
    let mut other = fs::read(&daprd).expect("there");
    other.extend_from_slice(b"another build");
    fs::write(&daprd, other).expect("written");
    let (code, text) = install(base.path(), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(fs::read(&daprd).expect("there"), fs::read(OUTRIGGER).expect("there"));
    let original = daprd.with_file_name("daprd.dapr-original");
    assert_eq!(fs::read_to_string(original).expect("kept"), ORIGINAL);
}

#[test]
fn a_daprd_that_the_cli_installed_since_is_respected() {
    let (base, daprd) = base_with(Some(ORIGINAL));
    install(base.path(), &[]);
    let newer = "#!/bin/sh\necho 1.19.0\n";
    fs::remove_file(&daprd).expect("removed");
    fs::write(&daprd, newer).expect("written");
    let (code, text) = install(base.path(), &["--undo"]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("is not ours"), "{text}");
    assert_eq!(fs::read_to_string(&daprd).expect("there"), newer);
    // Installed again we keep the newer one.
    let (code, text) = install(base.path(), &[]);
    assert_eq!(code, Some(0), "{text}");
    let original = daprd.with_file_name("daprd.dapr-original");
    assert_eq!(fs::read_to_string(original).expect("kept"), newer);
    assert!(is_ours(&daprd));
}

#[test]
fn we_are_installed_while_the_original_runs() {
    let (base, daprd) = base_with(None);
    copy(Path::new("/bin/sleep"), &daprd);
    let mut running = Process::spawn("daprd", Command::new(&daprd).arg("60"));
    let (code, text) = install(base.path(), &[]);
    assert_eq!(code, Some(0), "{text}");
    assert_eq!(running.status(), None);
    running.signal(Signal::SIGKILL);
    running.wait();
}
