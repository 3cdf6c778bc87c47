//! `outrigger run -f`: several apps, each beside a sidecar of its own.

use std::{
    fs,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::harness::{
    canary, eventually, eventually_some, http, ports::free_port, process::Process, redis::Redis,
    resources::statestore, sidecar::order_processor,
};

/// A folder with a `dapr.yaml` and the folders of its apps.
struct Run {
    folder: TempDir,
}

impl Run {
    fn new(yaml: &str, apps: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("dapr.yaml"), yaml).expect("a file");
        for app in apps {
            fs::create_dir(folder.path().join(app)).expect("a folder");
        }
        Self { folder }
    }

    fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
        command.args(words).current_dir(self.folder.path());
        command.env_clear().env("HOME", self.path("home")).env("DAPR_API_TOKEN", canary::TOKEN);
        command.envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
    }

    /// Leading a process group, as under a terminal.
    fn start(&self, words: &[&str]) -> Process {
        Process::spawn("outrigger", self.command(words).process_group(0))
    }

    fn tool(&self, words: &[&str]) -> Output {
        self.command(words).output().expect("it runs")
    }

    /// The row of `list` of an app.
    fn row(&self, app_id: &str) -> Option<serde_json::Value> {
        let rows: serde_json::Value =
            serde_json::from_slice(&self.tool(&["list", "-o", "json"]).stdout).expect("JSON");
        rows.as_array().expect("a list").iter().find(|row| row["appId"] == app_id).cloned()
    }

    /// The text of the only log of an app of this kind.
    fn log(&self, app: &str, whose: &str) -> Option<String> {
        let entries = fs::read_dir(self.path(app).join(".dapr/logs")).into_iter().flatten();
        let paths = entries.flatten().map(|entry| entry.path());
        let mut logs = paths.filter(|path| path.to_string_lossy().contains(&format!("_{whose}_")));
        logs.next().map(|path| fs::read_to_string(path).expect("UTF-8"))
    }
}

fn is_there(pid: &serde_json::Value) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

#[test]
fn every_app_has_its_sidecar_its_prefix_and_its_logs() {
    let redis = Redis::start();
    let yaml = format!(
        "version: 1\nname: pair\ncommon:\n  resourcesPaths: [resources]\n  env:\n    ORDERS: 2\n    \
         PAUSE_MS: 10\napps:\n- appDirPath: one\n  appID: multi-one\n  command: [{0}]\n\
         - appDirPath: two\n  appID: multi-two\n  command: [{0}]\n  env:\n    ORDERS: 3\n  \
         appLogDestination: console\n  daprdLogDestination: console\n  logLevel: warn\n",
        order_processor().display()
    );
    let run = Run::new(&yaml, &["one", "two", "resources"]);
    fs::write(run.path("resources/statestore.yaml"), statestore(&redis)).expect("a file");
    let mut process = run.start(&["run", "-f", "."]);
    assert_eq!(process.exit_code(), 0, "{}", process.text());
    let text = process.text();
    for (app, orders) in [("multi-one", 2), ("multi-two", 3)] {
        let line = format!("== APP - {app} == Processed {orders} orders\n");
        assert!(text.contains(&line), "{line} is missing:\n{text}");
        let started = format!("Started Dapr with app id \\\"{app}\\\". HTTP Port: ");
        assert!(text.contains(&started), "{text}");
        let stored = redis.field(&format!("{app}||processed"), "data");
        assert_eq!(stored, Some(orders.to_string()));
    }
    // To the file by default: the app's lines as they are, and the sidecar's, which nobody saw.
    let log = run.log("one", "app").expect("a log");
    assert!(log.starts_with("Saving Order: ") && log.ends_with("Processed 2 orders\n"), "{log}");
    let log = run.log("one", "daprd").expect("a log");
    assert!(log.contains("dapr initialized. Status: Running.") && log.contains("multi-one"));
    assert!(log.trim_end().ends_with("ver=1.18.3") && log.contains("Daprd shutdown gracefully"));
    assert!(!text.contains("app_id=multi-one"), "{text}");
    // The other one asked for the terminal only.
    assert!(!run.path("two/.dapr").exists());
}

