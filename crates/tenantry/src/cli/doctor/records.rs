//! The control database and the containers: their owners, their version, whether they are intact; and the
//! clock, which must not be behind them.

use super::data_dir::size;
use super::mailboxes;
use super::report::Report;
use jiff::Timestamp;
use std::path::Path;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::restored::{RESTORED, read as read_mark};
use tenantry_store::backup;
use tenantry_store::{ContainerFiles, Contents, ControlDatabase, ControlState, Inspection, QuickCheck};

/// This program did not exist before: 2025-01-01.
const EARLIEST_SECOND: i64 = 1_735_689_600;
/// Ids count seconds in 32 bits, up to 2106; long before, a clock is wrong: 2100-01-01.
const LATEST_SECOND: i64 = 4_102_444_800;
/// How many names of a longer list a line shows.
const SHOWN: usize = 3;

/// Reports the findings of an inspection.
pub fn examine(report: &mut Report, inspection: &Inspection, now: Timestamp) {
    match &inspection.in_use {
        Ok(true) => report.ok("lock", "a running process uses the data directory"),
        Ok(false) => report.ok("lock", "no process uses the data directory"),
        Err(error) => report.warn(
            "lock",
            format!("it is unknown whether a process uses the data directory ({error})"),
            "run this as the user of the service",
        ),
    }
    let mut newest = None;
    match &inspection.control {
        ControlState::Empty => report.ok("schema", "there are no records yet"),
        ControlState::Interrupted => report.warn(
            "schema",
            "an upgrade of the schema was cut off",
            "start the service, which undoes it and upgrades again; then run this again",
        ),
        ControlState::Refused(error) => report.fail("schema", error.to_string(), ""),
        ControlState::Readable(database) => {
            readable(report, database);
            newest = database.contents.as_ref().and_then(|contents| contents.newest_record);
        }
    }
    clock(report, now, newest);
}

fn readable(report: &mut Report, database: &ControlDatabase) {
    let ControlDatabase { schema, newest_schema, .. } = database;
    report.ok(
        "schema",
        if schema == newest_schema {
            format!("version {schema}, the newest")
        } else {
            format!("version {schema}; the next start upgrades it to {newest_schema} (make a backup first)")
        },
    );
    let bytes = size(database.bytes);
    match &database.quick_check {
        QuickCheck::Passed => report.ok("integrity", format!("every page of control.db ({bytes}) is sound")),
        QuickCheck::Skipped => report.ok(
            "integrity",
            format!("not checked: control.db has {bytes}; run `PRAGMA quick_check` on a backup of it"),
        ),
        QuickCheck::Damaged(faults) => report.fail(
            "integrity",
            format!("control.db is damaged ({})", faults.join("; ")),
            "stop the service and restore a backup; keep the damaged file",
        ),
    }
    if let Some(contents) = &database.contents {
        organizations(report, contents);
        mailboxes::examine(report, &contents.shared_mailboxes);
        restored(report, contents.installation.get(RESTORED).map(Vec::as_slice));
    }
}

/// Whether credentials are refused because of a restore.
pub(super) fn restored(report: &mut Report, value: Option<&[u8]>) {
    match read_mark(value) {
        Ok(None) => {}
        Ok(Some(mark)) => report.warn(
            "restore",
            format!(
                "the data is from backup {}, and credentials that were made up to {} are refused",
                mark.backup, mark.until
            ),
            "run `tenantry restore confirm` once you know that they may be used",
        ),
        Err(_) => report.fail("restore", "the mark of the restore is unreadable", "restore the backup again"),
    }
}

fn organizations(report: &mut Report, contents: &Contents) {
    let total: u64 = contents.organizations.iter().map(|(_, count)| count).sum();
    let each = contents.organizations.iter().map(|(status, count)| format!("{count} {}", status.as_str()));
    let each = each.collect::<Vec<_>>().join(", ");
    report.ok("organizations", if total == 0 { "none".to_owned() } else { each });
    match &contents.containers {
        Ok(files) => containers(report, files),
        Err(error) => report.fail(
            "containers",
            format!("they cannot be listed ({error})"),
            "make the data directory belong to the user of the service",
        ),
    }
}

