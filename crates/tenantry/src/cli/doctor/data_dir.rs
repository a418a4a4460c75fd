//! The data directory itself: whether it exists, is private, is writable, and has room.

use super::report::Report;
use rustix::fs::{Access, StatVfs, access, statvfs};
use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const CHECK: &str = "data directory";
const SPACE: &str = "disk space";

/// Free bytes below which the check warns.
const LOW_SPACE_BYTES: u64 = 1 << 30;
/// Free bytes below which writes are about to fail.
const NO_SPACE_BYTES: u64 = 64 << 20;
/// Free inodes below which the check warns: every organization is a file, every open one three.
const LOW_INODES: u64 = 10_000;

/// Checks `path`; returns whether its contents, if any, can be checked too.
pub fn examine(report: &mut Report, path: &Path) -> bool {
    let shown = path.display();
    match may_look(path) {
        Ok(metadata) if metadata.is_dir() => {
            existing(report, path, &metadata);
            space(report, path);
        }
        Ok(_) => {
            report.fail(CHECK, format!("{shown} is not a directory"), "choose another with DATA_DIR");
            return false;
        }
        Err(error) if error.kind() == ErrorKind::NotFound => missing(report, path),
        Err(error) => {
            let found = format!("{shown} cannot be read ({error})");
            report.fail(CHECK, found, "run this as the user of the service");
            return false;
        }
    }
    true
}

fn may_look(path: &Path) -> io::Result<Metadata> {
    let metadata = fs::metadata(path)?;
    access(path, Access::READ_OK | Access::EXEC_OK)?;
    Ok(metadata)
}

fn missing(report: &mut Report, path: &Path) {
    let (shown, parent) = (path.display(), nearest(path));
    match may_write(&parent) {
        Ok(()) => {
            report.ok(CHECK, format!("{shown} does not exist yet; the first start creates it"));
            space(report, &parent);
        }
        Err(error) => report.fail(
            CHECK,
            format!("{shown} does not exist and cannot be created in {} ({error})", parent.display()),
            "create it and give it to the user of the service, or choose another with DATA_DIR",
        ),
    }
}

/// The first directory above `path` that exists.
fn nearest(path: &Path) -> PathBuf {
    let above = path.ancestors().skip(1).find(|above| above.is_dir());
    // A relative path has the working directory above its first part.
    above.filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn existing(report: &mut Report, path: &Path, metadata: &Metadata) {
    let shown = path.display();
    let mode = metadata.mode() & 0o777;
    let private = format!("run `chmod 700 {shown}`");
    if let Err(error) = may_write(path) {
        report.fail(
            CHECK,
            format!("{shown} cannot be written ({error})"),
            "run this and the service as its owner, and mount the disk for writing",
        );
    } else if let Some(file) = foreign_file(path, metadata.uid()) {
        report.fail(
            CHECK,
            format!("{} belongs to another user than {shown}", file.display()),
            &format!("run `chown -R {}:{} {shown}`", metadata.uid(), metadata.gid()),
        );
    } else if mode & 0o022 != 0 {
        report.fail(CHECK, format!("{shown} can be written by other users (mode {mode:04o})"), &private);
    } else if mode & 0o077 != 0 {
        report.warn(CHECK, format!("{shown} can be read by other users (mode {mode:04o})"), &private);
    } else {
        report.ok(CHECK, format!("{shown} is private and can be written"));
    }
}

fn may_write(path: &Path) -> io::Result<()> {
    Ok(access(path, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// A file of another user, such as a command run as root leaves: the service cannot open it.
fn foreign_file(path: &Path, owner: u32) -> Option<PathBuf> {
    let entries = fs::read_dir(path).ok()?.flatten();
    let mut foreign = entries.filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.uid() != owner));
    foreign.next().map(|entry| entry.path())
}

fn space(report: &mut Report, path: &Path) {
    match statvfs(path) {
        Ok(disk) => judge_space(report, &disk),
        Err(error) => report.warn(SPACE, format!("it cannot be determined ({error})"), "check it with `df`"),
    }
}

fn judge_space(report: &mut Report, disk: &StatVfs) {
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let found = format!("{} free", size(free));
    // A file system that creates inodes on demand reports that it has none.
    if disk.f_files > 0 && disk.f_favail < LOW_INODES {
        let found = format!("{} inodes free, and every organization needs one", disk.f_favail);
        report.warn(SPACE, found, "remove files, or move the data directory to another disk");
    } else if free < NO_SPACE_BYTES {
        report.fail(SPACE, found, "make room: writes are refused on a full disk");
    } else if free < LOW_SPACE_BYTES {
        report.warn(SPACE, found, "make room soon");
    } else {
        report.ok(SPACE, found);
    }
}

/// A size for people to read.
pub fn size(bytes: u64) -> String {
    const UNITS: [(u32, &str); 3] = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    // At least two digits, so that rounding down loses little.
    let unit = UNITS.into_iter().find(|(shift, _)| bytes >> shift >= 10);
    let (shift, name) = unit.unwrap_or(UNITS[2]);
    format!("{} {name}", bytes >> shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn line(path: &Path) -> String {
        let mut report = Report::default();
        examine(&mut report, path);
        report.to_string().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn data_dir_check_judges_permissions() {
        let temp = tempfile::tempdir().unwrap();
        for (mode, begin) in
            [(0o700, "ok "), (0o750, "warn"), (0o705, "warn"), (0o770, "FAIL"), (0o702, "FAIL")]
        {
            fs::set_permissions(temp.path(), PermissionsExt::from_mode(mode)).unwrap();
            assert!(line(temp.path()).starts_with(begin), "{mode:o}: {}", line(temp.path()));
        }
    }

    #[test]
    fn data_dir_check_accepts_missing_directory_but_no_file() {
        let temp = tempfile::tempdir().unwrap();
        assert!(line(&temp.path().join("a/b")).contains("does not exist yet"));
        assert!(!temp.path().join("a").exists());
        let file = temp.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(line(&file).starts_with("FAIL"));
        assert!(line(&file.join("below")).starts_with("FAIL"));
    }

    #[test]
    fn size_is_shown_in_a_readable_unit() {
        for (bytes, text) in [
            (0, "0 KiB"),
            (4096, "4 KiB"),
            (9 << 20, "9216 KiB"),
            (9 << 30, "9216 MiB"),
            (10 << 30, "10 GiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn nearest_directory_of_relative_path_is_the_working_directory() {
        assert_eq!(nearest(Path::new("no-such-directory/data")), Path::new("."));
        assert_eq!(nearest(Path::new("/no-such-directory/data")), Path::new("/"));
    }

    #[test]
    fn space_check_warns_of_little_room_and_fails_on_none() {
        let mut disk = statvfs("/").unwrap();
        (disk.f_frsize, disk.f_files, disk.f_favail) = (4096, 1 << 20, 1 << 20);
        for (free, inodes, begin) in [
            (LOW_SPACE_BYTES, 1 << 20, "ok "),
            (LOW_SPACE_BYTES - 4096, 1 << 20, "warn"),
            (NO_SPACE_BYTES - 4096, 1 << 20, "FAIL"),
            (LOW_SPACE_BYTES, LOW_INODES - 1, "warn"),
        ] {
            (disk.f_bavail, disk.f_favail) = (free / 4096, inodes);
            let mut report = Report::default();
            judge_space(&mut report, &disk);
            assert!(report.to_string().starts_with(begin), "{free} bytes, {inodes} inodes: {report}");
        }
    }
}
