//! A TCP proxy in front of a Redis that delays, stalls or cuts what goes through it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
};

use super::client::{block_on, spawn};

/// What the proxy does with bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It passes them on after this time.
    Pass(Duration),
    /// It takes none and passes none on.
    Stall,
    /// It closes every connection, old and new.
    Cut,
}

/// A proxy on a port of its own.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    mode: watch::Sender<Mode>,
    cuts: Arc<Cuts>,
}

/// How many calls of a script still lose their connection.
#[derive(Debug, Default)]
struct Cuts {
    before: AtomicUsize,
    after: AtomicUsize,
}

impl Proxy {
    /// Starts one in front of a port of this machine.
    pub fn to(target: u16) -> Self {
        let (mode, seen) = watch::channel(Mode::Pass(Duration::ZERO));
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        let cuts = Arc::<Cuts>::default();
        spawn(accept(listener, target, seen, cuts.clone()));
        Self { port, mode, cuts }
    }

    /// Closes the connection of each of the next so many calls of a script instead of passing the
    /// call on.
    pub fn cut_before(&self, calls: usize) {
        self.cuts.before.store(calls, Ordering::SeqCst);
    }

    /// Passes each of the next so many calls of a script on, and closes its connection instead of
    /// passing the answer back.
    pub fn cut_after(&self, calls: usize) {
        self.cuts.after.store(calls, Ordering::SeqCst);
    }

    /// Changes what it does, for open connections as well.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, target: u16, mode: watch::Receiver<Mode>, cuts: Arc<Cuts>) {
    let mut ended = mode.clone();
    loop {
        let client = tokio::select! {
            client = listener.accept() => client,
            // The sender is gone with the proxy.
            _ = ended.wait_for(|_| false) => return,
        };
        let Ok((client, _)) = client else { return };
        if *mode.borrow() == Mode::Cut {
            continue;
        }
        spawn(connection(client, target, mode.clone(), cuts.clone()));
    }
}

async fn connection(client: TcpStream, target: u16, mode: watch::Receiver<Mode>, cuts: Arc<Cuts>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = mode.clone();
    let is_cut = AtomicBool::new(false);
    let passes_call = |bytes: &[u8]| {
        if bytes.windows(4).any(|word| word == b"EVAL") {
            if take_one(&cuts.before) {
                return false;
            }
            is_cut.store(take_one(&cuts.after), Ordering::SeqCst);
        }
        true
    };
    let passes_answer = |_: &[u8]| !is_cut.load(Ordering::SeqCst);
    tokio::select! {
        _ = pump(from_client, to_server, mode.clone(), passes_call) => {}
        _ = pump(from_server, to_client, mode, passes_answer) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

fn take_one(count: &AtomicUsize) -> bool {
    count.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

/// Passes bytes on until the connection ends or bytes come that are not to be passed.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    passes: impl Fn(&[u8]) -> bool,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 || !passes(&buffer[..length]) {
            return Ok(());
        }
        let passing = mode.wait_for(|mode| *mode != Mode::Stall).await;
        if let Ok(Mode::Pass(delay)) = passing.map(|mode| *mode) {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
