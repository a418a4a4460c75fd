//! Kills the service at every named point of every operation. The state after the restart must be the old one
//! or the new one, complete. The real binary kills itself, with signal 9; the checker reads what is left.
//!
//! # Pitfalls
//! A point that is never reached proves nothing. So each run first expects the process to have died there,
//! and [`crash_points_all_belong_to_a_case`] expects each point to be run.

#![expect(clippy::print_stdout, reason = "a run says how much it killed and checked")]

use crate::archives;
use crate::support::checker::{Snapshot, put_documents, running_operations};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, encoded, new_organization};
use crate::support::mongodb::run;
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tenantry_domain::failpoints::every_point;
use tenantry_domain::limits::ID_COOLDOWN;

pub mod load;
mod several;

/// The time for a start that finishes everything under way.
pub const RECOVERY: Duration = Duration::from_secs(5);
/// The time for a start if each step waits for another process, on a busy machine.
pub const RECOVERY_ON_MONGODB: Duration = Duration::from_secs(20);
/// What the tests change, and what it may become.
pub const SUBJECT: &str = "Subject Org";
pub const RENAMED: &str = "Renamed Org";
pub const SUBJECT_EMAIL: &str = "owner@subject.example";
const OTHER_EMAIL: &str = "other@subject.example";
const OTHER_PASSWORD: &str = "another horse battery";
/// Those that nobody changes: in use, suspended, deleted.
pub const NEIGHBOURS: [&str; 3] = ["Neighbour One", "Neighbour Two", "Neighbour Three"];

/// A change that is killed, and what must come of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Case {
    Create,
    CreateWithKey,
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
}

/// What a change came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum ChangeOutcome {
    /// To nothing: everything is as it was.
    Undone,
    /// To its end.
    Done,
}

/// What must be found.
#[derive(Clone, Copy)]
pub struct Expected {
    pub outcome: ChangeOutcome,
    /// How many entries the log has of it.
    pub logged: usize,
}

impl Case {
    pub const ALL: [Self; 15] = [
        Self::Create,
        Self::CreateWithKey,
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
    ];

