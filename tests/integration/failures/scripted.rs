//! A server that speaks RESP and does what no Redis can be brought to do.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

/// What it does when it is asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It answers with this line.
    Says(&'static str),
    /// It answers with this line, but late.
    SaysLate(&'static str),
    /// It says nothing.
    Nothing,
    /// It closes the connection.
    Closes,
}

/// How late: later than a timeout of the tests, sooner than a connection is given up for silence.
const LATE: Duration = Duration::from_millis(600);

/// The running server.
pub struct Scripted {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    on_script: Mutex<Does>,
    scripts: AtomicUsize,
    /// How many connections were ever greeted, and how many of these are still there.
    greeted: AtomicUsize,
    there: AtomicUsize,
    /// How many answers are still to come, late.
    owed: AtomicUsize,
    /// Every connection; `None` once the server has ended.
    connections: Mutex<Option<Vec<TcpStream>>>,
}

impl Scripted {
    /// Does this when a script is called or a key is read.
    pub fn start(on_script: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let shared = Arc::new(Shared {
            on_script: Mutex::new(on_script),
            scripts: AtomicUsize::new(0),
            greeted: AtomicUsize::new(0),
            there: AtomicUsize::new(0),
            owed: AtomicUsize::new(0),
            connections: Mutex::new(Some(Vec::new())),
        });
        let serving = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let handle = stream.try_clone().expect("a second handle");
                match &mut *serving.connections() {
                    Some(open) => open.push(handle),
                    None => return,
                }
                let shared = serving.clone();
                thread::spawn(move || shared.serve(stream));
            }
        });
        Self { port, shared }
    }

    /// From now on does this when a script is called or a key is read.
    pub fn on_script(&self, does: Does) {
        *self.shared.on_script() = does;
    }

    /// What it does then.
    pub fn does(&self) -> Does {
        *self.shared.on_script()
    }

    /// How many calls of a script, or reads of a key, have reached it.
    pub fn scripts(&self) -> usize {
        self.shared.scripts.load(Ordering::SeqCst)
    }

    /// How many connections were greeted.
    pub fn greeted(&self) -> usize {
        self.shared.greeted.load(Ordering::SeqCst)
    }

    /// Whether so many connections are there, and none waits for an answer that comes late.
    pub fn is_quiet(&self, connections: usize) -> bool {
        self.shared.there.load(Ordering::SeqCst) >= connections
            && self.shared.owed.load(Ordering::SeqCst) == 0
    }

    /// Closes every connection, and takes new ones.
    pub fn hang_up(&self) {
        for stream in self.shared.connections().iter_mut().flat_map(|open| open.drain(..)) {
            stream.shutdown(Shutdown::Both).ok();
        }
    }

    /// Closes its port and every connection.
    pub fn end(&self) {
        self.hang_up();
        *self.shared.connections() = None;
        // Wakes who accepts, which then leaves.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, Option<Vec<TcpStream>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn on_script(&self) -> MutexGuard<'_, Does> {
        self.on_script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut is_greeted = false;
        self.answer(&mut stream, &mut is_greeted);
        if is_greeted {
            self.there.fetch_sub(1, Ordering::SeqCst);
        }
        stream.shutdown(Shutdown::Both).ok();
    }

    /// Until the connection ends.
    fn answer(&self, stream: &mut TcpStream, is_greeted: &mut bool) {
        let mut received = Vec::new();
        // Redis answers in order: behind what it does not answer, nothing is answered.
        let mut silent = false;
        let mut piece = [0; 4096];
        loop {
            while let Some((words, length)) = command(&received) {
                received.drain(..length);
                let said = match self.asked(&words) {
                    _ if silent => Ok(()),
                    Does::Says(line) => stream.write_all(format!("{line}\r\n").as_bytes()),
                    Does::SaysLate(line) => {
                        self.owed.fetch_add(1, Ordering::SeqCst);
                        thread::sleep(LATE);
                        let said = stream.write_all(format!("{line}\r\n").as_bytes());
                        self.owed.fetch_sub(1, Ordering::SeqCst);
                        said
                    }
                    Does::Nothing => {
                        silent = true;
                        Ok(())
                    }
                    Does::Closes => return,
                };
                if said.is_err() {
                    return;
                }
                if words[0] == "PING" && !std::mem::replace(is_greeted, true) {
                    self.there.fetch_add(1, Ordering::SeqCst);
                    self.greeted.fetch_add(1, Ordering::SeqCst);
                }
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(length) => received.extend_from_slice(&piece[..length]),
            }
        }
    }

    fn asked(&self, words: &[String]) -> Does {
        match words[0].to_ascii_uppercase().as_str() {
            "EVALSHA" | "EVAL" | "HGETALL" => {
                self.scripts.fetch_add(1, Ordering::SeqCst);
                *self.on_script()
            }
            "PING" => Does::Says("+PONG"),
            _ => Does::Says("+OK"),
        }
    }
}

/// The words of the first command in these bytes and its length, once it is there as a whole.
fn command(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut at = 0;
    let number = |mark: u8, at: &mut usize| -> Option<usize> {
        let rest = bytes.get(*at..)?;
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        assert_eq!(rest[0], mark, "no command: {:?}", String::from_utf8_lossy(rest));
        *at += end + 2;
        std::str::from_utf8(&rest[1..end]).ok()?.parse().ok()
    };
    let count = number(b'*', &mut at)?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let length = number(b'$', &mut at)?;
        words.push(String::from_utf8_lossy(bytes.get(at..at + length)?).into_owned());
        at += length + 2;
    }
    (at <= bytes.len()).then_some((words, at))
}
