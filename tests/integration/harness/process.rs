//! A child process whose lines are kept, ended when it is dropped.

use std::{
    io::{BufRead, BufReader, Read},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use jiff::Timestamp;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::time::Instant;

use super::{canary, eventually_some};

/// One line of a process, from either of its outputs.
#[derive(Clone, Debug)]
pub struct Line {
    /// Its text.
    pub text: String,
}

impl Line {
    /// When it was said, by the word of who said it: a busy machine may read it later.
    #[track_caller]
    pub fn stamp(&self) -> Timestamp {
        let stamp = self.text.split("time=\"").nth(1).and_then(|rest| rest.split('"').next());
        stamp.and_then(|stamp| stamp.parse().ok()).expect("a line of the sidecar's log")
    }
}

type Lines = Arc<Mutex<Vec<Line>>>;

/// A running or ended child.
pub struct Process {
    name: String,
    child: Child,
    lines: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts the command with both of its outputs read.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        Self::spawn_writing_to(name, command, Stdio::piped())
    }

    /// Starts the command with its standard output going elsewhere.
    pub fn spawn_writing_to(name: &str, command: &mut Command, stdout: Stdio) -> Self {
        command.stdin(Stdio::null()).stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("{name}: {:?} does not start: {error}", command.get_program())
        });
        let lines = Lines::default();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(read(stdout, lines.clone()));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(read(stderr, lines.clone()));
        }
        Self { name: name.to_owned(), child, lines, readers }
    }

    /// Everything said up to now.
    pub fn lines(&self) -> Vec<Line> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Everything said up to now as one text.
    pub fn text(&self) -> String {
        self.lines().iter().map(|line| format!("{}\n", line.text)).collect()
    }

    /// The first line from number `first` on that contains the text, once it has come.
    #[track_caller]
    pub fn wait_for_line(&self, first: usize, text: &str) -> Line {
        let end = Instant::now() + super::PATIENCE;
        loop {
            let lines = self.lines();
            let found = lines.iter().skip(first).find(|line| line.text.contains(text));
            if let Some(line) = found {
                return line.clone();
            }
            let name = &self.name;
            assert!(Instant::now() < end, "{name} never said {text:?}, but:\n{}", self.text());
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{}: {signal}: {error}", self.name));
    }

    /// Sends a signal to the process and its children, as a terminal does; the process must lead
    /// its group.
    pub fn signal_group(&self, signal: Signal) {
        kill(Pid::from_raw(-self.pid().as_raw()), signal)
            .unwrap_or_else(|error| panic!("{}: {signal}: {error}", self.name));
    }

    /// Waits for the end.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        let status = eventually_some(&format!("{name} ends"), || self.status());
        for reader in self.readers.drain(..) {
            reader.join().expect("a reader does not panic");
        }
        status
    }

    /// Waits for the end; the exit code, or minus the signal that ended it.
    #[track_caller]
    pub fn exit_code(&mut self) -> i32 {
        let status = self.wait();
        status.code().or_else(|| status.signal().map(|signal| -signal)).expect("it has ended")
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked")
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status().is_none() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
        let lines = self.lines();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}---", self.name, self.text());
            return;
        }
        let leaks = canary::leaks(lines.iter().map(|line| line.text.as_str()));
        assert!(leaks.is_empty(), "{} told secrets:\n{}", self.name, leaks.join("\n"));
    }
}

fn read(source: impl Read + Send + 'static, lines: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut source = BufReader::new(source);
        let mut bytes = Vec::new();
        while source.read_until(b'\n', &mut bytes).is_ok_and(|length| length > 0) {
            let text = String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned();
            let line = Line { text };
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            bytes.clear();
        }
    })
}
