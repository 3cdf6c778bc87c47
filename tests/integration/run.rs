//! `outrigger run`: the sidecar and its app in one command.

use nix::sys::signal::Signal;

use crate::harness::{
    eventually, http,
    ports::free_port,
    redis::Redis,
    sidecar::{APP_ID, Setup, order_processor},
};

fn processor() -> String {
    order_processor().to_str().expect("UTF-8").to_owned()
}

#[test]
fn the_app_runs_on_the_embedded_store_and_its_lines_have_a_prefix() {
    let setup = Setup::default().env("ORDERS", "3").env("PAUSE_MS", "10");
    let mut sidecar = setup.run(&[&processor()]).launch();
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    let text = sidecar.process.text();
    let mut said = text.lines().filter(|line| line.starts_with("== APP == "));
    for number in 1..=3 {
        for verb in ["Saving", "Getting", "Deleting"] {
            let expected = format!("== APP == {verb} Order: {{ orderId: '{number}' }}");
            assert_eq!(said.next(), Some(expected.as_str()), "{text}");
        }
    }
    assert_eq!(said.next(), Some("== APP == Processed 3 orders"));
    assert_eq!(said.next(), None);
}

#[test]
fn the_exit_code_is_the_apps() {
    for code in [0, 7, 255] {
        let script = format!("echo out; echo err >&2; exit {code}");
        let mut sidecar = Setup::default().run(&["sh", "-c", &script]).launch();
        assert_eq!(sidecar.process.exit_code(), code);
        let text = sidecar.process.text();
        assert!(text.contains("== APP == out\n") && text.contains("== APP == err\n"), "{text}");
    }
}

#[test]
fn an_app_that_does_not_exist_is_a_clear_error() {
    let mut sidecar = Setup::default().run(&["/nowhere/app"]).launch();
    assert_eq!(sidecar.process.exit_code(), 1);
    assert!(sidecar.process.text().contains("/nowhere/app"), "{}", sidecar.process.text());
}

#[test]
fn the_app_finds_its_sidecar_by_its_environment() {
    // Without the token, which the app has from this process, as it should.
    let mut sidecar = Setup::default().run(&["sh", "-c", "env | grep -v TOKEN"]).launch();
    assert_eq!(sidecar.process.exit_code(), 0);
    let text = sidecar.process.text();
    for expected in [
        format!("APP_ID={APP_ID}"),
        format!("DAPR_HTTP_PORT={}", sidecar.http_port),
        format!("DAPR_GRPC_PORT={}", sidecar.grpc_port),
        "DAPR_METRICS_PORT=".to_owned(),
        "APP_PROTOCOL=http".to_owned(),
        "APP_CHANNEL_ADDRESS=127.0.0.1".to_owned(),
    ] {
        assert!(text.contains(&format!("== APP == {expected}")), "{expected} is missing:\n{text}");
    }
}

#[test]
fn ctrl_c_ends_the_app_first_and_its_last_save_works() {
    let redis = Redis::start();
    let setup = Setup::default().redis(&redis).env("PAUSE_MS", "20");
    let mut sidecar = setup.run(&[&processor()]).launch();
    sidecar.process.wait_for_line(0, "== APP == Deleting Order: { orderId: '3' }");
    // A terminal sends it to everybody at once.
    sidecar.process.signal_group(Signal::SIGINT);
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    let lines: Vec<String> = sidecar.process.lines().into_iter().map(|line| line.text).collect();
    let place = |text: &str| lines.iter().position(|line| line.contains(text));
    let saved = place("== APP == Processed ").expect("the app's last save works");
    let ended = place("Daprd shutdown gracefully").expect("the sidecar ends in order");
    assert!(saved < ended, "{lines:?}");
    let count = lines[saved].trim_start_matches("== APP == Processed ").replace(" orders", "");
    assert_eq!(redis.field(&format!("{APP_ID}||processed"), "data"), Some(count));
}

#[test]
fn sigterm_to_the_sidecar_alone_is_forwarded_to_the_app() {
    let setup = Setup::default().env("PAUSE_MS", "20");
    let mut sidecar = setup.run(&[&processor()]).launch();
    sidecar.process.wait_for_line(0, "== APP == Deleting Order: { orderId: '2' }");
    sidecar.process.signal(Signal::SIGTERM);
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    sidecar.process.wait_for_line(0, "== APP == Processed ");
}

#[test]
fn an_app_that_ignores_signals_does_not_hold_it_for_ever() {
    let script = "trap '' TERM INT; echo deaf; while :; do sleep 0.1; done";
    let setup = Setup::default().args(&["--dapr-graceful-shutdown-seconds", "1"]);
    let mut sidecar = setup.run(&["sh", "-c", script]).launch();
    sidecar.process.wait_for_line(0, "== APP == deaf");
    sidecar.process.signal(Signal::SIGTERM);
    let code = sidecar.process.exit_code();
    assert_ne!(code, 0, "the app was killed");
}

#[test]
fn it_listens_on_loopback_only() {
    let internal_port = free_port();
    let args = ["--dapr-internal-grpc-port", &internal_port.to_string()];
    let setup = Setup::default().args(&args);
    let mut sidecar = setup.run(&["sh", "-c", "echo up; sleep 60"]).launch();
    sidecar.process.wait_for_line(0, "== APP == up");
    eventually("it is healthy", || {
        http::request("GET", sidecar.http_port, "/v1.0/healthz", &[], &[])
            .is_ok_and(|answer| answer.status == 204)
    });
    for port in [sidecar.http_port, sidecar.grpc_port, internal_port] {
        assert_eq!(listening_addresses(port), ["0100007F"], "port {port}");
    }
    sidecar.process.signal_group(Signal::SIGINT);
    sidecar.process.wait();
    let told = format!("Closing HTTP server 127.0.0.1:{}…", sidecar.http_port);
    assert_eq!(sidecar.said(0, &told).len(), 1);
}

/// The addresses on which somebody listens on the port, as the kernel spells them.
fn listening_addresses(port: u16) -> Vec<String> {
    let mut found = Vec::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let text = std::fs::read_to_string(table).unwrap_or_default();
        for line in text.lines().skip(1) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let Some((address, hex)) = words.get(1).and_then(|local| local.split_once(':')) else {
                continue;
            };
            if hex == format!("{port:04X}") && words.get(3) == Some(&"0A") {
                found.push(address.to_owned());
            }
        }
    }
    found
}

#[test]
fn a_port_that_is_taken_is_a_clear_error_and_no_app_starts() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("a bound listener").port();
    let mut sidecar = Setup::default().http_port(port).run(&["echo", "started"]).launch();
    assert_eq!(sidecar.process.exit_code(), 1);
    let text = sidecar.process.text();
    assert!(text.contains(&port.to_string()) && text.contains("in use"), "{text}");
    assert!(!text.contains("== APP == started"), "{text}");
}
