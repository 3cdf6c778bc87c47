//! A client's socket as hyper sees it: with the bytes that were read to learn its protocol put
//! back, and with a limit on the time that an HTTP/1.1 client takes to send a request's head.
//!
//! hyper's own limit also ends connections that are idle between requests. Clients keep those in
//! pools, and one that sends into a connection being closed loses its request.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use hyper::rt::{Read, ReadBufCursor, Write};
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

/// A client's socket.
pub struct ClientSocket {
    io: TokioIo<Stream>,
    /// Read already, and to be read again.
    head_start: Bytes,
    clock: Option<HeadClock>,
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
        Self { io: TokioIo::new(stream), head_start, clock: None }
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
        if self.head_start.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let length = self.head_start.len().min(buf.remaining());
        buf.put_slice(&self.head_start.split_to(length));
        Poll::Ready(Ok(()))
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

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
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
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
