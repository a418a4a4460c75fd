//! How many passwords the cores can check with nothing around it: no pool, no HTTP, no database.

use crate::data::organizations::PASSWORD;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tenantry_domain::password::hash::{self, Argon2Memory};
use tenantry_domain::password::policy::PresentedPassword;

/// Checks a password again and again on `threads` threads for `span`; how many that was per second.
pub fn measure(threads: usize, span: Duration) -> f64 {
    let checked = AtomicU64::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| check_until(began + span, &checked));
        }
    });
    // A count and not a mean of means: the threads end within one check of each other.
    checked.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64()
}

fn check_until(end: Instant, checked: &AtomicU64) {
    let mut memory = Argon2Memory::new(tenantry::huge_pages::within);
    let password = PresentedPassword::new(PASSWORD);
    while Instant::now() < end {
        if hash::verify(&password, hash::decoy(), &mut memory).is_ok() {
            checked.fetch_add(1, Ordering::Relaxed);
        }
    }
}
