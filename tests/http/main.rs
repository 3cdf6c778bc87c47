//! The state API over HTTP on real sockets, as recorded from daprd and under bad input.

// Clippy knows only functions marked as tests, and what these call is as much a test.
#![allow(clippy::unwrap_used)]

mod edge;
mod malformed;
mod outage;
mod recording;
mod redis;
mod replay;
mod trace;
