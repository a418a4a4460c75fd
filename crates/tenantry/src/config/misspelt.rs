//! Names that look like misspelt settings: `LOG_LEVL`, `TENANTRY_PORT`, `data_dir`.
//!
//! `.env` is written for us, so such a name there is refused; the environment is shared, so there it only
//! causes a warning.
//!
//! # Pitfalls
//! In the environment a false alarm costs more than a missed one. Most names there are not ours, short ones are
//! close to anything (`PORTS`, `PATH`), and orchestrators derive names from ours. So short names are compared in `.env`
//! alone.

use super::setting::Setting;
use super::table::SETTINGS;

/// The prefix that people wrongly put before our names. No name of ours begins with it.
const PREFIX: &str = "TENANTRY_";

/// The units that people wrongly put behind the names of spans of time.
const UNITS: [&str; 8] = ["S", "SEC", "SECS", "SECOND", "SECONDS", "MS", "MINUTES", "HOURS"];
/// The endings of the names of spans of time.
const SPANS: [&str; 3] = ["TIMEOUT", "LIFETIME", "AGE"];

/// The lengths of names from which one edit, two edits, or singular for plural still count as the same name.
const ONE_EDIT: usize = 6;
/// The same for one edit in `.env`: `PRT`, `HOTS`.
const ONE_EDIT_IN_FILE: usize = 3;
const TWO_EDITS: usize = 11;
const PLURAL: usize = 7;

/// Variables that begin with [`PREFIX`] and are not for the service.
const NOT_SETTINGS: [&str; 2] = ["TENANTRY_TEST_", "TENANTRY_CHAOS"];

/// Names of other programs' variables that are close to one of ours.
const OTHERS: [&str; 1] = ["SSL_CERT_FILE"];

/// The setting that `name` in the environment is likely to have been meant for; nothing if it is one, or like none.
fn meant(name: &str) -> Option<Suggestion> {
    meant_within(name, ONE_EDIT)
}

/// The same for a name in `.env`.
#[must_use]
pub fn meant_in_file(name: &str) -> Option<Suggestion> {
    // Several ports are another program's: the file may be for others, too.
    if name.len() < PLURAL && name.strip_suffix('S').is_some_and(|one| names().any(|ours| ours == one)) {
        return None;
    }
    meant_within(name, ONE_EDIT_IN_FILE)
}

/// `one_edit` is the length from which one edit still counts as the same name.
fn meant_within(name: &str, one_edit: usize) -> Option<Suggestion> {
    if names().any(|ours| ours == name) || OTHERS.contains(&name) {
        return None;
    }
    let bare = plain(name);
    let prefix = plain(PREFIX);
    if let Some(rest) = bare.strip_prefix(&prefix).filter(|rest| !rest.is_empty()) {
        return Some(Suggestion(closest(rest, one_edit)));
    }
    closest(&bare, one_edit).map(|ours| Suggestion(Some(ours)))
}

/// The setting that a name was meant for, if one is close: a name with our prefix is meant for us anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Suggestion(Option<&'static str>);

impl Suggestion {
    /// What is wrong with `name`, found in `place` (" in .env").
    #[must_use]
    pub fn sentence(&self, name: &str, place: &str) -> String {
        match self.0 {
            Some(ours) => format!("{name}{place} is no setting. Did you mean {ours}?"),
            None => format!("{name}{place} is no setting, and no setting begins with {PREFIX}."),
        }
    }
}

/// What to do about it: the name may be another program's.
pub const ADVICE: &str = "correct the name, or remove it (docs/settings.md lists all of them)";

/// Warnings about the environment: one for each name in it that is likely to have been meant for a setting.
pub fn in_environment(env: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let ours = env.filter(|(name, value)| {
        !NOT_SETTINGS.iter().any(|prefix| name.starts_with(prefix)) && !is_of_an_orchestrator(name, value)
    });
    let mut found: Vec<String> =
        ours.filter_map(|(name, _)| Some(meant(&name)?.sentence(&name, " in the environment"))).collect();
    found.sort();
    found
}

/// The variables that Kubernetes and Docker give every container about a service called `tenantry`.
fn is_of_an_orchestrator(name: &str, value: &str) -> bool {
    let is_address = ["tcp://", "udp://", "sctp://"].iter().any(|scheme| value.starts_with(scheme));
    is_address
        || name.contains("_SERVICE_")
        || ["_PROTO", "_ADDR", "_NAME", "_PORT"].iter().any(|end| name.ends_with(end))
            && name.contains("_PORT_")
}

