//! The changes that are killed, and what must be found after each.

use super::{
    NEIGHBOURS, OTHER_EMAIL, OTHER_PASSWORD, RENAMED, ROLE, SUBJECT, SUBJECT_EMAIL, Scenario, email_of,
    own_role,
};
use crate::support::client::Answer;
use crate::support::fixtures::{PASSWORD, new_organization};
use crate::support::process::Server;
use reqwest::Method;
use serde_json::{Value, json};
use tenantry_domain::failpoints::every_point;

/// A change during which the service is killed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    Create,
    CreateWithKey,
    /// By an account that is signed in to another organization.
    CreateOwn,
    Rename,
    RenameWithCredentials,
    /// To a name that is free, with an address that is not: undone after its intent.
    RenameRefused,
    Update,
    Suspend,
    Reactivate,
    SetPassword,
    Delete,
    Restore,
    /// With an address that is taken meanwhile: undone after its intent.
    RestoreRefused,
    Purge,
    /// Under the id of an organization that was purged.
    Import,
    /// Of an archive whose last line is missing: undone after all of it is there.
    ImportDamaged,
    /// By an account that is signed in.
    AddMember,
    /// With a new account.
    AddNewMember,
    /// From owner to viewer.
    ChangeRole,
    RemoveMember,
    CreateRole,
    UpdateRole,
    DeleteRole,
}

/// The outcome of a change.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChangeOutcome {
    /// Everything is as it was.
    Undone,
    /// The change is complete.
    Done,
}

/// The state that must be found.
#[derive(Clone, Copy)]
pub struct Expected {
    pub outcome: ChangeOutcome,
    /// How many log entries it has.
    pub logged: usize,
}

impl Case {
    pub const ALL: [Self; 23] = [
        Self::Create,
        Self::CreateWithKey,
        Self::CreateOwn,
        Self::Rename,
        Self::RenameWithCredentials,
        Self::RenameRefused,
        Self::Update,
        Self::Suspend,
        Self::Reactivate,
        Self::SetPassword,
        Self::Delete,
        Self::Restore,
        Self::RestoreRefused,
        Self::Purge,
        Self::Import,
        Self::ImportDamaged,
        Self::AddMember,
        Self::AddNewMember,
        Self::ChangeRole,
        Self::RemoveMember,
        Self::CreateRole,
        Self::UpdateRole,
        Self::DeleteRole,
    ];

