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
        (
            "organizations",
            key.organizations.as_ref().map_or_else(|| "all".to_owned(), |listed| listed.join(", ")),
        ),
        ("created", utc(key.created_at)),
        ("expires", moment(key.expires_at)),
        ("last used", moment(key.last_used_at)),
    ];
    rows.extend(key.old_secret_until.map(|end| ("old secret until", utc(end))));
    rows.extend((!key.confirmed).then(|| ("confirmed", "no: it opens nothing".to_owned())));
    let rows: Vec<_> = rows.into_iter().map(|(label, value)| [label.to_owned(), value]).collect();
    align(&rows)
}

/// The most organizations that are named in a table.
const LISTED_MAX: usize = 3;

/// A table with a line for each.
pub fn table(keys: &[Key]) -> String {
    if keys.is_empty() {
        return "No keys.".to_owned();
    }
    let headings =
        ["ID", "CREATED", "EXPIRES", "LAST USED", "ORGANIZATIONS", "PERMISSIONS", "NAME"].map(str::to_owned);
    let row = |key: &Key| {
        [
            key.id.clone(),
            utc(key.created_at),
            moment(key.expires_at),
            if key.confirmed { moment(key.last_used_at) } else { "unconfirmed".to_owned() },
            limited_to(key),
            key.permissions.join(","),
            key.name.clone(),
        ]
    };
    let rows: Vec<_> = std::iter::once(headings).chain(keys.iter().map(row)).collect();
    align(&rows)
}

/// The organizations that a key is limited to; of many, the first ones.
fn limited_to(key: &Key) -> String {
    match &key.organizations {
        None => "all".to_owned(),
        Some(listed) if listed.is_empty() => "none".to_owned(),
        Some(listed) if listed.len() <= LISTED_MAX => listed.join(","),
        Some(listed) => format!("{},+{}", listed[..LISTED_MAX].join(","), listed.len() - LISTED_MAX),
    }
}

fn moment(moment: Option<Timestamp>) -> String {
    moment.map_or_else(|| "never".to_owned(), utc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn table_shows_organizations_that_keys_are_limited_to() {
        let key = |organizations: serde_json::Value| -> Key {
            serde_json::from_value(json!({
                "id": "1", "name": "billing", "permissions": ["tokens:issue"], "organizations": organizations,
                "created_at": "2026-01-02T03:04:05Z", "expires_at": null, "last_used_at": null,
                "old_secret_until": null,
            }))
            .unwrap()
        };
        let keys = [json!(null), json!([]), json!(["a", "b"]), json!(["a", "b", "c", "d", "e"])].map(key);
        let table = table(&keys);
        let shown: Vec<_> = table.lines().skip(1).map(|line| line.split_whitespace().rev().nth(2)).collect();
        assert_eq!(shown, [Some("all"), Some("none"), Some("a,b"), Some("a,b,c,+2")], "{table}");
    }
}
