//! CPU and memory of processes, from `/proc`.

use std::{
    collections::BTreeMap,
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use serde::Serialize;

use crate::args::Watch;

/// How often the resident memory is looked at.
const EVERY: Duration = Duration::from_millis(10);
/// What Linux counts memory and time in.
const TICK_NANOS: u64 = 10_000_000;

/// One process under watch.
#[derive(Debug)]
pub struct Watched {
    name: String,
    pid: u32,
    rss_before: u64,
    peak: Arc<AtomicU64>,
    cpu: Cpu,
    writes: Option<u64>,
}

/// What a process took while calls were counted.
#[derive(Debug, Serialize)]
pub struct Usage {
    cpu_us_per_call: f64,
    cpu_fraction: f64,
    rss_bytes_before: u64,
    rss_bytes_peak: u64,
    rss_bytes_after: u64,
    /// Calls of `write` and its relatives, without `send`; none where the kernel does not tell.
    syscw_per_call: Option<f64>,
}

/// CPU time up to now.
#[derive(Clone, Debug, Default)]
pub struct Cpu {
    /// Of each living thread, in nanoseconds.
    threads: BTreeMap<String, u64>,
    /// Of all threads that ever were, in ticks.
    ticks: u64,
}

impl Watched {
    /// Looks at a process before anything is asked of anybody.
    pub fn new(watch: &Watch) -> Result<Self, String> {
        let failed = |error| format!("--watch {}={}: {error}", watch.name, watch.pid);
        Ok(Self {
            name: watch.name.clone(),
            pid: watch.pid,
            rss_before: resident(watch.pid).map_err(failed)?,
            peak: Arc::default(),
            cpu: Cpu::default(),
            writes: None,
        })
    }

    /// Counting begins.
    pub fn begin(&mut self) -> Result<(), String> {
        self.cpu = Cpu::of(self.pid).map_err(|error| self.gone(&error))?;
        self.writes = writes(self.pid);
        Ok(())
    }

    /// Looks at the memory until the task is aborted.
    pub fn follow(&self) -> impl Future<Output = ()> + Send + use<> {
        let (pid, peak) = (self.pid, Arc::clone(&self.peak));
        async move {
            let mut every = tokio::time::interval(EVERY);
            loop {
                every.tick().await;
                peak.fetch_max(resident(pid).unwrap_or(0), Ordering::Relaxed);
            }
        }
    }

    /// Counting ends: what was used since it began.
    pub fn end(&self, calls: u64, seconds: f64) -> Result<(String, Usage), String> {
        let cpu = Cpu::of(self.pid).map_err(|error| self.gone(&error))?;
        let used = cpu.nanos_since(&self.cpu) as f64 / 1000.0;
        let per_call = |amount: f64| (amount / calls.max(1) as f64 * 1000.0).round() / 1000.0;
        let wrote = self.writes.zip(writes(self.pid)).map(|(before, now)| now - before);
        let after = resident(self.pid).map_err(|error| self.gone(&error))?;
        let usage = Usage {
            cpu_us_per_call: per_call(used),
            cpu_fraction: (used / seconds / 1000.0).round() / 1000.0,
            rss_bytes_before: self.rss_before,
            rss_bytes_peak: self.peak.load(Ordering::Relaxed).max(after),
            rss_bytes_after: after,
            syscw_per_call: wrote.map(|calls| per_call(calls as f64)),
        };
        Ok((self.name.clone(), usage))
    }

    fn gone(&self, error: &io::Error) -> String {
        format!("{} (process {}) ended during the run: {error}", self.name, self.pid)
    }
}

impl Cpu {
    /// What a process used up to now.
    pub fn of(pid: u32) -> io::Result<Self> {
        let mut threads = BTreeMap::new();
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            // A thread may end between the listing and the reading.
            if let Ok(text) = fs::read_to_string(thread.path().join("schedstat")) {
                let nanos = text.split(' ').next().and_then(|first| first.parse().ok());
                let name = thread.file_name().to_string_lossy().into_owned();
                threads.insert(name, nanos.unwrap_or(0));
            }
        }
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The name in parentheses may hold anything; user and system time are fields 14 and 15.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = rest.split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok());
        Ok(Self { threads, ticks: ticks.sum() })
    }

    /// The threads' own times are exact but lack those of threads that ended; the process's time
    /// lacks none but is counted in ticks.
    pub fn nanos_since(&self, before: &Self) -> u64 {
        let of_threads = self.threads.iter().map(|(thread, nanos)| {
            nanos.saturating_sub(before.threads.get(thread).copied().unwrap_or(0))
        });
        let of_process = self.ticks.saturating_sub(before.ticks).saturating_sub(1) * TICK_NANOS;
        of_threads.sum::<u64>().max(of_process)
    }
}

/// The number that a line of a file in `/proc` begins with `name` for.
fn number(file: &str, pid: u32, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}"))?;
    let word = text.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next());
    // What has ended and is not yet waited for has no memory to tell of.
    word.and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("it has ended"))
}

fn resident(pid: u32) -> io::Result<u64> {
    Ok(number("status", pid, "VmRSS:")? * 1024)
}

fn writes(pid: u32) -> Option<u64> {
    number("io", pid, "syscw:").ok()
}
