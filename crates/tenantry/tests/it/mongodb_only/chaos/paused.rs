//! An instance is stopped at a named point, longer than its lease lasts. Another one goes on with its operation
//! and finishes it; then other changes follow, and at last the first one wakes and continues as if nothing had happened.

use super::{StoppedInstance, sound_at_last};
use crate::crash::{
    Case, NEIGHBOURS, RENAMED, ROLE, SUBJECT, Scenario, every_undamaged_case, own_role, sample,
};
use crate::support::checker::{Snapshot, put_documents};
use crate::support::fixtures::{PASSWORD, new_organization};
use crate::support::process::{Launch, Server};
use serde_json::{Value, json};

/// The name of the organization once others have its names.
const ELSEWHERE: &str = "Elsewhere Org";

/// Gives the names that the subject had, and might have had, to others with documents of their own; who they are.
async fn give_names_away(scenario: &Scenario, server: &Server) -> Vec<String> {
    let found = Snapshot::read(&scenario.test_env);
    if let Some(subject) = found.named(SUBJECT).or(found.named(RENAMED)) {
        let path = format!("/v1/organizations/{}", subject["id"].as_str().unwrap());
        server.operator().patch(&path, &json!({ "organization_name": ELSEWHERE })).await.ok();
    }
    let mut given = Vec::new();
    for (name, email) in [(SUBJECT, "next@subject.example"), (RENAMED, "next@renamed.example")] {
        let made = server.client().post("/org/create", &new_organization(name, email)).await.created();
        let id = made["id"].as_str().unwrap().to_owned();
        put_documents(&scenario.test_env, &id, 3);
        given.push(id);
    }
    given
}

/// Expects that nobody has touched what belongs to those.
fn assert_untouched(before: &Snapshot, after: &Snapshot, ids: impl Iterator<Item = String>) {
    for id in ids {
        assert_eq!(before.belongings(&id), after.belongings(&id), "{id} has changed");
    }
}

/// Stops an instance at `point` of `case`, and wakes it when its names are others'.
pub async fn names_are_others_when_it_wakes(scenario: Scenario, case: Case, point: &str) {
    let before = Snapshot::sound(&scenario.test_env);
    let asleep = StoppedInstance::at(&scenario, case, point, &Launch::on(&scenario.test_env)).await;
    let other = scenario.recover().await;
    scenario.expect(case, case.after(point), &before, &other).await;
    let given = give_names_away(&scenario, &other).await;
    let before = Snapshot::sound(&scenario.test_env);

    let answer = asleep.wake().await;
    other.stop().await;
    let last = scenario.recover().await;
    let after = sound_at_last(&scenario.test_env).await;
    last.stop().await;
    let neighbours = NEIGHBOURS.map(|name| scenario.ids[name].clone());
    assert_untouched(&before, &after, given.into_iter().chain(neighbours));
    if point.ends_with(".intent.before") {
        return;
    }
    // The answer tells what was done, or that it is not known; it changes nothing.
    if let Some(id) = scenario.ids.get(SUBJECT) {
        let (mut was, mut is) = (before.belongings(id), after.belongings(id));
        if case == Case::AddNewMember {
            // It may sign in the member that has joined.
            was["sessions"] = Value::Null;
            is["sessions"] = Value::Null;
        }
        assert_eq!(was, is, "{id} has changed");
    }
    let status = answer.status.as_u16();
    assert!(status < 300 || case.is_refused() || [404, 503].contains(&status), "{answer}");
}

