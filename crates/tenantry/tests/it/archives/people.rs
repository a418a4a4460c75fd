//! People, roles, keys and audit trails in archives: who comes back how, and what an archive never does to others.

use super::{data, export, import, record};
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, invited, organization, sign_in, with_access,
};
use crate::support::keys::{organization_key, with_key};
use serde_json::{Value, json};

/// Acme with a role of its own, a member who has it and belongs nowhere else, an owner who does too, an admin who owns
/// Globex, and a key.
struct Scene {
    app: App,
    acme: Organization,
    globex: Organization,
    key: Value,
}

const READER: &str = "reader@people.example";
const SECOND_OWNER: &str = "second@people.example";

impl Scene {
    async fn new() -> Self {
        let app = App::start().await;
        let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
        let role = json!({ "name": "billing", "description": "Reads", "permissions": ["documents:read"] });
        acme.owner.post(&acme.about_roles(), &role).await.created();
        join(&app, &acme, READER, "billing").await;
        join(&app, &acme, SECOND_OWNER, "owner").await;
        invited(&app, &globex, &acme, "admin").await;
        acme.store(&[json!({ "_id": 1 })]).await;
        let key = organization_key(&acme, &["documents:read"]).await;
        Self { app, acme, globex, key }
    }

    async fn purge(&self) {
        let answer = self.app.operator().delete(&format!("{}?purge=true", self.acme.path())).await;
        assert!(answer.status.is_success(), "{answer}");
        self.app.operator().get(&self.acme.path()).await.refused("organization_not_found");
    }

    /// Whether the key opens its organization at `app`.
    async fn opens(&self, app: &App) -> Answer {
        with_key(app, &self.key).get(&format!("{}/documents/documents", self.acme.collections())).await
    }
}

impl Organization {
    fn about_roles(&self) -> String {
        format!("{}/roles", self.path())
    }
}

/// Makes a member of a new account.
async fn join(app: &App, acme: &Organization, email: &str, role: &str) {
    let body = json!({ "email": email, "role": role });
    let made = acme.owner.post(&format!("{}/invitations", acme.path()), &body).await.created();
    let body = json!({ "token": made["token"], "password": PASSWORD });
    app.client().post("/v1/invitations/accept", &body).await.created();
}

async fn signed_in(app: &App, email: &str) -> Client {
    with_access(app, &sign_in(app, email).await)
}

/// The members of the organization by their addresses, as the operator sees them.
async fn members(app: &App, acme: &Organization) -> Vec<(String, String)> {
    let listed = app.operator().get(&format!("{}/members?limit=200", acme.path())).await.ok();
    let member =
        |one: &Value| (one["email"].as_str().unwrap().to_owned(), one["role"].as_str().unwrap().to_owned());
    let mut members: Vec<_> = listed["items"].as_array().unwrap().iter().map(member).collect();
    members.sort();
    members
}

async fn invitations(app: &App, acme: &Organization) -> Vec<Value> {
    let listed = app.operator().get(&format!("{}/invitations", acme.path())).await.ok();
    listed["items"].as_array().unwrap().clone()
}

/// What the log says of the import.
async fn counts(app: &App, acme: &Organization) -> Value {
    let log = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    log["items"].as_array().unwrap().iter().find(|one| one["kind"] == "import").unwrap()["imported"].clone()
}

/// The lines of that kind.
fn lines<'a>(archive: &'a str, kind: &str) -> Vec<&'a str> {
    let start = format!("{{\"{kind}\":");
    archive.lines().filter(|line| line.starts_with(&start)).collect()
}

