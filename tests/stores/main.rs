//! The stores against what they stand for: a real redis-server, and memory.

// Clippy knows only functions marked as tests, and what these call is as much a test.
#![allow(clippy::unwrap_used)]

mod acceptance;
mod bulk_reads;
mod contract;
mod group_commit;
mod layout;
mod lone;
mod model;
mod outage;
#[path = "../integration/harness/ports.rs"]
mod ports;
mod redis;
mod redis_6;
mod strong;
mod support;
mod tls;