/// The change that takes back what `case` has done, for the organization of that id.
async fn rollback_insert(scenario: &Scenario, case: Case, id: &str, server: &Server) {
    let path = format!("/v1/organizations/{id}");
    let operator = server.operator();
    let post = async |what: &str| operator.post_empty(&format!("{path}/{what}")).await;
    match case {
        Case::Create | Case::CreateWithKey | Case::CreateOwn => {
            operator.delete(&path).await.ok();
            post("purge").await;
        }
        Case::Rename | Case::RenameWithCredentials => {
            operator.patch(&path, &json!({ "organization_name": SUBJECT })).await.ok();
        }
        Case::Update => {
            operator.patch(&path, &json!({ "delete_protection": false })).await.ok();
        }
        Case::Suspend => drop(post("reactivate").await.ok()),
        Case::Reactivate => drop(post("suspend").await.ok()),
        Case::Delete => drop(post("restore").await.ok()),
        Case::Restore => drop(operator.delete(&path).await.ok()),
        // A refused change leaves nothing behind, and a purged organization does not come back.
        Case::SetPassword => {
            let password = json!({ "password": PASSWORD });
            operator.post(&format!("{path}/set-password"), &password).await.ok();
        }
        Case::RenameRefused | Case::RestoreRefused | Case::Purge | Case::ImportDamaged => {}
        Case::ChangeRole => drop(operator.patch(&scenario.guest(), &json!({ "role": "owner" })).await.ok()),
        Case::CreateRole => operator.delete(&format!("{path}/roles/{ROLE}")).await.done(),
        Case::UpdateRole => {
            let body = json!({ "permissions": ["documents:read"] });
            operator.patch(&format!("{path}/roles/{ROLE}"), &body).await.ok();
        }
        Case::DeleteRole => drop(operator.post(&format!("{path}/roles"), &own_role()).await.created()),
        // Nobody is a member again without an invitation.
        Case::RemoveMember => {}
        Case::AddMember | Case::AddNewMember => {
            let members = operator.get(&format!("{path}/members")).await.ok();
            let joined = members["items"][1]["account_id"].as_str().unwrap();
            operator.delete(&format!("{path}/members/{joined}")).await.done();
        }
        // If it was loaded, the organization is removed again.
        Case::Import => {
            if operator.delete(&path).await.status.is_success() {
                post("purge").await;
            }
        }
    }
}

/// Stops an instance at `point` of `case`, and wakes it when the change was made and taken back: the container
/// has the name again that the sleeper knows, the account is free or taken again as the sleeper knows it.
pub async fn all_is_as_it_was_when_it_wakes(scenario: Scenario, case: Case, point: &str) {
    let asleep = StoppedInstance::at(&scenario, case, point, &Launch::on(&scenario.test_env)).await;
    let other = scenario.recover().await;
    let subject = Snapshot::sound(&scenario.test_env).named(SUBJECT).map(|found| found["id"].clone());
    let subject =
        scenario.ids.get(SUBJECT).cloned().or(subject.and_then(|id| id.as_str().map(str::to_owned)));
    let subject = subject.unwrap();
    rollback_insert(&scenario, case, &subject, &other).await;
    let before = sound_at_last(&scenario.test_env).await;

    asleep.wake().await;
    other.stop().await;
    let last = scenario.recover().await;
    let after = sound_at_last(&scenario.test_env).await;
    last.stop().await;
    let neighbours = NEIGHBOURS.map(|name| scenario.ids[name].clone());
    assert_untouched(&before, &after, neighbours.into_iter().chain([subject]));
}

macro_rules! cases {
    ($($name:ident: $case:ident;)*) => {$(
        mod $name {
            use super::*;

            /// When the instance wakes, others hold the names that the operation knows.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn operation_waking_late_harms_no_new_holder_of_its_names() {
                let template = Scenario::before(Case::$case).await;
                for point in sample(Case::$case.points(), 4) {
                    println!("{point}");
                    names_are_others_when_it_wakes(template.copy(), Case::$case, &point).await;
                }
            }

            /// The change was made and taken back while its instance slept.
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn operation_waking_after_rollback_happens_once() {
                let template = Scenario::before(Case::$case).await;
                for point in sample(Case::$case.points().split_off(1), 3) {
                    println!("{point}");
                    all_is_as_it_was_when_it_wakes(template.copy(), Case::$case, &point).await;
                }
            }
        }
    )*};
}

every_undamaged_case!(cases);
