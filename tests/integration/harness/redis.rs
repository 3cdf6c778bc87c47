//! A redis-server of a test's own: on a free port, in a folder of its own, to be stopped, killed,
//! frozen and started again.

mod history;
mod tls;

use std::{env, process::Command, time::Duration};

use nix::sys::signal::Signal;
use redis::{Client, Connection, FromRedisValue};
use tempfile::TempDir;
use tls::Certificates;
use tokio::time::Instant;

use super::{PATIENCE, canary, ports::free_port, process::Process};

/// A redis-server, running or not. It asks for the canary password unless told otherwise.
pub struct Redis {
    /// Its port.
    pub port: u16,
    password: String,
    folder: TempDir,
    args: Vec<String>,
    certificates: Option<Certificates>,
    process: Option<Process>,
}

impl Redis {
    /// Starts one and waits for its PONG.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts one that copies another one.
    pub fn replica_of(master: &Self) -> Self {
        let port = master.port.to_string();
        let args = ["--replicaof", "127.0.0.1", &port, "--masterauth", canary::PASSWORD];
        let replica = Self::start_with(&args);
        super::eventually("the replica follows its master", || {
            replica.query::<String>(&["INFO", "replication"]).contains("master_link_status:up")
        });
        replica
    }

    /// Starts one with flags of redis-server.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_with_password(canary::PASSWORD, args)
    }

    /// Starts one with this password, or with none if it is empty, and with flags.
    pub fn start_with_password(password: &str, args: &[&str]) -> Self {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        // Another process may take the port before the server does.
        for _ in 0..5 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let (args, password) = (args.clone(), password.to_owned());
            let port = free_port();
            let mut redis =
                Self { port, password, folder, args, certificates: None, process: None };
            if redis.try_start() {
                return redis;
            }
        }
        panic!("redis-server found no free port five times in a row");
    }

    /// Starts it again, on the same port with the same data.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the redis-server runs already");
        assert!(self.try_start(), "redis-server does not start again on port {}", self.port);
    }

    /// Ends it by SIGTERM.
    pub fn stop(&mut self) {
        self.end(Signal::SIGTERM);
    }

    /// Ends it by SIGKILL.
    pub fn kill(&mut self) {
        self.end(Signal::SIGKILL);
    }

    /// Freezes it: the system goes on to accept connections and bytes for it.
    pub fn pause(&self) {
        self.process().signal(Signal::SIGSTOP);
    }

    /// Lets it go on after [`Redis::pause`].
    pub fn resume(&self) {
        self.process().signal(Signal::SIGCONT);
    }

    /// Sends a command on a connection of its own.
    #[track_caller]
    pub fn query<T: FromRedisValue>(&self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        let mut connection = self.connect().expect("redis-server accepts a connection");
        command.query(&mut connection).unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// The value of a hash's field, if it is there.
    #[track_caller]
    pub fn field(&self, key: &str, field: &str) -> Option<String> {
        self.query(&["HGET", key, field])
    }

    /// How often the commands reached the server since it started.
    pub fn calls(&self, commands: &[&str]) -> u64 {
        let stats: String = self.query(&["INFO", "commandstats"]);
        let calls = commands.iter().filter_map(|command| {
            let rest = stats.split(&format!("cmdstat_{command}:calls=")).nth(1)?;
            rest.split(',').next()?.parse::<u64>().ok()
        });
        calls.sum()
    }

    /// The keys whose value was written, in the order in which the server did it, taken from its
    /// append-only file: what happened, whoever was told what.
    pub fn written_keys(&self) -> Vec<String> {
        history::written_keys(&self.data_folder())
    }

    fn data_folder(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("the redis-server runs")
    }

    #[track_caller]
    fn end(&mut self, signal: Signal) {
        let mut process = self.process.take().expect("the redis-server runs");
        process.signal(signal);
        process.wait();
    }

    fn connect(&self) -> redis::RedisResult<Connection> {
        let login = match self.password.as_str() {
            "" => String::new(),
            password => format!(":{password}@"),
        };
        let url = format!("redis://{login}127.0.0.1:{}/", self.port);
        Client::open(url)?.get_connection_with_timeout(Duration::from_secs(2))
    }

    /// False if the server ended, as it does when its port is taken.
    fn try_start(&mut self) -> bool {
        let program = env::var("REDIS_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
        let folder = self.data_folder();
        std::fs::create_dir_all(&folder).expect("a folder for the server's data");
        let mut command = Command::new(&program);
        command.arg("--port").arg(self.port.to_string()).arg("--dir").arg(&folder);
        command.args([
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--appendonly",
            "yes",
            "--repl-diskless-sync-delay",
            "0",
        ]);
        command.args(["--requirepass", &self.password]).args(&self.args);
        let found = Command::new(&program).arg("--version").output();
        found.unwrap_or_else(|error| panic!("{program}: {error}: run `make test-deps`"));
        let mut process = Process::spawn("redis-server", &mut command);
        let end = Instant::now() + PATIENCE;
        while process.status().is_none() {
            let pong = self.connect().and_then(|mut redis| redis::cmd("PING").query(&mut redis));
            if pong.is_ok_and(|pong: String| pong == "PONG") {
                self.process = Some(process);
                return true;
            }
            assert!(Instant::now() < end, "redis-server gives no PONG:\n{}", process.text());
            std::thread::sleep(Duration::from_millis(3));
        }
        process.wait();
        assert!(process.text().contains("in use"), "redis-server ended:\n{}", process.text());
        false
    }
}

/// A Redis with a TLS port beside its plain one.
impl Redis {
    /// Starts one that asks its clients for a certificate or not.
    pub fn start_with_tls(clients: tls::Clients) -> (Self, TlsFacts) {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let certificates = Certificates::new(folder);
        let tls_port = free_port();
        let args = certificates.server_args(tls_port, clients);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut redis = Self::start_with(&args);
        let facts = certificates.facts(tls_port);
        redis.certificates = Some(certificates);
        (redis, facts)
    }
}

pub use tls::{Clients, TlsFacts};

#[test]
fn a_redis_is_stopped_killed_and_frozen_and_keeps_its_data() {
    let mut redis = Redis::start();
    redis.query::<()>(&["HSET", "a", "data", "1"]);
    redis.stop();
    assert!(redis.connect().is_err());
    redis.restart();
    redis.query::<()>(&["HSET", "b", "data", "2"]);
    redis.kill();
    redis.restart();
    assert_eq!(redis.field("a", "data").as_deref(), Some("1"));
    assert_eq!(redis.field("b", "data").as_deref(), Some("2"));
    assert_eq!(redis.written_keys(), ["a", "b"]);
    assert_eq!(redis.calls(&["hget", "hset"]), 2);
    redis.pause();
    assert!(redis.connect().is_err(), "nobody answers the password");
    redis.resume();
    assert_eq!(redis.query::<u64>(&["DBSIZE"]), 2);
    let (secured, _) = Redis::start_with_tls(Clients::Anonymous);
    assert_eq!(secured.query::<u64>(&["DBSIZE"]), 0);
    let replica = Redis::replica_of(&redis);
    assert_eq!(replica.query::<u64>(&["DBSIZE"]), 2);
}
