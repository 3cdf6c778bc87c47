//! The stores against what they stand for: a real redis-server, and memory.

mod acceptance;
mod contract;
mod layout;
mod outage;
mod redis;
mod support;
