//! Named crash points: places where the tests kill the service.
//!
//! Compiled to nothing unless the feature `crash-points` is on, which no release build has.

/// Passes a crash point; under the feature, the hook decides whether the process survives it.
#[inline]
pub fn point(operation: &str, place: &str, moment: &str) {
    #[cfg(feature = "crash-points")]
    if let Some(hook) = HOOK.get() {
        hook(&format!("{operation}.{place}.{moment}"));
    }
    #[cfg(not(feature = "crash-points"))]
    let _ = (operation, place, moment);
}

#[cfg(feature = "crash-points")]
static HOOK: std::sync::OnceLock<fn(&str)> = std::sync::OnceLock::new();

/// Sets what happens at each crash point, once per process.
#[cfg(feature = "crash-points")]
pub fn set_hook(hook: fn(&str)) {
    // A second hook would mean two tests in one process; the first one stays.
    let _ = HOOK.set(hook);
}

/// The points in a worker outside its jobs, which catch panics of their own. A test makes them panic.
pub const WORKER_POINTS: [&str; 5] = [
    "worker.write.begun",
    "worker.records_writer.answer",
    "worker.container_writer.take",
    "worker.container_writer.answer",
    "worker.hash_pool.record",
];

/// The points of a load: after some documents, members, API keys, or entries of an audit trail.
const PARTS: [&str; 4] = ["part", "part_members", "part_keys", "part_trail"];

/// Every crash point of an operation, from the tables of operations and steps.
#[must_use]
pub fn every_point() -> Vec<String> {
    use crate::operation::{OperationKind, OperationStep};
    let mut points = Vec::new();
    for kind in OperationKind::ALL {
        let name = kind.as_str();
        points.extend(["before", "saved"].map(|moment| format!("{name}.intent.{moment}")));
        // With the steps that undo everything; the last step ends both lists.
        let mut steps = kind.steps().to_vec();
        steps.extend(kind.undoing(u32::MAX).iter().filter(|step| !kind.steps().contains(step)));
        steps.retain(|step| *step != OperationStep::Record);
        steps.push(OperationStep::Record);
        for step in steps {
            let moments = ["before", "done", "saved"].into_iter();
            // The one long step also has points at which parts of it are done.
            let parts = if step == OperationStep::LoadArchive { &PARTS[..] } else { &[] };
            for moment in moments.chain(parts.iter().copied()) {
                points.push(format!("{name}.{}.{moment}", step.as_str()));
            }
        }
    }
    points
}
