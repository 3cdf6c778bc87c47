//! A server that speaks RESP and does what no Redis can be brought to do.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

/// What it does when it is asked something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Does {
    /// It answers with this line.
    Says(&'static str),
    /// It says nothing.
    Nothing,
    /// It closes the connection.
    Closes,
}

/// The running server.
pub struct Scripted {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    on_script: Mutex<Does>,
    scripts: AtomicUsize,
    /// Whether it closes new connections.
    refuses: AtomicBool,
    /// How many connections were greeted and are still answered.
    answered: AtomicUsize,
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
            refuses: AtomicBool::new(false),
            answered: AtomicUsize::new(0),
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

    /// How many connections are answered: those that it closed or left in silence are not.
    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// From now on greets nobody, or everybody again.
    pub fn refuse(&self, refuses: bool) {
        self.shared.refuses.store(refuses, Ordering::SeqCst);
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

    /// Until the connection ends.
    fn serve(&self, mut stream: TcpStream) {
        let (mut received, mut piece) = (Vec::new(), [0; 4096]);
        let (mut is_greeted, mut is_silent) = (false, false);
        let leave = |is_greeted: bool| {
            self.answered.fetch_sub(usize::from(is_greeted), Ordering::SeqCst);
        };
        let mut is_open = true;
        while is_open {
            while let Some((words, length)) = command(&received) {
                received.drain(..length);
                match self.asked(&words) {
                    // Redis answers in order: behind what it does not answer, nothing is answered.
                    _ if is_silent => {}
                    Does::Says(line) => {
                        is_open &= stream.write_all(format!("{line}\r\n").as_bytes()).is_ok();
                        if words[0] == "PING" && !std::mem::replace(&mut is_greeted, true) {
                            self.answered.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                    Does::Nothing => {
                        is_silent = true;
                        leave(std::mem::take(&mut is_greeted));
                    }
                    Does::Closes => is_open = false,
                }
            }
            match is_open.then(|| stream.read(&mut piece)) {
                None | Some(Ok(0) | Err(_)) => is_open = false,
                Some(Ok(length)) => received.extend_from_slice(&piece[..length]),
            }
        }
        leave(is_greeted);
        stream.shutdown(Shutdown::Both).ok();
    }

    fn asked(&self, words: &[String]) -> Does {
        match words[0].to_ascii_uppercase().as_str() {
            "EVALSHA" | "EVAL" | "HGETALL" => {
                let does = *self.on_script();
                self.scripts.fetch_add(1, Ordering::SeqCst);
                does
            }
            "PING" if self.refuses.load(Ordering::SeqCst) => Does::Closes,
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
