//! An order-processor on the state API.

fn main() {}
