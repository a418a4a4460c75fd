//! A pipeline that has been checked.

use super::source::Source;
use super::syntax::Stage;

/// A pipeline that has been checked.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// The documents it reads: its first stages, as far as an engine does them.
    pub(super) source: Source,
    /// The other stages.
    pub(super) stages: Vec<Stage>,
}
