//! What both edges share between a socket and a handler: accepting, limits, the token, trace
//! context, and what shutdown waits for. Nothing in here knows what a request means.

pub mod access;
pub mod admission;
pub mod answer;
pub mod baggage;
pub mod connection;
pub mod drain;
pub mod limits;
pub mod listener;
pub mod socket;
pub mod stream;
pub mod timer;
pub mod token;
pub mod trace;
pub mod unread;
