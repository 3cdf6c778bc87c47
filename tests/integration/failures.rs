//! The failure table: the document that people read is the one that drives the engine.

mod document;
