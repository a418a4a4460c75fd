//! Reads a body line by line, with only the current line and the last piece that arrived in memory. The elements of a JSON
//! array are its lines.
//!
//! A line that is too long is read to its end, but not kept.

use super::array_lines::ArrayLines;
use crate::content_coding::CodingFault;
use crate::line_clock::{LineClock, PieceArrival};
use axum::body::{Body, BodyDataStream, Bytes};
use std::time::Duration;

/// A line without its line break.
#[derive(Debug, PartialEq)]
pub struct NdjsonLine {
    /// The number of the line in the body, from 1.
    pub number: u64,
    /// Its text; `None` if that is too long.
    pub text: Option<Bytes>,
}

/// The result of waiting for more of the body.
#[derive(Debug, PartialEq, Eq)]
pub enum LineArrival {
    /// More has arrived.
    More,
    /// Nothing has arrived in that time.
    Nothing,
    /// A line has not been completed within its time.
    TooSlow,
    /// The body has ended.
    End,
    /// The body broke off, or cannot be decoded.
    Broken(Option<CodingFault>),
}

/// The lines of a body that is arriving.
pub struct NdjsonLines {
    body: BodyDataStream,
    /// What has arrived and has not been read yet.
    arrived: Bytes,
    /// The line whose end has not arrived yet.
    begun: Vec<u8>,
    is_too_long: bool,
    read: u64,
    max_bytes: usize,
    clock: LineClock,
    form: BodyForm,
}

/// What the body consists of.
enum BodyForm {
    /// Nothing but white space has arrived.
    Unknown,
    /// Lines.
    Lines,
    /// One JSON array, whose elements are the lines.
    Array(ArrayLines),
}

impl NdjsonLines {
    /// The lines of `body`, each at most `max_bytes` long and arriving within `time`.
    pub fn of(body: Body, max_bytes: usize, time: Duration) -> Self {
        Self {
            body: body.into_data_stream(),
            arrived: Bytes::new(),
            begun: Vec::new(),
            is_too_long: false,
            read: 0,
            max_bytes,
            clock: LineClock::new(time),
            form: BodyForm::Unknown,
        }
    }

    /// Whether the body is a JSON array.
    pub const fn is_array(&self) -> bool {
        matches!(self.form, BodyForm::Array(_))
    }

    /// Bytes in memory of the line whose end has not arrived yet.
    pub const fn begun(&self) -> usize {
        self.begun.len()
    }

    /// Allocates room for the longest possible line at once.
    pub fn reserve_longest(&mut self) {
        self.begun.reserve_exact(self.max_bytes.saturating_sub(self.begun.len()));
    }

    const fn has_begun(&self) -> bool {
        self.is_too_long || !self.begun.is_empty()
    }

    /// How many lines have been read.
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// The next line, if all of it has arrived.
    pub fn next(&mut self) -> Option<NdjsonLine> {
        match memchr::memchr(b'\n', &self.arrived) {
            Some(end) => {
                let text = self.arrived.split_to(end);
                drop(self.arrived.split_to(1));
                Some(self.finish(text))
            }
            None => {
                let text = std::mem::take(&mut self.arrived);
                self.keep(&text);
                None
            }
        }
    }

    /// The text after the last line break, once the body has ended.
    pub fn last(&mut self) -> Option<NdjsonLine> {
        self.has_begun().then(|| self.finish(Bytes::new()))
    }

    /// Waits for more of the body, at most for `wait`. Everything that arrived before must have been read.
    pub async fn arrive(&mut self, wait: Duration) -> LineArrival {
        match self.clock.next(&mut self.body, wait).await {
            PieceArrival::Piece(None) if self.is_open() => LineArrival::Broken(None),
            PieceArrival::Piece(None) => LineArrival::End,
            PieceArrival::Piece(Some(Err(error))) => LineArrival::Broken(CodingFault::behind(&error)),
            PieceArrival::Piece(Some(Ok(bytes))) => {
                let bytes = self.as_lines(bytes);
                self.clock.pass(&bytes);
                self.arrived = bytes;
                LineArrival::More
            }
            PieceArrival::Nothing => LineArrival::Nothing,
            PieceArrival::TooSlow => LineArrival::TooSlow,
        }
    }

    fn as_lines(&mut self, bytes: Bytes) -> Bytes {
        if matches!(self.form, BodyForm::Unknown) && !bytes.trim_ascii_start().is_empty() {
            self.form = ArrayLines::begun_by(&bytes).map_or(BodyForm::Lines, BodyForm::Array);
        }
        match &mut self.form {
            BodyForm::Array(array) => array.pass(&bytes),
            BodyForm::Unknown | BodyForm::Lines => bytes,
        }
    }

