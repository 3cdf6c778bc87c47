//! Reads flags, runs a command, returns the exit code; nothing else exits.

fn main() {}
