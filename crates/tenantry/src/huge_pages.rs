//! Huge pages, where they pay: for the memory that passwords are hashed in.
//!
//! Argon2 reads its 19 MiB in random order and is an eighth faster where 2 MiB of it take one entry in the
//! processor's table of pages. Everything else is small and lies all over, so that pages of 2 MiB would be mostly
//! empty: at rest they came to twice the memory. Where the kernel has no such switch, it stays as it was.

#[cfg(target_os = "linux")]
use rustix::thread::{disable_transparent_huge_pages, transparent_huge_pages_are_disabled};
#[cfg(target_os = "linux")]
use std::sync::{Mutex, PoisonError};

/// Has memory that this process takes from now on made of small pages. To be called before there is much.
pub fn avoid() {
    #[cfg(target_os = "linux")]
    let _ = disable_transparent_huge_pages(true);
}

/// Lets `take` take memory made of huge pages, where the system gives any.
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
