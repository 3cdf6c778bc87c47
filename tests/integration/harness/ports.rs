//! Free ports below the range from which the system takes those of outgoing connections, so that a
//! port found free is not gone a moment later.

use std::{
    net::{Ipv4Addr, TcpListener},
    process,
    sync::{
        LazyLock,
        atomic::{AtomicU16, Ordering},
    },
};

const FIRST: u16 = 12_000;
const COUNT: u16 = 20_000;

// Several test processes may run at once; each begins elsewhere.
static NEXT: LazyLock<AtomicU16> = LazyLock::new(|| {
    let start = (process::id().wrapping_mul(7919)) % u32::from(COUNT);
    AtomicU16::new(u16::try_from(start).expect("less than COUNT"))
});

/// A port that nobody listens on.
pub fn free_port() -> u16 {
    for _ in 0..COUNT {
        let port = FIRST + NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return port;
        }
    }
    panic!("no free port");
}
