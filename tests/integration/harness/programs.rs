//! The programs that `make test-deps` builds from `tests/apps/`, on the published SDKs of other
//! languages, and the two stories that each of them goes through.

use std::{
    env,
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    canary, eventually,
    process::{Line, Process},
    redis::Redis,
    resources::quickstart_in_a_hurry_with_timeout,
    sidecar::{APP_ID, Setup, Sidecar},
};

/// A file that `make test-deps` puts below `target/apps`, if there is the tool to build it.
#[track_caller]
pub fn built(file: &str, tool: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_outrigger")).ancestors().nth(2).expect("a folder");
    provided(&target.join("apps").join(file), tool)
}

/// A file that `make test-deps` makes with the tool. None, said aloud, on a machine that lacks the
/// tool; CI lacks none.
#[track_caller]
pub fn provided(path: &Path, tool: &str) -> Option<PathBuf> {
    let folders = env::var_os("PATH").unwrap_or_default();
    let is_installed = env::split_paths(&folders).any(|folder| folder.join(tool).exists());
    if is_installed && path.exists() {
        return Some(path.to_owned());
    }
    let may_skip = !is_installed && env::var_os("CI").is_none();
    assert!(may_skip, "{}: run `make test-deps` (it needs {tool})", path.display());
    eprintln!("skipped: there is no {tool} for {}", path.display());
    None
}

/// A file of `tests/`.
pub fn test_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// The words of a command line.
pub fn words(path: &Path, more: &[&str]) -> Vec<String> {
    let path = path.to_str().expect("UTF-8");
    [path].iter().chain(more).map(|word| (*word).to_owned()).collect()
}

fn launch(setup: Setup, app: &[String], orders: &str, deletes: &str) -> Sidecar {
    let setup = setup.env("ORDERS", orders).env("DELETE", deletes).env("PAUSE_MS", "300");
    let app: Vec<&str> = app.iter().map(String::as_str).collect();
    setup.run(&app).launch()
}

fn order_lines(sidecar: &Sidecar) -> Vec<String> {
    let lines = sidecar.process.lines().into_iter().map(|line| line.text);
    let lines = lines.filter_map(|line| Some(line.strip_prefix("== APP == ")?.to_owned()));
    lines.filter(|line| line.contains(" Order: {")).collect()
}

fn expected_lines(orders: u64, verbs: &[&str]) -> Vec<String> {
    let line = |number, verb: &&str| format!("{verb} Order: {{ orderId: '{number}' }}");
    (1..=orders).flat_map(|number| verbs.iter().map(move |verb| line(number, verb))).collect()
}

/// An order-processor beside a sidecar, whose Redis is killed after order 3 and frozen after order
/// 6, each until the breaker went through two cycles.
#[track_caller]
pub fn goes_through_both_outages(app: &[String]) {
    let mut redis = Redis::start();
    let policies = quickstart_in_a_hurry_with_timeout();
    let setup = Setup::default().redis(&redis).resource("resiliency.yaml", &policies);
    let mut sidecar = launch(setup, app, "9", "false");
    outage(&sidecar, &mut redis, 3, Redis::kill, Redis::restart);
    outage(&sidecar, &mut redis, 6, |redis| redis.pause(), |redis| redis.resume());
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    assert_eq!(order_lines(&sidecar), expected_lines(9, &["Saving", "Getting"]));

    assert_complete(&redis, 9, Some(7));
}

/// Asserts that Redis holds orders 1 to `count` and nothing else, written one after the other and
/// each once; one that was saved into a frozen server may have been written several times.
#[track_caller]
fn assert_complete(redis: &Redis, count: u64, frozen: Option<u64>) {
    let expected: Vec<_> = (1..=count).map(|number| format!("{APP_ID}||{number}")).collect();
    let mut written = redis.written_keys();
    // What a frozen server had in its socket it carries out when it thaws.
    written.dedup();
    assert_eq!(written, expected, "the sequence in which the server wrote the orders");
    for (number, stored) in (1..).zip(&expected) {
        let data = redis.field(stored, "data").expect("the order is there");
        let order: serde_json::Value = serde_json::from_str(&data).expect("JSON");
        assert_eq!(order, serde_json::json!({ "orderId": number }));
        let version = redis.field(stored, "version");
        let once = version.as_deref() == Some("1");
        assert!(once || frozen == Some(number), "{number} has {version:?}");
    }
    assert_eq!(redis.query::<usize>(&["DBSIZE"]), expected.len(), "only the orders are there");
}

