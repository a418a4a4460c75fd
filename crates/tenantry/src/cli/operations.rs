//! `tenantry operations`: the log of operations of all organizations, over HTTP against a running server; and logs as text
//! for people.

use super::arguments::count_argument;
use super::org::view::{align, utc};
use super::pages::List;
use super::print::switch;
use super::remote;
use crate::config;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgMatches, Command};
use jiff::Timestamp;
use serde::Deserialize;
use std::process::ExitCode;
use tenantry_domain::operation::{OperationKind, OperationState};

const AFTER: &str = "\
An operation is a change of an organization in several steps. The log has the finished ones, also of organizations that \
are gone; `tenantry org operations` shows that of one.

These commands talk to a running server (SERVER_URL) with its operator key. On the machine of the server the key is \
read from DATA_DIR; elsewhere set OPERATOR_KEY.

Examples:
  tenantry operations list --limit 20
  tenantry operations list --state failed --json";

/// `tenantry operations`.
pub fn command() -> Command {
    let command = Command::new("operations")
        .about("List the finished operations of all organizations of a running server")
        .after_help(AFTER)
        .subcommand_required(true)
        .arg_required_else_help(true)
        .arg(switch("json", "Print the JSON of the server's response").global(true))
        .subcommand(list());
    config::client_flags(command)
}

fn list() -> Command {
    let states = [OperationState::Succeeded, OperationState::Failed].map(OperationState::as_str);
    let filter = |name: &'static str, shape: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(shape).help(help)
    };
    Command::new("list")
        .about("List finished operations, the newest first")
        .after_help("Examples:\n  tenantry operations list --organization acme-corp --kind rename")
        .arg(filter("organization", "ORG", "Only those of this organization: its id or identifier"))
        .arg(
            filter("kind", "KIND", "Only those of this kind")
                .value_parser(PossibleValuesParser::new(OperationKind::ALL.map(OperationKind::as_str))),
        )
        .arg(
            filter("state", "STATE", "Only those of this state")
                .value_parser(PossibleValuesParser::new(states)),
        )
        .arg(count_argument())
}

/// Runs the command.
pub fn run(matches: &ArgMatches) -> ExitCode {
    remote::run(matches, async |client, _, arguments| {
        let filter = |name| Some((name, arguments.get_one::<String>(name)?.as_str()));
        let filters: Vec<_> = ["organization", "kind", "state"].into_iter().filter_map(filter).collect();
        let limit = arguments.get_one::<u64>("limit").copied();
        let list = List::read(&client, &["v1", "operations"], &filters, limit).await?;
        list.print(arguments.get_flag("json"), table)
    })
}

/// An operation, as far as it is shown.
#[derive(Deserialize)]
pub struct LoggedOperation {
    id: String,
    kind: String,
    state: String,
    error: Option<OperationFailure>,
    actor: Actor,
    member: Option<ChangedMember>,
    role: Option<String>,
    started_at: Timestamp,
}

#[derive(Deserialize)]
struct OperationFailure {
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
    let about = [operation.error.as_ref().map(|error| error.code.clone()), member, operation.role.clone()];
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
