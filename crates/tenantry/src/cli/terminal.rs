//! Questions and progress on the terminal. Both go to standard error, so that standard output has only the
//! result.

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, ErrorKind, IsTerminal, Write};

/// What Ctrl-C sends.
const CTRL_C: u8 = 3;

/// Whether there is a terminal to ask on.
pub fn has_waiters() -> bool {
    io::stdin().is_terminal()
}

/// Asks a question; returns the typed line.
pub fn ask(question: &str) -> io::Result<String> {
    show(question)?;
    read_line()
}

/// Asks without showing the input; returns the typed line.
pub fn ask_hidden(question: &str) -> io::Result<String> {
    let input = io::stdin();
    let before = tcgetattr(&input)?;
    tcsetattr(&input, OptionalActions::Now, &hidden(before.clone()))?;
    let line = show(question).and_then(|()| read_line());
    tcsetattr(&input, OptionalActions::Now, &before)?;
    line
}

/// Terminal modes without echo, except of the line's end. Ctrl-C ends the line instead of the process, which
/// would leave the terminal in these modes.
fn hidden(mut modes: Termios) -> Termios {
    modes.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
    modes.local_modes.insert(LocalModes::ECHONL);
    modes.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
    modes
}

fn read_line() -> io::Result<String> {
    let mut input = io::stdin().lock();
    let mut line = Vec::new();
    loop {
        let typed = input.fill_buf()?;
        let end = typed.iter().position(|byte| [b'\n', CTRL_C].contains(byte));
        line.extend_from_slice(&typed[..end.unwrap_or(typed.len())]);
        let cancelled = typed.is_empty() || end.is_some_and(|end| typed[end] == CTRL_C);
        let length = end.map_or(typed.len(), |end| end + 1);
        input.consume(length);
        if cancelled {
            show("\n")?;
            return Err(io::Error::new(ErrorKind::Interrupted, "cancelled"));
        }
        if end.is_some() {
            return String::from_utf8(line).map_err(|_| io::Error::new(ErrorKind::InvalidData, "not UTF-8"));
        }
    }
}

/// A line of standard error that is overwritten again and again, if it is a terminal.
pub struct Progress {
    is_seen: bool,
}

impl Progress {
    /// Nothing yet.
    pub fn new() -> Self {
        Self { is_seen: io::stderr().is_terminal() }
    }

    /// Shows `text` in place of the old one.
    pub fn show(&self, text: &str) {
        if self.is_seen {
            // If it cannot be shown, nothing that matters is lost.
            let _ = show(&format!("\r\x1b[K{text}"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.show("");
    }
}

fn show(text: &str) -> io::Result<()> {
    let mut output = io::stderr().lock();
    output.write_all(text.as_bytes())?;
    output.flush()
}
