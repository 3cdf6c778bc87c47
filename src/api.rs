//! What a request means, whichever edge it came in by.

pub mod json;
pub mod key;
pub mod metadata;
