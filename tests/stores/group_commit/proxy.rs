//! A proxy before a redis-server: it delays, withholds and cuts.

use std::{io, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
    time::sleep,
};

/// What becomes of what passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It passes.
    Pass,
    /// Replies wait until the mode is another.
    HoldReplies,
    /// The next reply does not pass: the connection is cut instead. Once; then everything passes.
    CutReply,
    /// The next reply is this one, and the connection is closed behind it. Once; then everything
    /// passes.
    SayAndClose(&'static str),
    /// The next command does not pass: the connection is cut instead. Once; then everything passes.
    CutCommand,
}

impl Mode {
    /// What is said instead of what came before the connection is closed; `cut` is the mode that cuts
    /// in this direction.
    fn instead(self, cut: Self) -> Option<&'static str> {
        match self {
            Self::SayAndClose(text) if cut == Self::CutReply => Some(text),
            mode => (mode == cut).then_some(""),
        }
    }
}

/// Listens as long as it lives; has to be made inside a runtime.
pub struct Proxy {
    /// Where it listens.
    pub port: u16,
    mode: Arc<watch::Sender<Mode>>,
    task: AbortHandle,
}

impl Proxy {
    /// A proxy to this port that delays each direction.
    pub async fn start(to: u16, delay: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mode = Arc::new(watch::Sender::new(Mode::Pass));
        let connections = mode.clone();
        let task = tokio::spawn(async move {
            let mut lives = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lives.spawn(serve(client, to, delay, connections.clone()));
            }
        });
        Self { port, mode, task: task.abort_handle() }
    }

    /// From now on this becomes of what passes.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Whether a connection was cut since the mode was set to one that cuts.
    pub fn has_cut(&self) -> bool {
        *self.mode.borrow() == Mode::Pass
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One connection, until either side closes or it is cut.
async fn serve(
    client: TcpStream,
    to: u16,
    delay: Duration,
    mode: Arc<watch::Sender<Mode>>,
) -> io::Result<()> {
    let server = TcpStream::connect(("127.0.0.1", to)).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::select! {
        ended = pass(from_client, to_server, delay, &mode, Mode::CutCommand) => ended,
        ended = pass(from_server, to_client, delay, &mode, Mode::CutReply) => ended,
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    delay: Duration,
    mode: &watch::Sender<Mode>,
    cut: Mode,
) -> io::Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        if cut == Mode::CutReply {
            let _ = mode.subscribe().wait_for(|mode| *mode != Mode::HoldReplies).await;
        }
        let mut instead = None;
        mode.send_if_modified(|mode| {
            instead = mode.instead(cut);
            if instead.is_some() {
                *mode = Mode::Pass;
            }
            instead.is_some()
        });
        if let Some(text) = instead {
            return to.write_all(text.as_bytes()).await;
        }
        if !delay.is_zero() {
            sleep(delay).await;
        }
        to.write_all(&buffer[..count]).await?;
    }
}
