//! A client's socket as hyper sees it: with the bytes that were read to learn its protocol put
//! back, with a limit on the time that an HTTP/1.1 client takes to send a request's head, and with an
//! eye on whether it is still there.
//!
//! hyper looks for the end of what a client sends while it answers, but not behind bytes that came
//! after the request. Those are read ahead here, up to a point, so that an end behind them is seen.
//!
//! hyper's own limit also ends connections that are idle between requests. Clients keep those in
//! pools, and one that sends into a connection being closed loses its request.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, Sleep};

use crate::{edge::stream::Stream, timers};

/// What an HTTP/1.1 connection is doing, shared between its socket and its service.
#[derive(Clone, Debug, Default)]
pub struct Phase(Arc<AtomicU8>);

/// A request's head is being read: the clock runs.
const READING_HEAD: u8 = 0;
/// A request is being answered.
const ANSWERING: u8 = 1;
/// Nothing was sent since the last answer.
const IDLE: u8 = 2;

/// A request being answered; the connection is idle once it is dropped.
#[derive(Debug)]
pub struct Answering(Phase);

impl Phase {
    /// A head has been read; until what is returned is dropped, its request is being answered.
    pub fn answering(&self) -> Answering {
        self.0.store(ANSWERING, Ordering::Relaxed);
        Answering(self.clone())
    }

    fn is(&self, phase: u8) -> bool {
        self.0.load(Ordering::Relaxed) == phase
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.store(IDLE, Ordering::Relaxed);
    }
}

/// The kernel takes several pieces up to this many bytes faster as one, copied together.
const SMALL: usize = 1024;

/// How much of what a client sends behind a request is read before that is answered.
const AHEAD: usize = 4096;

/// How long hyper may take to ask for what a client sent last, which it does as soon as it has dealt with
/// what came before; a request that it has read as a whole it asks nothing more for.
const PATIENCE: Duration = Duration::from_millis(200);

/// A client's socket.
pub struct ClientSocket {
    io: TokioIo<Stream>,
    /// Read already, and to be read again.
    ahead: BytesMut,
    end: End,
    clock: Option<HeadClock>,
}

/// The end of what the client sends.
enum End {
    NotSeen,
    /// It came while hyper did not ask, which it may do yet.
    Seen {
        patience: Pin<Box<Sleep>>,
    },
    Told,
}

struct HeadClock {
    phase: Phase,
    limit: Duration,
    deadline: Pin<Box<Sleep>>,
    /// Whether the deadline is that of the head being read.
    is_set: bool,
}

impl ClientSocket {
    /// `stream`, of which `head_start` was read already.
    pub fn new(stream: Stream, head_start: Bytes) -> Self {
        Self { io: TokioIo::new(stream), ahead: head_start.into(), end: End::NotSeen, clock: None }
    }

    /// Ends the connection with an error when a request's head takes longer than `limit` from its
    /// first byte on; `phase` says when a head has been read.
    pub fn with_head_limit(self, limit: Duration, phase: Phase) -> Self {
        let clock =
            HeadClock { phase, limit, deadline: Box::pin(timers::sleep(limit)), is_set: true };
        Self { clock: Some(clock), ..self }
    }

    fn poll_socket(
        &mut self,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            if let End::Seen { .. } = self.end {
                self.end = End::Told;
                return Poll::Ready(Ok(()));
            }
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.ahead.len().min(buf.remaining());
        buf.put_slice(&self.ahead.split_to(length));
        Poll::Ready(Ok(()))
    }

