//! Named crash points: places where the tests stop the service dead.
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

/// Every crash point there is, from the tables of operations and steps.
#[must_use]
pub fn every_point() -> Vec<String> {
    use crate::operation::OperationKind as Kind;
    let kinds = [
        Kind::Create,
        Kind::Rename,
        Kind::Update,
        Kind::Suspend,
        Kind::Reactivate,
        Kind::Delete,
        Kind::Restore,
        Kind::Purge,
    ];
    let mut points = Vec::new();
    for kind in kinds {
        points.push(format!("{}.intent.before", kind.as_str()));
        points.push(format!("{}.intent.saved", kind.as_str()));
        for step in kind.steps() {
            for moment in ["before", "done", "saved"] {
                points.push(format!("{}.{}.{moment}", kind.as_str(), step.as_str()));
            }
        }
    }
    points
}
