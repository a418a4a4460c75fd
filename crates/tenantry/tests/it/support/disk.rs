//! A small disk of a test's own. Needs root.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system of its own, in memory.
pub struct Disk {
    mount: TempDir,
}

impl Disk {
    pub fn of(size: &str) -> Self {
        let mount = TempDir::new().unwrap();
        let arguments = ["-t", "tmpfs", "-o", &format!("size={size}"), "tenantry-test"];
        let mounted = Command::new("mount").args(arguments).arg(mount.path()).status();
        assert!(
            mounted.is_ok_and(|status| status.success()),
            "this test mounts a small file system, which needs root: run the tests as root, or inside \
             `unshare --map-root-user --mount`"
        );
        Self { mount }
    }

    pub fn data_dir(&self) -> PathBuf {
        self.mount.path().join("data")
    }

    pub fn make_read_only(&self) {
        let status =
            Command::new("mount").args(["-o", "remount,ro"]).arg(self.mount.path()).status().unwrap();
        assert!(status.success());
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.mount.path()
    }

    /// Takes all the room that is left, but for so many bytes.
    pub fn fill_but(&self, left: u64) {
        self.fill();
        let ballast = fs::OpenOptions::new().write(true).open(self.ballast()).unwrap();
        ballast.set_len(ballast.metadata().unwrap().len() - left).unwrap();
    }

    /// Takes all the room that is left.
    pub fn fill(&self) {
        let mut ballast = fs::OpenOptions::new().create(true).append(true).open(self.ballast()).unwrap();
        for chunk in [1 << 16, 1 << 10, 1] {
            while ballast.write_all(&vec![0; chunk]).is_ok() {}
        }
    }

    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> PathBuf {
        self.mount.path().join("ballast")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a test that has failed may have files open.
        let _ = Command::new("umount").arg("-l").arg(self.mount.path()).status();
    }
}