    /// The name of its operation in crash points and in the log.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Create | Self::CreateWithKey | Self::CreateOwn => "create",
            Self::Rename | Self::RenameWithCredentials | Self::RenameRefused => "rename",
            Self::Update => "update",
            Self::Suspend => "suspend",
            Self::Reactivate => "reactivate",
            Self::SetPassword => "set_password",
            Self::Delete => "delete",
            Self::Restore | Self::RestoreRefused => "restore",
            Self::Purge => "purge",
            Self::Import | Self::ImportDamaged => "import",
            Self::AddMember | Self::AddNewMember => "add_member",
            Self::ChangeRole => "change_role",
            Self::RemoveMember => "remove_member",
            Self::CreateRole => "create_role",
            Self::UpdateRole => "update_role",
            Self::DeleteRole => "delete_role",
        }
    }

    pub fn is_refused(self) -> bool {
        matches!(self, Self::RenameRefused | Self::RestoreRefused | Self::ImportDamaged)
    }

    /// The crash points on its way. A refused change skips the steps between its refusal and its record, and a change
    /// that is not refused those that undo it.
    pub fn points(self) -> Vec<String> {
        let operation = format!("{}.", self.operation());
        let skipped = ["move_container", "show_container"];
        let mut points: Vec<String> =
            every_point().into_iter().filter(|point| point.starts_with(&operation)).collect();
        points.retain(|point| !self.is_refused() || !skipped.iter().any(|step| point.contains(step)));
        let undoing = ["import.drop_container", "import.remove_members", "restore.release_emails"];
        points.retain(|point| self.is_refused() || !undoing.iter().any(|step| point.contains(step)));
        points
    }

    /// What must be found after a crash at `point`: once the intent is saved, it is carried to its end. Of an import
    /// nobody else has the archive, so it is undone unless all of that was loaded.
    pub fn after(self, point: &str) -> Expected {
        let began = !point.ends_with(".intent.before");
        let is_loaded = point.contains(".record.") || point.ends_with(".load_archive.saved");
        let goes_on = !self.is_refused() && (self != Self::Import || is_loaded);
        let outcome = if began && goes_on { ChangeOutcome::Done } else { ChangeOutcome::Undone };
        Expected { outcome, logged: usize::from(began) }
    }

    /// What the log has of it then. Of several entries, the last is of the request that came last.
    pub(super) fn entries(self, expected: Expected) -> Vec<String> {
        let entry = |state: &str| format!("{} {state}", self.operation());
        let is_undone = expected.outcome == ChangeOutcome::Undone;
        let mut entries = match self {
            Self::Import => vec![entry("failed"); expected.logged],
            _ if self.is_refused() => vec![entry("failed"); expected.logged],
            _ => vec![entry("succeeded"); expected.logged],
        };
        if self == Self::Import
            && !is_undone
            && let Some(last) = entries.last_mut()
        {
            *last = entry("succeeded");
        }
        entries
    }

    /// The state that must be found after the same request has been sent again.
    pub(super) fn after_asking_again(self, found: Expected) -> Expected {
        let is_begun_again = found.outcome == ChangeOutcome::Undone
            || matches!(
                self,
                Self::Rename | Self::Update | Self::SetPassword | Self::ChangeRole | Self::UpdateRole
            );
        let outcome = if self.is_refused() { ChangeOutcome::Undone } else { ChangeOutcome::Done };
        Expected { outcome, logged: found.logged + usize::from(is_begun_again) }
    }

    /// The request that begins it.
    pub fn request(self, scenario: &Scenario) -> Request {
        let subject = scenario.subject();
        let operators = |method, path: &str, body| Request {
            method,
            path: path.to_owned(),
            body,
            ..Request::OF_OPERATOR
        };
        let owners = |body| Request {
            method: Method::PUT,
            path: "/org/update".to_owned(),
            body: Some(body),
            token: Some(scenario.tokens.asking.clone()),
            ..Request::OF_OPERATOR
        };
        match self {
            Self::Create => Request {
                token: Some(String::new()),
                ..operators(Method::POST, "/org/create", Some(new_organization(SUBJECT, SUBJECT_EMAIL)))
            },
            Self::CreateWithKey => Request { key: Some("the-only-one"), ..Self::Create.request(scenario) },
            Self::CreateOwn => Request {
                token: scenario.guest.as_ref().map(|guest| guest.at_home.clone()),
                ..operators(Method::POST, "/v1/organizations", Some(json!({ "organization_name": SUBJECT })))
            },
            Self::Rename => operators(Method::PATCH, &subject, Some(json!({ "organization_name": RENAMED }))),
            Self::RenameWithCredentials => owners(json!({
                "organization_name": SUBJECT, "new_organization_name": RENAMED,
                "email": OTHER_EMAIL, "password": OTHER_PASSWORD,
            })),
            Self::RenameRefused => owners(json!({
                "organization_name": SUBJECT, "new_organization_name": RENAMED, "email": email_of(NEIGHBOURS[0]),
            })),
            Self::Update => operators(Method::PATCH, &subject, Some(json!({ "delete_protection": true }))),
            Self::Suspend => operators(Method::POST, &format!("{subject}/suspend"), None),
            Self::Reactivate => operators(Method::POST, &format!("{subject}/reactivate"), None),
            Self::SetPassword => {
                let password = json!({ "password": OTHER_PASSWORD });
                operators(Method::POST, &format!("{subject}/set-password"), Some(password))
            }
            Self::Delete => operators(Method::DELETE, &subject, None),
            Self::Restore => operators(Method::POST, &format!("{subject}/restore"), None),
            Self::RestoreRefused => {
                let taken = json!({ "organization_name": RENAMED, "admin_email": email_of(NEIGHBOURS[0]) });
                operators(Method::POST, &format!("{subject}/restore"), Some(taken))
            }
            Self::Purge => operators(Method::POST, &format!("{subject}/purge"), None),
            Self::Import | Self::ImportDamaged => {
                let end = if self.is_refused() {
                    scenario.archive.rfind("{\"end\"").unwrap()
                } else {
                    scenario.archive.len()
                };
                let archive = Some(scenario.archive[..end].to_owned());
                Request { archive, ..operators(Method::POST, "/v1/organizations/import", None) }
            }
            Self::AddMember => Request {
                body: Some(json!({ "token": scenario.invitation })),
                token: scenario.guest.as_ref().map(|guest| guest.at_home.clone()),
                ..operators(Method::POST, "/v1/invitations/accept", None)
            },
            Self::AddNewMember => Request {
                body: Some(json!({ "token": scenario.invitation, "password": PASSWORD })),
                token: Some(String::new()),
                ..operators(Method::POST, "/v1/invitations/accept", None)
            },
            Self::ChangeRole => {
                operators(Method::PATCH, &scenario.guest(), Some(json!({ "role": "viewer" })))
            }
            Self::RemoveMember => operators(Method::DELETE, &scenario.guest(), None),
            Self::CreateRole => operators(Method::POST, &format!("{subject}/roles"), Some(own_role())),
            Self::UpdateRole => {
                let body = json!({ "permissions": ["audit:read"] });
                operators(Method::PATCH, &format!("{subject}/roles/{ROLE}"), Some(body))
            }
            Self::DeleteRole => operators(Method::DELETE, &format!("{subject}/roles/{ROLE}"), None),
        }
    }

    /// The answer to the same request once more, after the first came to that: a status and a code.
    pub(super) fn answer_again(self, outcome: ChangeOutcome) -> (u16, Option<&'static str>) {
        match (self, outcome) {
            (Self::RenameRefused | Self::RestoreRefused, _) => (409, Some("email_taken")),
            (Self::ImportDamaged, _) => (400, Some("archive_invalid")),
            (Self::Import, ChangeOutcome::Done) => (409, Some("organization_exists")),
            (Self::CreateWithKey, _)
            | (Self::Create | Self::CreateOwn | Self::Import, ChangeOutcome::Undone) => (201, None),
            (Self::Purge, ChangeOutcome::Undone) => (202, None),
            (Self::RemoveMember, ChangeOutcome::Undone) => (204, None),
            (Self::AddNewMember | Self::CreateRole, ChangeOutcome::Undone) => (201, None),
            (Self::DeleteRole, ChangeOutcome::Undone) => (204, None),
            (Self::AddMember | Self::AddNewMember, ChangeOutcome::Done) => (404, Some("invitation_invalid")),
            (Self::Rename | Self::Update | Self::SetPassword | Self::ChangeRole | Self::UpdateRole, _)
            | (_, ChangeOutcome::Undone) => (200, None),
            (Self::Create | Self::CreateOwn, _) => (409, Some("name_taken")),
            // It names the organization by a name that is gone.
            (Self::RenameWithCredentials, _) => (403, Some("not_your_organization")),
            (Self::Suspend | Self::Delete, _) => (409, Some("organization_not_active")),
            (Self::Reactivate, _) => (409, Some("organization_not_suspended")),
            (Self::Restore, _) => (409, Some("organization_not_deleted")),
            (Self::Purge, _) => (404, Some("organization_not_found")),
            (Self::RemoveMember, _) => (404, Some("member_not_found")),
            (Self::CreateRole, _) => (409, Some("role_exists")),
            (Self::DeleteRole, _) => (404, Some("role_not_found")),
        }
    }

    /// The fields of the record afterwards, if there is one.
    pub(super) fn record(self, outcome: ChangeOutcome) -> Option<Value> {
        let active =
            json!({ "name": SUBJECT, "state": "active", "suspended": false, "delete_protection": false });
        let with = |changes: Value| {
            let mut record = active.clone();
            record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            Some(record)
        };
        match (self, outcome) {
            (
                Self::Create | Self::CreateWithKey | Self::CreateOwn | Self::Import | Self::ImportDamaged,
                ChangeOutcome::Undone,
            )
            | (Self::Purge, ChangeOutcome::Done) => None,
            (Self::Rename | Self::RenameWithCredentials, ChangeOutcome::Done) => {
                with(json!({ "name": RENAMED }))
            }
            (Self::AddMember | Self::AddNewMember, ChangeOutcome::Undone)
            | (Self::RemoveMember, ChangeOutcome::Done) => with(json!({ "members": 1 })),
            (Self::AddMember | Self::AddNewMember, ChangeOutcome::Done)
            | (Self::RemoveMember, ChangeOutcome::Undone)
            | (Self::ChangeRole, _) => with(json!({ "members": 2 })),
            (Self::Import, ChangeOutcome::Done) => with(json!({ "members": 3 })),
            (Self::Update, ChangeOutcome::Done) => with(json!({ "delete_protection": true })),
            (Self::CreateRole, ChangeOutcome::Undone) | (Self::DeleteRole, ChangeOutcome::Done) => {
                with(json!({ "roles": null }))
            }
            (Self::Suspend, ChangeOutcome::Done) | (Self::Reactivate, ChangeOutcome::Undone) => {
                with(json!({ "suspended": true }))
            }
            (Self::Delete, ChangeOutcome::Done)
            | (Self::Restore | Self::RestoreRefused | Self::Purge, ChangeOutcome::Undone) => {
                with(json!({ "state": "deleted" }))
            }
            _ => Some(active),
        }
    }

    /// The status that an old token of the owner gets.
    pub(super) fn token_status(self, outcome: ChangeOutcome) -> Option<u16> {
        match (self, outcome) {
            (Self::Create | Self::CreateWithKey | Self::CreateOwn, _) => None,
            // Of the organization that was purged.
            (Self::Import | Self::ImportDamaged, _) => Some(401),
            // Another member changes.
            (Self::AddMember | Self::AddNewMember | Self::ChangeRole | Self::RemoveMember, _) => Some(200),
            (Self::Rename | Self::RenameRefused | Self::Update, _) => Some(200),
            (Self::CreateRole | Self::UpdateRole | Self::DeleteRole, _) => Some(200),
            (
                Self::RenameWithCredentials | Self::Suspend | Self::SetPassword | Self::Delete,
                ChangeOutcome::Undone,
            ) => Some(200),
            _ => Some(401),
        }
    }

    /// The statuses of sign-ins with the first password and with the second.
    pub(super) fn sign_in_statuses(self, outcome: ChangeOutcome) -> (u16, u16) {
        match (self, outcome) {
            (Self::RenameWithCredentials, ChangeOutcome::Done) => (401, 200),
            // The owner has another address.
            (Self::CreateOwn, _) => (401, 401),
            // The second password is tried with another address.
            (Self::SetPassword, ChangeOutcome::Done) => (401, 401),
            (Self::Suspend, ChangeOutcome::Done) | (Self::Reactivate, ChangeOutcome::Undone) => (403, 401),
            (Self::Create | Self::CreateWithKey | Self::Restore | Self::Import, ChangeOutcome::Undone) => {
                (401, 401)
            }
            (Self::ImportDamaged, _) => (401, 401),
            (Self::Delete, ChangeOutcome::Done) | (Self::Purge | Self::RestoreRefused, _) => (401, 401),
            _ => (200, 401),
        }
    }
}

/// A request as data, so that it can be sent again.
#[derive(Clone)]
pub struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) body: Option<Value>,
    /// None: with the operator key; empty: without a credential.
    pub(super) token: Option<String>,
    /// `Idempotency-Key`.
    pub(super) key: Option<&'static str>,
    /// The archive that is sent in place of JSON.
    pub(super) archive: Option<String>,
}

impl Request {
    pub(super) const OF_OPERATOR: Self =
        Self { method: Method::GET, path: String::new(), body: None, token: None, key: None, archive: None };

    pub async fn send(&self, server: &Server) -> reqwest::Result<Answer> {
        let mut client = match self.token.as_deref() {
            None => server.operator(),
            Some("") => server.client(),
            Some(token) => server.client().with_token(token),
        };
        if let Some(key) = self.key {
            client = client.with_header("idempotency-key", key);
        }
        let json = self.body.as_ref().map(|body| ("application/json", body.to_string().into_bytes()));
        let archive =
            self.archive.as_ref().map(|archive| ("application/x-ndjson", archive.clone().into_bytes()));
        let body = json.or(archive);
        client.try_send(self.method.clone(), &self.path, body).await
    }
}
