//! The application that `run` starts: its lines get a prefix, it gets signals, its end is a code.
//! In a run of several apps their sidecars are such children, too.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, PipeReader, Read as _, Write as _},
    os::unix::process::ExitStatusExt as _,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    sync::mpsc,
    time::timeout,
};

use crate::log::queue::{LONGEST_PATIENT_LINE, Lines};

/// What stands before each of the application's lines.
const PREFIX: &[u8] = b"== APP == ";

/// The longest line that is passed on in one piece, its prefix included and its newline not.
const LONGEST_LINE: usize = LONGEST_PATIENT_LINE - 1;

/// How long the application may take to end after a signal.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How long its last lines are waited for once it ended; a grandchild may hold its output open.
const LAST_LINES_PATIENCE: Duration = Duration::from_secs(1);

/// An application that cannot be started.
#[derive(Debug, thiserror::Error)]
#[error("failed to start the app {}: {source}", program.display())]
pub struct SpawnError {
    program: OsString,
    source: io::Error,
}

/// What is started.
pub struct Program<'a> {
    /// Its file, or a name that is looked up in `PATH`.
    pub program: &'a OsStr,
    /// Its arguments.
    pub arguments: &'a [OsString],
    /// Its variables besides the inherited ones.
    pub environment: &'a [(String, String)],
    /// Where it runs; where we do if not given.
    pub directory: Option<&'a Path>,
    /// What it reads.
    pub stdin: Stdio,
}

/// Where a child's lines go.
#[derive(Clone, Default)]
pub struct Destination {
    /// Among the lines of the log.
    pub lines: Option<Lines>,
    /// What stands before each of them there.
    pub prefix: Vec<u8>,
    /// To the end of a file, as they are.
    pub file: Option<Arc<File>>,
}

impl Destination {
    /// Takes a whole line that begins with the prefix.
    fn push(&self, line: &[u8]) {
        if let Some(file) = &self.file {
            // A full disk does not end the child; the terminal shows its lines all the same.
            let _ = file.as_ref().write_all(&line[self.prefix.len()..]);
        }
        if let Some(lines) = &self.lines {
            lines.push_patiently(line);
        }
    }
}

/// A running application.
pub struct AppProcess {
    child: Child,
    /// Its process group, which bears its own id; `None` once it ended.
    group: Option<Pid>,
    /// Closed when both outputs have ended.
    outputs: mpsc::Receiver<()>,
}

impl AppProcess {
    /// Starts the only app of a run: its lines go among those of the log.
    pub fn spawn(
        program: &OsStr,
        arguments: &[OsString],
        environment: &[(String, String)],
        lines: &Lines,
    ) -> Result<Self, SpawnError> {
        let stdin = Stdio::inherit();
        let program = Program { program, arguments, environment, directory: None, stdin };
        let prefix = PREFIX.to_vec();
        Self::start(program, &Destination { lines: Some(lines.clone()), prefix, file: None })
    }

    /// Starts a program whose lines go elsewhere.
    pub fn start(program: Program<'_>, destination: &Destination) -> Result<Self, SpawnError> {
        let Program { program, arguments, environment, directory, stdin } = program;
        let refuse = |source| SpawnError { program: program.to_owned(), source };
        let (stdout, stdout_writer) = io::pipe().map_err(refuse)?;
        let (stderr, stderr_writer) = io::pipe().map_err(refuse)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .stdin(stdin)
            .stdout(stdout_writer)
            .stderr(stderr_writer)
            .process_group(0);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let child = command.spawn().map_err(refuse)?;
        // The command holds the pipes' writing ends, which would keep them open for ever.
        drop(command);
        let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
        let (ended, outputs) = mpsc::channel(1);
        let process = Self { child, group, outputs };
        for output in [stdout, stderr] {
            let (destination, ended) = (destination.clone(), ended.clone());
            thread::Builder::new()
                .name("app-output".to_owned())
                .spawn(move || {
                    pass_on(output, &destination);
                    drop(ended);
                })
                .map_err(refuse)?;
        }
        Ok(process)
    }

    /// Its process id, until it has ended.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Waits for its end and its last lines; its exit code, or 128 plus the signal that ended it.
    pub async fn wait(&mut self) -> u8 {
        let status = self.child.wait().await;
        self.group = None;
        // The readers never send: the channel ends with the last of them.
        let _ = timeout(LAST_LINES_PATIENCE, self.outputs.recv()).await;
        status.map_or(1, exit_code)
    }

    /// Sends a signal to it and its children, waits for its end as [`wait`](Self::wait), and kills
    /// all of them if that takes too long.
    pub async fn stop(&mut self, signal: Signal) -> u8 {
        self.stop_within(signal, STOP_PATIENCE).await
    }

    /// As [`stop`](Self::stop), with a patience of the caller's.
    pub async fn stop_within(&mut self, signal: Signal, patience: Duration) -> u8 {
        self.signal(signal);
        if let Ok(code) = timeout(patience, self.wait()).await {
            return code;
        }
        self.signal(Signal::SIGKILL);
        self.wait().await
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            // It may have ended this moment.
            let _ = killpg(group, signal);
        }
    }
}

impl Drop for AppProcess {
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
    }
}

fn exit_code(status: ExitStatus) -> u8 {
    let signal = || status.signal().map_or(1, |signal| 128 + signal);
    u8::try_from(status.code().unwrap_or_else(signal)).unwrap_or(1)
}

fn pass_on(mut output: PipeReader, destination: &Destination) {
    let mut prefixer = Prefixer::new(&destination.prefix);
    let mut bytes = vec![0; 16 << 10];
    loop {
        match output.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => prefixer.feed(&bytes[..count], |line| destination.push(line)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(_) => break,
        }
    }
    prefixer.finish(|line| destination.push(line));
}

/// Cuts bytes into lines with a prefix. A line that is too long for the log's queue is broken.
struct Prefixer<'a> {
    prefix: &'a [u8],
    line: Vec<u8>,
    /// Whether there is a line, which without a prefix may be empty.
    begun: bool,
}

impl<'a> Prefixer<'a> {
    fn new(prefix: &'a [u8]) -> Self {
        Self { prefix, line: Vec::new(), begun: false }
    }

    fn feed(&mut self, bytes: &[u8], mut write: impl FnMut(&[u8])) {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            let mut text = part.strip_suffix(b"\n").unwrap_or(part);
            while !text.is_empty() {
                if self.line.len() == LONGEST_LINE {
                    self.finish(&mut write);
                }
                self.begin();
                let room = LONGEST_LINE - self.line.len();
                let (fitting, rest) = text.split_at(text.len().min(room));
                self.line.extend_from_slice(fitting);
                text = rest;
            }
            if part.ends_with(b"\n") {
                self.begin();
                self.finish(&mut write);
            }
        }
    }

    fn begin(&mut self) {
        if !self.begun {
            self.begun = true;
            self.line.extend_from_slice(self.prefix);
        }
    }

    /// Writes what there is of a line.
    fn finish(&mut self, mut write: impl FnMut(&[u8])) {
        if !self.begun {
            return;
        }
        self.line.push(b'\n');
        write(&self.line);
        self.line.clear();
        self.begun = false;
    }
}

#[cfg(test)]
mod tests;