    /// Whether the end of the array is missing.
    fn is_open(&self) -> bool {
        matches!(&self.form, BodyForm::Array(array) if !array.is_whole())
    }

    fn keep(&mut self, text: &[u8]) {
        if self.is_too_long || self.begun.len() + text.len() > self.max_bytes {
            self.is_too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(text);
        }
    }

    /// Completes the current line with `text`.
    fn finish(&mut self, text: Bytes) -> NdjsonLine {
        let is_whole = !self.is_too_long && self.begun.is_empty() && text.len() <= self.max_bytes;
        let text = if is_whole {
            Some(text)
        } else {
            self.keep(&text);
            let kept = Bytes::from(std::mem::take(&mut self.begun));
            (!std::mem::take(&mut self.is_too_long)).then_some(kept)
        };
        self.read += 1;
        NdjsonLine { number: self.read, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    /// The lines of a body that arrives in `pieces`.
    async fn lines(pieces: &[&'static str], max_bytes: usize) -> Vec<(u64, Option<String>)> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from(*piece))).collect();
        let mut lines =
            NdjsonLines::of(Body::from_stream(stream::iter(pieces)), max_bytes, Duration::from_secs(5));
        let mut found = Vec::new();
        while lines.arrive(Duration::from_secs(5)).await == LineArrival::More {
            found.extend(std::iter::from_fn(|| lines.next()));
        }
        found.extend(lines.last());
        let text = |text: Bytes| String::from_utf8(text.to_vec()).unwrap();
        found.into_iter().map(|line| (line.number, line.text.map(text))).collect()
    }

    fn numbered(texts: &[Option<&str>]) -> Vec<(u64, Option<String>)> {
        (1..).zip(texts).map(|(number, text)| (number, text.map(str::to_owned))).collect()
    }

    #[tokio::test]
    async fn ndjson_lines_do_not_depend_on_chunk_boundaries() {
        let expected = numbered(&[Some("ab"), Some(""), Some("c\r"), Some("d")]);
        for pieces in
            [&["ab\n\nc\r\nd"][..], &["a", "b", "\n", "\nc\r", "\nd"], &["ab\n", "\n", "c\r\n", "d"]]
        {
            assert_eq!(lines(pieces, 9).await, expected, "{pieces:?}");
        }
        assert_eq!(lines(&["a\n"], 9).await, numbered(&[Some("a")]));
        assert_eq!(lines(&[], 9).await, []);
    }

    #[tokio::test]
    async fn ndjson_line_over_limit_is_skipped_and_next_is_read() {
        let expected = numbered(&[Some("abc"), None, Some("d")]);
        for pieces in [&["abc\nabcd\nd"][..], &["abc\nab", "c", "defgh", "ijk\nd\n"], &["abc\nabcd", "\nd"]] {
            assert_eq!(lines(pieces, 3).await, expected, "{pieces:?}");
        }
        assert_eq!(lines(&["abc", "d"], 3).await, numbered(&[None]));
    }

    /// A body of which one byte arrives after each `pause`.
    fn drip(pause: Duration) -> Body {
        Body::from_stream(stream::unfold((), move |()| async move {
            tokio::time::sleep(pause).await;
            Some((Ok::<_, Infallible>(Bytes::from_static(b"x")), ()))
        }))
    }

    #[tokio::test(start_paused = true)]
    async fn ndjson_line_timeout_starts_at_its_first_byte() {
        for max_bytes in [3, 1000] {
            let mut lines =
                NdjsonLines::of(drip(Duration::from_millis(700)), max_bytes, Duration::from_secs(5));
            let mut arrivals = 0;
            let last = loop {
                match lines.arrive(Duration::from_secs(1)).await {
                    LineArrival::More => assert!(lines.next().is_none()),
                    other => break other,
                }
                arrivals += 1;
            };
            assert_eq!((arrivals, last), (8, LineArrival::TooSlow), "{max_bytes}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn ndjson_line_timeout_excludes_time_not_spent_reading() {
        let pieces = ["a", "b", "c\n"].map(|piece| Ok::<_, Infallible>(Bytes::from_static(piece.as_bytes())));
        let body = Body::from_stream(stream::iter(pieces));
        let mut lines = NdjsonLines::of(body, 9, Duration::from_secs(5));
        for _ in 0..3 {
            let mut arrival = Box::pin(lines.arrive(Duration::from_secs(1)));
            tokio::time::advance(Duration::from_secs(60)).await;
            assert_eq!(arrival.as_mut().await, LineArrival::More);
            drop(arrival);
            tokio::time::advance(Duration::from_secs(60)).await;
            let _ = lines.next().inspect(|line| assert_eq!(line.text, Some(Bytes::from_static(b"abc"))));
        }
        assert_eq!(lines.read(), 1);
    }
}
