//! Outrigger: a sidecar that serves the Dapr state API through timeouts, retries and circuit
//! breakers to Redis.
//!
//! # The map
//!
//! One call goes down through these rooms and its answer comes back up; a module imports only
//! from lower rows, never from its neighbours (`tests/integration/architecture.rs` enforces it):
//!
//! | row | rooms | what for |
//! |---|---|---|
//! | 6 | `main`, [`cli`], [`commands`] | flags, exit codes |
//! | 5 | [`sidecar`] | wires everything; start and shutdown order |
//! | 5 | `fuzzing` | what must hold for any input; not built into the product |
//! | 4 | [`grpc`], [`http`], [`resources`], [`app_process`] | bytes in, bytes out |
//! | 3 | [`edge`] | accepting, limits, token, draining |
//! | 2 | [`api`] | what a request means |
//! | 1 | [`state_store`], [`resiliency`] | siblings that know nothing of each other |
//! | 0 | [`call`], [`go_text`], [`log`], [`metrics`], [`nearest`], [`version`], [`timers`], [`proto`] (for `grpc` alone) | leaves |
//!
//! # Invariants
//!
//! 1. `resiliency` knows no store, no YAML, no gRPC: it runs any future.
//! 2. `state_store` tries once and says precisely what went wrong; it never retries.
//! 3. Only `grpc` names tonic and proto types, only `http` names axum, only `state_store/redis*`
//!    names fred, only `resources` names the YAML parser. [`state_store::StoredKey`] is built only
//!    by `api/key.rs`.
//! 4. After `resources::load` nothing can fail because of a name or a format.
//! 5. `tokio::time::Instant` everywhere; nobody reads a clock or a random source inside
//!    `circuit.rs` and `backoff.rs`. Rooms 1 to 4 set timers by [`timers`] alone.
//! 6. `metrics` and `log` never change behaviour. No value and no secret is ever logged.
//! 7. No lock is held across an await; whatever must be undone sits in a `Drop`, because tonic
//!    drops a handler's future when its client hangs up.

pub mod api;
pub mod app_process;
pub mod call;
pub mod cli;
pub mod commands;
pub mod edge;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod go_text;
pub mod grpc;
pub mod http;
pub mod log;
pub mod metrics;
pub mod nearest;
pub mod proto;
pub mod resiliency;
pub mod resources;
pub mod sidecar;
pub mod state_store;
pub mod timers;
pub mod version;
