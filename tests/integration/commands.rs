//! The commands that start no sidecar: `list`, `stop`, `health`.

use std::process::{Command, Output};

use crate::harness::{
    eventually, eventually_some,
    ports::free_port,
    sidecar::{Setup, Sidecar},
};

fn tool(words: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outrigger"));
    command.env_clear().envs(environment.iter().copied()).args(words);
    command.output().expect("it runs")
}

fn rows() -> Vec<serde_json::Value> {
    let token = [("DAPR_API_TOKEN", crate::harness::canary::TOKEN)];
    let output = tool(&["list", "-o", "json"], &token);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("a JSON list")
}

fn row_of(sidecar: &Sidecar) -> Option<serde_json::Value> {
    let pid = sidecar.process.pid().as_raw();
    rows().into_iter().find(|row| row["daprdPid"] == pid)
}

/// A sidecar under an app id of its own; `run` wins over the harness's by coming later.
fn run(app_id: &str, more: &[&str], app: &[&str]) -> Sidecar {
    let args = [&["--app-id", app_id], more].concat();
    Setup::default().args(&args).run(app).launch()
}

#[test]
fn a_sidecar_of_run_is_listed_with_its_app() {
    let mut sidecar = run("list-run", &[], &["sh", "-c", "echo up; exec sleep 60"]);
    sidecar.process.wait_for_line(0, "== APP == up");
    let row =
        eventually_some("its app is known", || row_of(&sidecar).filter(|row| row["appPid"] != 0));
    assert_eq!(row["appId"], "list-run");
    assert_eq!(row["httpPort"], sidecar.http_port);
    assert_eq!(row["grpcPort"], sidecar.grpc_port);
    assert_eq!(row["command"], "sh -c echo up; exec sleep 60");
    assert_eq!(row["cliPid"], row["daprdPid"]);
    assert_eq!(row["maxRequestBodySize"], 4 << 20);
    let age = row["age"].as_str().expect("a text");
    assert!(age.ends_with('s') && age.trim_end_matches('s').parse::<u32>().is_ok(), "{row}");

    let output = tool(&["list"], &[("DAPR_API_TOKEN", crate::harness::canary::TOKEN)]);
    let table = String::from_utf8(output.stdout).expect("UTF-8");
    let headings = table.lines().next().expect("a heading");
    assert!(headings.starts_with("APP ID") && headings.ends_with("DAPRD_LOG_PATH"), "{table}");
    let line = table.lines().find(|line| line.starts_with("list-run ")).expect("a line");
    assert!(line.contains(" sh -c echo up; ex...  "), "{line}");

    assert!(tool(&["stop", "--app-id", "list-run"], &[]).status.success());
    assert_eq!(sidecar.process.exit_code(), 128 + 15, "{}", sidecar.process.text());
    assert!(row_of(&sidecar).is_none());
}

#[test]
fn ports_that_no_command_line_names_are_found() {
    let more = ["--dapr-http-port", "0", "--dapr-grpc-port", "0"];
    let sidecar = run("list-free", &more, &["sh", "-c", "env | grep ^DAPR_.*_PORT; exec sleep 60"]);
    let http = sidecar.process.wait_for_line(0, "== APP == DAPR_HTTP_PORT=").text;
    let grpc = sidecar.process.wait_for_line(0, "== APP == DAPR_GRPC_PORT=").text;
    let row = eventually_some("it is listed", || row_of(&sidecar));
    assert!(http.ends_with(&format!("={}", row["httpPort"])), "{http} {row}");
    assert!(grpc.ends_with(&format!("={}", row["grpcPort"])), "{grpc} {row}");
}

#[test]
fn a_sidecar_that_wants_a_token_we_lack_is_listed_by_its_command_line() {
    let sidecar = Setup::default().args(&["--app-id", "list-token"]).start();
    let output = tool(&["list", "-o", "json"], &[]);
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let row = rows.iter().find(|row| row["appId"] == "list-token").expect("it is listed");
    assert_eq!(row["httpPort"], sidecar.http_port);
    assert_eq!(row["cliPid"], 0);
    sidecar.finish();
}

#[test]
fn several_apps_are_stopped_and_those_that_do_not_run_are_named() {
    let mut sidecars =
        ["stop-a", "stop-b"].map(|app_id| Setup::default().args(&["--app-id", app_id]).start());
    let output = tool(&["stop", "-a", "stop-a,stop-none", "--app-id", "stop-b"], &[]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("couldn't find app id stop-none"), "{text}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(text, "app stopped: stop-a\napp stopped: stop-b\n");
    for sidecar in &mut sidecars {
        assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    }
}

#[test]
fn health_is_an_exit_code() {
    let app_port = free_port();
    let app_port_text = app_port.to_string();
    let sidecar = Setup::default().args(&["--app-port", &app_port_text]).start();
    let port = sidecar.http_port.to_string();
    let health = || tool(&["health", "--http-port", &port], &[]);
    // Its app does not listen yet.
    let output = health();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("ERR_HEALTH_NOT_READY") && text.contains(&port), "{text}");
    let _app = std::net::TcpListener::bind(("127.0.0.1", app_port)).expect("a port");
    eventually("it is ready", || health().status.success());
    let by_variable = tool(&["health"], &[("DAPR_HTTP_PORT", &port)]);
    assert!(by_variable.status.success() && by_variable.stdout.is_empty(), "{by_variable:?}");
    sidecar.finish();

    let output = health();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("refused"), "{output:?}");
}

#[test]
fn wrong_words_of_a_tool_end_it_with_code_2() {
    for words in [&["stop"][..], &["list", "-o", "csv"], &["health", "--http-port", "x"]] {
        let output = tool(words, &[]);
        assert_eq!(output.status.code(), Some(2), "{words:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("error: "), "{output:?}");
    }
    let output = tool(&["stop", "--help"], &[]);
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("--app-id"), "{output:?}");
}