#[tokio::test]
async fn import_elsewhere_brings_people_roles_and_trail() {
    let (scene, other) = (Scene::new().await, App::start().await);
    let acme = &scene.acme;
    let archive = export(&scene.app.operator(), &acme.path()).await;
    assert_eq!((lines(&archive, "role").len(), lines(&archive, "member").len()), (1, 3));
    import(&other, &archive, "").await.created();
    assert_eq!(members(&other, acme).await, members(&scene.app, acme).await);
    assert_eq!(invitations(&other, acme).await, Vec::<Value>::new());
    let told = counts(&other, acme).await;
    let entries = lines(&archive, "audit_entry").len();
    let expected = json!({ "roles": 1, "members": 4, "invitations": 0, "members_left_out": 0, "api_keys": 1,
        "audit_entries": entries });
    assert_eq!(told, expected);

    // Their passwords and rights are those of before; an account that opens another organization has no password.
    let reader = signed_in(&other, READER).await;
    reader.get(&acme.documents()).await.ok();
    reader.post(&acme.documents(), &json!({})).await.refused("role_insufficient");
    let second = signed_in(&other, SECOND_OWNER).await;
    let demoted = acme.member(acme.owner_id());
    second.patch(&demoted, &json!({ "role": "admin" })).await.ok();
    let globex = credentials(scene.globex.email(), PASSWORD);
    other.client().post("/admin/login", &globex).await.refused("invalid_credentials");
    let account =
        lines(&archive, "member").iter().find(|line| line.contains(scene.globex.email())).map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["member"]["id"].as_str().unwrap().to_owned()
        });
    let path = format!("{}/password-reset", acme.member(&account.unwrap()));
    let link = other.operator().post(&path, &json!({})).await.created();
    let body = json!({ "token": link["token"], "new_password": PASSWORD });
    other.client().post("/v1/auth/reset-password", &body).await.done();
    signed_in(&other, scene.globex.email()).await.get(&acme.path()).await.ok();

    // The same again, but for what has happened since.
    let again = export(&scene.app.operator(), &acme.path()).await;
    assert_eq!(data(&again), data(&archive));
    Snapshot::sound(other.test_env());
}

