//! The state API over HTTP on real sockets, as recorded from daprd and under bad input.

mod edge;
mod malformed;
mod outage;
mod recording;
mod redis;
mod replay;
