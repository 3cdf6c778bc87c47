//! Plays a scenario on a Redis and a sidecar of its own.

use std::{path::PathBuf, thread, time::Duration};

use nix::sys::signal::Signal;
use redis::Value as Reply;
use serde_json::{Map, Value, json};

use crate::{
    grpc,
    harness::{
        client,
        redis::Redis,
        sidecar::{Setup, Sidecar},
    },
    http,
    recording::{Do, Fault, Scenario},
};

/// What came of a scenario.
pub struct Played {
    /// Whether the sidecar was ever ready for calls.
    pub ready: bool,
    /// One answer a step; null where nothing could be sent.
    pub answers: Vec<Value>,
    /// How the sidecar ended.
    pub exit_code: i32,
    /// What it said.
    pub lines: Vec<String>,
}

/// Plays a scenario against our binary or another one.
pub fn play(scenario: &Scenario, program: Option<PathBuf>) -> Played {
    let mut redis = start_redis(scenario);
    let mut setup = Setup::default()
        .without_token()
        .env("OUTRIGGER_LENIENT", "1")
        .args(&scenario.args.iter().map(String::as_str).collect::<Vec<_>>());
    for (name, value) in &scenario.env {
        setup = setup.env(name, value);
    }
    for (name, text) in &scenario.resources {
        let port = redis.port.to_string();
        let text = text.replace("{redis}", &format!("127.0.0.1:{port}"));
        setup = setup.resource(name, &text.replace("{redis_port}", &port));
    }
    setup.app_id = Some(scenario.app_id.clone());
    setup.program = program;
    match setup.try_start() {
        Ok(sidecar) => steps(scenario, &mut redis, sidecar),
        Err(mut ended) => Played {
            ready: false,
            answers: vec![Value::Null; scenario.steps.len()],
            exit_code: ended.process.exit_code(),
            lines: lines(&ended),
        },
    }
}

fn start_redis(scenario: &Scenario) -> Redis {
    let mut args: Vec<&str> = scenario.redis_args.iter().map(String::as_str).collect();
    let password = args.iter().position(|arg| *arg == "--requirepass");
    let password = password.map_or("", |at| args[at + 1]);
    args.extend(["--appendfsync", "always"]);
    Redis::start_with_password(password, &args)
}

fn steps(scenario: &Scenario, redis: &mut Redis, mut sidecar: Sidecar) -> Played {
    let channel = client::channel(sidecar.grpc_port);
    let mut told_to_end = false;
    let answers = scenario.steps.iter().map(|step| match &step.r#do {
        Do::Grpc(call) => grpc::call(channel.clone(), call),
        Do::Http(request) => {
            let answer = http::send(sidecar.http_port, request);
            told_to_end |= request.path == "/v1.0/shutdown" && answer["status"] == 204;
            answer
        }
        Do::Redis { redis: words } => ask(redis, words),
        Do::Server { redis_server } => {
            happen(redis, *redis_server);
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
    let exit_code = sidecar.process.exit_code();
    Played { ready: true, answers, exit_code, lines: lines(&sidecar) }
}

fn lines(sidecar: &Sidecar) -> Vec<String> {
    sidecar.process.lines().into_iter().map(|line| line.text).collect()
}

fn happen(redis: &mut Redis, fault: Fault) {
    match fault {
        Fault::Stop => redis.stop(),
        Fault::Start => redis.restart(),
        Fault::Pause => redis.pause(),
        Fault::Resume => redis.resume(),
    }
}

/// Sends a command; its reply in the form of the recordings.
fn ask(redis: &Redis, words: &[String]) -> Value {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let reply = json_of(redis.query(&words));
    match (words[0], reply) {
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
