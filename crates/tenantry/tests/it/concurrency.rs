//! Many at once: the same name, the same address, opposite changes of one organization, readers in between, and
//! clients that do not stay for the answer. What is left is read by the checker.

use crate::support::app::{App, Setup};
use crate::support::checker::{Snapshot, put_documents, running_operations};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, email_for, encoded, find, new_organization, organization, sign_in,
    with_access,
};
use crate::support::raw::head;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// The service, which gives every request the time that it needs: how long that is depends on what else the machine does.
async fn start() -> App {
    Setup::unlimited().with("--request-timeout=120").start().await
}

/// Sends `requests` at once and counts their outcomes: 2xx as `ok`, a refusal as its code.
async fn outcomes<F>(requests: impl IntoIterator<Item = F>) -> BTreeMap<String, usize>
where
    F: Future<Output = Answer> + Send + 'static,
{
    let mut running: JoinSet<Answer> = requests.into_iter().collect();
    let mut counts = BTreeMap::new();
    while let Some(answer) = running.join_next().await {
        *counts.entry(outcome(&answer.unwrap())).or_default() += 1;
    }
    counts
}

fn outcome(answer: &Answer) -> String {
    if answer.status.is_success() {
        return "ok".to_owned();
    }
    answer.json()["code"].as_str().unwrap().to_owned()
}

