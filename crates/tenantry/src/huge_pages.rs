//! Huge pages where they pay off: for the memory in which passwords are hashed.
//!
//! Argon2 reads its 19 MiB in random order and is an eighth faster with pages of 2 MiB, which take fewer
//! entries in the processor's TLB. All other memory is small and scattered, so that pages of 2 MiB would be
//! mostly empty: an idle service took twice the memory with them. If the kernel has no such switch, nothing
//! changes.

#[cfg(target_os = "linux")]
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
#[cfg(target_os = "linux")]
use std::sync::{Mutex, PoisonError};

/// Makes later allocations of this process use small pages. Call it before there are many.
pub fn avoid() {
    #[cfg(target_os = "linux")]
    let _ = disable_transparent_huge_pages(true);
}

/// Runs `take`, whose allocations use huge pages if the system has any.
pub fn within(take: &mut dyn FnMut()) {
    #[cfg(target_os = "linux")]
    let _switch = Switch::on();
    take();
}

/// The switch is the process's: what other threads take meanwhile may be huge too, which is little and rare.
#[cfg(target_os = "linux")]
struct Switch {
    were_disabled: bool,
    _alone: std::sync::MutexGuard<'static, ()>,
}

#[cfg(target_os = "linux")]
impl Switch {
    fn on() -> Self {
        static ALONE: Mutex<()> = Mutex::new(());
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let were_disabled = transparent_huge_pages_are_disabled().unwrap_or(false);
        let _ = disable_transparent_huge_pages(false);
        Self { were_disabled, _alone: alone }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Switch {
    fn drop(&mut self) {
        let _ = disable_transparent_huge_pages(self.were_disabled);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn huge_pages_are_enabled_only_within_the_call() {
        let disabled = || transparent_huge_pages_are_disabled().unwrap();
        avoid();
        assert!(disabled());
        let mut within_disabled = None;
        within(&mut || within_disabled = Some(disabled()));
        assert_eq!(within_disabled, Some(false));
        assert!(disabled());
    }
}
