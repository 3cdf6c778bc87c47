//! The two versions this program has.

/// The version of Dapr whose behaviour is served; reported wherever clients look for one.
pub const DAPR_VERSION: &str = "1.18.3";

/// This program's own version.
pub const OUTRIGGER_VERSION: &str = env!("CARGO_PKG_VERSION");
