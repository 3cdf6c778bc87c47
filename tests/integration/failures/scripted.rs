//! A server that speaks RESP and does what no Redis can be brought to do.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
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
    on_ping: Does,
    on_script: Mutex<Does>,
    scripts: AtomicUsize,
    /// Every connection; `None` once the server has ended.
    connections: Mutex<Option<Vec<TcpStream>>>,
}

impl Scripted {
    /// Does this when it is greeted by PING, and that when a script is called.
    pub fn start(on_ping: Does, on_script: Does) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let connections = Mutex::new(Some(Vec::new()));
        let (on_script, scripts) = (Mutex::new(on_script), AtomicUsize::new(0));
        let shared = Arc::new(Shared { on_ping, on_script, scripts, connections });
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

    /// From now on does this when a script is called.
    pub fn on_script(&self, does: Does) {
        *self.shared.on_script.lock().unwrap_or_else(PoisonError::into_inner) = does;
    }

    /// How many calls of a script have reached it.
    pub fn scripts(&self) -> usize {
        self.shared.scripts.load(Ordering::SeqCst)
    }

    /// Closes its port and every connection.
    pub fn end(&self) {
        for stream in self.shared.connections().take().into_iter().flatten() {
            stream.shutdown(Shutdown::Both).ok();
        }
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
    fn connections(&self) -> std::sync::MutexGuard<'_, Option<Vec<TcpStream>>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut received = Vec::new();
        // Redis answers in order: behind what it does not answer, nothing is answered.
        let mut silent = false;
        let mut piece = [0; 4096];
        loop {
            while let Some((words, length)) = command(&received) {
                received.drain(..length);
                let said = match self.does(&words) {
                    _ if silent => Ok(()),
                    Does::Says(line) => stream.write_all(format!("{line}\r\n").as_bytes()),
                    Does::SaysLate(line) => {
                        thread::sleep(LATE);
                        stream.write_all(format!("{line}\r\n").as_bytes())
                    }
                    Does::Nothing => {
                        silent = true;
                        Ok(())
                    }
                    Does::Closes => return drop(stream.shutdown(Shutdown::Both)),
                };
                if said.is_err() {
                    return;
                }
            }
            match stream.read(&mut piece) {
                Ok(0) | Err(_) => return,
                Ok(length) => received.extend_from_slice(&piece[..length]),
            }
        }
    }

    fn does(&self, words: &[String]) -> Does {
        match words[0].to_ascii_uppercase().as_str() {
            "EVALSHA" | "EVAL" => {
                self.scripts.fetch_add(1, Ordering::SeqCst);
                *self.on_script.lock().unwrap_or_else(PoisonError::into_inner)
            }
            "PING" => {
                if self.on_ping == Does::Closes {
                    // Time for a call to come and wait for this connection.
                    thread::sleep(Duration::from_millis(100));
                }
                self.on_ping
            }
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
