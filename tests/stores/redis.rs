//! A real redis-server that a test starts, freezes, kills and starts again on the same port.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::Instant;

use crate::ports::free_port;

/// A server of a test's own; killed when dropped.
pub struct Server {
    pub port: u16,
    program: PathBuf,
    directory: tempfile::TempDir,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl Server {
    /// Starts a server with nothing but its defaults.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these arguments more.
    pub fn start_with(arguments: &[&str]) -> Self {
        // The tests look into the server, which has to be allowed since version 7.
        let arguments = [&["--enable-debug-command", "yes"], arguments].concat();
        Self::start_program(Path::new("redis-server"), &arguments)
    }

    /// Starts another build of the server, of whatever version.
    pub fn start_program(program: &Path, arguments: &[&str]) -> Self {
        // Another process may take the port before the server does.
        for _ in 0..5 {
            let mut server = Self::stopped(arguments);
            server.program = program.to_owned();
            if server.try_run() {
                return server;
            }
        }
        panic!("{} found no free port five times in a row", program.display());
    }

    /// Has a port and a directory, but does not run.
    pub fn stopped(arguments: &[&str]) -> Self {
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let directory = tempfile::tempdir().unwrap();
        let program = PathBuf::from("redis-server");
        Self { port: free_port(), program, directory, arguments, child: None }
    }

    /// Starts the process, on the same port and data as before, and waits until it answers.
    pub fn run(&mut self) {
        assert!(self.try_run(), "redis-server does not start on port {}", self.port);
    }

    /// The same; false if the process ended at once.
    fn try_run(&mut self) -> bool {
        let mut command = Command::new(&self.program);
        if !self.arguments.iter().any(|argument| argument == "--tls-port") {
            command.args(["--port", &self.port.to_string()]);
        }
        command.args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"]);
        command.arg("--dir").arg(self.directory.path());
        command.args(&self.arguments).stdout(Stdio::null()).stderr(Stdio::null());
        let child = self.child.insert(command.spawn().unwrap());
        let give_up = Instant::now() + Duration::from_secs(10);
        while !answers(self.port, &self.arguments) {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            assert!(Instant::now() < give_up, "redis-server does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends the process as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Stops the process without ending it.
    pub fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
    }

    /// Lets a frozen process go on.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// A connection to look at what is stored.
    pub fn view(&self) -> View {
        self.view_as("")
    }

    /// The same with `user:password`.
    pub fn view_as(&self, login: &str) -> View {
        let at = if login.is_empty() { "" } else { "@" };
        let client =
            redis::Client::open(format!("redis://{login}{at}127.0.0.1:{}/", self.port)).unwrap();
        View(client.get_connection().unwrap())
    }

    fn signal(&self, signal: Signal) {
        let id = self.child.as_ref().unwrap().id();
        kill(Pid::from_raw(id.try_into().unwrap()), signal).unwrap();
    }
}

/// Whether it is Redis that listens, and not somebody who tries whether the port is free: it answers
/// a PING, with an error if it wants a password. With TLS it is enough that somebody listens.
fn answers(port: u16, arguments: &[String]) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    if arguments.iter().any(|argument| argument == "--tls-port") {
        return true;
    }
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let asked = stream.write_all(b"PING\r\n");
    asked.is_ok() && matches!(stream.read(&mut [0]), Ok(1))
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// What is stored, seen past the store under test.
pub struct View(redis::Connection);

impl View {
    /// The answer to a command given as words.
    pub fn ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> T {
        self.try_ask(words).unwrap()
    }

    /// The same, when the command may be refused.
    pub fn try_ask<T: redis::FromRedisValue>(&mut self, words: &[&str]) -> redis::RedisResult<T> {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]).query(&mut self.0)
    }

    /// A command whose answer does not matter.
    pub fn tell(&mut self, words: &[&str]) {
        self.ask::<redis::Value>(words);
    }

    /// A hash field as text.
    pub fn field(&mut self, key: &str, field: &str) -> Option<String> {
        self.ask(&["HGET", key, field])
    }

    /// How often the server carried out a command.
    pub fn calls(&mut self, command: &str) -> u64 {
        self.all_calls().remove(command).unwrap_or(0)
    }

    /// How often the server carried out each command, those that scripts called included.
    pub fn all_calls(&mut self) -> BTreeMap<String, u64> {
        let stats: String = self.ask(&["INFO", "commandstats"]);
        let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_"));
        let calls = lines.map(|line| {
            let (command, figures) = line.split_once(":calls=").unwrap();
            (command.to_owned(), figures.split(',').next().unwrap().parse().unwrap())
        });
        calls.collect()
    }
}
