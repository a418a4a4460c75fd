//! Printing for all commands.

use clap::{Arg, ArgAction};
use std::io::{self, ErrorKind, Write};

/// A flag that needs no value.
pub(super) fn switch(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).help(help).action(ArgAction::SetTrue)
}

/// Prints a line of output.
pub(super) fn say(line: &str) {
    print(format!("{line}\n").as_bytes());
}

/// Prints bytes of output as they are.
pub(super) fn print(output: &[u8]) {
    // Not `println!`, which panics when the reader closes the pipe, as in `tenantry org list | head`.
    match io::stdout().write_all(output) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            complain(&format!("tenantry: the output cannot be written: {error}"));
        }
        _ => {}
    }
}

/// Prints a line about what went wrong.
#[expect(clippy::print_stderr, reason = "the command line prints")]
pub(super) fn complain(line: &str) {
    eprintln!("{line}");
}
