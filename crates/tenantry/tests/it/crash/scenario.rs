//! An organization that is changed and its neighbours: before a crash, after it, and the checks on them.

use super::{
    Case, ChangeOutcome, Expected, GUEST, GUEST_EMAIL, NEIGHBOURS, OTHER_EMAIL, OTHER_PASSWORD, RENAMED,
    ROLE, SUBJECT, SUBJECT_EMAIL, email_of, id_of, operate, own_role, recovered, token,
};
use crate::archives;
use crate::support::checker::{Snapshot, put_documents, running_operations};
use crate::support::fixtures::{PASSWORD, encoded, new_organization};
use crate::support::mongodb::run;
use crate::support::process::{Launch, Server};
use crate::support::records::add_member;
use crate::support::test_env::TestEnv;
use mongodb::bson::doc;
use mongodb::bson::oid::ObjectId;
use reqwest::Method;
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use tenantry_domain::limits::ID_COOLDOWN;

/// Tokens of the subject's owner, from two sign-ins.
#[derive(Clone, Default)]
pub struct Tokens {
    pub(super) asking: String,
    pub(super) other: String,
}

/// The owner of another organization, who is also an owner of the subject, or is invited into it.
#[derive(Clone, Default)]
pub struct Guest {
    pub(super) account: String,
    /// A token of the subject, if the account is a member there.
    pub(super) here: Option<String>,
    /// A token of the other organization.
    pub(super) at_home: String,
}

/// A subject and its neighbours, each with documents.
pub struct Scenario {
    pub test_env: TestEnv,
    /// By name, as they were created.
    pub ids: BTreeMap<String, String>,
    pub documents: BTreeMap<String, BTreeSet<String>>,
    pub(super) tokens: Tokens,
    /// Of the subject, where that was purged.
    pub(super) archive: String,
    /// Somebody else, where members change.
    pub(super) guest: Option<Guest>,
    /// The token of an invitation into the subject, where there is one.
    pub(super) invitation: String,
}

impl Scenario {
    /// The neighbours, and the subject in the state that `case` begins from.
    pub async fn before(case: Case) -> Self {
        Self::at(TestEnv::new(), case).await
    }

    /// The same on the given engine and data.
    pub async fn at(test_env: TestEnv, case: Case) -> Self {
        let (ids, documents, tokens) = Default::default();
        let (archive, invitation) = Default::default();
        let mut scenario = Self { test_env, ids, documents, tokens, archive, guest: None, invitation };
        let server = Launch::on(&scenario.test_env).start();
        for name in NEIGHBOURS {
            scenario.create(&server, name, &email_of(name)).await;
        }
        operate(&server, Method::POST, &format!("{}/suspend", scenario.path_of(NEIGHBOURS[1]))).await;
        operate(&server, Method::DELETE, &scenario.path_of(NEIGHBOURS[2])).await;
        if !matches!(case, Case::Create | Case::CreateWithKey | Case::CreateOwn) {
            scenario.create(&server, SUBJECT, SUBJECT_EMAIL).await;
            scenario.tokens =
                Tokens { asking: token(&server.client()).await, other: token(&server.client()).await };
        }
        match case {
            Case::Reactivate => {
                operate(&server, Method::POST, &format!("{}/suspend", scenario.subject())).await;
            }
            Case::Restore | Case::RestoreRefused | Case::Purge => {
                operate(&server, Method::DELETE, &scenario.subject()).await;
            }
            Case::CreateOwn | Case::AddMember | Case::ChangeRole | Case::RemoveMember => {
                scenario.create(&server, GUEST, GUEST_EMAIL).await;
                scenario.guest = Some(guest(&server).await);
            }
            _ => {}
        }
        if matches!(case, Case::Import | Case::ImportDamaged) {
            scenario.add_people(&server).await;
        }
        if matches!(case, Case::UpdateRole | Case::DeleteRole) {
            let path = format!("{}/roles", scenario.subject());
            server.operator().post(&path, &own_role()).await.created();
        }
        match case {
            Case::AddMember => {
                scenario.prove_address_of_guest(&server).await;
                scenario.invite(&server, GUEST_EMAIL).await;
            }
            Case::AddNewMember => scenario.invite(&server, "new@guest.example").await,
            _ => {}
        }
        server.stop().await;
        if matches!(case, Case::ChangeRole | Case::RemoveMember) {
            scenario.let_guest_join().await;
        }
        for id in scenario.ids.values() {
            scenario.documents.insert(id.clone(), put_documents(&scenario.test_env, id, 7));
        }
        if matches!(case, Case::Import | Case::ImportDamaged) {
            scenario.export_and_purge().await;
        }
        Snapshot::sound(&scenario.test_env);
        scenario
    }

