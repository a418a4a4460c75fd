//! Dying, stopping or panicking at a named crash point, for the tests. Not in any build without the feature
//! `crash-points`.

use rustix::process::{Signal, getpid, kill_process};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// The faults by the variable that names their point. A stopped process goes on when it gets SIGCONT.
const FAULTS: [(&str, Fault); 3] = [
    ("TENANTRY_CRASH_AT", Fault::Signal(Signal::KILL)),
    ("TENANTRY_STOP_AT", Fault::Signal(Signal::STOP)),
    ("TENANTRY_PANIC_AT", Fault::Panic),
];
/// How long to wait for the signal: it may reach another thread first, and this one must not go on until then.
/// Only time awake counts.
const SIGNAL_TIMEOUT: Duration = Duration::from_millis(100);

#[derive(Clone, Copy)]
enum Fault {
    /// To the whole process.
    Signal(Signal),
    /// Of the thread or task that passes the point, once.
    Panic,
}

struct Target {
    place: String,
    /// How many times to pass it before.
    times: u32,
    fault: Fault,
}

static TARGET: OnceLock<Target> = OnceLock::new();
static PASSED: AtomicU32 = AtomicU32::new(0);

/// Reads `TENANTRY_CRASH_AT`, `TENANTRY_STOP_AT` or `TENANTRY_PANIC_AT`, each `operation.step.moment[:times]`; without
/// them nothing ever happens.
pub fn arm() {
    for (variable, fault) in FAULTS {
        #[expect(clippy::disallowed_methods, reason = "no setting: it exists for tests alone")]
        let Ok(text) = std::env::var(variable) else { continue };
        let (place, times) = match text.split_once(':') {
            Some((place, times)) => (place.to_owned(), times.parse().unwrap_or(0)),
            None => (text, 0),
        };
        let _ = TARGET.set(Target { place, times, fault });
        tenantry_domain::failpoints::set_hook(pass);
    }
}

fn pass(place: &str) {
    let Some(target) = TARGET.get() else { return };
    if place == target.place && PASSED.fetch_add(1, Ordering::SeqCst) == target.times {
        let Fault::Signal(signal) = target.fault else { panic!("a test asks for a panic at {place}") };
        // The process dies as in a power cut: no destructor runs, no buffer is flushed.
        let _ = kill_process(getpid(), signal);
        #[expect(
            clippy::disallowed_methods,
            reason = "the signal is its own, and there is nobody to wait for"
        )]
        std::thread::sleep(SIGNAL_TIMEOUT);
    }
}