#[test]
fn ctrl_c_ends_every_app_first_and_its_last_save_works() {
    let redis = Redis::start();
    let yaml = format!(
        "version: 1\ncommon:\n  daprdLogDestination: console\n  resourcesPath: resources\n  \
         env:\n    PAUSE_MS: 20\napps:\n- appDirPath: one\n  appID: multi-c-one\n  \
         command: [{0}]\n- appDirPath: two\n  appID: multi-c-two\n  command: [{0}]\n",
        order_processor().display()
    );
    let run = Run::new(&yaml, &["one", "two", "resources"]);
    fs::write(run.path("resources/statestore.yaml"), statestore(&redis)).expect("a file");
    let mut process = run.start(&["run", "--run-file", "dapr.yaml"]);
    for app in ["multi-c-one", "multi-c-two"] {
        process.wait_for_line(0, &format!("== APP - {app} == Deleting Order: {{ orderId: '3' }}"));
    }
    let row = run.row("multi-c-one").expect("listed");
    let told = run.path("dapr.yaml");
    assert_eq!(row["runTemplatePath"], told.to_str().expect("UTF-8"));
    assert_eq!(row["cliPid"], process.pid().as_raw());
    assert!(row["appLogPath"].as_str().is_some_and(|path| path.contains("multi-c-one_app_")));
    assert_eq!(row["daprdLogPath"], "");
    process.signal_group(Signal::SIGINT);
    assert_eq!(process.exit_code(), 0, "{}", process.text());
    let text = process.text();
    for app in ["multi-c-one", "multi-c-two"] {
        let said = format!("== APP - {app} == Processed ");
        let after = text.split(&said).nth(1).expect("its last save works");
        let count = after.split(' ').next().map(str::to_owned);
        assert_eq!(redis.field(&format!("{app}||processed"), "data"), count);
    }
    assert!(!is_there(&row["daprdPid"]) && !is_there(&row["appPid"]), "{row}");
}

#[test]
fn an_app_that_fails_gives_its_code_and_leaves_the_others_alone() {
    let yaml = "version: 1\napps:\n- appDirPath: bad\n  appID: multi-bad\n  \
        command: [sh, -c, 'exit 7']\n- appDirPath: good\n  appID: multi-good\n  \
        command: [sh, -c, 'while [ ! -e ../go ]; do sleep 0.05; done; echo $KIND \
        $DAPR_HTTP_PORT; exit 0']\n  env: {KIND: of mine}\n";
    let run = Run::new(yaml, &["bad", "good"]);
    let mut process = run.start(&["run", "-f", "."]);
    process.wait_for_line(0, "The app multi-bad ended with exit code 7");
    process.wait_for_line(0, "Started Dapr with app id \\\"multi-good\\\"");
    eventually("the sidecar of the failed app ends", || run.row("multi-bad").is_none());
    let good = eventually_some("the other one is listed", || run.row("multi-good"));
    fs::write(run.path("go"), "").expect("a file");
    assert_eq!(process.exit_code(), 7, "{}", process.text());
    let line = format!("== APP - multi-good == of mine {}\n", good["httpPort"]);
    assert!(process.text().contains(&line), "{line}: {}", process.text());
}

