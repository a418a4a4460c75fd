//! Finds the end of a chunked body in the bytes that arrive, so that the next request is known to start there.
//!
//! hyper decodes the body; this scanner only follows its framing. Where the two could differ, the body is malformed and
//! hyper refuses it.

/// Follows the framing of one chunked body.
#[derive(Debug, Default)]
pub struct ChunkScan(State);

#[derive(Debug)]
enum State {
    /// In the line with the size of a chunk.
    Size {
        /// The size according to the digits so far.
        bytes: u64,
        /// Whether the digits have ended.
        is_read: bool,
        after_cr: bool,
    },
    /// This many bytes of a chunk are still to come.
    Data(u64),
    /// This many bytes of the line break after a chunk are still to come.
    DataEnd(u8),
    /// In a line after the last chunk.
    Trailer { is_empty: bool, after_cr: bool },
    /// After the body.
    End,
    /// The body is malformed, and hyper will refuse it.
    Broken,
}

impl Default for State {
    fn default() -> Self {
        Self::Size { bytes: 0, is_read: false, after_cr: false }
    }
}

impl ChunkScan {
    /// Scans `bytes`, and returns how many of them belong to the body.
    pub fn take(&mut self, bytes: &[u8]) -> usize {
        let mut taken = 0;
        while taken < bytes.len() {
            match &mut self.0 {
                State::Data(left) => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len() - taken);
                    taken += here;
                    *left -= here as u64;
                    if *left == 0 {
                        self.0 = State::DataEnd(2);
                    }
                }
                State::End => return taken,
                State::Broken => return bytes.len(),
                _ => {
                    self.step(bytes[taken]);
                    taken += 1;
                }
            }
        }
        taken
    }

    /// Whether the whole body has arrived.
    pub const fn is_end(&self) -> bool {
        matches!(self.0, State::End)
    }

    fn step(&mut self, byte: u8) {
        self.0 = match self.0 {
            State::Size { bytes, after_cr: true, .. } => match (byte, bytes) {
                (b'\n', 0) => State::Trailer { is_empty: true, after_cr: false },
                (b'\n', _) => State::Data(bytes),
                _ => State::Broken,
            },
            State::Size { bytes, .. } if byte == b'\r' => {
                State::Size { bytes, is_read: true, after_cr: true }
            }
            State::Size { .. } if byte == b'\n' => State::Broken,
            State::Size { bytes, is_read: false, .. } => match char::from(byte).to_digit(16) {
                None => State::Size { bytes, is_read: true, after_cr: false },
                Some(digit) => match bytes.checked_mul(16) {
                    Some(bytes) => {
                        State::Size { bytes: bytes + u64::from(digit), is_read: false, after_cr: false }
                    }
                    None => State::Broken,
                },
            },
            State::Size { bytes, .. } => State::Size { bytes, is_read: true, after_cr: false },
            State::DataEnd(2) => State::DataEnd(1),
            State::DataEnd(_) => State::default(),
            State::Trailer { is_empty: true, after_cr: true } if byte == b'\n' => State::End,
            State::Trailer { is_empty: false, after_cr: true } if byte == b'\n' => {
                State::Trailer { is_empty: true, after_cr: false }
            }
            State::Trailer { after_cr: true, .. } => State::Broken,
            State::Trailer { is_empty, .. } if byte == b'\r' => State::Trailer { is_empty, after_cr: true },
            State::Trailer { .. } => State::Trailer { is_empty: false, after_cr: false },
            State::Data(_) | State::End | State::Broken => State::Broken,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunked_body_ends_where_hyper_ends_it() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "3;a=b\r\nabc\r\nA ; c\r\n0123456789\r\n0\r\n\r\n",
            "003\r\n\r\n\n\r\n0\r\nx: y\r\nz: 1\r\n\r\n",
            "5\r\n0\r\n\r\n\r\n0\r\nx: a\nb\r\n\r\n",
        ] {
            let stream = format!("{body}GET / HTTP/1.1\r\n\r\n");
            assert_eq!(ChunkScan::default().take(stream.as_bytes()), body.len(), "{body:?}");
            let mut scan = ChunkScan::default();
            let taken: usize = stream.as_bytes().iter().map(|byte| scan.take(&[*byte])).sum();
            assert_eq!((taken, scan.is_end()), (body.len(), true), "{body:?}");
        }
    }

    #[test]
    fn chunked_body_with_broken_chunks_has_no_end() {
        for body in ["3\nabc\r\n0\r\n\r\n", "fffffffffffffffff\r\n", "0\r\n\rx\r\n\r\n"] {
            let stream = format!("{body}GET / HTTP/1.1\r\n\r\n");
            let mut scan = ChunkScan::default();
            assert_eq!((scan.take(stream.as_bytes()), scan.is_end()), (stream.len(), false), "{body:?}");
        }
    }
}
