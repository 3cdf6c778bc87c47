//! The failure table: the document that people read is the one that drives the engine, and each of
//! its rows is brought about for real.

mod caller;
mod cut;
mod document;
mod operations;
mod overload;
mod play;
mod probes;
mod rows;
mod scene;
mod scripted;
mod verdicts;