    /// Reads ahead while a request is answered; an error says that its client is gone, which hyper
    /// would not notice: in the midst of a body it asks for more, and hears of the end itself.
    fn look_ahead(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if !self.clock.as_ref().is_some_and(|clock| clock.phase.is(ANSWERING)) {
            return Ok(());
        }
        match &mut self.end {
            End::NotSeen => {}
            End::Seen { patience } => {
                return match patience.as_mut().poll(cx) {
                    Poll::Ready(()) => Err(io::ErrorKind::UnexpectedEof.into()),
                    Poll::Pending => Ok(()),
                };
            }
            End::Told => return Ok(()),
        }
        let mut room = [const { MaybeUninit::uninit() }; AHEAD];
        while let Some(left) = AHEAD.checked_sub(self.ahead.len()).filter(|left| *left > 0) {
            let mut read = ReadBuf::uninit(&mut room[..left]);
            match Pin::new(&mut self.io).poll_read(cx, read.unfilled()) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(())) if read.filled().is_empty() => {
                    self.end = End::Seen { patience: Box::pin(timers::sleep(PATIENCE)) };
                    cx.waker().wake_by_ref();
                    break;
                }
                Poll::Ready(Ok(())) => {
                    self.ahead.extend_from_slice(read.filled());
                    // They may be of the request's body, for which hyper waits.
                    cx.waker().wake_by_ref();
                }
            }
        }
        Ok(())
    }
}

impl HeadClock {
    fn bytes_came(&mut self) {
        if self.phase.is(IDLE) {
            self.phase.0.store(READING_HEAD, Ordering::Relaxed);
            self.is_set = false;
        }
    }

    fn poll_out_of_time(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.phase.is(READING_HEAD) {
            return Poll::Pending;
        }
        // Most heads are there as a whole, and are not waited for.
        if !std::mem::replace(&mut self.is_set, true) {
            self.deadline.as_mut().reset(Instant::now() + self.limit);
        }
        self.deadline.as_mut().poll(cx)
    }
}

impl Read for ClientSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = this.poll_socket(cx, buf);
        let Some(clock) = &mut this.clock else { return read };
        if read.is_pending() {
            ready!(clock.poll_out_of_time(cx));
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        clock.bytes_came();
        read
    }
}

impl Write for ClientSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    // Which hyper calls whenever it has looked at the connection.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.look_ahead(cx)?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let [buf] = bufs {
            return Pin::new(&mut self.io).poll_write(cx, buf);
        }
        let mut room = [0; SMALL];
        match joined(bufs, &mut room) {
            Some(joined) => Pin::new(&mut self.io).poll_write(cx, joined),
            None => Pin::new(&mut self.io).poll_write_vectored(cx, bufs),
        }
    }
}

/// The pieces as one, if there is room for all of them.
fn joined<'r>(pieces: &[io::IoSlice<'_>], room: &'r mut [u8]) -> Option<&'r [u8]> {
    let mut length = 0;
    for piece in pieces {
        let end = length + piece.len();
        room.get_mut(length..end)?.copy_from_slice(piece);
        length = end;
    }
    Some(&room[..length])
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, io::IoSlice};

    use tokio::{io::AsyncReadExt as _, net::UnixStream};

    use super::*;

    #[tokio::test]
    async fn pieces_arrive_in_their_order_whether_they_are_joined_or_not() {
        let large = vec![b'c'; SMALL];
        let all: [&[&[u8]]; 4] = [&[b"a"], &[b"a", b"", b"bb"], &[b"a", &large], &[&large, b"a"]];
        for pieces in all {
            let (ours, mut theirs) = UnixStream::pair().expect("a pair of sockets");
            let mut socket = ClientSocket::new(Stream::Unix(ours), Bytes::new());
            let slices: Vec<_> = pieces.iter().map(|piece| IoSlice::new(piece)).collect();
            let write = poll_fn(|cx| Pin::new(&mut socket).poll_write_vectored(cx, &slices));
            assert_eq!(write.await.expect("it is open"), pieces.concat().len());
            drop(socket);
            let mut read = Vec::new();
            theirs.read_to_end(&mut read).await.expect("it is open");
            assert_eq!(read, pieces.concat());
        }
    }

    #[test]
    fn what_has_no_room_is_not_joined() {
        let pieces = [IoSlice::new(b"abc"), IoSlice::new(b"de")];
        assert_eq!(joined(&pieces, &mut [0; 5]), Some(&b"abcde"[..]));
        assert_eq!(joined(&pieces, &mut [0; 4]), None);
    }
}