fn counts<const N: usize>(wanted: [(&str, usize); N]) -> BTreeMap<String, usize> {
    wanted.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

/// A request with the operator key, to be sent when it is asked for.
fn operated(
    app: &App,
    method: Method,
    path: String,
    body: Option<Value>,
) -> impl Future<Output = Answer> + use<> {
    let operator = app.operator();
    async move {
        let body = body.as_ref().map(|body| ("application/json", body.to_string().into_bytes()));
        operator.send(method, &path, body).await
    }
}

fn created(app: &App, name: &str, email: &str) -> impl Future<Output = Answer> + use<> {
    let (client, body) = (app.client(), new_organization(name, email));
    async move { client.post("/org/create", &body).await }
}

fn renamed(app: &App, path: &str, name: &str) -> impl Future<Output = Answer> + use<> {
    operated(app, Method::PATCH, path.to_owned(), Some(json!({ "organization_name": name })))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn creates_of_one_name_in_parallel_make_one_organization() {
    let app = start().await;
    let creates = (0..50).map(|number| created(&app, "Acme Corp", &format!("owner-{number}@acme.example")));
    assert_eq!(outcomes(creates).await, counts([("ok", 1), ("name_taken", 49)]));
    let found = Snapshot::sound(app.test_env());
    assert_eq!([found.organizations(), found.accounts(), found.containers()], [1, 1, 1]);
}

/// One create makes an organization; the others are refused and hold no name.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn creates_with_one_email_in_parallel_free_other_names() {
    let app = start().await;
    let name = |number: usize| format!("Acme {number}");
    let creates = (0..50).map(|number| created(&app, &name(number), "owner@acme.example"));
    assert_eq!(outcomes(creates).await, counts([("ok", 1), ("email_taken", 49)]));
    let found = Snapshot::sound(app.test_env());
    assert_eq!([found.organizations(), found.accounts(), found.containers()], [1, 1, 1]);

    // All those names are free but one.
    let creates = (0..50).map(|number| created(&app, &name(number), &email_for(&name(number))));
    assert_eq!(outcomes(creates).await, counts([("ok", 49), ("name_taken", 1)]));
    let found = Snapshot::sound(app.test_env());
    assert_eq!([found.organizations(), found.accounts(), found.containers()], [50, 50, 50]);
}

/// One of twenty parallel creates makes an organization, and all may learn which.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn creates_with_one_idempotency_key_make_one_organization() {
    let app = start().await;
    let client = app.client().with_header("idempotency-key", "one-and-only");
    let body = new_organization("Acme", "owner@acme.example");
    let creates = (0..20).map(|_| {
        let (client, body) = (client.clone(), body.clone());
        async move { client.post("/org/create", &body).await }
    });
    let came = outcomes(creates).await;
    let waiting = came.get("idempotency_in_progress").copied().unwrap_or_default();
    assert!(came["ok"] >= 1 && came["ok"] + waiting == 20, "{came:?}");
    let again = client.post("/org/create", &body).await.created();
    assert_eq!(again["id"], find(&app, "Acme").await.ok()["id"]);
    assert_eq!(Snapshot::sound(app.test_env()).organizations(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn renames_to_one_name_in_parallel_have_one_winner() {
    let app = start().await;
    let (one, other) = (organization(&app, "One").await, organization(&app, "Other").await);
    for round in 0..200 {
        let prize = format!("Prize {round}");
        let rename = |organization: &Organization| {
            let (owner, path) = (organization.owner.clone(), organization.path());
            let body = json!({ "organization_name": prize });
            async move { owner.patch(&path, &body).await }
        };
        let came = outcomes([rename(&one), rename(&other)]).await;
        assert_eq!(came, counts([("ok", 1), ("name_taken", 1)]), "round {round}");
        let winner = find(&app, &prize).await.ok();
        assert!([one.id(), other.id()].contains(&winner["id"].as_str().unwrap()), "round {round}");
    }
    let found = Snapshot::sound(app.test_env());
    assert_eq!(found.log_of(one.id()).len() + found.log_of(other.id()).len(), 2 + 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn delete_rename_and_restore_in_parallel_stay_consistent() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    let documents = put_documents(app.test_env(), acme.id(), 20);
    let mut orders = BTreeSet::new();
    for round in 0..60 {
        let name = format!("Acme {round}");
        let delete = tokio::spawn(operated(&app, Method::DELETE, acme.path(), None));
        let rename = tokio::spawn(renamed(&app, &acme.path(), &name));
        let restore = tokio::spawn(operated(&app, Method::POST, format!("{}/restore", acme.path()), None));
        let (delete, rename, restore) =
            (delete.await.unwrap(), rename.await.unwrap(), restore.await.unwrap());
        delete.ok();
        orders.insert((outcome(&rename), outcome(&restore)));

        let found = Snapshot::sound(app.test_env());
        let record = found.organization(acme.id()).unwrap();
        let state = if outcome(&restore) == "ok" { "active" } else { "deleted" };
        assert_eq!(record["state"], state, "round {round}: {restore}");
        assert_eq!(record["name"] == name, outcome(&rename) == "ok", "round {round}: {rename}");
        assert_eq!(found.documents(acme.id()), documents, "round {round}");
        if state == "deleted" {
            operated(&app, Method::POST, format!("{}/restore", acme.path()), None).await.ok();
        }
    }
    for (rename, restore) in &orders {
        assert!(["ok", "organization_not_active"].contains(&rename.as_str()), "{rename}");
        assert!(["ok", "organization_not_deleted"].contains(&restore.as_str()), "{restore}");
    }
    assert!(orders.len() > 1, "they always came in one order: {orders:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn suspend_and_delete_in_parallel_stay_consistent() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    for round in 0..60 {
        let suspend = operated(&app, Method::POST, format!("{}/suspend", acme.path()), None);
        let delete = operated(&app, Method::DELETE, acme.path(), None);
        let (suspend, delete) = (tokio::spawn(suspend), tokio::spawn(delete));
        let (suspend, delete) = (suspend.await.unwrap(), delete.await.unwrap());
        delete.ok();
        assert!(["ok", "organization_not_active"].contains(&outcome(&suspend).as_str()), "{suspend}");

        let found = Snapshot::sound(app.test_env());
        let record = found.organization(acme.id()).unwrap();
        assert_eq!(record["state"], "deleted", "round {round}");
        assert_eq!(record["suspended"], suspend.status.is_success(), "round {round}");
        operated(&app, Method::POST, format!("{}/restore", acme.path()), None).await.ok();
        if suspend.status.is_success() {
            operated(&app, Method::POST, format!("{}/reactivate", acme.path()), None).await.ok();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn updates_of_one_version_in_parallel_have_one_winner() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    let tag = app.operator().get(&acme.path()).await.header("etag").to_owned();
    let change = |client: Client, protect: bool| {
        let path = acme.path();
        async move { client.patch(&path, &json!({ "delete_protection": protect })).await }
    };
    let seen = app.operator().with_header("if-match", &tag);
    let came = outcomes((0..20).map(|_| change(seen.clone(), true))).await;
    assert_eq!(came, counts([("ok", 1), ("version_mismatch", 19)]));

    // Changes that name no version are applied one after another.
    let came = outcomes((0..20).map(|number| change(app.operator(), number % 2 == 0))).await;
    assert_eq!(came, counts([("ok", 20)]));
    let found = Snapshot::sound(app.test_env());
    let updates = found.log_of(acme.id()).into_iter().filter(|entry| entry == "update succeeded");
    assert_eq!(updates.count(), 21);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn sessions_with_old_password_never_outlive_its_change() {
    let app = start().await;
    organization(&app, "Acme").await;
    let email = email_for("Acme");
    let mut old = PASSWORD.to_owned();
    for round in 0..8 {
        let new = format!("horse battery {round}");
        let tokens = app.client().post("/admin/login", &credentials(&email, &old)).await.ok();
        let changed = Arc::new(AtomicBool::new(false));
        let mut signing_in = JoinSet::new();
        for _ in 0..6 {
            let (client, changed, body) = (app.client(), Arc::clone(&changed), credentials(&email, &old));
            signing_in.spawn(async move {
                let mut tokens = Vec::new();
                while !changed.load(Ordering::SeqCst) {
                    let answer = client.post("/admin/login", &body).await;
                    tokens.extend(answer.status.is_success().then(|| answer.json()));
                }
                tokens
            });
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let body = json!({ "organization_name": "Acme", "password": new });
        with_access(&app, &tokens).put("/org/update", &body).await.ok();
        changed.store(true, Ordering::SeqCst);

        let given = signing_in.join_all().await.concat();
        assert!(!given.is_empty(), "round {round}: nobody signed in meanwhile");
        for tokens in &given {
            with_access(&app, tokens).get("/v1/organizations/acme").await.refused("token_revoked");
            let refresh = json!({ "refresh_token": tokens["refresh_token"] });
            app.client().post("/v1/auth/refresh", &refresh).await.refused("refresh_token_invalid");
        }
        app.client().post("/admin/login", &credentials(&email, &old)).await.refused("invalid_credentials");
        with_access(&app, &tokens).get("/v1/organizations/acme").await.ok();
        old = new;
    }
}

/// What every answer about the organization of these renames must look like: its parts belong together.
fn assert_whole(body: &Value, id: &str) -> usize {
    let name = body["organization_name"].as_str().unwrap();
    let number: usize = name.strip_prefix("Acme ").unwrap().parse().unwrap();
    assert_eq!(body["id"], id);
    assert_eq!(body["organization_identifier"], format!("acme-{number}"));
    assert_eq!(body["tenant_collection"], format!("tenant_acme_{number}"));
    assert_eq!(body["admin_email"], email_for("Acme 0"));
    assert_eq!(body["status"], "active");
    number
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_during_renames_see_consistent_organization() {
    const RENAMES: usize = 300;
    let app = start().await;
    let acme = organization(&app, "Acme 0").await;
    put_documents(app.test_env(), acme.id(), 30);
    let begun = Arc::new(AtomicUsize::new(0));
    let mut readers = JoinSet::new();
    for _ in 0..3 {
        let (client, id, begun) = (app.client(), acme.id().to_owned(), Arc::clone(&begun));
        readers.spawn(follow_by_name(client, id, begun, RENAMES));
    }
    let (operator, path, id, upto) = (app.operator(), acme.path(), acme.id().to_owned(), Arc::clone(&begun));
    readers.spawn(async move {
        let mut reads = 0;
        let mut last = 0;
        while upto.load(Ordering::SeqCst) < RENAMES {
            let number = assert_whole(&operator.get(&path).await.ok(), &id);
            assert!(number >= last, "it went back from Acme {last} to Acme {number}");
            (last, reads) = (number, reads + 1);
        }
        reads
    });
    for number in 1..=RENAMES {
        begun.store(number, Ordering::SeqCst);
        let body = json!({ "organization_name": format!("Acme {number}") });
        let answer = acme.owner.put("/org/update", &body).await.ok();
        assert_eq!(assert_whole(&answer, acme.id()), number);
        assert_eq!(answer["documents_migrated"], 30);
    }
    let reads = readers.join_all().await;
    assert!(reads.iter().all(|reads| *reads > RENAMES / 10), "hardly anybody read: {reads:?}");
    Snapshot::sound(app.test_env());
}

/// Reads it by the name it was last seen under and, where that is gone, by the next one: of two names that
/// follow each other one must be there, unless a further rename has begun.
async fn follow_by_name(client: Client, id: String, begun: Arc<AtomicUsize>, last: usize) -> usize {
    let (mut number, mut reads, mut missed) = (0, 0, 0);
    while number < last {
        let answer =
            client.get(&format!("/org/get?organization_name={}", encoded(&format!("Acme {number}")))).await;
        reads += 1;
        if answer.status.is_success() {
            assert_eq!(assert_whole(&answer.json(), &id), number);
            missed = 0;
            continue;
        }
        answer.refused("organization_not_found");
        missed += 1;
        number += 1;
        let further = begun.load(Ordering::SeqCst);
        assert!(missed < 2 || further >= number, "neither Acme {} nor the one before", number - 1);
    }
    reads
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn requests_canceled_by_client_leave_nothing_half_done() {
    let app = start().await;
    let acme = organization(&app, "Acme").await;
    put_documents(app.test_env(), acme.id(), 5);
    let token = acme.tokens["access_token"].as_str().unwrap().to_owned();
    for round in 0_u64..60 {
        // From before anything has happened to long after it has.
        let stay = Duration::from_micros(round * round * 12);
        let create = new_organization(&format!("New {round}"), &format!("owner@new-{round}.example"));
        hang_up(&app, "POST /org/create", "", &create, stay).await;
        let rename = json!({ "organization_name": format!("Acme {round}") });
        hang_up(&app, "PUT /org/update", &format!("\r\nauthorization: Bearer {token}"), &rename, stay).await;
    }
    // Soon, because another task takes over at once; the lease would never run out, as the clock does not
    // move.
    let deadline = tokio::time::Instant::now() + Duration::from_secs(10);
    while running_operations(app.test_env()) > 0 {
        assert!(tokio::time::Instant::now() < deadline, "something was left half done");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let renamed = app.operator().patch(&acme.path(), &json!({ "organization_name": "Acme" })).await.ok();
    assert_eq!(renamed["organization_name"], "Acme");
    let found = Snapshot::sound(app.test_env());
    assert!((1..=61).contains(&found.organizations()), "{}", found.organizations());
    for round in 0..60 {
        let name = format!("New {round}");
        let answer = created(&app, &name, &email_for(&name)).await;
        match found.named(&name) {
            Some(_) => drop(answer.refused("name_taken")),
            None => drop(answer.created()),
        }
    }
    sign_in(&app, &email_for("Acme")).await;
}

/// Sends a whole request and goes away `stay` later, without reading the answer.
async fn hang_up(app: &App, request_line: &str, more: &str, body: &Value, stay: Duration) {
    let body = body.to_string();
    let framing = format!("content-length: {}{more}", body.len());
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(format!("{}{body}", head(request_line, &framing)).as_bytes()).await.unwrap();
    tokio::time::sleep(stay).await;
}
