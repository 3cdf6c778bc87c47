//! Plays a scenario on a Redis and a sidecar of its own.

use std::{
    any::Any,
    mem,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use nix::sys::signal::Signal;
use redis::Value as Reply;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use crate::{
    grpc,
    harness::{
        PATIENCE,
        http::request,
        process::Process,
        redis::Redis,
        sidecar::{Setup, Sidecar},
    },
    http,
    recording::{Do, Fault, Scenario},
};

/// What came of a scenario.
#[derive(Clone, Default)]
pub struct Played {
    /// Why there are no answers, if the scenario could not be played.
    pub problem: Option<String>,
    /// Whether the sidecar was ever ready for calls.
    pub ready: bool,
    /// One answer a step; null where nothing could be sent.
    pub answers: Vec<Value>,
    /// How the sidecar ended, or a text that says that it did not.
    pub exit_code: Value,
    /// What it said, line by line.
    pub lines: Value,
}

impl Played {
    /// A scenario that could not be played.
    pub fn broken(problem: &str, lines: Value) -> Self {
        Self { problem: Some(problem.to_owned()), lines, ..Self::default() }
    }
}

/// Plays a scenario against our binary or another one.
pub fn play(scenario: &Scenario, program: Option<&PathBuf>) -> Played {
    caught(|| {
        let (mut server, setup) = prepared(scenario, program);
        match start(&setup) {
            Ok(sidecar) => steps(scenario, &mut server, sidecar),
            Err(played) => Played { answers: vec![Value::Null; scenario.steps.len()], ..*played },
        }
    })
}

/// Whatever goes wrong in a scenario must not take the others' report along.
fn caught(play: impl FnOnce() -> Played) -> Played {
    let told = |cause: Box<dyn Any + Send>| {
        let text = cause.downcast_ref::<String>().cloned();
        text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it could not be played".to_owned())
    };
    panic::catch_unwind(AssertUnwindSafe(play))
        .unwrap_or_else(|cause| Played::broken(&told(cause), Value::Null))
}

/// The Redis of a scenario with its password.
struct Server {
    redis: Redis,
    password: String,
}

fn prepared(scenario: &Scenario, program: Option<&PathBuf>) -> (Server, Setup) {
    let server = Server::start(&scenario.redis_args);
    let mut setup = Setup::default()
        .without_token()
        .env("OUTRIGGER_LENIENT", Path::new("1"))
        .args(&scenario.args.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, value) in &scenario.env {
        setup = setup.env(name, value);
    }
    for (name, text) in &scenario.resources {
        let port = server.redis.port.to_string();
        let text = text.replace("{redis}", &format!("127.0.0.1:{port}"));
        setup = setup.resource(name, &text.replace("{redis_port}", &port));
    }
    setup.app_id = Some(scenario.app_id.clone());
    setup.program = program.cloned();
    (server, setup)
}

/// Whether a sidecar did not get ready, or did not end, so that it is not waited for so long in
/// other scenarios.
static HANGS: AtomicBool = AtomicBool::new(false);

fn patience() -> Duration {
    if HANGS.load(Ordering::Relaxed) { Duration::from_secs(3) } else { PATIENCE }
}

/// Starts a sidecar and waits until it is ready; the error is what came instead.
fn start(setup: &Setup) -> Result<Sidecar, Box<Played>> {
    // Another process may take a port before the sidecar does.
    for _ in 0..5 {
        let mut sidecar = setup.launch();
        let patience = patience();
        let end = Instant::now() + patience;
        while sidecar.process.status().is_none() {
            let path = "/v1.0/healthz/outbound";
            let health = request("GET", sidecar.http_port, path, &[], &[]);
            if health.is_ok_and(|answer| answer.status == 204) {
                return Ok(sidecar);
            }
            if Instant::now() > end {
                HANGS.store(true, Ordering::Relaxed);
                let problem = format!("it is neither ready nor at its end after {patience:?}");
                let played = Played::broken(&problem, lines(&sidecar.process));
                give_up(sidecar);
                return Err(Box::new(played));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let exit_code = json!(sidecar.process.exit_code());
        if !sidecar.process.text().to_lowercase().contains("in use") {
            let lines = lines(&sidecar.process);
            return Err(Box::new(Played { exit_code, lines, ..Played::default() }));
        }
    }
    Err(Box::new(Played::broken("it found no free port five times in a row", Value::Null)))
}

/// Lets go of a process that does not end. Others that it has started may hold its outputs open,
/// for whose end the harness would wait.
fn give_up(sidecar: Sidecar) {
    sidecar.process.signal(Signal::SIGKILL);
    mem::forget(sidecar);
}

fn steps(scenario: &Scenario, server: &mut Server, mut sidecar: Sidecar) -> Played {
    let channel = grpc::channel(sidecar.grpc_port);
    let mut told_to_end = false;
    let answers = scenario.steps.iter().map(|step| match &step.r#do {
        Do::Grpc(call) => grpc::call(channel.clone(), call),
        Do::Http(request) => {
            let answer = http::send(sidecar.http_port, request);
            told_to_end |= request.path == "/v1.0/shutdown" && answer["status"] == 204;
            answer
        }
        Do::Redis { redis: words } => server.ask(words),
        Do::Server { redis_server } => {
            server.happen(*redis_server);
            Value::Null
        }
        Do::Sleep { sleep_s } => {
            thread::sleep(Duration::from_secs_f64(*sleep_s));
            Value::Null
        }
    });
    let answers = answers.collect();
    if !told_to_end && sidecar.process.status().is_none() {
        sidecar.process.signal(Signal::SIGTERM);
    }
    let patience = patience();
    let end = Instant::now() + patience;
    while sidecar.process.status().is_none() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
    let mut played = Played { ready: true, answers, ..Played::default() };
    if sidecar.process.status().is_some() {
        // Once it has ended all that it said has come.
        played.exit_code = json!(sidecar.process.exit_code());
        played.lines = lines(&sidecar.process);
    } else {
        HANGS.store(true, Ordering::Relaxed);
        played.exit_code = json!(format!("it does not end within {patience:?}"));
        played.lines = lines(&sidecar.process);
        give_up(sidecar);
    }
    played
}

fn lines(process: &Process) -> Value {
    process.lines().into_iter().map(|line| line.text).collect()
}

impl Server {
    fn start(args: &[String]) -> Self {
        let mut args: Vec<&str> = args.iter().map(String::as_str).collect();
        let password = args.iter().position(|arg| *arg == "--requirepass");
        let password = password.map_or("", |at| args[at + 1]);
        args.extend(["--appendfsync", "always"]);
        let redis = Redis::start_with_password(password, &args);
        Self { redis, password: password.to_owned() }
    }

    fn happen(&mut self, fault: Fault) {
        match fault {
            Fault::Stop => self.redis.stop(),
            Fault::Start => self.redis.restart(),
            Fault::Pause => self.redis.pause(),
            Fault::Resume => self.redis.resume(),
        }
    }

    /// Sends a command; its reply, or why there is none, in the form of the recordings.
    fn ask(&self, words: &[String]) -> Value {
        let reply = match self.query(words) {
            Ok(reply) => json_of(reply),
            Err(error) => return json!(format!("error: {error}")),
        };
        match (words[0].as_str(), reply) {
            ("HGETALL", Value::Array(items)) => {
                let pairs = items
                    .chunks(2)
                    .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), pair[1].clone()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
            ("KEYS", Value::Array(mut keys)) => {
                keys.sort_by_key(|key| key.to_string());
                Value::Array(keys)
            }
            ("SET", reply) if reply == "OK" => Value::Bool(true),
            (_, reply) => reply,
        }
    }

    fn query(&self, words: &[String]) -> redis::RedisResult<Reply> {
        let login = match self.password.as_str() {
            "" => String::new(),
            password => format!(":{password}@"),
        };
        let client = redis::Client::open(format!("redis://{login}127.0.0.1:{}/", self.redis.port))?;
        let mut connection = client.get_connection_with_timeout(Duration::from_secs(2))?;
        redis::cmd(&words[0]).arg(&words[1..]).query(&mut connection)
    }
}

fn json_of(reply: Reply) -> Value {
    match reply {
        Reply::Nil => Value::Null,
        Reply::Int(number) => json!(number),
        Reply::BulkString(bytes) => json!(String::from_utf8_lossy(&bytes)),
        Reply::SimpleString(text) => json!(text),
        Reply::Okay => json!("OK"),
        Reply::Array(items) => items.into_iter().map(json_of).collect(),
        other => json!(format!("{other:?}")),
    }
}

pub fn a_refused_command_is_an_answer() {
    let server = Server::start(&[]);
    let ask = |words: &[&str]| {
        server.ask(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    };
    assert_eq!(ask(&["SET", "text", "v"]), json!(true));
    let refused = ask(&["HGETALL", "text"]);
    assert!(refused.as_str().is_some_and(|text| text.contains("WRONGTYPE")), "{refused}");
}

pub fn a_scenario_that_panics_is_told() {
    let played = caught(|| panic!("no luck: {}", 1));
    assert_eq!(played.problem.as_deref(), Some("no luck: 1"));
}
