//! A temporary directory of a command.
//!
//! A command that is killed leaves its directory, which may be as large as a backup. The next command with the same purpose
//! removes it.
//!
//! # Pitfalls
//! The number in a name is that of a process, and a dead process's number may belong to another one. So each
//! directory is locked while its command runs, and only one that is not locked, whose number no process has, is removed.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

/// A directory for this user alone; removed when dropped.
pub struct Scratch {
    path: PathBuf,
    /// Holds the lock on the directory.
    _lock: File,
}

impl Scratch {
    /// Creates it below `parent`; its name says what it is for. Removes those that killed commands have left there.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn below(parent: &Path, purpose: &str) -> io::Result<Self> {
        let prefix = format!("tenantry-{purpose}-");
        let own = std::process::id();
        let path = parent.join(format!("{prefix}{own}"));
        // The process that had this number before is dead.
        remove_abandoned(&path)?;
        // Refuses one that is there still: somebody else may have put it in the way.
        DirBuilder::new().mode(0o700).create(&path)?;
        let lock = File::open(&path)?;
        lock.try_lock()?;
        let user = lock.metadata()?.uid();
        for (path, process) in others(parent, &prefix)? {
            if process != own && !is_running(process) && fs::metadata(&path).is_ok_and(|it| it.uid() == user)
            {
                // What cannot be removed is in nobody's way.
                let _ = remove_abandoned(&path);
            }
        }
        Ok(Self { path, _lock: lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is named by its place, and nobody else can read it.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// The directories with that prefix, and the numbers of their processes.
fn others(parent: &Path, prefix: &str) -> io::Result<Vec<(PathBuf, u32)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse().ok());
        // A link to a directory is none.
        if let Some(process) = process.filter(|_| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            found.push((entry.path(), process));
        }
    }
    Ok(found)
}

fn is_running(process: u32) -> bool {
    Path::new("/proc").join(process.to_string()).exists()
}

/// Removes a directory that no process has locked, if it is there.
fn remove_abandoned(path: &Path) -> io::Result<()> {
    let is_directory = fs::symlink_metadata(path).is_ok_and(|found| found.is_dir());
    if is_directory && File::open(path)?.try_lock().is_ok() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    /// The number of a process that has ended.
    fn dead() -> u32 {
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        child.id()
    }

    #[test]
    fn scratch_removes_what_dead_processes_left_and_no_more() {
        let parent = tempfile::tempdir().unwrap();
        let make = |purpose: &str, process: u32| {
            let path = parent.path().join(format!("tenantry-{purpose}-{process}"));
            fs::create_dir_all(path.join("containers")).unwrap();
            path
        };
        let mut running = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let (abandoned, own) = (make("backup", dead()), make("backup", std::process::id()));
        fs::write(own.join("old"), "").unwrap();
        let kept = [make("backup", running.id()), make("rehearsal", dead())];
        // As in a container whose processes have other numbers here.
        let elsewhere = make("backup", dead());
        let lock = File::open(&elsewhere).unwrap();
        lock.try_lock().unwrap();

        let scratch = Scratch::below(parent.path(), "backup").unwrap();
        assert_eq!(scratch.path(), own);
        assert!(fs::read_dir(&own).unwrap().next().is_none(), "what was there is left");
        assert!(!abandoned.exists());
        assert!(elsewhere.exists() && kept.iter().all(|path| path.exists()));
        drop(scratch);
        assert!(!own.exists());
        drop(running.stdin.take());
        running.wait().unwrap();
    }
}
