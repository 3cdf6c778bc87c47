//! Timeout, circuit breaker and retry around any future.
//!
//! The order, from the outside in: retry, breaker, timeout, attempt. The timeout bounds one attempt
//! and not the call, so that a retry gets a fresh one. The breaker sits inside the retry, so that
//! every attempt counts and a sleeping retry becomes the half-open probe. As Dapr's runtime composes
//! them.

pub mod fault;
