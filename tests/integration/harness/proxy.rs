//! A TCP proxy in front of a Redis that delays, stalls or cuts what goes through it.

use std::{io, time::Duration};

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
}

impl Proxy {
    /// Starts one in front of a port of this machine.
    pub fn to(target: u16) -> Self {
        let (mode, seen) = watch::channel(Mode::Pass(Duration::ZERO));
        let listener = block_on(TcpListener::bind("127.0.0.1:0")).expect("a free port");
        let port = listener.local_addr().expect("a bound listener").port();
        spawn(accept(listener, target, seen));
        Self { port, mode }
    }

    /// Changes what it does, for open connections as well.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn accept(listener: TcpListener, target: u16, mode: watch::Receiver<Mode>) {
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
        spawn(connection(client, target, mode.clone()));
    }
}

async fn connection(client: TcpStream, target: u16, mode: watch::Receiver<Mode>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        _ = pump(from_client, to_server, mode.clone()) => {}
        _ = pump(from_server, to_client, mode) => {}
        _ = cut.wait_for(|mode| *mode == Mode::Cut) => {}
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        let passing = mode.wait_for(|mode| *mode != Mode::Stall).await;
        if let Ok(Mode::Pass(delay)) = passing.map(|mode| *mode) {
            tokio::time::sleep(delay).await;
        }
        to.write_all(&buffer[..length]).await?;
    }
}
