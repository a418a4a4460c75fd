//! Retention: the oldest backups go, and then what no other one needs.

use super::{ID_FORMAT, Repository};
use crate::backup::error::BackupError;
use crate::backup::files::sync_directory;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use std::collections::HashSet;
use std::fs;

/// Which backups stay: those that any of these names, and always the newest.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// So many of the newest.
    pub newest: Option<usize>,
    /// Those that began at this moment or later.
    pub since: Option<Timestamp>,
}

impl Retention {
    /// Whether the backup of that name stays, of which `newer` are newer.
    fn keeps(&self, id: &str, newer: usize) -> bool {
        let is_among_newest = newer < self.newest.unwrap_or(1).max(1);
        // One whose name says no time was not made by us: it stays.
        is_among_newest || self.since.is_some_and(|since| began(id).is_none_or(|began| began >= since))
    }
}

/// When the backup of that name began, to the second.
fn began(id: &str) -> Option<Timestamp> {
    let time = id.split_once('-').map_or(id, |(time, _)| time);
    let time = civil::DateTime::strptime(ID_FORMAT, time).ok()?;
    time.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// What was removed.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct PruneReport {
    /// Backups.
    pub backups: usize,
    /// Objects.
    pub objects: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The names of backups whose manifests are damaged. As long as there are any, no object is removed: it is unknown
    /// which of them they need.
    pub damaged: Vec<String>,
}

impl Repository {
    /// Removes all backups that `retention` does not keep, and what none of the others needs.
    ///
    /// # Errors
    /// The directory cannot be read or written.
    pub fn prune(&self, retention: &Retention) -> Result<PruneReport, BackupError> {
        let (ids, damaged) = self.sort_out()?;
        let newer = (0..ids.len()).rev();
        let (kept, old): (Vec<_>, Vec<_>) =
            ids.iter().zip(newer).partition(|(id, newer)| retention.keeps(id, *newer));
        let mut needed = HashSet::new();
        for (id, _) in kept {
            needed.extend(self.manifest(Some(id))?.files.into_iter().map(|file| file.object));
        }
        for (id, _) in &old {
            let file = self.manifest_file(id);
            fs::remove_file(&file).map_err(BackupError::not_writable(&file))?;
        }
        // A manifest that comes back after a power failure must find its objects.
        sync_directory(&self.directory.join(super::BACKUPS))?;
        let mut pruned = PruneReport { backups: old.len(), damaged, ..PruneReport::default() };
        if !pruned.damaged.is_empty() {
            return Ok(pruned);
        }
        let objects = self.objects();
        objects.each(|object, bytes| {
            if !needed.contains(object) {
                let file = objects.file(object);
                fs::remove_file(&file).map_err(BackupError::not_writable(&file))?;
                pruned.objects += 1;
                pruned.bytes += bytes;
            }
            Ok(())
        })?;
        Ok(pruned)
    }

    /// The names of the backups whose manifests are whole, and of those whose manifests are damaged, the oldest first.
    fn sort_out(&self) -> Result<(Vec<String>, Vec<String>), BackupError> {
        let (mut whole, mut damaged) = (Vec::new(), Vec::new());
        for id in self.ids()? {
            match self.manifest(Some(&id)) {
                Ok(_) => whole.push(id),
                Err(BackupError::Damaged { .. }) => damaged.push(id),
                Err(error) => return Err(error),
            }
        }
        Ok((whole, damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_keeps_what_any_rule_keeps_and_the_newest() {
        let ids =
            ["20270101T000000Z", "20270110T120000Z", "20270110T120000Z-002", "foreign", "20270115T080000Z"];
        let since = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        for (newest, since, kept) in [
            (Some(1), None, vec![4]),
            (Some(3), None, vec![2, 3, 4]),
            (Some(9), None, vec![0, 1, 2, 3, 4]),
            (None, since("2027-01-10T12:00:00Z"), vec![1, 2, 3, 4]),
            (None, since("2027-01-10T12:00:01Z"), vec![3, 4]),
            (None, since("2030-01-01T00:00:00Z"), vec![3, 4]),
            (Some(4), since("2027-01-15T00:00:00Z"), vec![1, 2, 3, 4]),
        ] {
            let retention = Retention { newest, since };
            let found: Vec<usize> =
                (0..ids.len()).filter(|at| retention.keeps(ids[*at], ids.len() - 1 - at)).collect();
            assert_eq!(found, kept, "{retention:?}");
        }
    }
}
