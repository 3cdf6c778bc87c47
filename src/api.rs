//! What a request means, whichever edge it came in by.

pub mod error;
pub mod failures;
pub mod json;
pub mod key;
pub mod metadata;
pub mod names;
pub mod state;
mod writing;