fn names() -> impl Iterator<Item = &'static str> {
    SETTINGS.iter().flat_map(Setting::all_names)
}

/// Removes what people write differently: case, separators between words, the name of MongoDB.
fn plain(name: &str) -> String {
    let letters = name.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase());
    letters.collect::<String>().replace("MONGODB", "MONGO")
}

fn singular(bare: &str) -> String {
    match bare.strip_suffix("IES") {
        Some(stem) => format!("{stem}Y"),
        None => bare.trim_end_matches('S').to_owned(),
    }
}

/// The setting that `bare` names but for its spelling.
fn closest(bare: &str, one_edit: usize) -> Option<&'static str> {
    let same = |ours: &&str| plain(ours) == *bare;
    let plural = |ours: &&str| bare.len() >= PLURAL && singular(&plain(ours)) == singular(bare);
    let with_unit = |ours: &&str| {
        let unit = bare.strip_prefix(&plain(ours)).filter(|_| SPANS.iter().any(|span| ours.ends_with(span)));
        unit.is_some_and(|unit| UNITS.contains(&unit))
    };
    let as_key = |ours: &&str| ours.ends_with("SECRET") && bare.strip_suffix("KEY") == Some(&plain(ours));
    let turned = |ours: &&str| {
        let mut words: Vec<&str> = ours.split('_').collect();
        words.reverse();
        words.len() > 1 && words.concat() == bare
    };
    let near = || {
        let distances = names().map(|ours| (distance(&plain(ours), bare), ours));
        let (edits, ours) = distances.min_by_key(|(edits, _)| *edits)?;
        let letters = bare.len().min(plain(ours).len());
        let allowed = usize::from(letters >= one_edit) + usize::from(letters >= TWO_EDITS);
        (edits <= allowed).then_some(ours)
    };
    let rules: [&dyn Fn(&&str) -> bool; 5] = [&same, &plural, &with_unit, &as_key, &turned];
    rules.iter().find_map(|rule| names().find(|ours| rule(ours))).or_else(near)
}