    /// Gives the subject all that an archive may have beside documents: a role of its own, members with that role and as
    /// an owner, and a key.
    async fn add_people(&mut self, server: &Server) {
        let subject = self.subject();
        server.operator().post(&format!("{subject}/roles"), &own_role()).await.created();
        for (email, role) in [("reader@subject.example", ROLE), ("second@subject.example", "owner")] {
            let invited = json!({ "email": email, "role": role });
            let made = server.operator().post(&format!("{subject}/invitations"), &invited).await.created();
            let body = json!({ "token": made["token"], "password": PASSWORD });
            server.client().post("/v1/invitations/accept", &body).await.created();
        }
        let body = json!({ "name": "report", "permissions": ["documents:read"] });
        let owner = server.client().with_token(&self.tokens.asking);
        owner.post(&format!("{subject}/keys"), &body).await.created();
    }

    /// Invites somebody into the subject, as an owner.
    async fn invite(&mut self, server: &Server, email: &str) {
        let path = format!("{}/invitations", self.subject());
        let invited = json!({ "email": email, "role": "owner" });
        let invitation = server.operator().post(&path, &invited).await.created();
        self.invitation = invitation["token"].as_str().unwrap().to_owned();
    }

    /// Proves the guest's address: an account with an organization joins no other one before.
    async fn prove_address_of_guest(&self, server: &Server) {
        let guest = self.guest.as_ref().unwrap();
        let path = format!("{}/members/{}/links", self.path_of(GUEST), guest.account);
        let link = server.operator().post(&path, &json!({ "kind": "email_verification" })).await.created();
        let body = json!({ "token": link["token"] });
        server.client().with_token(&guest.at_home).post("/v1/auth/verify-email", &body).await.done();
    }

    /// Makes an owner of the subject of the guest.
    async fn let_guest_join(&mut self) {
        add_member(&self.test_env, GUEST_EMAIL, &self.ids[SUBJECT], "owner");
        let server = Launch::on(&self.test_env).start();
        let here = guest(&server).await.at_home;
        server.stop().await;
        if let Some(guest) = &mut self.guest {
            guest.here = Some(here);
        }
    }

    /// The path of the guest among the members of the subject.
    pub fn guest(&self) -> String {
        let account = self.guest.as_ref().map(|guest| guest.account.as_str()).unwrap_or_default();
        format!("{}/members/{account}", self.subject())
    }

    /// Nothing is left of the subject but its archive.
    pub(super) async fn export_and_purge(&mut self) {
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
    pub(super) fn let_id_rest(&self) {
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

    /// An exact copy, except for the identities of containers if the engine assigns them.
    pub fn copy(&self) -> Self {
        let (ids, documents) = (self.ids.clone(), self.documents.clone());
        let (tokens, archive) = (self.tokens.clone(), self.archive.clone());
        let (guest, invitation) = (self.guest.clone(), self.invitation.clone());
        Self { test_env: self.test_env.copy(), ids, documents, tokens, archive, guest, invitation }
    }

    pub(super) async fn create(&mut self, server: &Server, name: &str, email: &str) {
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
    pub(super) async fn crash(&self, case: Case, point: &str) {
        let server = Launch::on(&self.test_env).env("TENANTRY_CRASH_AT", point).start();
        let answer = case.request(self).send(&server).await;
        assert!(answer.is_err(), "{point}: it was answered {}", answer.unwrap());
        server.crashed().await;
    }

    pub async fn recover(&self) -> Server {
        recovered(&self.test_env).await
    }

    /// Starts a service that dies at `point` of what it finds half done.
    pub(super) async fn crash_in_recovery(&self, point: &str) {
        self.test_env.end_leases();
        Launch::on(&self.test_env).env("TENANTRY_CRASH_AT", point).spawn().crashed().await;
    }

    /// Starts the service, at last undisturbed, and expects what must be found after a crash at `point`.
    pub(super) async fn expect_after_recovery(&self, case: Case, point: &str, before: &Snapshot) {
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
    pub(super) async fn expect_imported(&self, outcome: ChangeOutcome, server: &Server) {
        let answer = server.operator().get(&format!("{}/export", self.subject())).await;
        match outcome {
            ChangeOutcome::Undone => drop(answer.refused("organization_not_found")),
            ChangeOutcome::Done => assert_eq!(archives::data(&answer.text), archives::data(&self.archive)),
        }
    }

    /// Names, tokens and passwords are answered as the records are.
    pub(super) async fn expect_answers(
        &self,
        case: Case,
        outcome: ChangeOutcome,
        server: &Server,
        after: &Snapshot,
    ) {
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
        let Some(guest) = &self.guest else { return };
        if let Some(here) = &guest.here {
            let answer = server.client().with_token(here).get(&self.subject()).await;
            let status = if outcome == ChangeOutcome::Done { 401 } else { 200 };
            assert_eq!(answer.status.as_u16(), status, "{answer}");
        }
        // What happens in one organization leaves the other alone.
        server.client().with_token(&guest.at_home).get(&self.path_of(GUEST)).await.ok();
    }

    pub(super) async fn expect_sign_ins(&self, case: Case, outcome: ChangeOutcome, server: &Server) {
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

/// The guest, signed in.
async fn guest(server: &Server) -> Guest {
    let credentials = json!({ "email": GUEST_EMAIL, "password": PASSWORD });
    let tokens = server.client().post("/admin/login", &credentials).await.ok();
    let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
    Guest { account: text("admin_id"), here: None, at_home: text("access_token") }
}
