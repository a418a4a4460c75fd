//! How long a cached record may be returned without asking the engine.
//!
//! If only this process writes: until the record is evicted. If others write too: for a moment ([`TTL`]), or
//! for as long as this process is proven to follow the stream of their changes. The proof is the reply to a
//! query: once the reply has been handled, every change acknowledged before the query was sent has been
//! received, and its record evicted. So the proof is as old as the query, and counts for [`PROOF_TTL`].
//!
//! # Pitfalls
//! Never read the clock after the record: between the two the process may have been paused, the record
//! evicted and the stream proven again. A [`View`] taken before the read decides which records may be
//! returned.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long a record stays valid without a proven stream.
const TTL: Duration = Duration::from_millis(500);
/// How long a proof counts. Longer than a query takes, and shorter than `tenantry_domain::limits::RECENT_READ_MAX_AGE`,
/// which is the promise.
const PROOF_TTL: Duration = Duration::from_millis(750);

/// Who writes the records.
pub(super) enum Coherence {
    /// This process alone.
    Exclusive,
    /// Others too.
    Shared(Arc<Stream>),
}

impl Coherence {
    /// Whether this process alone writes, so that what memory has is current.
    pub(super) const fn is_exclusive(&self) -> bool {
        matches!(self, Self::Exclusive)
    }

    /// The moment, for a record that begins to be read.
    pub(super) fn now(&self) -> Moment {
        match self {
            Self::Exclusive => Moment::default(),
            Self::Shared(stream) => stream.moment(Instant::now()),
        }
    }

    /// The view of a caller that needs the current record.
    pub(super) fn current(&self) -> View {
        match self {
            Self::Exclusive => View::All,
            Self::Shared(_) => View::Since(self.now()),
        }
    }

    /// The view of a caller for whom a recent record is enough.
    pub(super) fn recent(&self) -> View {
        match self {
            Self::Exclusive => View::All,
            Self::Shared(stream) => stream.view(Instant::now()),
        }
    }
}

/// A moment of the monotonic clock, in nanoseconds after a [`Stream`] was made. If nobody else writes, it is
/// always the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(u64);

impl Moment {
    fn before(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanoseconds(span)))
    }
}

/// Decides which records may be returned, by the moment at which the read of each began.
#[derive(Clone, Copy)]
pub(super) enum View {
    All,
    Since(Moment),
}

impl View {
    pub(super) fn allows(self, read_at: Moment) -> bool {
        match self {
            Self::All => true,
            Self::Since(oldest) => read_at >= oldest,
        }
    }
}

/// How far this process has provably followed the stream of others' changes.
///
/// One task writes, any number read. A stream's beginning is written before its first proof, and read after
/// the proof: so the proof of a later stream never covers changes between two streams.
pub(crate) struct Stream {
    zero: Instant,
    /// The [`Moment`] since which the stream has reported all changes.
    begun: AtomicU64,
    /// The [`Moment`] of the last answered query; 0 if nothing is proven.
    proven: AtomicU64,
}

impl Stream {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { zero: Instant::now(), begun: AtomicU64::new(0), proven: AtomicU64::new(0) })
    }

    /// Notes a new stream, which reports every change from `at` on.
    pub(crate) fn begin(&self, at: Instant) {
        self.end();
        self.begun.store(self.moment(at).0, Ordering::SeqCst);
    }

    /// Notes a proof: every change acknowledged before `asked` has been evicted.
    pub(crate) fn prove(&self, asked: Instant) {
        self.proven.store(self.moment(asked).0, Ordering::SeqCst);
    }

    /// Notes that the stream has broken off: later changes are not reported.
    pub(crate) fn end(&self) {
        self.proven.store(0, Ordering::SeqCst);
    }

    fn view(&self, now: Instant) -> View {
        let now = self.moment(now);
        let young = now.before(TTL);
        let proven = Moment(self.proven.load(Ordering::SeqCst));
        if proven == Moment::default() || proven <= now.before(PROOF_TTL) {
            return View::Since(young);
        }
        View::Since(young.min(Moment(self.begun.load(Ordering::SeqCst))))
    }

    fn moment(&self, at: Instant) -> Moment {
        Moment(nanoseconds(at.duration_since(self.zero)))
    }
}

fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Whether a record that was read at `read_at` may be returned now.
    fn is_good(stream: &Stream, now: Instant, read_at: Instant) -> bool {
        stream.view(now).allows(stream.moment(read_at))
    }

    #[test]
    fn cached_record_expires_without_change_stream() {
        let stream = Stream::new();
        let read_at = stream.zero + 5_000 * MS;
        assert!(is_good(&stream, read_at + TTL, read_at));
        assert!(!is_good(&stream, read_at + TTL + MS, read_at));
    }

    /// The stream must be proven without a gap since before the record was read.
    #[test]
    fn cached_record_is_valid_while_stream_is_proven() {
        let stream = Stream::new();
        let begun = stream.zero + 5_000 * MS;
        stream.begin(begun);
        let now = begun + 60_000 * MS;
        assert!(!is_good(&stream, now, begun), "nothing is proven yet");
        stream.prove(now);
        assert!(is_good(&stream, now, begun));
        assert!(!is_good(&stream, now, begun - MS), "what changed before was not told");
        assert!(is_good(&stream, now + PROOF_TTL - MS, begun));
        assert!(!is_good(&stream, now + PROOF_TTL, begun), "the proof is too old");
        assert!(is_good(&stream, now + PROOF_TTL, now + PROOF_TTL - TTL), "young ones need none");
        // A late proof of the same stream, without a gap.
        stream.prove(now + 2 * PROOF_TTL);
        assert!(is_good(&stream, now + 2 * PROOF_TTL, begun));
    }

    #[test]
    fn cached_record_is_invalid_after_stream_broke() {
        let stream = Stream::new();
        let first = stream.zero + 5_000 * MS;
        stream.begin(first);
        stream.prove(first + 1_000 * MS);
        stream.end();
        assert!(!is_good(&stream, first + 1_001 * MS, first));
        let second = first + 2_000 * MS;
        stream.begin(second);
        stream.prove(second);
        assert!(!is_good(&stream, second, second - TTL - MS));
        stream.prove(second + 10_000 * MS);
        assert!(!is_good(&stream, second + 10_000 * MS, second - MS));
        assert!(is_good(&stream, second + 10_000 * MS, second));
    }

    #[test]
    fn cached_record_is_never_older_than_promised() {
        assert!(TTL.max(PROOF_TTL) < tenantry_domain::limits::RECENT_READ_MAX_AGE);
        // Even if the process was paused: time went on.
        let stream = Stream::new();
        let begun = stream.zero + 5_000 * MS;
        stream.begin(begun);
        stream.prove(begun);
        assert!(!is_good(&stream, begun + 3_600_000 * MS, begun));
    }
}
