//! Between those who log and the one thread that writes: bounded, and never in anybody's way.

use std::{
    io::{self, Write},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tokio::time::Instant;

/// How many bytes may wait; log lines beyond it are dropped and counted.
const CAPACITY: usize = 1 << 20;

/// How many bytes may wait before patient lines do, which leaves the rest for the log itself.
const PATIENT_CAPACITY: usize = CAPACITY / 2;

/// The longest line that always finds room.
pub const LONGEST_PATIENT_LINE: usize = CAPACITY / 4;

/// How long an output that takes nothing at the moment is left alone.
const BLOCKED_PAUSE: Duration = Duration::from_millis(10);

/// Writes the line that tells how many were dropped.
pub(super) type DropReport = Box<dyn Fn(u64, &mut Vec<u8>) + Send>;

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    dropped: u64,
    closed: bool,
    finished: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Something to write, or the end.
    work: Condvar,
    /// Room again, or the end.
    room: Condvar,
    /// All is written.
    finished: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes whole lines, each ending in a newline.
#[derive(Clone)]
pub struct Lines {
    shared: Arc<Shared>,
}

impl Lines {
    /// Hands a line in; it is dropped and counted when too much waits already. Never blocks.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        if state.pending.len() + line.len() > CAPACITY {
            state.dropped += 1;
            return;
        }
        state.pending.extend_from_slice(line);
        self.shared.work.notify_one();
    }

    /// Hands a line in once there is room, blocking the thread until then. For lines of at most
    /// [`LONGEST_PATIENT_LINE`] bytes.
    pub fn push_patiently(&self, line: &[u8]) {
        let mut state = self.shared.lock();
        while state.pending.len() > PATIENT_CAPACITY && !state.closed {
            state = self.shared.room.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        drop(state);
        self.push(line);
    }
}

/// The thread that writes, seen from outside.
pub(super) struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread that writes to `sink`.
    pub(super) fn start(sink: Box<dyn Write + Send>, report: DropReport) -> Self {
        let shared = Arc::<Shared>::default();
        let thread_shared = shared.clone();
        let started = thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || Writing { shared: thread_shared, sink, report, mid_line: false }.run());
        if started.is_err() {
            // Without its thread nothing is ever written, and nobody waits for it.
            let mut state = shared.lock();
            state.closed = true;
            state.finished = true;
        }
        Self { shared }
    }

    /// Where lines are handed in.
    pub(super) fn lines(&self) -> Lines {
        Lines { shared: self.shared.clone() }
    }

    /// Has everything written that waits, and waits for that no longer than `limit`.
    pub(super) fn close(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let mut state = self.shared.lock();
        state.closed = true;
        self.shared.work.notify_one();
        self.shared.room.notify_all();
        while !state.finished {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            let waited = self.shared.finished.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// The thread that writes, from inside.
struct Writing {
    shared: Arc<Shared>,
    sink: Box<dyn Write + Send>,
    report: DropReport,
    /// Whether the output stopped inside a line.
    mid_line: bool,
}

impl Writing {
    fn run(mut self) {
        let mut batch = Vec::new();
        while self.next(&mut batch) {
            let lost = self.write(&batch);
            self.shared.lock().dropped += lost;
            batch.clear();
        }
        let _ = self.sink.flush();
        self.shared.lock().finished = true;
        self.shared.finished.notify_all();
    }

    /// Waits for lines; false at the end. What was dropped before is reported in front of them.
    fn next(&mut self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.shared.lock();
        while state.pending.is_empty() && !state.closed {
            state = self.shared.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.pending.is_empty() {
            return false;
        }
        mem::swap(&mut state.pending, batch);
        self.shared.room.notify_all();
        true
    }

    /// Writes a batch and says how many of its lines were lost.
    fn write(&mut self, batch: &[u8]) -> u64 {
        let mut rest = batch;
        if self.mid_line && self.write_all(&mut &b"\n"[..]).is_err() {
            return lines_in(rest);
        }
        if self.write_all(&mut rest).is_err() {
            return lines_in(rest);
        }
        let dropped = mem::take(&mut self.shared.lock().dropped);
        if dropped > 0 {
            let mut line = Vec::new();
            (self.report)(dropped, &mut line);
            if self.write_all(&mut line.as_slice()).is_err() {
                return dropped;
            }
        }
        0
    }

    /// Writes `rest` and leaves in it what could not be written. A full output is waited for.
    fn write_all(&mut self, rest: &mut &[u8]) -> io::Result<()> {
        while !rest.is_empty() {
            match self.sink.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => {
                    self.mid_line = rest[count - 1] != b'\n';
                    *rest = &rest[count..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(BLOCKED_PAUSE);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn lines_in(bytes: &[u8]) -> u64 {
    bytes.iter().filter(|&&byte| byte == b'\n').count() as u64
}
