//! The MongoDB of the settings: reached, new enough, with our schema, with room, and with a clock like ours.

use super::keys;
use super::mailboxes;
use super::records;
use super::report::Report;
use crate::config::{Config, TokenAlgorithm};
use crate::keys::UNUSED_KEYS;
use crate::system::SystemClock;
use jiff::SignedDuration;
use tenantry_domain::organization::Placement;
use tenantry_store::{MongoInspection, MongoOptions, Topology, inspect_mongodb};

const CHECK: &str = "mongodb";
/// A larger difference makes the two logs hard to compare, and tokens end at the wrong moment.
const CLOCKS_APART: SignedDuration = SignedDuration::from_secs(5);
/// The used part of the capacity from which the check warns: 9 of 10.
const NEARLY_FULL: (u64, u64) = (9, 10);

/// Checks the server; returns the version of its schema, if it could be asked.
pub fn examine(report: &mut Report, config: &Config, options: &MongoOptions) -> Option<i64> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let looked = match runtime {
        Ok(runtime) => runtime.block_on(inspect_mongodb(options, &SystemClock)),
        Err(error) => {
            report.fail(CHECK, error.to_string(), "run this again when the machine has room");
            return None;
        }
    };
    match looked {
        Err(refusal) => report.fail(CHECK, refusal.to_string(), ""),
        Ok(Err(error)) => report.fail(
            CHECK,
            format!("it cannot be used ({})", error.cause().unwrap_or("no answer")),
            "check MONGO_URI, that the server runs, and that this machine reaches it",
        ),
        Ok(Ok(found)) => {
            server(report, &found);
            schema(report, config, &found);
            capacity(report, options, found.namespaces);
            organizations(report, &found);
            mailboxes::examine(report, &found.shared_mailboxes);
            records::restored(report, found.restored.as_deref());
            clock(report, found.clock_ahead);
            keys::operator_key(report, config, found.operator_key_hash.as_deref());
            if let Some(stored) = &found.signing_keys {
                signing_keys(report, config, stored);
            }
            return Some(found.schema);
        }
    }
    None
}

/// The signing keys in the database, and whether the settings use them.
fn signing_keys(report: &mut Report, config: &Config, stored: &[u8]) {
    match config.jwt_algorithm {
        Some(TokenAlgorithm::EdDsa) => {
            let secret = config.jwt_secret.as_ref().map(|secret| secret.expose().as_bytes());
            keys::signing_keys(report, config, secret, stored);
        }
        Some(_) => {}
        None => report.warn(
            "keys",
            UNUSED_KEYS.to_owned(),
            "set JWT_ALGORITHM=EdDSA, or JWT_ALGORITHM=HS256 if that is meant",
        ),
    }
}

fn server(report: &mut Report, found: &MongoInspection) {
    let version = &found.version;
    match &found.topology {
        Topology::Standalone => report.ok(
            CHECK,
            format!(
                "version {version}, standalone: acknowledged writes survive a crash, not the loss of its disk"
            ),
        ),
        Topology::ReplicaSet { name, members } => {
            report.ok(CHECK, format!("version {version}, replica set {name} of {members}"));
        }
        Topology::Sharded => report.ok(CHECK, format!("version {version}, a sharded cluster")),
    }
    if found.supports_uuids {
        report.ok("fence", "collections are renamed and written by their identity");
    } else {
        report.fail(
            "fence",
            "this server is older than 6.0 and cannot rename a collection by its identity",
            "upgrade it, or set PLACEMENT to database or shared",
        );
    }
}

fn schema(report: &mut Report, config: &Config, found: &MongoInspection) {
    let MongoInspection { schema, newest_schema, .. } = found;
    let database = config.master_db.as_str();
    if *schema == 0 {
        report.ok(
            "schema",
            format!("there are no records in {database} yet; the first start creates the schema"),
        );
    } else if schema == newest_schema {
        report.ok("schema", format!("version {schema}, the newest, in {database}"));
    } else if schema < newest_schema {
        let found =
            format!("version {schema}; the next start upgrades it to {newest_schema} (make a backup first)");
        report.ok("schema", found);
    } else {
        report.fail(
            "schema",
            format!("version {schema} in {database}; this program knows up to {newest_schema}"),
            "run the newer version that created it",
        );
    }
}

fn capacity(report: &mut Report, options: &MongoOptions, used: u64) {
    const CHECK: &str = "capacity";
    let what = "collections and indexes";
    let Some(limit) = options.max_namespaces else {
        report.ok(CHECK, format!("{used} {what}; no limit is set (MAX_NAMESPACES)"));
        return;
    };
    let found = format!("{used} of {limit} {what}");
    let is_shared = options.placement == Placement::Shared;
    if is_shared || used < limit / NEARLY_FULL.1 * NEARLY_FULL.0 {
        report.ok(CHECK, found);
    } else {
        report.warn(
            CHECK,
            found,
            "set PLACEMENT or AT_CAPACITY to shared, or raise MAX_NAMESPACES on a larger server",
        );
    }
}

fn organizations(report: &mut Report, found: &MongoInspection) {
    let each = found.organizations.iter().map(|(status, count)| format!("{count} {}", status.as_str()));
    let each = each.collect::<Vec<_>>().join(", ");
    report.ok("organizations", if each.is_empty() { "none".to_owned() } else { each });
}

fn clock(report: &mut Report, ahead: SignedDuration) {
    let seconds = ahead.as_secs();
    if ahead.abs() <= CLOCKS_APART {
        report.ok("clock", "the server's agrees with this machine's");
    } else {
        let (by, side) = (seconds.abs(), if seconds > 0 { "ahead of" } else { "behind" });
        let found = format!("the server's is {by} seconds {side} this machine's");
        report.warn("clock", found, "set both clocks, and keep them in sync with NTP");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(look: impl FnOnce(&mut Report)) -> String {
        let mut report = Report::default();
        look(&mut report);
        report.to_string()
    }

    /// Organizations that share collections need no more namespaces, so they get no warning.
    #[test]
    fn capacity_check_warns_when_server_is_nearly_full() {
        let options = |max_namespaces, placement| MongoOptions {
            max_namespaces,
            placement,
            ..MongoOptions::new("mongodb://127.0.0.1", "tenantry")
        };
        for (limit, placement, used, begin) in [
            (Some(100), Placement::Collection, 89, "ok "),
            (Some(100), Placement::Collection, 90, "warn"),
            (Some(100), Placement::Database, 200, "warn"),
            (Some(100), Placement::Shared, 200, "ok "),
            (None, Placement::Collection, 1_000_000, "ok "),
        ] {
            let line = line(|report| capacity(report, &options(limit, placement), used));
            assert!(line.starts_with(begin), "{used} of {limit:?}: {line}");
        }
    }

    #[test]
    fn clock_check_allows_a_few_seconds() {
        for (seconds, begin) in [(0, "ok "), (5, "ok "), (-5, "ok "), (6, "warn"), (-3600, "warn")] {
            let line = line(|report| clock(report, SignedDuration::from_secs(seconds)));
            assert!(line.starts_with(begin), "{seconds}: {line}");
        }
    }
}
