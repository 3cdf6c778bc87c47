//! The whole product, tested from outside: one binary, a module a concern.
