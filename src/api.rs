//! What a request means, whichever edge it came in by.

pub mod key;
pub mod metadata;
