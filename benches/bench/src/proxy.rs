//! A proxy before Redis that makes it far away, or slow.

use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::prctl::set_timerslack;

use crate::resp::{Begin, command};

/// How far behind the pace a proxy may be and still catch up.
const CATCH_UP: Duration = Duration::from_millis(5);

/// What a proxy does to the commands that go through it.
#[derive(Clone, Copy, Debug)]
pub enum Effect {
    /// Every byte comes later by this time, in each direction.
    Delay(Duration),
    /// So many commands a second are passed on, a script counted as many times as it has keys. The
    /// rest waits in the client's socket, as it does before a server with no time.
    Cap(u32),
}

/// A running proxy; dropping it ends its connections.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    effect: Effect,
    ended: AtomicBool,
    passed: AtomicU64,
    pace: Mutex<Instant>,
    streams: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    /// Listens on a free port, and asks the Redis behind.
    pub fn start(upstream: SocketAddr, effect: Effect) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a proxy's port")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            upstream,
            effect,
            ended: AtomicBool::new(false),
            passed: AtomicU64::new(0),
            pace: Mutex::new(Instant::now()),
            streams: Mutex::new(Vec::new()),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.ended.load(Ordering::Acquire) {
                    break;
                }
                // A client that left, or no Redis behind: the client sees its connection closed.
                if let Ok(client) = stream {
                    let _ = accepting.connect(client);
                }
            }
        });
        Ok(Self { address, shared })
    }

    /// Where clients find it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What was passed on so far, in the unit of a cap.
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let streams = self.shared.streams.lock().unwrap_or_else(PoisonError::into_inner);
        for stream in streams.iter() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn connect(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect(self.upstream)?;
        for stream in [&client, &server] {
            stream.set_nodelay(true)?;
            let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
            streams.push(stream.try_clone()?);
        }
        let (client_out, server_out) = (client.try_clone()?, server.try_clone()?);
        match self.effect {
            Effect::Delay(delay) => {
                delayed(client, server_out, delay);
                delayed(server, client_out, delay);
            }
            Effect::Cap(rate) => {
                let shared = Arc::clone(self);
                thread::spawn(move || {
                    closing(client, server_out, |from, to| shared.paced(from, to, rate))
                });
                thread::spawn(move || {
                    closing(server, client_out, |from, to| io::copy(from, to).map(drop))
                });
            }
        }
        Ok(())
    }

    /// Passes commands on at the pace, which all connections share.
    fn paced(&self, from: &mut TcpStream, to: &mut TcpStream, rate: u32) -> io::Result<()> {
        sharpen_timers();
        let mut waiting = Vec::new();
        let mut chunk = [0; 64 * 1024];
        loop {
            let mut begin = 0;
            let foreign = loop {
                match command(&waiting[begin..]) {
                    Begin::Command(found) => {
                        self.wait_for_turn(found.cost, rate);
                        // Before it is passed on: who has an answer finds its command counted.
                        self.passed.fetch_add(found.cost, Ordering::Relaxed);
                        let end = begin + found.length;
                        to.write_all(&waiting[begin..end])?;
                        begin = end;
                    }
                    Begin::Part => break false,
                    Begin::Foreign => break true,
                }
            };
            if foreign {
                return Err(io::Error::other("no command of Redis"));
            }
            waiting.drain(..begin);
            match from.read(&mut chunk)? {
                0 => return Ok(()),
                read => waiting.extend_from_slice(&chunk[..read]),
            }
        }
    }

    fn wait_for_turn(&self, cost: u64, rate: u32) {
        let turn = {
            let mut pace = self.pace.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            let earliest = now.checked_sub(CATCH_UP).unwrap_or(now);
            *pace = (*pace).max(earliest) + Duration::from_secs_f64(as_f64(cost) / f64::from(rate));
            *pace
        };
        thread::sleep(turn.saturating_duration_since(Instant::now()));
    }
}

#[expect(clippy::cast_precision_loss, reason = "a script has far fewer keys than 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

