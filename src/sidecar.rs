//! Wires everything; start and shutdown order.

pub mod options;
