//! Timeout, circuit breaker and retry around any future.
//!
//! The order, from the outside in: retry, breaker, timeout, attempt. The timeout bounds one attempt
//! and not the call, so that a retry gets a fresh one. The breaker sits inside the retry, so that
//! every attempt counts and a sleeping retry becomes the half-open probe. As Dapr's runtime composes
//! them.

pub mod backoff;
pub mod breaker;
pub mod catalog;
pub mod circuit;
pub mod fault;
pub mod policy;
pub mod retry;
pub mod trip;

/// Where this room's log lines belong: users match on daprd's logger names.
const LOG_TARGET: &str = "dapr.runtime";

#[cfg(test)]
mod captured_log;