/// How many letters must be inserted, removed, changed, or swapped with their neighbour, to turn one into the
/// other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (row[j] + 1).min(above[j + 1] + 1).min(above[j] + usize::from(a != b));
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                least = least.min(before[j - 1] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_setting_is_recognized() {
        for (name, ours) in [
            ("LOG_LEVL", "LOG_LEVEL"),
            ("LOG_LEVLE", "LOG_LEVEL"),
            ("LOGLEVEL", "LOG_LEVEL"),
            ("LEVEL_LOG", "LOG_LEVEL"),
            ("log_level", "LOG_LEVEL"),
            ("LOG-LEVEL", "LOG_LEVEL"),
            ("DATADIR", "DATA_DIR"),
            ("DATA_DIRR", "DATA_DIR"),
            ("port", "PORT"),
            ("SIGN_UP", "SIGNUP"),
            ("SINGUP", "SIGNUP"),
            ("MONGO_URL", "MONGO_URI"),
            ("MONGODB_URI", "MONGO_URI"),
            ("JWT_SECERT", "JWT_SECRET"),
            ("JWT_SECRETS", "JWT_SECRET"),
            ("JWT_SECRET_KEY", "JWT_SECRET"),
            ("JWT_SECRETFILE", "JWT_SECRET_FILE"),
            ("JWT_SECRET_FILES", "JWT_SECRET_FILE"),
            ("MONGODB_URI_FILE", "MONGO_URI_FILE"),
            ("OPERATOR_KEY_FILES", "OPERATOR_KEY_FILE"),
            ("TENANTRY_OPERATOR_KEY_FILE", "OPERATOR_KEY_FILE"),
            ("JWT_ALG", "JWT_ALGO"),
            ("RETENTION_DAY", "RETENTION_DAYS"),
            ("PUBLIC_LOOK_UP", "PUBLIC_LOOKUP"),
            ("PUBLIC_LOKUP", "PUBLIC_LOOKUP"),
            ("DRAIN_TIMEOUT_SECONDS", "DRAIN_TIMEOUT"),
            ("TRUSTED_PROXY", "TRUSTED_PROXIES"),
            ("CORS_ORIGIN", "CORS_ORIGINS"),
            ("TENANTRY_DATA_DIR", "DATA_DIR"),
            ("TENANTRY_PORT", "PORT"),
            ("TENANTRY_LOG_LEVL", "LOG_LEVEL"),
        ] {
            assert_eq!(meant(name), Some(Suggestion(Some(ours))), "{name}");
        }
        assert_eq!(meant("TENANTRY_COLOUR"), Some(Suggestion(None)));
    }

    /// A line `PRT=…` in the file is meant for us.
    #[test]
    fn short_setting_is_recognized_in_env_file_alone() {
        for (name, ours) in [
            ("PRT", "PORT"),
            ("PROT", "PORT"),
            ("POTR", "PORT"),
            ("HOTS", "HOST"),
            ("HSOT", "HOST"),
            ("HOS", "HOST"),
        ] {
            assert_eq!(meant_in_file(name), Some(Suggestion(Some(ours))), "{name}");
            assert_eq!(meant(name), None, "{name}");
        }
        for name in ["HOST_", "port", "LOG_LEVL", "TENANTRY_COLOUR"] {
            assert_eq!(meant_in_file(name), meant(name), "{name}");
            assert_ne!(meant(name), None, "{name}");
        }
        for name in names().chain([
            "HOSTNAME",
            "HOSTS",
            "PORTS",
            "HOME",
            "PATH",
            "TZ",
            "DB_PORT",
            "COMPOSE_PROJECT_NAME",
            "SSL_CERT_FILE",
        ]) {
            assert_eq!(meant_in_file(name), None, "{name}");
        }
    }

    #[test]
    fn setting_names_of_other_programs_are_ignored() {
        for name in [
            "PATH",
            "PORTS",
            "HOSTNAME",
            "HOSTS",
            "POST",
            "SPORT",
            "HOME",
            "USER",
            "SHELL",
            "LANG",
            "TERM",
            "PWD",
            "TZ",
            "HOSTTYPE",
            "DEBUG",
            "DATABASE_URL",
            "DB_HOST",
            "DB_PORT",
            "REDIS_URL",
            "REDIS_PORT",
            "SERVER_PORT",
            "APP_PORT",
            "APP_ENV",
            "NODE_ENV",
            "RUST_LOG",
            "RUST_BACKTRACE",
            "LOGNAME",
            "MAIL",
            "XDG_DATA_DIRS",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SECRET_KEY",
            "DJANGO_SECRET_KEY",
            "API_KEY",
            "STRIPE_SECRET_KEY",
            "JWT_PRIVATE_KEY",
            "MONGO_INITDB_ROOT_USERNAME",
            "MONGO_INITDB_DATABASE",
            "MONGO_HOST",
            "ME_CONFIG_MONGODB_URL",
            "GRPC_LOG_LEVEL",
            "HTTP_PROXY",
            "HTTPS_PROXY",
            "NO_PROXY",
            "SSL_CERT_FILE",
            "SECRET",
            "HEADER",
            "MASTER_DB_URL",
            "HOST_URL",
            "CARGO_HOME",
            "COMPOSE_PROJECT_NAME",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "_",
        ] {
            assert_eq!(meant(name), None, "{name}");
        }
        for name in names() {
            assert_eq!(meant(name), None, "{name}");
        }
    }

    #[test]
    fn orchestrator_variables_are_not_warned_of() {
        let environment = [
            ("TENANTRY_PORT", "tcp://10.0.0.1:8000"),
            ("TENANTRY_PORT_8000_TCP", "tcp://10.0.0.1:8000"),
            ("TENANTRY_PORT_8000_TCP_ADDR", "10.0.0.1"),
            ("TENANTRY_PORT_8000_TCP_PORT", "8000"),
            ("TENANTRY_PORT_8000_TCP_PROTO", "tcp"),
            ("TENANTRY_SERVICE_HOST", "10.0.0.1"),
            ("TENANTRY_SERVICE_PORT", "8000"),
            ("TENANTRY_SERVICE_PORT_HTTP", "8000"),
            ("TENANTRY_TEST_MONGO_URI", "mongodb://localhost"),
            ("TENANTRY_CHAOS", "all"),
            ("LOG_LEVL", "debug"),
            ("TENANTRY_HOST", "0.0.0.0"),
        ];
        let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        assert_eq!(
            in_environment(pairs),
            [
                "LOG_LEVL in the environment is no setting. Did you mean LOG_LEVEL?",
                "TENANTRY_HOST in the environment is no setting. Did you mean HOST?",
            ]
        );
    }
}