    /// The name of its operation in crash points and in the log.
    pub fn operation(self) -> &'static str {
        match self {
            Self::Create | Self::CreateWithKey => "create",
            Self::Rename | Self::RenameWithCredentials | Self::RenameRefused => "rename",
            Self::Update => "update",
            Self::Suspend => "suspend",
            Self::Reactivate => "reactivate",
            Self::SetPassword => "set_password",
            Self::Delete => "delete",
            Self::Restore | Self::RestoreRefused => "restore",
            Self::Purge => "purge",
            Self::Import | Self::ImportDamaged => "import",
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
        let undoing = ["import.drop_container", "import.remove_members"];
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
    fn entries(self, expected: Expected) -> Vec<String> {
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

    /// What must be found when the same request has come once more.
    fn after_asking_again(self, found: Expected) -> Expected {
        let is_begun_again = found.outcome == ChangeOutcome::Undone
            || matches!(self, Self::Rename | Self::Update | Self::SetPassword);
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
        }
    }

    /// The answer to the same request once more, after the first came to that: a status and a code.
    fn answer_again(self, outcome: ChangeOutcome) -> (u16, Option<&'static str>) {
        match (self, outcome) {
            (Self::RenameRefused | Self::RestoreRefused, _) => (409, Some("email_taken")),
            (Self::ImportDamaged, _) => (400, Some("archive_invalid")),
            (Self::Import, ChangeOutcome::Done) => (409, Some("organization_exists")),
            (Self::CreateWithKey, _) | (Self::Create | Self::Import, ChangeOutcome::Undone) => (201, None),
            (Self::Purge, ChangeOutcome::Undone) => (202, None),
            (Self::Rename | Self::Update | Self::SetPassword, _) | (_, ChangeOutcome::Undone) => (200, None),
            (Self::Create, _) => (409, Some("name_taken")),
            // It names the organization by a name that is gone.
            (Self::RenameWithCredentials, _) => (403, Some("not_your_organization")),
            (Self::Suspend | Self::Delete, _) => (409, Some("organization_not_active")),
            (Self::Reactivate, _) => (409, Some("organization_not_suspended")),
            (Self::Restore, _) => (409, Some("organization_not_deleted")),
            (Self::Purge, _) => (404, Some("organization_not_found")),
        }
    }

    /// What the record must show afterwards, if there is one.
    fn record(self, outcome: ChangeOutcome) -> Option<Value> {
        let active =
            json!({ "name": SUBJECT, "state": "active", "suspended": false, "delete_protection": false });
        let with = |changes: Value| {
            let mut record = active.clone();
            record.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            Some(record)
        };
        match (self, outcome) {
            (
                Self::Create | Self::CreateWithKey | Self::Import | Self::ImportDamaged,
                ChangeOutcome::Undone,
            )
            | (Self::Purge, ChangeOutcome::Done) => None,
            (Self::Rename | Self::RenameWithCredentials, ChangeOutcome::Done) => {
                with(json!({ "name": RENAMED }))
            }
            (Self::Update, ChangeOutcome::Done) => with(json!({ "delete_protection": true })),
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

    /// What a token of the owner that was given out before it all gets.
    fn token_status(self, outcome: ChangeOutcome) -> Option<u16> {
        match (self, outcome) {
            (Self::Create | Self::CreateWithKey, _) => None,
            // Of the organization that was purged.
            (Self::Import | Self::ImportDamaged, _) => Some(401),
            (Self::Rename | Self::RenameRefused | Self::Update, _) => Some(200),
            (
                Self::RenameWithCredentials | Self::Suspend | Self::SetPassword | Self::Delete,
                ChangeOutcome::Undone,
            ) => Some(200),
            _ => Some(401),
        }
    }

    /// What the owner gets who signs in with the first password, and with the second.
    fn sign_in_statuses(self, outcome: ChangeOutcome) -> (u16, u16) {
        match (self, outcome) {
            (Self::RenameWithCredentials, ChangeOutcome::Done) => (401, 200),
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
    method: Method,
    path: String,
    body: Option<Value>,
    /// None: with the operator key; empty: without a credential.
    token: Option<String>,
    /// `Idempotency-Key`.
    key: Option<&'static str>,
    /// What is sent in place of JSON.
    archive: Option<String>,
}

impl Request {
    const OF_OPERATOR: Self =
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

/// Tokens of the subject's owner, from two sign-ins.
#[derive(Clone, Default)]
pub struct Tokens {
    asking: String,
    other: String,
}

/// A subject and its neighbours, each with documents.
pub struct Scenario {
    pub test_env: TestEnv,
    /// By name, as they were created.
    pub ids: BTreeMap<String, String>,
    pub documents: BTreeMap<String, BTreeSet<String>>,
    tokens: Tokens,
    /// Of the subject, where that was purged.
    archive: String,
}

impl Scenario {
    /// The neighbours, and the subject in the state that `case` begins from.
    pub async fn before(case: Case) -> Self {
        Self::at(TestEnv::new(), case).await
    }

    /// The same world at the given place.
    pub async fn at(test_env: TestEnv, case: Case) -> Self {
        let (ids, documents, tokens) = Default::default();
        let mut scenario = Self { test_env, ids, documents, tokens, archive: String::new() };
        let server = Launch::on(&scenario.test_env).start();
        for name in NEIGHBOURS {
            scenario.create(&server, name, &email_of(name)).await;
        }
        operate(&server, Method::POST, &format!("{}/suspend", scenario.path_of(NEIGHBOURS[1]))).await;
        operate(&server, Method::DELETE, &scenario.path_of(NEIGHBOURS[2])).await;
        if !matches!(case, Case::Create | Case::CreateWithKey) {
            scenario.create(&server, SUBJECT, SUBJECT_EMAIL).await;
            scenario.tokens =
                Tokens { asking: token(&server.client()).await, other: token(&server.client()).await };
        }
        match case {
            Case::Reactivate => {
                operate(&server, Method::POST, &format!("{}/suspend", scenario.subject())).await
            }
            Case::Restore | Case::RestoreRefused | Case::Purge => {
                operate(&server, Method::DELETE, &scenario.subject()).await;
            }
            _ => {}
        }
        server.stop().await;
        for id in scenario.ids.values() {
            scenario.documents.insert(id.clone(), put_documents(&scenario.test_env, id, 7));
        }
        if matches!(case, Case::Import | Case::ImportDamaged) {
            scenario.export_and_purge().await;
        }
        Snapshot::sound(&scenario.test_env);
        scenario
    }

    /// Nothing is left of the subject but its archive.
    async fn export_and_purge(&mut self) {
        let server = Launch::on(&self.test_env).start();
        self.archive = server.operator().get(&format!("{}/export", self.subject())).await.text;
        operate(&server, Method::DELETE, &self.subject()).await;
        server.operator().post_empty(&format!("{}/purge", self.subject())).await.accepted();
        while running_operations(&self.test_env) > 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.stop().await;
        self.let_id_rest();
    }

    /// Dates the end of the subject's operations back, where its id has to rest before it is imported again: into a
    /// share. Elsewhere an import comes at once.
    fn let_id_rest(&self) {
        if !self.archive.contains("\"placement\":\"shared\"") {
            return;
        }
        let operations = self.test_env.database().unwrap().collection("operations");
        let filter = doc! { "organization_id": ObjectId::parse_str(&self.ids[SUBJECT]).unwrap() };
        let rest = i64::try_from(ID_COOLDOWN.as_millis()).unwrap();
        let earlier = doc! { "$set": { "finished_at": { "$subtract": ["$finished_at", rest] } } };
        let aged = run(async move { operations.update_many(filter, vec![earlier]).await.unwrap() });
        assert!(aged.modified_count > 0, "the log says nothing of the subject");
    }

    /// Another one, the same to the byte (but for the identities of containers, where engines give them).
    pub fn copy(&self) -> Self {
        let (ids, documents) = (self.ids.clone(), self.documents.clone());
        let (tokens, archive) = (self.tokens.clone(), self.archive.clone());
        Self { test_env: self.test_env.copy(), ids, documents, tokens, archive }
    }

    async fn create(&mut self, server: &Server, name: &str, email: &str) {
        let mut answer = server.client().post("/org/create", &new_organization(name, email)).await;
        if answer.is_refused("overloaded") {
            // On a machine that has much to do: the change goes on, and is no less whole for that.
            while running_operations(&self.test_env) > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            answer = server.client().get(&format!("/org/get?organization_name={}", encoded(name))).await;
        }
        assert!(answer.status.is_success(), "{answer}");
        self.ids.insert(name.to_owned(), answer.json()["id"].as_str().unwrap().to_owned());
    }

    pub fn path_of(&self, name: &str) -> String {
        format!("/v1/organizations/{}", self.ids[name])
    }

    /// The id of the subject, if it was created.
    pub fn subject_id(&self) -> String {
        self.ids.get(SUBJECT).cloned().unwrap_or_default()
    }

    /// The path of the subject, if it was created.
    pub fn subject(&self) -> String {
        self.ids.get(SUBJECT).map(|id| format!("/v1/organizations/{id}")).unwrap_or_default()
    }

    /// Sends the request that begins `case`, at a service that dies at `point`.
    async fn crash(&self, case: Case, point: &str) {
        let server = Launch::on(&self.test_env).env("TENANTRY_CRASH_AT", point).start();
        let answer = case.request(self).send(&server).await;
        assert!(answer.is_err(), "{point}: it was answered {}", answer.unwrap());
        server.crashed().await;
    }

    pub async fn recover(&self) -> Server {
        recovered(&self.test_env).await
    }

    /// Starts a service that dies at `point` of what it finds half done.
    async fn crash_in_recovery(&self, point: &str) {
        self.test_env.end_leases();
        Launch::on(&self.test_env).env("TENANTRY_CRASH_AT", point).spawn().crashed().await;
    }

    /// Starts the service, at last undisturbed, and expects what must be found after a crash at `point`.
    async fn expect_after_recovery(&self, case: Case, point: &str, before: &Snapshot) {
        let server = self.recover().await;
        self.expect(case, case.after(point), before, &server).await;
        server.stop().await;
        Snapshot::sound(&self.test_env);
    }

    /// Expects everything to be as it must be after `case`, begun from `before`.
    pub async fn expect(&self, case: Case, expected: Expected, before: &Snapshot, server: &Server) {
        let outcome = expected.outcome;
        let after = Snapshot::sound(&self.test_env);
        for name in NEIGHBOURS {
            let id = &self.ids[name];
            assert_eq!(before.belongings(id), after.belongings(id), "{name} has changed");
        }
        let subject = after.named(SUBJECT).or(after.named(RENAMED)).map(id_of);
        let subject = self.ids.get(SUBJECT).cloned().or(subject).unwrap_or_default();
        let record = after.organization(&subject);
        assert_eq!(record.is_some(), case.record(outcome).is_some(), "{record:?}");
        for (member, wanted) in case.record(outcome).iter().flat_map(|record| record.as_object().unwrap()) {
            assert_eq!(record.unwrap()[member], *wanted, "{member}");
        }
        if case == Case::Import {
            self.expect_imported(outcome, server).await;
        } else {
            let kept = record.and_then(|_| self.documents.get(&subject)).cloned().unwrap_or_default();
            assert_eq!(after.documents(&subject), kept, "documents are lost or there twice");
        }
        let mut log = before.log_of(&subject);
        log.extend(case.entries(expected));
        assert_eq!(after.log_of(&subject), log);
        self.expect_answers(case, outcome, server, &after).await;
    }

    /// What was imported has other revisions, and all else is the same.
    async fn expect_imported(&self, outcome: ChangeOutcome, server: &Server) {
        let answer = server.operator().get(&format!("{}/export", self.subject())).await;
        match outcome {
            ChangeOutcome::Undone => drop(answer.refused("organization_not_found")),
            ChangeOutcome::Done => assert_eq!(archives::data(&answer.text), archives::data(&self.archive)),
        }
    }

    /// Names, tokens and passwords are answered as the records are.
    async fn expect_answers(&self, case: Case, outcome: ChangeOutcome, server: &Server, after: &Snapshot) {
        for name in NEIGHBOURS.into_iter().chain([SUBJECT, RENAMED]) {
            let answer = server.client().get(&format!("/org/get?organization_name={}", encoded(name))).await;
            match after.named(name) {
                Some(record) => assert_eq!(answer.ok()["id"], record["id"], "{name} is another's"),
                None => drop(answer.refused("organization_not_found")),
            }
        }
        if let Some(status) = case.token_status(outcome) {
            let answer = server.client().with_token(&self.tokens.other).get(&self.subject()).await;
            assert_eq!(answer.status.as_u16(), status, "{answer}");
        }
    }

    async fn expect_sign_ins(&self, case: Case, outcome: ChangeOutcome, server: &Server) {
        let (first, second) = case.sign_in_statuses(outcome);
        for (email, password, status) in
            [(SUBJECT_EMAIL, PASSWORD, first), (OTHER_EMAIL, OTHER_PASSWORD, second)]
        {
            let body = json!({ "email": email, "password": password });
            let answer = server.client().post("/admin/login", &body).await;
            assert_eq!(answer.status.as_u16(), status, "{answer}");
        }
    }

    /// Sends the request once more, as a client does that got no answer.
    pub async fn ask_again(&self, case: Case, found: Expected, server: &Server) -> Expected {
        self.let_id_rest();
        let answer = case.request(self).send(server).await.unwrap();
        let (status, code) = case.answer_again(found.outcome);
        assert_eq!(answer.status.as_u16(), status, "{answer}");
        if let Some(code) = code {
            answer.refused(code);
        }
        case.after_asking_again(found)
    }
}

/// Kills the service at each point of `case`.
async fn kill_everywhere(case: Case) {
    let template = Scenario::before(case).await;
    for point in case.points() {
        println!("{case:?} at {point}");
        let scenario = template.copy();
        let before = Snapshot::sound(&scenario.test_env);
        scenario.crash(case, &point).await;

        let server = scenario.recover().await;
        let expected = case.after(&point);
        scenario.expect(case, expected, &before, &server).await;
        server.stop().await;
        let settled = Snapshot::sound(&scenario.test_env);

        let server = scenario.recover().await;
        settled.assert_unchanged(&Snapshot::sound(&scenario.test_env));
        let expected = scenario.ask_again(case, expected, &server).await;
        scenario.expect(case, expected, &before, &server).await;
        scenario.expect_sign_ins(case, expected.outcome, &server).await;
        server.stop().await;
        Snapshot::sound(&scenario.test_env);
    }
}

/// Kills the service at each point of `case`, and then three times more at the same point of its recovery.
async fn kill_recoveries(case: Case) {
    let template = Scenario::before(case).await;
    // What is saved is behind a recovery: it passes only the points around the effect that it repeats.
    let points = case.points().into_iter().filter(|point| is_repeated(point)).collect();
    // A start is slower there, and what is repeated is the same.
    let share = if template.test_env.database().is_none() { 1 } else { 3 };
    for point in sample(points, share) {
        println!("{case:?} at {point}, and again");
        kill_and_kill_again(&template.copy(), case, &point, 3).await;
    }
}

/// Whether a recovery after a crash there passes it once more.
fn is_repeated(point: &str) -> bool {
    ![".intent.before", ".intent.saved"].iter().any(|end| point.ends_with(end))
        && !point.ends_with(".saved")
        && !point.ends_with(".part")
}

/// Kills the service at `point` of `case`, and `times` more at the same point of its recovery.
pub async fn kill_and_kill_again(scenario: &Scenario, case: Case, point: &str, times: u64) {
    let before = Snapshot::sound(&scenario.test_env);
    scenario.crash(case, point).await;
    for _ in 0..if is_repeated(point) { times } else { 0 } {
        scenario.crash_in_recovery(point).await;
    }
    scenario.expect_after_recovery(case, point, &before).await;
}

/// Kills one operation at each of its points in turn: first in the request, then in recovery after recovery.
async fn kill_at_each_point_in_turn(case: Case) {
    let scenario = Scenario::before(case).await;
    let before = Snapshot::sound(&scenario.test_env);
    let mut points = case.points();
    // A process that takes over has no archive to load a part of.
    points.retain(|point| !point.ends_with(".part"));
    let (first, others) = points[1..].split_first().unwrap();
    scenario.crash(case, first).await;
    for point in others {
        println!("{case:?} goes on to {point}");
        scenario.crash_in_recovery(point).await;
    }
    scenario.expect_after_recovery(case, first, &before).await;
}

/// One of `share` points, by chance, and at least one; all of them if `TENANTRY_CHAOS` is `all`.
pub fn sample(mut points: Vec<String>, share: usize) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "no setting: how much a test run takes on itself")]
    let is_all = std::env::var("TENANTRY_CHAOS").is_ok_and(|much| much == "all");
    if is_all {
        return points;
    }
    let mut rng = TestRng::of_this_run();
    let kept = points.len().div_ceil(share);
    while points.len() > kept {
        points.remove(rng.below(points.len() as u64) as usize);
    }
    points
}

macro_rules! cases {
    ($($module:ident: $case:ident;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test]
            async fn operation_stays_whole_when_killed_at_any_point() {
                kill_everywhere(Case::$case).await;
            }

            #[tokio::test]
            async fn operation_stays_whole_when_recovery_is_killed_three_times() {
                kill_recoveries(Case::$case).await;
            }

            #[tokio::test]
            async fn operation_stays_whole_when_killed_at_each_point_in_turn() {
                kill_at_each_point_in_turn(Case::$case).await;
            }
        }
    )*};
}

/// Calls a macro with every case and the name of its tests, so that a new case is tried everywhere.
macro_rules! every_case {
    ($cases:ident) => {
        $cases! {
            create: Create;
            create_with_idempotency_key: CreateWithKey;
            rename: Rename;
            rename_with_credentials: RenameWithCredentials;
            rename_refused: RenameRefused;
            update: Update;
            suspend: Suspend;
            reactivate: Reactivate;
            set_password: SetPassword;
            delete: Delete;
            restore: Restore;
            restore_refused: RestoreRefused;
            purge: Purge;
            import: Import;
            import_damaged: ImportDamaged;
        }
    };
}
pub(crate) use every_case;

self::every_case!(cases);

#[test]
fn crash_points_all_belong_to_a_case() {
    let run: BTreeSet<String> = Case::ALL.into_iter().flat_map(Case::points).collect();
    assert_eq!(run, every_point().into_iter().collect());
}

/// Starts the service after a crash and waits until nothing is under way any more.
pub async fn recovered(test_env: &TestEnv) -> Server {
    // Where a process could be beside it, the service would wait for them to run out by themselves.
    test_env.end_leases();
    let patience = if test_env.database().is_none() { RECOVERY } else { RECOVERY_ON_MONGODB };
    let began = Instant::now();
    let server = Launch::on(test_env).start();
    loop {
        let (running, took) = (running_operations(test_env), began.elapsed());
        assert!(took < patience, "{running} are not recovered after {took:?}: {}", server.log());
        if running == 0 {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn token(client: &Client) -> String {
    let body = json!({ "email": SUBJECT_EMAIL, "password": PASSWORD });
    client.post("/admin/login", &body).await.ok()["access_token"].as_str().unwrap().to_owned()
}

pub async fn operate(server: &Server, method: Method, path: &str) {
    server.operator().send(method, path, None).await.ok();
}

fn email_of(name: &str) -> String {
    format!("owner@{}.example", name.to_lowercase().replace(' ', "-"))
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}
