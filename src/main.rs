//! Reads flags, runs a command, returns the exit code; nothing else exits.

use std::process::ExitCode;

use outrigger::{cli, commands};

fn main() -> ExitCode {
    let words: Vec<_> = std::env::args_os().collect();
    let code = match cli::parse(&words, &|name| std::env::var(name).ok()) {
        Ok(command) => commands::execute(command),
        Err(error) => commands::refuse(error),
    };
    ExitCode::from(code)
}