#[test]
fn one_app_of_several_is_stopped_with_its_sidecar() {
    let yaml = "version: 1\napps:\n- appDirPath: one\n  appID: multi-stop-one\n  \
        command: [sh, -c, \"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done\"]\n\
        - appDirPath: two\n  appID: multi-stop-two\n  command: [sh, -c, 'echo up; exec sleep 60']\n";
    let run = Run::new(yaml, &["one", "two"]);
    let mut process = run.start(&["run", "-f", "."]);
    process.wait_for_line(0, "== APP - multi-stop-two == up");
    // The rows are complete only once the launcher has told its sidecars who it is.
    let row = eventually_some("both know their launcher", || {
        let rows = [run.row("multi-stop-one")?, run.row("multi-stop-two")?];
        let launcher = process.pid().as_raw();
        rows.iter().all(|row| row["cliPid"] == launcher).then_some(())?;
        Some(rows[1].clone())
    });
    let stopped = run.tool(&["stop", "--app-id", "multi-stop-one"]);
    assert!(stopped.status.success(), "{stopped:?}");
    process.wait_for_line(0, "== APP - multi-stop-one == bye");
    eventually("its sidecar ends", || run.row("multi-stop-one").is_none());
    assert!(is_there(&row["daprdPid"]) && process.status().is_none(), "{}", process.text());
    // The last one's launcher has nothing else to look after.
    let stopped = run.tool(&["stop", "--app-id", "multi-stop-two"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(process.exit_code(), 128 + 15, "{}", process.text());
    assert!(!is_there(&row["daprdPid"]) && !is_there(&row["appPid"]), "{row}");
}

#[test]
fn a_whole_run_is_stopped_by_its_file() {
    let app = "[sh, -c, \"trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done\"]";
    let yaml = format!(
        "version: 1\napps:\n- appDirPath: one\n  appID: multi-file-one\n  command: {app}\n\
         - appDirPath: two\n  appID: multi-file-two\n  command: {app}\n"
    );
    let run = Run::new(&yaml, &["one", "two"]);
    assert_eq!(run.tool(&["stop", "-f", "."]).status.code(), Some(1), "nothing runs yet");
    let mut process = run.start(&["run", "-f", "."]);
    eventually("both know their file", || {
        let rows = ["multi-file-one", "multi-file-two"].map(|app| run.row(app));
        rows.iter().flatten().filter(|row| row["runTemplatePath"] != "").count() == 2
    });
    for app in ["one", "two"] {
        process.wait_for_line(0, &format!("== APP - multi-file-{app} == up"));
    }
    let stopped = run.tool(&["stop", "-f", "dapr.yaml"]);
    assert!(stopped.status.success(), "{stopped:?}");
    assert_eq!(process.exit_code(), 0, "{}", process.text());
    let text = process.text();
    for app in ["one", "two"] {
        assert!(text.contains(&format!("== APP - multi-file-{app} == bye\n")), "{text}");
    }
}

#[test]
fn a_second_signal_ends_everything_at_once() {
    let yaml = "version: 1\napps:\n- appDirPath: one\n  appID: multi-deaf\n  \
        command: [sh, -c, \"trap '' TERM INT; echo deaf; while :; do sleep 0.05; done\"]\n";
    let run = Run::new(yaml, &["one"]);
    let mut process = run.start(&["run", "-f", "."]);
    process.wait_for_line(0, "== APP - multi-deaf == deaf");
    let row = eventually_some("it knows its app", || {
        run.row("multi-deaf").filter(|row| row["appPid"] != 0)
    });
    process.signal(Signal::SIGINT);
    process.wait_for_line(0, "beginning shutdown");
    process.signal(Signal::SIGINT);
    assert_eq!(process.exit_code(), 1, "{}", process.text());
    for pid in ["daprdPid", "appPid"] {
        eventually("nothing stays behind", || !is_there(&row[pid]));
    }
}

#[test]
fn a_sidecar_that_does_not_start_ends_the_run_and_says_why() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let yaml = format!(
        "version: 1\napps:\n- appDirPath: one\n  appID: multi-early\n  \
         command: [sh, -c, 'echo up; exec sleep 60']\n- appDirPath: two\n  appID: multi-late\n  \
         daprGRPCPort: {port}\n  command: [echo, started]\n"
    );
    let run = Run::new(&yaml, &["one", "two"]);
    let mut process = run.start(&["run", "-f", "."]);
    assert_eq!(process.exit_code(), 1);
    let text = process.text();
    assert!(text.contains("app multi-late: its sidecar ended with exit code 1"), "{text}");
    assert!(text.contains(&port.to_string()) && text.contains("in use"), "{text}");
    assert!(!text.contains("== APP - multi-late == started"), "{text}");
    assert!(run.row("multi-early").is_none());
}

#[test]
fn a_file_with_mistakes_starts_nothing_and_names_every_place() {
    let yaml = "version: 1\napps:\n- appDirPath: one\n  command: [touch, ran]\n  \
        appPort: many\n- appDirPath: nowhere\n  comand: [a]\n";
    let run = Run::new(yaml, &["one"]);
    let mut process = run.start(&["run", "-f", "."]);
    assert_eq!(process.exit_code(), 1);
    let text = process.text();
    for expected in [
        "dapr.yaml:5:12: apps[0].appPort: expected a whole number",
        "dapr.yaml:6:15: apps[1].appDirPath: ",
        "dapr.yaml:7:3: apps[1].comand: unknown field",
        "did you mean \\\"command\\\"?",
    ] {
        assert!(text.contains(expected), "{expected} is missing:\n{text}");
    }
    assert!(!run.path("one/ran").exists());

    // What only the sidecar's own command line refuses is found before anything starts, too.
    let yaml = "version: 1\napps:\n- appDirPath: one\n  command: [touch, ran]\n- appDirPath: two\n  \
        logLevel: loud\n- appDirPath: two\n  appID: far\n  apiListenAddresses: 192.0.2.1\n";
    let run = Run::new(yaml, &["one", "two"]);
    let mut process = run.start(&["run", "-f", "."]);
    assert_eq!(process.exit_code(), 1);
    let text = process.text();
    assert!(text.contains("dapr.yaml:5:3: apps[1]: invalid value for --log-level: loud"), "{text}");
    let far = "dapr.yaml:7:3: apps[2]: apiListenAddresses 192.0.2.1 leaves out 127.0.0.1";
    assert!(text.contains(far), "{text}");
    assert!(!run.path("one/ran").exists());
}

#[test]
fn the_file_may_come_through_standard_input() {
    let yaml = "version: 1\napps:\n- appDirPath: one\n  appID: multi-stdin\n  \
        command: [sh, -c, 'echo here; pwd']\n";
    let run = Run::new("", &["one"]);
    let text = run.path("input.yaml");
    fs::write(&text, yaml).expect("a file");
    let mut command = run.command(&["run", "-f", "-"]);
    command.stdin(Stdio::from(fs::File::open(&text).expect("a file")));
    let output = command.output().expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let folder = run.path("one").canonicalize().expect("there");
    let expected = format!("== APP - multi-stdin == {}\n", folder.display());
    assert!(text.contains("== APP - multi-stdin == here\n") && text.contains(&expected), "{text}");
}

#[test]
fn flags_beside_the_file_are_refused() {
    let run = Run::new("", &[]);
    for (words, expected) in [
        (&["run", "-f", ".", "--app-id", "a"][..], "--app-id has no effect beside --run-file"),
        (&["run", "-f", ".", "--", "app"][..], "--run-file takes no command"),
    ] {
        let output = run.tool(words);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn a_sidecar_waits_for_its_app_s_port() {
    let (http_port, app_port) = (free_port(), free_port());
    let yaml = format!(
        "version: 1\napps:\n- appDirPath: one\n  appID: multi-port\n  appPort: {app_port}\n  \
         daprHTTPPort: {http_port}\n  daprdLogDestination: console\n  \
         command: [sh, -c, 'echo $APP_PORT; exec sleep 60']\n"
    );
    let run = Run::new(&yaml, &["one"]);
    let mut process = run.start(&["run", "-f", "."]);
    process.wait_for_line(0, &format!("== APP - multi-port == {app_port}"));
    process.wait_for_line(0, &format!("waiting on port {app_port}"));
    let health = || http::request("GET", http_port, "/v1.0/healthz", &[], &[]).expect("answered");
    assert_eq!(health().status, 500);
    let _app = std::net::TcpListener::bind(("127.0.0.1", app_port)).expect("a port");
    process.wait_for_line(0, &format!("application discovered on port {app_port}"));
    eventually("it is ready", || health().status == 204);
    process.signal(Signal::SIGTERM);
    process.wait();
}
