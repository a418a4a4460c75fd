//! The state that the parts of one connection share: its socket, the timer of its heads, the bodies of its requests.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;

/// The most bytes of a body that are read and discarded.
pub const DISCARD_MAX_BYTES: u64 = 256 << 20;
/// How long a body is read and discarded at most.
pub const DISCARD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a body that is being discarded may pause.
pub const DISCARD_PAUSE: Duration = Duration::from_secs(5);

/// What a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// It waits for the first byte of a request.
    Idle,
    /// The head of a request is arriving.
    Head,
    /// A request is being answered; its body may still be arriving.
    Request,
    /// A head has not arrived in time.
    Late,
    /// A head was refused; nothing more is read.
    Refused,
}

/// Stands for the unknown length of a chunked body.
const CHUNKED: u64 = u64::MAX;

/// Shared by the parts of one connection. Its task is nearly always the only one that uses it.
pub struct ConnectionState {
    phase: AtomicU8,
    body_left: AtomicU64,
    lingers: AtomicBool,
    /// The timer of the last head, for the next one: to put it off costs less than to make another for each request.
    spare_sleep: Mutex<Option<Pin<Box<Sleep>>>>,
    /// The slots of all connections.
    pub slots: Arc<ConnectionSlots>,
}

impl ConnectionState {
    /// The state of a connection that was just accepted.
    pub const fn new(slots: Arc<ConnectionSlots>) -> Self {
        Self {
            slots,
            phase: AtomicU8::new(Phase::Idle as u8),
            body_left: AtomicU64::new(0),
            lingers: AtomicBool::new(false),
            spare_sleep: Mutex::new(None),
        }
    }

    /// Keeps the timer of a head that has arrived.
    pub fn keep_sleep(&self, sleep: Pin<Box<Sleep>>) {
        *self.spare_sleep.lock().unwrap_or_else(PoisonError::into_inner) = Some(sleep);
    }

    /// The timer that was kept. Its deadline is an old one.
    pub fn take_sleep(&self) -> Option<Pin<Box<Sleep>>> {
        self.spare_sleep.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What the connection is doing.
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Request,
            3 => Phase::Late,
            _ => Phase::Refused,
        }
    }

    /// Changes the phase.
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }

    /// Begins a request whose body has `body` bytes, or is chunked if that is `None`.
    pub fn begin_request(&self, body: Option<u64>) {
        self.body_left.store(body.unwrap_or(CHUNKED), Ordering::Relaxed);
        self.enter(Phase::Request);
    }

    /// Whether the body is chunked.
    pub fn is_chunked(&self) -> bool {
        self.body_left.load(Ordering::Relaxed) == CHUNKED
    }

    /// Counts up to `arrived` bytes towards a body that is not chunked, and returns how many belong to it.
    pub fn take_body(&self, arrived: usize) -> usize {
        let left = self.body_left.load(Ordering::Relaxed);
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(arrived);
        self.body_left.store(left - taken as u64, Ordering::Relaxed);
        taken
    }

    /// Whether the whole of a body that is not chunked has been read from the socket.
    pub fn has_whole_body(&self) -> bool {
        self.body_left.load(Ordering::Relaxed) == 0
    }

    /// How long unread bytes may be discarded: only briefly while other clients wait for a slot.
    pub fn discard_timeout(&self) -> Duration {
        if self.slots.is_full() { DISCARD_PAUSE } else { DISCARD_TIMEOUT }
    }

    /// Notes that the client may still be sending when the connection ends.
    pub fn linger(&self) {
        self.lingers.store(true, Ordering::Release);
    }

    /// Whether the client may still be sending when the connection ends.
    pub fn lingers(&self) -> bool {
        self.lingers.load(Ordering::Acquire)
    }
}

/// The slots for connections.
pub struct ConnectionSlots {
    free: Arc<Semaphore>,
    is_full: AtomicBool,
}

impl ConnectionSlots {
    /// Slots for `count` connections at once.
    pub fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), is_full: AtomicBool::new(false) }
    }

    /// Takes a slot as soon as one is free.
    pub async fn take(&self) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = Arc::clone(&self.free).try_acquire_owned() {
            return Some(place);
        }
        self.is_full.store(true, Ordering::Relaxed);
        let place = Arc::clone(&self.free).acquire_owned().await;
        self.is_full.store(false, Ordering::Relaxed);
        place.ok()
    }

    /// Whether all are taken, so that a new client has to wait.
    pub fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Relaxed)
    }
}
