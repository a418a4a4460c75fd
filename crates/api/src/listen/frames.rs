//! Follows the frames of an HTTP/2 connection as they arrive, for two bounds that the HTTP library does not have: the head of a
//! request must arrive in time, and frames that cost work and ask for nothing may not come without limit.

use std::time::Duration;
use tokio::time::Instant;

/// The first bytes of every HTTP/2 connection (RFC 9113, 3.4).
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The head of a frame, in bytes.
const FRAME_HEAD_BYTES: usize = 9;
/// Frames without a request that a client may send at once.
const OVERHEAD_BURST: u32 = 1000;
/// After how long another one is allowed.
const OVERHEAD_PERIOD: Duration = Duration::from_millis(5);

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The client sends more frames without a request than any program needs.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many control frames")]
pub struct TooManyFrames;

/// Follows the frames of one connection.
pub struct FrameScan {
    /// Bytes of the preface still to come.
    preface_left: usize,
    /// The head of the next frame, as far as it has arrived.
    head: [u8; FRAME_HEAD_BYTES],
    arrived: usize,
    /// Bytes of the frame's payload still to come.
    payload_left: usize,
    /// Whether the frame ends a head.
    ends_head: bool,
    /// Since when the head of a request has been arriving.
    head_since: Option<Instant>,
    overhead: u32,
    overhead_since: Instant,
}

impl FrameScan {
    /// For a connection that begins with the preface.
    pub fn new(now: Instant) -> Self {
        Self {
            preface_left: PREFACE.len(),
            head: [0; FRAME_HEAD_BYTES],
            arrived: 0,
            payload_left: 0,
            ends_head: false,
            head_since: None,
            overhead: 0,
            overhead_since: now,
        }
    }

    /// Since when the head of a request, or the beginning of the connection, has been arriving; `None` between two heads.
    pub const fn head_since(&self) -> Option<Instant> {
        self.head_since
    }

    /// Follows the next bytes.
    pub fn follow(&mut self, mut bytes: &[u8], now: Instant) -> Result<(), TooManyFrames> {
        while !bytes.is_empty() {
            let taken = if self.preface_left > 0 {
                self.head_since.get_or_insert(now);
                let taken = self.preface_left.min(bytes.len());
                self.preface_left -= taken;
                if self.preface_left == 0 {
                    self.head_since = None;
                }
                taken
            } else if self.payload_left > 0 {
                let taken = self.payload_left.min(bytes.len());
                self.payload_left -= taken;
                self.end_frame();
                taken
            } else {
                let taken = (FRAME_HEAD_BYTES - self.arrived).min(bytes.len());
                self.head[self.arrived..self.arrived + taken].copy_from_slice(&bytes[..taken]);
                self.arrived += taken;
                if self.arrived == FRAME_HEAD_BYTES {
                    self.begin_frame(now)?;
                }
                taken
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }

    fn begin_frame(&mut self, now: Instant) -> Result<(), TooManyFrames> {
        let [a, b, c, kind, flags, ..] = self.head;
        self.arrived = 0;
        self.payload_left = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
        self.ends_head = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS != 0;
        match kind {
            HEADERS => {
                self.head_since.get_or_insert(now);
            }
            WINDOW_UPDATE => {}
            DATA if self.payload_left > 0 || flags & END_STREAM != 0 => {}
            // A head in very many pieces costs as much as any other frame.
            _ => self.count(now)?,
        }
        self.end_frame();
        Ok(())
    }

    fn end_frame(&mut self) {
        if self.payload_left == 0 && self.ends_head {
            self.head_since = None;
            self.ends_head = false;
        }
    }

    fn count(&mut self, now: Instant) -> Result<(), TooManyFrames> {
        let elapsed = now.saturating_duration_since(self.overhead_since);
        let allowed = u32::try_from(elapsed.as_millis() / OVERHEAD_PERIOD.as_millis()).unwrap_or(u32::MAX);
        if allowed > 0 {
            self.overhead = self.overhead.saturating_sub(allowed);
            self.overhead_since = now;
        }
        self.overhead += 1;
        if self.overhead > OVERHEAD_BURST { Err(TooManyFrames) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEAD_BYTES + payload, b'x');
        frame
    }

    /// Follows these bytes in one piece and byte by byte; since when a head is arriving.
    fn follow(bytes: &[u8]) -> bool {
        let now = Instant::now();
        let (mut whole, mut pieces) = (FrameScan::new(now), FrameScan::new(now));
        whole.follow(bytes, now).unwrap();
        for byte in bytes {
            pieces.follow(&[*byte], now).unwrap();
        }
        assert_eq!(whole.head_since(), pieces.head_since(), "{bytes:?}");
        whole.head_since().is_some()
    }

    #[test]
    fn frame_scan_knows_when_a_head_is_arriving() {
        assert!(!follow(b""));
        assert!(follow(&PREFACE[..7]));
        for (frames, is_arriving) in [
            (vec![], false),
            (vec![frame(4, 0, 18)], false),
            (vec![frame(HEADERS, END_HEADERS, 20)], false),
            (vec![frame(HEADERS, 0, 20)], true),
            (vec![frame(HEADERS, 0, 0)], true),
            (vec![frame(HEADERS, 0, 20), frame(CONTINUATION, 0, 1)], true),
            (vec![frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 1)], false),
            (vec![frame(HEADERS, 0, 20), frame(CONTINUATION, END_HEADERS, 0)], false),
            (vec![frame(HEADERS, END_HEADERS, 20)[..28].to_vec()], true),
            (vec![frame(HEADERS, END_HEADERS, 20), frame(DATA, 0, 300_000)], false),
        ] {
            assert_eq!(follow(&[PREFACE.to_vec(), frames.concat()].concat()), is_arriving, "{frames:?}");
        }
    }

    #[test]
    fn frames_without_a_request_are_bounded_by_rate() {
        let began = Instant::now();
        for costly in [frame(PING, 0, 8), frame(4, 0, 0), frame(3, 0, 4), frame(DATA, 0, 0), frame(77, 0, 3)]
        {
            let mut scan = FrameScan::new(began);
            scan.follow(PREFACE, began).unwrap();
            for _ in 0..OVERHEAD_BURST {
                scan.follow(&costly, began).unwrap();
            }
            let later = began + OVERHEAD_PERIOD * 10;
            for _ in 0..10 {
                scan.follow(&costly, later).unwrap();
            }
            assert_eq!(scan.follow(&costly, later), Err(TooManyFrames), "{costly:?}");
        }
    }

    #[test]
    fn frames_of_requests_and_bodies_are_not_bounded() {
        let began = Instant::now();
        let mut scan = FrameScan::new(began);
        scan.follow(PREFACE, began).unwrap();
        let useful = [
            frame(HEADERS, END_HEADERS, 9),
            frame(DATA, 0, 1),
            frame(DATA, END_STREAM, 0),
            frame(WINDOW_UPDATE, 0, 4),
        ];
        for _ in 0..3 * OVERHEAD_BURST {
            scan.follow(&useful.concat(), began).unwrap();
        }
    }
}
