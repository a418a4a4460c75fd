//! The log of operations as text for people.

use super::org::view::{align, utc};
use jiff::Timestamp;
use serde::Deserialize;

/// An operation, as far as it is shown.
#[derive(Deserialize)]
pub struct LoggedOperation {
    id: String,
    kind: String,
    state: String,
    error: Option<Refusal>,
    actor: Actor,
    member: Option<ChangedMember>,
    started_at: Timestamp,
}

#[derive(Deserialize)]
struct Refusal {
    code: String,
}

#[derive(Deserialize)]
struct Actor {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
}

#[derive(Deserialize)]
struct ChangedMember {
    account_id: String,
    role: Option<String>,
}

/// A table with a line for each.
pub fn table(operations: &[LoggedOperation]) -> String {
    if operations.is_empty() {
        return "No operations.".to_owned();
    }
    let headings = ["ID", "BEGAN", "KIND", "STATE", "BY", "ABOUT"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(headings).chain(operations.iter().map(row)).collect();
    align(&rows)
}

fn row(operation: &LoggedOperation) -> [String; 6] {
    let member = operation.member.as_ref().map(|member| match &member.role {
        Some(role) => format!("{} as {role}", member.account_id),
        None => member.account_id.clone(),
    });
    let about = [operation.error.as_ref().map(|error| error.code.clone()), member];
    let actor = &operation.actor;
    [
        operation.id.clone(),
        utc(operation.started_at),
        operation.kind.clone(),
        operation.state.clone(),
        actor.id.as_ref().map_or_else(|| actor.kind.clone(), |id| format!("{} {id}", actor.kind)),
        about.into_iter().flatten().collect::<Vec<_>>().join(", "),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_table_shows_actor_member_and_failure() {
        let operation = |id: &str, more: serde_json::Value| -> LoggedOperation {
            let mut operation = serde_json::json!({
                "id": id, "kind": "rename", "state": "succeeded", "error": null,
                "actor": { "type": "operator", "id": null }, "started_at": "2026-01-01T00:00:00Z",
                "a_field_of_a_later_version": 1,
            });
            operation.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value(operation).unwrap()
        };
        let operations = [
            operation("1", serde_json::json!({})),
            operation(
                "2",
                serde_json::json!({
                    "kind": "change_role", "actor": { "type": "account", "id": "a" },
                    "member": { "account_id": "b", "role": "owner" },
                }),
            ),
            operation(
                "3",
                serde_json::json!({
                    "state": "failed", "error": { "code": "name_taken", "detail": "Taken." },
                }),
            ),
        ];
        assert_eq!(
            table(&operations).lines().collect::<Vec<_>>(),
            [
                "ID  BEGAN                    KIND         STATE      BY         ABOUT",
                "1   2026-01-01 00:00:00 UTC  rename       succeeded  operator",
                "2   2026-01-01 00:00:00 UTC  change_role  succeeded  account a  b as owner",
                "3   2026-01-01 00:00:00 UTC  rename       failed     operator   name_taken",
            ]
        );
        assert_eq!(table(&[]), "No operations.");
    }
}
