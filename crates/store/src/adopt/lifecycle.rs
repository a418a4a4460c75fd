//! Whether a record of the other program is in use: its flags, times and statuses.
//!
//! What says so in a way that is not understood is a conflict, never "active": an organization or an account that
//! nobody could use before must not come alive here.

use crate::adopt::values::{shown, time};
use bson::{Bson, Document};
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Whether a record is in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::adopt) enum Life {
    Active,
    Suspended,
    Deleted,
}

impl Life {
    /// The state of that name, as the options have it.
    pub(in crate::adopt) fn parse(name: &str) -> Option<Self> {
        [Self::Active, Self::Suspended, Self::Deleted].into_iter().find(|life| life.as_str() == name)
    }

    pub(in crate::adopt) const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
        }
    }
}

/// How a field says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mark {
    /// The record is that if the field is true, or is a time.
    If(Life),
    /// The record is suspended if the field is false.
    Unless,
    /// A word.
    Status,
}

/// Names of fields, in lower case and without anything but letters.
const MARKS: [(&[&str], Mark); 4] = [
    (
        &[
            "deletedat",
            "deletedon",
            "datedeleted",
            "deletiondate",
            "deletionrequestedat",
            "deletionscheduledat",
            "removedat",
            "trashedat",
            "archivedat",
            "isdeleted",
            "deleted",
            "softdeleted",
            "issoftdeleted",
            "isremoved",
            "removed",
            "istrashed",
            "trashed",
            "isarchived",
            "archived",
            "pendingdeletion",
        ],
        Mark::If(Life::Deleted),
    ),
    (
        &[
            "suspendedat",
            "disabledat",
            "deactivatedat",
            "blockedat",
            "bannedat",
            "lockedat",
            "frozenat",
            "issuspended",
            "suspended",
            "isdisabled",
            "disabled",
            "isdeactivated",
            "deactivated",
            "isinactive",
            "inactive",
            "isblocked",
            "blocked",
            "isbanned",
            "banned",
            "islocked",
            "locked",
            "isfrozen",
            "frozen",
            "ispaused",
            "paused",
        ],
        Mark::If(Life::Suspended),
    ),
    (&["isactive", "active", "isenabled", "enabled"], Mark::Unless),
    (
        &[
            "status",
            "state",
            "accountstatus",
            "adminstatus",
            "userstatus",
            "organizationstatus",
            "orgstatus",
            "tenantstatus",
            "lifecyclestate",
            "lifecyclestatus",
        ],
        Mark::Status,
    ),
];

/// Statuses, in lower case and with underscores.
const STATUSES: [(&[&str], Life); 3] = [
    (
        &["active", "enabled", "live", "ok", "normal", "approved", "verified", "confirmed", "ready"],
        Life::Active,
    ),
    (
        &[
            "suspended",
            "inactive",
            "disabled",
            "deactivated",
            "blocked",
            "banned",
            "locked",
            "frozen",
            "paused",
        ],
        Life::Suspended,
    ),
    (
        &[
            "deleted",
            "soft_deleted",
            "removed",
            "archived",
            "trashed",
            "trash",
            "deleting",
            "pending_deletion",
            "pending_delete",
            "marked_for_deletion",
            "to_be_deleted",
            "purged",
        ],
        Life::Deleted,
    ),
];

/// What the fields of a record say.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::adopt) struct Lifecycle {
    pub(in crate::adopt) life: Life,
    /// The field and the value that say so, if it is not active.
    pub(in crate::adopt) because: Option<(String, String)>,
    /// When it was deleted, if a field says.
    pub(in crate::adopt) deleted_at: Option<Timestamp>,
    /// Fields and values that are not understood.
    pub(in crate::adopt) unknown: Vec<(String, String)>,
}

impl Lifecycle {
    /// Reads it. What several fields say, the worst of it holds; `statuses` are values whose meaning the operator has
    /// given.
    pub(in crate::adopt) fn read(record: &Document, statuses: &BTreeMap<String, String>) -> Self {
        let mut read = Self { life: Life::Active, because: None, deleted_at: None, unknown: Vec::new() };
        for (name, value) in record {
            let Some(mark) = mark_of(name).filter(|_| !is_absent(value)) else { continue };
            let given = || statuses.get(&shown(Some(value))).and_then(|state| Life::parse(state));
            let life = match mark {
                Mark::Status => given().or_else(|| status(value)),
                Mark::If(life) => {
                    is_set(value).map(|is_set| if is_set { life } else { Life::Active }).or_else(given)
                }
                Mark::Unless => is_set(value)
                    .map(|is_set| if is_set { Life::Active } else { Life::Suspended })
                    .or_else(given),
            };
            let Some(life) = life else {
                read.unknown.push((name.clone(), shown(Some(value))));
                continue;
            };
            if life == Life::Deleted && read.deleted_at.is_none() {
                read.deleted_at = time(value);
            }
            if life > read.life {
                read.life = life;
                read.because = Some((name.clone(), shown(Some(value))));
            }
        }
        read
    }
}

/// Whether fields of that name say whether a record is in use.
pub(in crate::adopt) fn is_of_lifecycle(name: &str) -> bool {
    mark_of(name).is_some()
}

/// Whether it says nothing.
pub(in crate::adopt) fn is_absent(value: &Bson) -> bool {
    matches!(value, Bson::Null | Bson::Undefined) || value.as_str().is_some_and(|text| text.trim().is_empty())
}

fn mark_of(name: &str) -> Option<Mark> {
    let letters = letters(name);
    MARKS.iter().find(|(names, _)| names.contains(&letters.as_str())).map(|(_, mark)| *mark)
}

/// The letters of a name in lower case, so that `is_active` and `isActive` are one.
pub(in crate::adopt) fn letters(name: &str) -> String {
    name.chars().filter(|c| c.is_alphabetic()).flat_map(char::to_lowercase).collect()
}

fn status(value: &Bson) -> Option<Life> {
    if let Bson::Boolean(is_active) = value {
        return Some(if *is_active { Life::Active } else { Life::Suspended });
    }
    let word = value.as_str()?.trim().to_lowercase().replace(['-', ' '], "_");
    STATUSES.iter().find(|(words, _)| words.contains(&word.as_str())).map(|(_, life)| *life)
}

/// Whether a flag is true, or a time is there. A time of the epoch or before is none: programs write it for "never".
pub(in crate::adopt) fn is_set(value: &Bson) -> Option<bool> {
    if let Bson::Boolean(is_set) = value {
        return Some(*is_set);
    }
    if let Some(time) = time(value) {
        return Some(time > Timestamp::UNIX_EPOCH);
    }
    match shown(Some(value)).trim().to_lowercase().as_str() {
        "0" | "0.0" | "false" | "no" | "n" | "off" | "none" | "null" => Some(false),
        "1" | "1.0" | "true" | "yes" | "y" | "on" => Some(true),
        _ => None,
    }
}