/// A person who has an account here is asked; nothing of the account changes.
#[tokio::test]
async fn import_never_changes_account_and_invites_its_person() {
    let scene = Scene::new().await;
    let (app, acme) = (&scene.app, &scene.acme);
    let archive = export(&app.operator(), &acme.path()).await;
    // With a password that its person does not know, and a wider role.
    let hash = lines(&archive, "member").iter().find(|line| line.contains(READER)).map(|line| {
        serde_json::from_str::<Value>(line).unwrap()["member"]["password_hash"].as_str().unwrap().to_owned()
    });
    assert!(hash.is_some());
    scene.purge().await;
    let globex = Snapshot::read(app.test_env()).belongings(scene.globex.id());
    import(app, &archive, "").await.created();
    assert_eq!(Snapshot::read(app.test_env()).belongings(scene.globex.id()), globex);
    let expected = [(READER, "billing"), (SECOND_OWNER, "owner"), (acme.email(), "owner")];
    let mut expected = expected.map(|(email, role)| (email.to_owned(), role.to_owned()));
    expected.sort();
    assert_eq!(members(app, acme).await, expected);
    signed_in(app, READER).await.get(&acme.documents()).await.ok();

    let pending = invitations(app, acme).await;
    assert_eq!((pending.len(), &pending[0]["email"]), (1, &json!(scene.globex.email())));
    let owner = signed_in(app, acme.email()).await;
    let renew = format!("{}/invitations/{}/renew", acme.path(), pending[0]["id"].as_str().unwrap());
    let renewed = owner.post(&renew, &json!({})).await.ok();
    scene.globex.owner.get(&acme.path()).await.refused("organization_not_found");
    let person = signed_in(app, scene.globex.email()).await;
    person.post("/v1/invitations/accept", &json!({ "token": renewed["token"] })).await.ok();
    assert_eq!(members(app, acme).await.len(), 4);
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn copy_under_new_id_invites_and_takes_no_keys() {
    let scene = Scene::new().await;
    let archive = export(&scene.app.operator(), &scene.acme.path()).await;
    let query = "id=new&organization_name=Copy&owner_email=copy@people.example";
    let made = import(&scene.app, &archive, query).await.created();
    let copy = Organization { body: made, ..organization(&scene.app, "Other").await };
    assert_eq!(members(&scene.app, &copy).await, [("copy@people.example".to_owned(), "owner".to_owned())]);
    let told = counts(&scene.app, &copy).await;
    assert_eq!(
        (&told["members"], &told["invitations"], &told["api_keys"]),
        (&json!(1), &json!(3), &json!(0))
    );
    scene.opens(&scene.app).await.ok();
    let keys = scene.app.operator().get(&format!("{}/keys", copy.path())).await.ok();
    assert_eq!(keys["items"], json!([]));
    Snapshot::sound(scene.app.test_env());
}

#[tokio::test]
async fn owners_export_holds_no_hash_but_their_own() {
    let scene = Scene::new().await;
    let acme = &scene.acme;
    let hashes = |archive: &str| {
        let holders = archive.lines().filter(|line| line.contains("password_hash"));
        holders.map(str::to_owned).collect::<Vec<_>>()
    };
    let all = export(&scene.app.operator(), &acme.path()).await;
    // The first owner's, the reader's and the second owner's; not that of who owns Globex.
    assert_eq!(hashes(&all).len(), 3, "{all}");
    assert_eq!(all.matches("$argon2id$").count(), 3);
    assert!(!hashes(&all).iter().any(|line| line.contains(scene.globex.email())));
    for email in [acme.email(), SECOND_OWNER] {
        let own = export(&signed_in(&scene.app, email).await, &acme.path()).await;
        let held = hashes(&own);
        assert_eq!((held.len(), own.matches("$argon2id$").count()), (1, 1), "{own}");
        assert!(held[0].contains(email), "{held:?}");
        assert_eq!(lines(&own, "member").len(), 3);
    }
    // It is good all the same: who exported signs in, and the others by a link.
    let own = export(&signed_in(&scene.app, SECOND_OWNER).await, &acme.path()).await;
    assert!(record(&own)["owner"]["password_hash"].is_null());
    let other = App::start().await;
    import(&other, &own, "").await.created();
    signed_in(&other, SECOND_OWNER).await.get(&acme.path()).await.ok();
    let first = credentials(acme.email(), PASSWORD);
    other.client().post("/admin/login", &first).await.refused("invalid_credentials");
}

/// What was ended stays ended until somebody who may hand out such a key says otherwise.
#[tokio::test]
async fn imported_key_opens_nothing_before_it_is_confirmed() {
    let scene = Scene::new().await;
    let (app, acme) = (&scene.app, &scene.acme);
    let archive = export(&app.operator(), &acme.path()).await;
    assert!(!archive.contains(scene.key["key"].as_str().unwrap()));
    scene.purge().await;
    import(app, &archive, "").await.created();
    let path = format!("{}/keys/{}", acme.path(), scene.key["id"].as_str().unwrap());
    for _ in 0..2 {
        scene.opens(app).await.refused("key_invalid");
        let shown = app.operator().get(&path).await.ok();
        assert_eq!((&shown["confirmed"], &shown["made_by"]), (&json!(false), &Value::Null));
        let confirm = format!("{path}/confirm");
        app.operator().post_empty(&confirm).await.refused("session_required");
        signed_in(app, READER).await.post_empty(&confirm).await.refused("role_insufficient");
    }
    let owner = signed_in(app, acme.email()).await;
    for _ in 0..2 {
        let confirmed = owner.post_empty(&format!("{path}/confirm")).await.ok();
        assert_eq!((&confirmed["confirmed"], &confirmed["made_by"]), (&json!(true), &json!(acme.owner_id())));
    }
    scene.opens(app).await.ok();
    let events = owner.get(&format!("{}/audit?action=key.confirmed", acme.path())).await.ok();
    assert_eq!(events["items"].as_array().unwrap().len(), 1, "{events}");

    // A rotation ends the secret of before instead.
    let archive = export(&app.operator(), &acme.path()).await;
    scene.purge().await;
    import(app, &archive, "").await.created();
    let owner = signed_in(app, acme.email()).await;
    let rotated = owner.post(&format!("{path}/rotate"), &json!({ "overlap": 600 })).await.ok();
    with_key(app, &rotated).get(&acme.documents()).await.ok();
    scene.opens(app).await.refused("key_invalid");
    owner.post_empty(&format!("{path}/confirm")).await.ok();
    scene.opens(app).await.refused("key_invalid");
}

/// A key that ended with its maker's role, and one that has expired, are not in an archive.
#[tokio::test]
async fn export_leaves_out_keys_that_have_ended() {
    let scene = Scene::new().await;
    let (app, acme) = (&scene.app, &scene.acme);
    let second = signed_in(app, SECOND_OWNER).await;
    let body = json!({ "name": "ends", "permissions": ["documents:read"] });
    second.post(&format!("{}/keys", acme.path()), &body).await.created();
    let body = json!({ "name": "short", "permissions": ["documents:read"], "expires_in": 60 });
    acme.owner.post(&format!("{}/keys", acme.path()), &body).await.created();
    assert_eq!(lines(&export(&app.operator(), &acme.path()).await, "api_key").len(), 3);
    let account = second.get("/v1/me").await.ok()["account_id"].as_str().unwrap().to_owned();
    acme.owner.patch(&acme.member(&account), &json!({ "role": "viewer" })).await.ok();
    app.clock.advance(std::time::Duration::from_secs(61));
    let archive = export(&app.operator(), &acme.path()).await;
    assert_eq!(lines(&archive, "api_key").len(), 1, "{archive}");
}
