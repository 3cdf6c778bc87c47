//! Programs that are started, looked at, and ended.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::pinning::{Cores, Role};

/// How long a program may take to be ready.
pub const START_LIMIT: Duration = Duration::from_secs(30);

/// How long a program may take to end after it was asked to.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A started program; it is killed when this is dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Program {
    /// Starts it with both its outputs in a file `NAME.log` of the folder.
    pub fn start(
        name: &str,
        mut command: Command,
        (cores, role): (&Cores, Role),
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = fs::File::create(&log).with_context(|| format!("{}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started = cores.on(role, || command.spawn())?;
        let child = started.with_context(|| {
            format!("starting {name}: {}", Path::new(command.get_program()).display())
        })?;
        Ok(Self { child, name: name.to_owned(), log })
    }

    /// The process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub fn output(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Asks again and again until there is an answer; says what the program printed if it ends.
    pub fn wait_for<T>(
        &mut self,
        what: &str,
        every: Duration,
        mut ask: impl FnMut(&Self) -> Option<T>,
    ) -> anyhow::Result<T> {
        let begin = Instant::now();
        loop {
            if let Some(answer) = ask(self) {
                return Ok(answer);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended ({status}) before {what}:\n{}", self.name, self.output());
            }
            if begin.elapsed() > START_LIMIT {
                bail!("{}: no {what} in {START_LIMIT:?}:\n{}", self.name, self.output());
            }
            std::thread::sleep(every);
        }
    }

    /// How many system calls it made that write.
    pub fn writes(&self) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/io", self.id());
        let io = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        let count = io.lines().find_map(|line| line.strip_prefix("syscw:"));
        Ok(count.with_context(|| format!("{path} has no syscw"))?.trim().parse()?)
    }

    /// Asks it to end, waits until it has, and returns what it printed.
    pub fn end_and_read(self) -> anyhow::Result<String> {
        let log = self.log.clone();
        self.end()?;
        fs::read_to_string(&log).with_context(|| format!("reading {}", log.display()))
    }

    /// Asks it to end and waits until it has.
    pub fn end(mut self) -> anyhow::Result<()> {
        self.signal(Signal::SIGTERM);
        let begin = Instant::now();
        while self.child.try_wait()?.is_none() {
            if begin.elapsed() > END_LIMIT {
                bail!("{} did not end in {END_LIMIT:?} after SIGTERM", self.name);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Memory in use: resident, or the most there was.
    pub fn memory(&self, of: Memory) -> anyhow::Result<u64> {
        let path = format!("/proc/{}/status", self.id());
        let status = fs::read_to_string(&path).with_context(|| format!("reading {path}"))?;
        memory_in(&status, of).with_context(|| format!("{path} has no {}", of.field()))
    }

    /// How many files and sockets it has open.
    pub fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.id())).map_or(0, Iterator::count)
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.id()) {
            // It may have ended by itself.
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A figure of a process's memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Memory {
    /// What is resident now.
    Resident,
    /// The most that ever was.
    Peak,
}

impl Memory {
    fn field(self) -> &'static str {
        match self {
            Self::Resident => "VmRSS:",
            Self::Peak => "VmHWM:",
        }
    }
}

/// Bytes of a `/proc/PID/status`.
fn memory_in(status: &str, of: Memory) -> Option<u64> {
    let figure = status.lines().find_map(|line| line.strip_prefix(of.field()))?;
    let kibibytes: u64 = figure.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// A port of the loopback interface that nobody has.
pub fn free_port() -> anyhow::Result<u16> {
    let [port] = free_ports()?;
    Ok(port)
}

/// Different ports of the loopback interface that nobody has.
pub fn free_ports<const N: usize>() -> anyhow::Result<[u16; N]> {
    let mut ports = [0; N];
    // All are held until the last one is found: one that is let go may be given out again.
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("looking for a free port")?;
        *port = listener.local_addr()?.port();
        held.push(listener);
    }
    Ok(ports)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(script: &str, folder: &Path) -> Program {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let cores = Cores::here().expect("processors");
        Program::start("sh", command, (&cores, Role::Generator), folder).expect("sh")
    }

    #[test]
    fn memory_is_read_from_what_the_system_tells() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t     512 kB\n";
        assert_eq!(memory_in(status, Memory::Resident), Some(512 * 1024));
        assert_eq!(memory_in(status, Memory::Peak), Some(2048 * 1024));
        assert_eq!(memory_in("Name:\tx\n", Memory::Peak), None);
    }

    #[test]
    fn ports_are_free_and_different() {
        let mut ports = free_ports::<20>().expect("ports");
        ports.sort_unstable();
        assert!(ports.windows(2).all(|two| two[0] < two[1]), "{ports:?}");
        // Whoever else runs on this machine may have taken one meanwhile, not all.
        let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok();
        assert!(ports.iter().any(is_free), "{ports:?}");
    }

    #[test]
    fn a_program_that_ends_too_early_is_told_with_what_it_printed() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program = start("echo no such flag >&2; exit 3", folder.path());
        let every = Duration::from_millis(1);
        let error = program.wait_for::<()>("a port", every, |_| None).expect_err("it ended");
        let text = error.to_string();
        assert!(text.contains("exit status: 3") && text.contains("no such flag"), "{text}");
    }

    #[test]
    fn a_program_is_looked_at_and_ended() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut program = start("echo ready; exec sleep 60", folder.path());
        let ready = |program: &Program| program.output().contains("ready").then_some(());
        program.wait_for("readiness", Duration::from_millis(1), ready).expect("it is ready");
        assert!(program.memory(Memory::Peak).expect("memory") > 0);
        assert!(program.open_files() >= 3);
        program.end().expect("it ends");
    }
}
