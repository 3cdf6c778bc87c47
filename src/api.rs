//! What a request means, whichever edge it came in by.

pub mod json;
