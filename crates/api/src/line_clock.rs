//! The time that a line of a body has, from its first byte to its end.
//!
//! # Pitfalls
//! Only that counts in which somebody waits for the body: what was not read was perhaps there long ago.

use crate::error_codes;
use axum::Error;
use axum::body::{BodyDataStream, Bytes};
use futures_util::StreamExt;
use std::time::Duration;
use tenantry_domain::Error as Refused;
use tokio::time::{Instant, timeout};

/// How long one look at the body lasts. No more than that counts as waiting for it, however late the look ends.
const LOOK: Duration = Duration::from_millis(100);

/// What came of waiting for the next piece of a body.
pub enum Next {
    /// It; nothing at the end of the body.
    Piece(Option<Result<Bytes, Error>>),
    /// Nothing in that time.
    Nothing,
    /// Not the rest of a line that began too long ago.
    TooSlow,
}

/// The refusal of a line that has not arrived in that time.
pub fn too_slow(time: Duration) -> Refused {
    let seconds = time.as_secs_f64();
    let detail = format!("A line must arrive within {seconds} s of its first byte. Send it again, faster.");
    Refused::new(error_codes::REQUEST_TIMEOUT).detail(detail)
}

/// Runs while a line is in its middle.
pub struct LineClock {
    time: Duration,
    /// What is left for the line that has begun; none between two lines.
    left: Option<Duration>,
}

impl LineClock {
    /// So long for each line.
    pub const fn new(time: Duration) -> Self {
        Self { time, left: None }
    }

    /// Goes along with what has come: behind its last line break, another line may have begun.
    pub fn pass(&mut self, piece: &[u8]) {
        if let Some(end) = memchr::memrchr(b'\n', piece) {
            self.left = (end + 1 < piece.len()).then_some(self.time);
        } else if !piece.is_empty() {
            self.left.get_or_insert(self.time);
        }
    }

    /// Waits for more of the body, so long at most.
    pub async fn next(&mut self, body: &mut BodyDataStream, mut wait: Duration) -> Next {
        loop {
            let look = LOOK.min(wait).min(self.left.unwrap_or(LOOK));
            let began = Instant::now();
            let next = timeout(look, body.next()).await;
            if let Some(left) = &mut self.left {
                *left = left.saturating_sub(began.elapsed().min(look));
            }
            if let Ok(piece) = next {
                return Next::Piece(piece);
            }
            if self.left == Some(Duration::ZERO) {
                return Next::TooSlow;
            }
            wait = wait.saturating_sub(look);
            if wait.is_zero() {
                return Next::Nothing;
            }
        }
    }
}
