//! A body, line by line: never more of it in memory than what arrived last and the line that it is the middle of.
//!
//! What a newcomer gets wrong: a line that is too long is read to its end, but not kept.

use axum::body::{Body, BodyDataStream, Bytes};
use futures_util::StreamExt;
use std::time::Duration;

/// A line without its end.
#[derive(Debug, PartialEq)]
pub struct Line {
    /// Which line of the body it is, from 1.
    pub number: u64,
    /// What it says; none if that is too long.
    pub text: Option<Bytes>,
}

/// What came of waiting for more of the body.
#[derive(Debug, PartialEq, Eq)]
pub enum Arrival {
    /// More of it.
    More,
    /// Nothing in that time.
    Nothing,
    /// Its end.
    End,
    /// It broke off.
    Broken,
}

/// The lines of a body that is arriving.
pub struct Lines {
    body: BodyDataStream,
    /// What arrived and is not read yet.
    arrived: Bytes,
    /// The line of which the end has not arrived.
    begun: Vec<u8>,
    is_too_long: bool,
    read: u64,
    max_bytes: usize,
}

impl Lines {
    /// The lines of `body`, of which none may have more than `max_bytes`.
    pub fn of(body: Body, max_bytes: usize) -> Self {
        Self {
            body: body.into_data_stream(),
            arrived: Bytes::new(),
            begun: Vec::new(),
            is_too_long: false,
            read: 0,
            max_bytes,
        }
    }

    /// How many lines were read.
    pub const fn read(&self) -> u64 {
        self.read
    }

    /// The next line, if it has arrived whole.
    pub fn next(&mut self) -> Option<Line> {
        match self.arrived.iter().position(|byte| *byte == b'\n') {
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

    /// What stands behind the last line break, once the body has ended.
    pub fn last(&mut self) -> Option<Line> {
        let is_there = self.is_too_long || !self.begun.is_empty();
        is_there.then(|| self.finish(Bytes::new()))
    }

    /// Waits for more of the body, so long at most. All that arrived before must have been read.
    pub async fn arrive(&mut self, wait: Duration) -> Arrival {
        match tokio::time::timeout(wait, self.body.next()).await {
            Err(_) => Arrival::Nothing,
            Ok(None) => Arrival::End,
            Ok(Some(Err(_))) => Arrival::Broken,
            Ok(Some(Ok(bytes))) => {
                self.arrived = bytes;
                Arrival::More
            }
        }
    }

    fn keep(&mut self, text: &[u8]) {
        if self.is_too_long || self.begun.len() + text.len() > self.max_bytes {
            self.is_too_long = true;
            self.begun = Vec::new();
        } else {
            self.begun.extend_from_slice(text);
        }
    }

    /// Ends the line that was begun with `text`.
    fn finish(&mut self, text: Bytes) -> Line {
        let is_whole = !self.is_too_long && self.begun.is_empty() && text.len() <= self.max_bytes;
        let text = if is_whole {
            Some(text)
        } else {
            self.keep(&text);
            let kept = Bytes::from(std::mem::take(&mut self.begun));
            (!std::mem::take(&mut self.is_too_long)).then_some(kept)
        };
        self.read += 1;
        Line { number: self.read, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream;
    use std::convert::Infallible;

    /// The lines of a body that arrives in these pieces.
    async fn lines(pieces: &[&'static str], max_bytes: usize) -> Vec<(u64, Option<String>)> {
        let pieces: Vec<_> = pieces.iter().map(|piece| Ok::<_, Infallible>(Bytes::from(*piece))).collect();
        let mut lines = Lines::of(Body::from_stream(stream::iter(pieces)), max_bytes);
        let mut found = Vec::new();
        while lines.arrive(Duration::from_secs(5)).await == Arrival::More {
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
    async fn lines_are_the_same_however_they_arrive() {
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
    async fn a_line_that_is_too_long_is_passed_over_and_the_next_is_read() {
        let expected = numbered(&[Some("abc"), None, Some("d")]);
        for pieces in [&["abc\nabcd\nd"][..], &["abc\nab", "c", "defgh", "ijk\nd\n"], &["abc\nabcd", "\nd"]] {
            assert_eq!(lines(pieces, 3).await, expected, "{pieces:?}");
        }
        assert_eq!(lines(&["abc", "d"], 3).await, numbered(&[None]));
    }
}
