//! Signing keys as text for people.

use crate::cli::org::view::{align, utc};
use jiff::Timestamp;
use serde::Deserialize;

/// The keys, as the server lists them.
#[derive(Deserialize)]
pub struct SigningKeyList {
    algorithm: String,
    items: Vec<SigningKey>,
}

#[derive(Deserialize)]
struct SigningKey {
    kid: String,
    state: String,
    published_at: Timestamp,
    signs_from: Timestamp,
    signs_until: Option<Timestamp>,
    accepted_until: Option<Timestamp>,
}

impl SigningKeyList {
    /// The names of the keys that are accepted, the last to sign first.
    pub fn in_use(&self) -> Vec<String> {
        let in_use = self.items.iter().filter(|key| key.state != "retired");
        in_use.rev().map(|key| key.kid.clone()).collect()
    }
}

/// A table with a line for each.
pub fn table(list: &SigningKeyList) -> String {
    if list.items.is_empty() {
        return format!(
            "Tokens are signed with a secret of the settings ({}), which no command rotates.",
            list.algorithm
        );
    }
    let headings = ["STATE", "PUBLISHED", "SIGNS FROM", "SIGNS UNTIL", "ACCEPTED UNTIL", "KID"];
    let row = |key: &SigningKey| {
        [
            key.state.clone(),
            utc(key.published_at),
            utc(key.signs_from),
            moment(key.signs_until),
            moment(key.accepted_until),
            key.kid.clone(),
        ]
    };
    let rows: Vec<_> =
        std::iter::once(headings.map(str::to_owned)).chain(list.items.iter().map(row)).collect();
    align(&rows)
}

fn moment(moment: Option<Timestamp>) -> String {
    moment.map_or_else(|| "-".to_owned(), utc)
}
