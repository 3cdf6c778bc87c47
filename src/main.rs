//! Reads flags, runs a command, returns the exit code; nothing else exits.

use std::{
    io::{self, Write as _},
    panic,
    process::ExitCode,
};

use outrigger::{cli, commands};

fn main() -> ExitCode {
    tell_only_where_a_panic_was();
    let words: Vec<_> = std::env::args_os().collect();
    let code = match cli::parse(&words, &variable) {
        Ok(command) => commands::execute(command),
        Err(error) => commands::refuse(error),
    };
    ExitCode::from(code)
}

/// Bytes that are no text are replaced, not dropped: a token must not turn into none.
fn variable(name: &str) -> Option<String> {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned())
}

/// What a panic says may quote a request.
fn tell_only_where_a_panic_was() {
    panic::set_hook(Box::new(|panic| {
        if let Some(place) = panic.location() {
            // Standard error may be closed, and a hook must not panic.
            let _ = writeln!(io::stderr(), "a task panicked at {place}");
        }
    }));
}
