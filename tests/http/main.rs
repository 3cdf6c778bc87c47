//! The state API over HTTP on real sockets, as recorded from daprd and under bad input.

// Clippy knows only functions marked as tests, and what these call is as much a test.
#![allow(clippy::unwrap_used)]

#[expect(dead_code, reason = "the conformance tests use what is not used here")]
#[path = "../conformance/compare.rs"]
mod compare; // an answer against a recorded one
mod edge;
mod malformed;
#[expect(dead_code, reason = "the conformance tests use what is not used here")]
#[path = "../conformance/numbers.rs"]
mod numbers; // JSON whose numbers keep their spelling
mod outage;
mod recording;
mod redis;
mod replay;
mod trace;
