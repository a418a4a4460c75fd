//! See [`super`]: reading what a running service changes meanwhile.
//!
//! A reading takes time, and in the middle of it a container may be removed: then the answer depends on the files or
//! collections that are left, up to I/O errors behind an open that still worked. What tells that from a fault is the record of
//! the organization: the service changes that before and after each effect on a container. So a reading counts if the
//! records were the same before and after it, and an error is a fault if nobody was at work on what it was about.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a reading may be disturbed before it is taken as it is.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often records are looked at that have to change before it is worth reading again.
const LOOK: Duration = Duration::from_millis(2);

/// What of the records tells that a container changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stamps {
    /// Of each organization: the version of its record, and whether an operation is under way.
    pub organizations: BTreeMap<String, (i64, bool)>,
    /// How many operations have ended.
    pub operations: u64,
}

/// Why a reading came to no end.
#[derive(Debug)]
pub struct Fault {
    /// Whose container it was about.
    pub organization: String,
    /// Whether what was read is gone, or another thing is in its place.
    pub is_gone: bool,
    /// What the engine said.
    pub cause: String,
}

impl Stamps {
    fn is_busy(&self, organization: &str) -> bool {
        self.organizations.get(organization).is_some_and(|(_, is_busy)| *is_busy)
    }
}

/// Reads until nothing has changed meanwhile. An error of what nobody was at work on is a fault, and so is one that
/// stays.
#[track_caller]
pub fn read<T>(stamps: impl Fn() -> Stamps, read: impl Fn() -> Result<T, Fault>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut before = stamps();
    loop {
        let found = read();
        let after = stamps();
        let is_over = Instant::now() > deadline;
        match found {
            Ok(found) if before == after || is_over => return found,
            Ok(_) => before = after,
            Err(fault) => {
                let is_disturbed = before != after || fault.is_gone || after.is_busy(&fault.organization);
                assert!(
                    is_disturbed && !is_over,
                    "the container of {} cannot be read: {}",
                    fault.organization,
                    fault.cause
                );
                before = if before == after { changed(&after, &stamps, deadline) } else { after };
            }
        }
    }
}

/// Waits until the records are not as they were; what they are then. What is gone may stay so without a change.
fn changed(former: &Stamps, stamps: impl Fn() -> Stamps, deadline: Instant) -> Stamps {
    loop {
        let now = stamps();
        let is_idle = !now.organizations.values().any(|(_, is_busy)| *is_busy);
        if now != *former || is_idle || Instant::now() > deadline {
            return now;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "another process is at work, and nothing may be awaited here"
        )]
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    const IDLE: (i64, bool) = (1, false);
    const BUSY: (i64, bool) = (2, true);
    const ENDED: (i64, bool) = (3, false);

    fn fault(is_gone: bool) -> Fault {
        Fault { organization: "acme".to_owned(), is_gone, cause: "disk I/O error".to_owned() }
    }

    /// Reads where the record of `acme` is looked at and then what `readings` say comes of it, and how often.
    fn run(records: &[(i64, bool)], readings: Vec<Result<u32, Fault>>) -> (u32, usize) {
        let (looks, tries) = (Cell::new(0), Cell::new(0));
        let readings = RefCell::new(readings.into_iter());
        let stamps = || {
            let stamp = records[looks.get().min(records.len() - 1)];
            looks.set(looks.get() + 1);
            Stamps { organizations: BTreeMap::from([("acme".to_owned(), stamp)]), operations: 0 }
        };
        let found = read(stamps, || {
            tries.set(tries.get() + 1);
            readings.borrow_mut().next().unwrap()
        });
        (found, tries.get())
    }

    #[test]
    fn steady_reading_without_change_counts_at_once() {
        assert_eq!(run(&[IDLE], vec![Ok(1)]), (1, 1));
    }

    #[test]
    fn steady_reading_of_changed_records_is_repeated() {
        assert_eq!(run(&[IDLE, BUSY, ENDED, ENDED], vec![Ok(1), Ok(2), Ok(3)]), (3, 3));
    }

    #[test]
    fn steady_reading_repeats_after_error_of_busy_container() {
        assert_eq!(run(&[BUSY, BUSY, BUSY, ENDED], vec![Err(fault(false)), Ok(2)]), (2, 2));
    }

    #[test]
    fn steady_reading_repeats_after_error_of_missing_container() {
        assert_eq!(run(&[IDLE], vec![Err(fault(true)), Ok(2)]), (2, 2));
    }

    #[test]
    #[should_panic(expected = "the container of acme cannot be read: disk I/O error")]
    fn steady_reading_error_of_idle_container_is_a_fault() {
        run(&[IDLE], vec![Err(fault(false)), Ok(2)]);
    }

    #[test]
    #[should_panic(expected = "cannot be read")]
    fn steady_reading_error_after_the_change_is_a_fault() {
        run(&[BUSY, ENDED], vec![Err(fault(false)), Err(fault(false)), Ok(3)]);
    }
}
