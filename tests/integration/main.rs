//! The whole product, tested from outside: one binary, a module a concern.

mod architecture; // import rows, who names which crate, file lengths, words that may not stand in src
mod harness; // Redis, sidecar, clients, proxy, canaries
mod story; // the outage story: stopped, killed, frozen