/// The same with the quickstart's own policies and their times: the Redis is killed after order 2,
/// so the breaker opens after 20 s and two probes fail in the 10 s after that.
#[track_caller]
pub fn goes_through_the_quickstarts_own_outage(app: &[String]) {
    let mut redis = Redis::start();
    let policies = include_str!("../../../resources/resiliency.yaml");
    let setup = Setup::default().redis(&redis).resource("resiliency.yaml", policies);
    let mut sidecar = launch(setup, app, "4", "false");
    sidecar.process.wait_for_line(0, "Getting Order: { orderId: '2' }");
    let mark = sidecar.mark();
    redis.kill();
    eventually("the breaker opens", || !sidecar.breaker_changes(mark).is_empty());
    wait_for_failed_probes(&sidecar, mark);
    redis.restart();
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    assert_eq!(order_lines(&sidecar), expected_lines(4, &["Saving", "Getting"]));
    assert_complete(&redis, 4, None);

    let lines = sidecar.said(mark, " processing operation component[statestore]");
    let [retrying, recovered] = lines.as_slice() else { panic!("{lines:?}") };
    assert!(retrying.text.contains("Retrying in 5s…"), "{retrying:?}");
    assert!(recovered.text.contains("after 8 attempts"), "{recovered:?}");
    // One try in 5 s, as the quickstart shows it.
    let changes = sidecar.said(mark, "changed state from ");
    let beat = |line: &Line| line.stamp().duration_since(retrying.stamp()).as_secs_f64() / 5.0;
    let beats: Vec<_> = changes.iter().map(|line| beat(line).round()).collect();
    assert_eq!(beats, [4.0, 5.0, 5.0, 6.0, 6.0, 7.0, 7.0], "{changes:?}");
}

/// One outage, in the pause after the order, so that no call is in flight when it begins.
#[track_caller]
fn outage(
    sidecar: &Sidecar,
    redis: &mut Redis,
    order: u64,
    begin: fn(&mut Redis),
    end: fn(&mut Redis),
) {
    sidecar.process.wait_for_line(0, &format!("Getting Order: {{ orderId: '{order}' }}"));
    let mark = sidecar.mark();
    begin(redis);
    wait_for_failed_probes(sidecar, mark);
    end(redis);
    sidecar.process.wait_for_line(mark, "Recovered processing operation");
    sidecar.process.wait_for_line(0, &format!("Getting Order: {{ orderId: '{}' }}", order + 2));
    let changes = sidecar.breaker_changes(mark);
    assert_eq!(changes.first().map(String::as_str), Some("closed to open"));
    assert_eq!(changes.last().map(String::as_str), Some("half-open to closed"));
    assert_eq!(sidecar.said(mark, "Retrying in 300ms…").len(), 1);
    assert_eq!(sidecar.said(mark, "Recovered processing operation").len(), 1);
}

/// Waits for two cycles of the breaker.
#[track_caller]
fn wait_for_failed_probes(sidecar: &Sidecar, mark: usize) {
    eventually("two probes fail", || {
        let changes = sidecar.breaker_changes(mark);
        changes.iter().filter(|change| *change == "half-open to open").count() >= 2
    });
}

/// An order-processor that deletes its orders, on the embedded store.
#[track_caller]
pub fn deletes_its_orders(app: &[String]) {
    let mut sidecar = launch(Setup::default(), app, "2", "true");
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    assert_eq!(order_lines(&sidecar), expected_lines(2, &["Saving", "Getting", "Deleting"]));
}

/// A program that calls every method of its SDK and shuts the sidecar down at its end.
#[track_caller]
pub fn calls_every_method(program: &[String]) {
    let redis = Redis::start();
    let mut sidecar = Setup::default().redis(&redis).start();
    sidecar.wait_until_connected();
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]);
    command.env("DAPR_GRPC_PORT", sidecar.grpc_port.to_string());
    command.env("DAPR_HTTP_PORT", sidecar.http_port.to_string());
    command.env("DAPR_API_TOKEN", canary::TOKEN).env("APP_ID", APP_ID);
    command.env("KEY", canary::key("")).env("VALUE", canary::value(""));
    let mut program = Process::spawn("the program", &mut command);
    assert_eq!(program.exit_code(), 0, "{}", program.text());
    assert_eq!(sidecar.process.exit_code(), 0, "{}", sidecar.process.text());
    assert!(program.text().to_lowercase().ends_with("ok: shutdown\n"), "{}", program.text());
    let ttl =
        |name: &str| redis.query::<i64>(&["TTL", &format!("{APP_ID}||{}", canary::key(name))]);
    assert!((60..=100).contains(&ttl("long")), "{}", ttl("long"));
    assert_eq!(ttl("forever"), -1, "it is there and stays");
}
