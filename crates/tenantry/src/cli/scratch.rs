//! A temporary directory of a command.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// A directory for this user alone; removed when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// Creates it below `parent`; its name says what it is for.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn below(parent: &Path, purpose: &str) -> io::Result<Self> {
        let path = parent.join(format!("tenantry-{purpose}-{}", std::process::id()));
        // Refuses one that is there: somebody else may have put it in the way.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is named by its place, and nobody else can read it.
        let _ = fs::remove_dir_all(&self.0);
    }
}
