//! Dying at a named crash point, for the tests. Not in any build without the feature `crash-points`.

use rustix::process::{Signal, getpid, kill_process};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// Where to die, and how many times to pass it before.
const VARIABLE: &str = "TENANTRY_CRASH_AT";

static TARGET: OnceLock<(String, u32)> = OnceLock::new();
static PASSED: AtomicU32 = AtomicU32::new(0);

/// Reads `TENANTRY_CRASH_AT=operation.step.moment[:times]`; without it nothing ever crashes.
pub fn arm() {
    #[expect(clippy::disallowed_methods, reason = "no setting: it exists for tests alone")]
    let Ok(text) = std::env::var(VARIABLE) else { return };
    let (place, times) = match text.split_once(':') {
        Some((place, times)) => (place.to_owned(), times.parse().unwrap_or(0)),
        None => (text, 0),
    };
    let _ = TARGET.set((place, times));
    tenantry_domain::crash::set_hook(pass);
}

fn pass(place: &str) {
    let Some((target, times)) = TARGET.get() else { return };
    if place == target && PASSED.fetch_add(1, Ordering::SeqCst) >= *times {
        // As a power cut would: no destructor runs, no buffer is flushed.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::hint::spin_loop();
        }
    }
}
