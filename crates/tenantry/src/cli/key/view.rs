//! Keys as text for people.

use crate::cli::org::view::{align, utc};
use jiff::Timestamp;
use serde::Deserialize;

/// A key, as far as it is shown.
#[derive(Deserialize)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// What people call it.
    pub name: String,
    permissions: Vec<String>,
    organizations: Option<Vec<String>>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    old_secret_until: Option<Timestamp>,
    /// Absent from older servers, whose keys need no confirmation.
    #[serde(default = "yes")]
    confirmed: bool,
}

const fn yes() -> bool {
    true
}

/// A key with its text.
#[derive(Deserialize)]
pub struct IssuedKey {
    /// The text.
    pub key: String,
    /// All else about it.
    #[serde(flatten)]
    pub about: Key,
}

/// Everything about one, but its text.
pub fn details(key: &Key) -> String {
    let mut rows = vec![
        ("id", key.id.clone()),
        ("name", key.name.clone()),
        ("permissions", key.permissions.join(", ")),
        ("organizations", key.organizations.as_ref().map_or_else(|| "all".to_owned(), |all| all.join(", "))),
        ("created", utc(key.created_at)),
        ("expires", moment(key.expires_at)),
        ("last used", moment(key.last_used_at)),
    ];
    rows.extend(key.old_secret_until.map(|end| ("old secret until", utc(end))));
    rows.extend((!key.confirmed).then(|| ("confirmed", "no: it opens nothing".to_owned())));
    let rows: Vec<_> = rows.into_iter().map(|(label, value)| [label.to_owned(), value]).collect();
    align(&rows)
}

/// A table with a line for each.
pub fn table(keys: &[Key]) -> String {
    if keys.is_empty() {
        return "No keys.".to_owned();
    }
    let headings = ["ID", "CREATED", "EXPIRES", "LAST USED", "PERMISSIONS", "NAME"].map(str::to_owned);
    let row = |key: &Key| {
        [
            key.id.clone(),
            utc(key.created_at),
            moment(key.expires_at),
            if key.confirmed { moment(key.last_used_at) } else { "unconfirmed".to_owned() },
            key.permissions.join(","),
            key.name.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(keys.iter().map(row)).collect();
    align(&rows)
}

fn moment(moment: Option<Timestamp>) -> String {
    moment.map_or_else(|| "never".to_owned(), utc)
}