/// Two threads: the time a chunk waits must not hold up the reading of the next one.
fn delayed(from: TcpStream, to: TcpStream, delay: Duration) {
    let (sender, receiver) = mpsc::sync_channel::<(Instant, Vec<u8>)>(1_024);
    let reader = from.try_clone();
    thread::spawn(move || {
        let Ok(mut reader) = reader else { return };
        let mut chunk = [0; 64 * 1024];
        while let Ok(read @ 1..) = reader.read(&mut chunk) {
            if sender.send((Instant::now() + delay, chunk[..read].to_vec())).is_err() {
                break;
            }
        }
    });
    thread::spawn(move || {
        closing(from, to, |_, to| {
            sharpen_timers();
            for (due, chunk) in receiver {
                thread::sleep(due.saturating_duration_since(Instant::now()));
                to.write_all(&chunk)?;
            }
            Ok(())
        });
    });
}

/// Runs one direction; when it ends, for whatever reason, both sides are told.
fn closing(
    mut from: TcpStream,
    mut to: TcpStream,
    run: impl FnOnce(&mut TcpStream, &mut TcpStream) -> io::Result<()>,
) {
    let _ = run(&mut from, &mut to);
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

/// Lets this thread wake up when it asked to: the system adds 50 us otherwise.
fn sharpen_timers() {
    // Without it a delay is a little longer, for everybody alike.
    let _ = set_timerslack(1_000);
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: &[u8] = b"*1\r\n$4\r\nPING\r\n";

    /// A server that answers every 14 bytes, a PING, with a PONG.
    fn ponging() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.expect("a connection");
                thread::spawn(move || {
                    let mut ping = [0; PING.len()];
                    while stream.read_exact(&mut ping).is_ok() {
                        assert_eq!(ping, PING);
                        stream.write_all(b"+PONG\r\n").expect("it reads on");
                    }
                });
            }
        });
        address
    }

    fn pongs(stream: &mut TcpStream, count: usize) {
        let mut answers = vec![0; count * 7];
        stream.read_exact(&mut answers).expect("the answers");
        assert_eq!(answers, b"+PONG\r\n".repeat(count));
    }

    #[test]
    fn a_cap_lets_so_many_through_a_second_over_all_connections() {
        let proxy = Proxy::start(ponging(), Effect::Cap(1_000)).expect("a proxy");
        let begin = Instant::now();
        let clients: Vec<_> = (0..2)
            .map(|_| {
                let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
                thread::spawn(move || {
                    stream.write_all(&PING.repeat(100)).expect("it reads");
                    pongs(&mut stream, 100);
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().expect("all answers"));
        let took = begin.elapsed();
        assert!(took >= Duration::from_millis(190), "200 at 1,000 a second in {took:?}");
        assert!(took < Duration::from_secs(5), "{took:?}");
        assert_eq!(proxy.passed(), 200);
    }

    #[test]
    fn a_delay_is_added_in_both_directions_and_holds_up_nothing() {
        let delay = Duration::from_millis(20);
        let proxy = Proxy::start(ponging(), Effect::Delay(delay)).expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        let begin = Instant::now();
        for _ in 0..20 {
            stream.write_all(PING).expect("it reads");
        }
        pongs(&mut stream, 20);
        let took = begin.elapsed();
        assert!(took >= delay * 2, "{took:?}");
        assert!(took < delay * 2 * 15, "twenty do not wait for each other: {took:?}");
    }

    #[test]
    fn a_client_that_speaks_no_redis_is_cut_off() {
        let proxy = Proxy::start(ponging(), Effect::Cap(1_000)).expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        stream.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("it reads");
        assert_eq!(stream.read(&mut [0; 8]).ok().unwrap_or(0), 0);
        assert_eq!(proxy.passed(), 0);
    }

    #[test]
    fn a_dropped_proxy_cuts_its_connections() {
        let proxy = Proxy::start(ponging(), Effect::Delay(Duration::ZERO)).expect("a proxy");
        let mut stream = TcpStream::connect(proxy.address()).expect("a connection");
        stream.write_all(PING).expect("it reads");
        pongs(&mut stream, 1);
        drop(proxy);
        assert_eq!(stream.read(&mut [0; 8]).ok().unwrap_or(0), 0);
    }
}