/// Checks every page of every container.
pub fn check_containers(report: &mut Report, data_dir: &Path) {
    const CHECK: &str = "container pages";
    match backup::check_containers(data_dir) {
        Ok((checked, damaged)) if damaged.is_empty() => {
            report.ok(CHECK, format!("every page of {checked} files is sound"));
        }
        Ok((_, damaged)) => {
            for (id, fault) in damaged {
                report.fail(
                    CHECK,
                    format!("the data of the organization {id} is damaged ({fault})"),
                    "bring it back from a backup with `tenantry restore --organization`; keep the damaged file",
                );
            }
        }
        Err(error) => report.fail(
            CHECK,
            format!("they cannot be read ({error})"),
            "run this as the user of the service, and check the disk",
        ),
    }
}

fn containers(report: &mut Report, files: &ContainerFiles) {
    if !files.missing.is_empty() {
        let missing = some_of(files.missing.iter().map(OrganizationId::to_string));
        let found = format!("{} are missing, of the organizations {missing}", files.missing.len());
        report.fail("containers", found, "restore their files from a backup");
    } else if !files.orphans.is_empty() {
        let orphans = some_of(files.orphans.iter().map(|file| file.display().to_string()));
        let found = format!("{} belong to no organization: {orphans}", files.orphans.len());
        report.warn("containers", found, "restart the service, which moves them to containers/quarantine");
    } else if files.quarantined > 0 {
        let found = format!("{} files in containers/quarantine belong to no organization", files.quarantined);
        report.warn("containers", found, "check what they contain, then remove them");
    } else {
        let unfinished = match files.unfinished {
            0 => String::new(),
            count => format!(", {count} unfinished; the next start removes what is left over"),
        };
        let without_file = match files.without_file {
            0 => String::new(),
            count => format!("; {count} organizations have written nothing and have no file yet"),
        };
        let found = format!("{} files, each of an organization{unfinished}{without_file}", files.found);
        report.ok("containers", found);
    }
}

/// The first few of a list.
fn some_of(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = if names.len() > SHOWN { ", …" } else { "" };
    let names: Vec<_> = names.take(SHOWN).collect();
    format!("{}{more}", names.join(", "))
}

fn clock(report: &mut Report, now: Timestamp, newest: Option<Timestamp>) {
    const ADVICE: &str = "set the clock, and keep it in sync with NTP";
    let shown = now.strftime("%Y-%m-%d %H:%M:%S UTC");
    if !(EARLIEST_SECOND..LATEST_SECOND).contains(&now.as_second()) {
        report.fail("clock", format!("it says {shown}"), ADVICE);
        return;
    }
    match newest {
        Some(newest) if newest > now => {
            let newest = newest.strftime("%Y-%m-%d %H:%M:%S UTC");
            report.fail("clock", format!("it says {shown}, and a record was made at {newest}"), ADVICE);
        }
        _ => report.ok("clock", format!("it says {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report_of(look: impl FnOnce(&mut Report)) -> String {
        let mut report = Report::default();
        look(&mut report);
        report.to_string()
    }

    #[test]
    fn clock_check_requires_sane_time_after_newest_record() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        for (now, newest, begin) in [
            ("2026-05-01T00:00:00Z", None, "ok "),
            ("2026-05-01T00:00:00Z", Some("2026-05-01T00:00:00Z"), "ok "),
            ("2026-05-01T00:00:00Z", Some("2026-05-01T00:00:01Z"), "FAIL"),
            ("1970-01-01T00:00:09Z", None, "FAIL"),
            ("2106-01-01T00:00:00Z", None, "FAIL"),
        ] {
            let line = report_of(|report| clock(report, at(now), newest.map(at)));
            assert!(line.starts_with(begin), "{line}");
        }
    }

    #[test]
    fn container_check_fails_on_missing_and_mentions_surplus() {
        let id: OrganizationId = "674f1c2e9b1d4a0c5e8f7a6b".parse().unwrap();
        let files = |missing, orphans: &[&str], quarantined| ContainerFiles {
            found: 3,
            without_file: 2,
            missing,
            orphans: orphans.iter().map(Into::into).collect(),
            unfinished: 0,
            quarantined,
        };
        for (files, begin, part) in [
            (files(vec![], &[], 0), "ok ", "; 2 organizations have written nothing"),
            (files(vec![id; 5], &["x"], 1), "FAIL", "674f1c2e9b1d4a0c5e8f7a6b, …: restore"),
            (files(vec![], &["/d/x.db"], 0), "warn", "/d/x.db: restart"),
            (files(vec![], &[], 2), "warn", "2 files in containers/quarantine"),
        ] {
            let line = report_of(|report| containers(report, &files));
            assert!(line.starts_with(begin) && line.contains(part), "{line}");
        }
    }
}
