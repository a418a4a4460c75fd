//! The time limit for a line of a body, from its first byte to its end.
//!
//! # Pitfalls
//! Only the time spent waiting for the body counts: bytes that have not been read yet may have arrived long ago.

use crate::error_codes;
use axum::Error;
use axum::body::{BodyDataStream, Bytes};
use futures_util::StreamExt;
use std::time::Duration;
use tenantry_domain::Error as Refused;
use tokio::time::{Instant, timeout};

/// How long one wait for the body lasts. A wait counts for at most this long, even if it ends late.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// The result of waiting for the next piece of a body.
pub enum PieceArrival {
    /// The piece; `None` at the end of the body.
    Piece(Option<Result<Bytes, Error>>),
    /// Nothing has arrived in that time.
    Nothing,
    /// A line has not been completed within its time.
    TooSlow,
}

/// The refusal of a line that has not arrived within `time`.
pub fn too_slow(time: Duration) -> Refused {
    let seconds = time.as_secs_f64();
    let detail = format!("A line must arrive within {seconds} s of its first byte. Send it again, faster.");
    Refused::new(error_codes::REQUEST_TIMEOUT).detail(detail)
}

/// Runs while a line is incomplete.
pub struct LineClock {
    time: Duration,
    /// The time left for the current line; `None` between two lines.
    left: Option<Duration>,
}

impl LineClock {
    /// A clock that gives each line `time`.
    pub const fn new(time: Duration) -> Self {
        Self { time, left: None }
    }

    /// Advances past `piece`: after its last line break, another line may have begun.
    pub fn pass(&mut self, piece: &[u8]) {
        if let Some(end) = memchr::memrchr(b'\n', piece) {
            self.left = (end + 1 < piece.len()).then_some(self.time);
        } else if !piece.is_empty() {
            self.left.get_or_insert(self.time);
        }
    }

    /// Waits for more of the body, at most for `wait`.
    pub async fn next(&mut self, body: &mut BodyDataStream, mut wait: Duration) -> PieceArrival {
        loop {
            let look = POLL_INTERVAL.min(wait).min(self.left.unwrap_or(POLL_INTERVAL));
            let began = Instant::now();
            let next = timeout(look, body.next()).await;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(began.elapsed().min(look));
            }
            if let Ok(piece) = next {
                return PieceArrival::Piece(piece);
            }
            if self.left == Some(Duration::ZERO) {
                return PieceArrival::TooSlow;
            }
            wait = wait.saturating_sub(look);
            if wait.is_zero() {
                return PieceArrival::Nothing;
            }
        }
    }
}
