//! Keys that sign tokens and rotate: by the clock, by the operator, with several instances, and with a process that dies.

use crate::support::app::{App, Setup};
use crate::support::client::Client;
use crate::support::fixtures::{Organization, again, organization, sign_in, with_access};
use crate::support::keys::{exchange, service_key, with_key};
use crate::support::process::Launch;
use crate::support::test_env::{Engine, TestEnv};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tenantry_domain::audit::checkpoint::verify_checkpoint;

const HOUR: Duration = Duration::from_secs(3600);
const OLD: &str = "the first secret of this test: 40 bytes!";
const NEW: &str = "the second secret of this test: 41 bytes!";

fn eddsa() -> Setup {
    Setup::unlimited().with("--jwt-algorithm=EdDSA")
}

fn kid_of(tokens: &Value) -> String {
    let header = tokens["access_token"].as_str().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    header["kid"].as_str().unwrap_or("none").to_owned()
}

/// The names of the published keys.
async fn published(client: &Client) -> Vec<String> {
    let keys = client.get("/.well-known/jwks.json").await.ok();
    keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn keys(operator: &Client) -> Vec<(String, String)> {
    let list = operator.get("/v1/signing-keys").await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    list["items"].as_array().unwrap().iter().map(|key| (text(&key["state"]), text(&key["kid"]))).collect()
}

async fn kid_in(operator: &Client, state: &str) -> String {
    let all = keys(operator).await;
    all.iter()
        .find(|(found, _)| found == state)
        .unwrap_or_else(|| panic!("none is {state}: {all:?}"))
        .1
        .clone()
}

async fn refresh(app: &App, tokens: &Value) -> Value {
    let body = json!({ "refresh_token": tokens["refresh_token"] });
    app.client().post("/v1/auth/refresh", &body).await.ok()
}

#[tokio::test]
async fn signing_keys_rotate_by_themselves_and_end_nothing() {
    let app = eddsa().start().await;
    let acme = organization(&app, "Acme").await;
    let (first, second) = (kid_in(&app.operator(), "current").await, kid_in(&app.operator(), "next").await);
    assert_eq!(kid_of(&acme.tokens), first);
    assert_eq!(published(&app.client()).await, [first.clone(), second.clone()]);
    app.advance_days(89);
    app.clock.advance(HOUR * 23 + HOUR / 2);
    app.maintain().await;
    let before = sign_in(&app, acme.email()).await;
    assert_eq!(kid_of(&before), first);
    app.clock.advance(HOUR / 2);
    // Nothing has run since: the time alone decides.
    let after = refresh(&app, &before).await;
    assert_eq!(kid_of(&after), second);
    for tokens in [&before, &after] {
        with_access(&app, tokens).get(&acme.path()).await.ok();
    }
    app.maintain().await;
    let third = kid_in(&app.operator(), "next").await;
    assert_eq!(published(&app.client()).await, [first.clone(), second.clone(), third.clone()]);
    app.clock.advance(HOUR * 3);
    app.maintain().await;
    assert_eq!(published(&app.client()).await, [second.clone(), third]);
    let app = app.restart().await;
    assert_eq!(kid_of(&sign_in(&app, acme.email()).await), second);
    let trail = app.operator().get("/v1/audit?action=signing_key.published").await.ok();
    assert_eq!(trail["items"].as_array().unwrap().len(), 1, "{trail}");
}

#[tokio::test]
async fn signing_key_is_rotated_by_hand_once_the_next_is_known() {
    let app = eddsa().start().await;
    let (acme, operator) = (organization(&app, "Acme").await, app.operator());
    let answer = operator.post_empty("/v1/signing-keys/rotate").await;
    assert_eq!(answer.header("retry-after"), "86400");
    answer.refused("signing_key_unready");
    app.advance_days(1);
    let tokens = sign_in(&app, acme.email()).await;
    let next = kid_in(&operator, "next").await;
    operator.post_empty("/v1/signing-keys/rotate").await.ok();
    assert_eq!(kid_in(&operator, "current").await, next);
    with_access(&app, &tokens).get(&acme.path()).await.ok();
    assert_eq!(kid_of(&sign_in(&app, acme.email()).await), next);
    operator.post_empty("/v1/signing-keys/rotate").await.refused("signing_key_unready");
    let trail = operator.get("/v1/audit?action=signing_key.rotated").await.ok();
    assert_eq!(trail["items"][0]["details"]["kid"], json!(next));
}

#[tokio::test]
async fn retired_signing_key_ends_its_tokens_and_no_session() {
    let app = eddsa().start().await;
    let (acme, operator) = (organization(&app, "Acme").await, app.operator());
    let backend = with_key(&app, &service_key(&app, &["tokens:issue", "documents:read"]).await);
    let issued = exchange(&backend, &acme.path(), &["documents:read"]).await.ok();
    let issued = app.client().with_token(issued["access_token"].as_str().unwrap());
    issued.get(&acme.documents()).await.ok();
    let (leaked, next) = (kid_in(&operator, "current").await, kid_in(&operator, "next").await);
    operator.delete("/v1/signing-keys/unknown").await.refused("signing_key_not_found");
    operator.delete(&format!("/v1/signing-keys/{leaked}")).await.ok();
    acme.owner.get(&acme.path()).await.refused("token_invalid");
    issued.get(&acme.documents()).await.refused("token_invalid");
    let tokens = refresh(&app, &acme.tokens).await;
    assert_eq!(kid_of(&tokens), next);
    with_access(&app, &tokens).get(&acme.path()).await.ok();
    assert!(!published(&app.client()).await.contains(&leaked));
    // Also after a restart, and a second time.
    let app = app.restart().await;
    again(&app, &acme.owner).get(&acme.path()).await.refused("token_invalid");
    app.operator().delete(&format!("/v1/signing-keys/{leaked}")).await.ok();
    assert_eq!(kid_in(&app.operator(), "retired").await, leaked);
    let trail = app.operator().get("/v1/audit?action=signing_key.retired").await.ok();
    assert_eq!(trail["items"].as_array().unwrap().len(), 1, "{trail}");
}

#[tokio::test]
async fn checkpoint_of_before_verifies_after_keys_have_rotated() {
    let app = eddsa().start().await;
    let (acme, operator) = (organization(&app, "Acme").await, app.operator());
    let path = format!("{}/audit/checkpoint", acme.path());
    let kept = operator.get(&path).await.ok();
    app.advance_days(1);
    operator.post_empty("/v1/signing-keys/rotate").await.ok();
    let current = kid_in(&operator, "current").await;
    operator.delete(&format!("/v1/signing-keys/{current}")).await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    assert!(verify_checkpoint(&text(&kept["checkpoint"]), &text(&kept["key"]["x"])).is_some());
    // The key of checkpoints is another, which no rotation changes.
    assert_eq!(operator.get(&path).await.ok()["key"], kept["key"]);
}

#[tokio::test]
async fn secret_of_the_settings_signs_as_before() {
    let app = Setup::unlimited().with(&format!("--jwt-secret={OLD}")).start().await;
    let (acme, operator) = (organization(&app, "Acme").await, app.operator());
    assert_eq!(kid_of(&acme.tokens), "none");
    assert_eq!(operator.get("/v1/signing-keys").await.ok(), json!({ "algorithm": "HS256", "items": [] }));
    operator.post_empty("/v1/signing-keys/rotate").await.refused("signing_keys_fixed");
    operator.delete("/v1/signing-keys/any").await.refused("signing_keys_fixed");
    assert_eq!(published(&app.client()).await, [""; 0]);
}

#[tokio::test]
async fn sealed_keys_survive_a_replaced_secret_with_overlap() {
    let start = |secret: &str, previous: Option<&str>| {
        let setup = eddsa().with(&format!("--jwt-secret={secret}"));
        previous.into_iter().fold(setup, |setup, other| setup.with(&format!("--jwt-secret-previous={other}")))
    };
    let app = start(OLD, None).start().await;
    let acme = organization(&app, "Acme").await;
    let first = published(&app.client()).await;
    let app = start(NEW, Some(OLD)).start_on(app.stop().await).await;
    again(&app, &acme.owner).get(&acme.path()).await.ok();
    let app = start(NEW, None).start_on(app.stop().await).await;
    assert_eq!(published(&app.client()).await, first);
    again(&app, &acme.owner).get(&acme.path()).await.ok();
    // Without an overlap new ones are made, and everybody signs in again.
    let app = start(OLD, None).start_on(app.stop().await).await;
    again(&app, &acme.owner).get(&acme.path()).await.refused("token_invalid");
    let tokens = sign_in(&app, acme.email()).await;
    with_access(&app, &tokens).get(&acme.path()).await.ok();
    assert!(published(&app.client()).await.iter().all(|kid| !first.contains(kid)));
    let trail = app.operator().get("/v1/audit?action=signing_key.retired").await.ok();
    assert_eq!(trail["items"][0]["details"]["reason"], "secret_replaced");
}

/// As earlier versions have them: an installation whose settings said EdDSA.
async fn fixed_key() -> (App, Organization) {
    // Its first start was with another algorithm, so it is not new.
    let test_env = Setup::unlimited().with("--jwt-algorithm=HS256").start().await.stop().await;
    let app = eddsa().start_on(test_env).await;
    let acme = organization(&app, "Acme").await;
    (app, acme)
}

#[tokio::test]
async fn key_of_earlier_version_stays_until_it_is_rotated() {
    let (app, acme) = fixed_key().await;
    let kid = kid_of(&acme.tokens);
    app.advance_days(400);
    app.maintain().await;
    assert_eq!(published(&app.client()).await, std::slice::from_ref(&kid));
    assert_eq!(keys(&app.operator()).await, [("current".to_owned(), kid.clone())]);
    let app = app.restart().await;
    let before = sign_in(&app, acme.email()).await;
    assert_eq!(kid_of(&before), kid);
    // The first rotation publishes the next key; it takes over a day later.
    app.operator().post_empty("/v1/signing-keys/rotate").await.ok();
    let next = kid_in(&app.operator(), "next").await;
    assert_eq!(published(&app.client()).await, [kid.clone(), next.clone()]);
    with_access(&app, &before).get(&acme.path()).await.ok();
    app.clock.advance(HOUR * 24 - HOUR / 2);
    let late = sign_in(&app, acme.email()).await;
    assert_eq!(kid_of(&late), kid);
    app.clock.advance(HOUR / 2);
    let app = app.restart().await;
    with_access(&app, &late).get(&acme.path()).await.ok();
    assert_eq!(kid_of(&refresh(&app, &before).await), next);
}

#[tokio::test]
async fn leaked_key_of_earlier_version_can_be_retired() {
    let (app, acme) = fixed_key().await;
    let kid = kid_of(&acme.tokens);
    app.operator().delete(&format!("/v1/signing-keys/{kid}")).await.ok();
    acme.owner.get(&acme.path()).await.refused("token_invalid");
    let app = app.restart().await;
    again(&app, &acme.owner).get(&acme.path()).await.refused("token_invalid");
    let tokens = refresh(&app, &acme.tokens).await;
    assert_ne!(kid_of(&tokens), kid);
    with_access(&app, &tokens).get(&acme.path()).await.ok();
}

#[cfg(feature = "crash-points")]
#[tokio::test]
async fn process_killed_while_it_stores_keys_leaves_them_whole() {
    for moment in ["begun", "done"] {
        let test_env = TestEnv::new();
        let launch = Launch::on(&test_env).with("--jwt-algorithm=EdDSA");
        let dying = launch.clone().env("TENANTRY_CRASH_AT", &format!("signing_keys.store.{moment}"));
        // The first start, which makes the keys.
        dying.spawn().crashed().await;
        let server = launch.start();
        let kids = published(&server.client()).await;
        assert_eq!(kids.len(), 2);
        // The retirement of a key.
        let (server, current) = {
            server.stop().await;
            let server = dying.start();
            let current = kid_in(&server.operator(), "current").await;
            (server, current)
        };
        let path = format!("/v1/signing-keys/{current}");
        let _ = server.operator().try_send(reqwest::Method::DELETE, &path, None).await;
        server.crashed().await;
        let server = launch.start();
        let is_retired = moment == "done";
        assert_eq!(!published(&server.client()).await.contains(&current), is_retired, "{moment}");
        let trail = server.operator().get("/v1/audit?action=signing_key.retired").await.ok();
        assert_eq!(trail["items"].as_array().unwrap().len(), usize::from(is_retired), "{moment}");
        server.stop().await;
    }
}

/// The choice is made once: neither an upgrade nor a setting that is removed later changes it.
#[tokio::test]
async fn installation_without_settings_keeps_what_it_began_with() {
    if crate::engine() == Engine::MongoDb {
        // There a secret must be given, which means HS256.
        let app = App::start().await;
        assert_eq!(kid_of(&organization(&app, "Acme").await.tokens), "none");
        return;
    }
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    assert_ne!(kid_of(&acme.tokens), "none");
    let app = app.restart().await;
    again(&app, &acme.owner).get(&acme.path()).await.ok();
    // A secret alone seals the keys and does not replace them: with the old one beside it nothing ends.
    let old = app.data_dir().join("jwt-secret");
    let given = || Setup::unlimited().with(&format!("--jwt-secret={OLD}"));
    let overlap = given().with(&format!("--jwt-secret-previous-file={}", old.display()));
    let app = overlap.start_on(app.stop().await).await;
    again(&app, &acme.owner).get(&acme.path()).await.ok();
    assert_ne!(kid_of(&sign_in(&app, acme.email()).await), "none");
    // An algorithm of the settings signs while it is given.
    let app = given().with("--jwt-algorithm=HS256").start_on(app.stop().await).await;
    assert_eq!(kid_of(&sign_in(&app, acme.email()).await), "none");
    let app = given().start_on(app.stop().await).await;
    again(&app, &acme.owner).get(&acme.path()).await.ok();
    // What began with a secret in the data directory goes on with it.
    let app = Setup::unlimited().with("--jwt-algorithm=HS256").start().await;
    let globex = organization(&app, "Globex").await;
    let app = App::at(app.stop().await).await;
    again(&app, &globex.owner).get(&globex.path()).await.ok();
    assert_eq!(kid_of(&sign_in(&app, globex.email()).await), "none");
}

/// On MongoDB alone there are several.
#[tokio::test]
async fn instances_agree_on_signing_keys_within_a_second() {
    if crate::engine() == Engine::Embedded {
        return;
    }
    let test_env = TestEnv::new();
    let (one, other) = tokio::join!(eddsa().start_on(test_env.clone()), eddsa().start_on(test_env));
    let kids = published(&one.client()).await;
    assert_eq!(published(&other.client()).await, kids);
    let acme = organization(&one, "Acme").await;
    again(&other, &acme.owner).get(&acme.path()).await.ok();
    let current = kid_in(&one.operator(), "current").await;
    one.operator().delete(&format!("/v1/signing-keys/{current}")).await.ok();
    let retired_at = Instant::now();
    while again(&other, &acme.owner).get(&acme.path()).await.status == 200 {
        assert!(retired_at.elapsed() < Duration::from_secs(2), "the other instance goes on");
    }
    again(&other, &acme.owner).get(&acme.path()).await.refused("token_invalid");
    let tokens = refresh(&other, &acme.tokens).await;
    with_access(&one, &tokens).get(&acme.path()).await.ok();
    assert_eq!(published(&other.client()).await, published(&one.client()).await);
}

#[tokio::test]
async fn issuer_with_an_https_url_describes_itself() {
    let path = "/.well-known/oauth-authorization-server";
    let app = eddsa().with("--jwt-issuer=https://id.example/auth").start().await;
    let answer = app.client().get(path).await;
    assert_eq!(answer.header("content-type"), "application/json");
    let found = answer.ok();
    assert_eq!(found["issuer"], "https://id.example/auth");
    assert_eq!(found["jwks_uri"], "https://id.example/auth/.well-known/jwks.json");
    assert_eq!(found["introspection_endpoint"], "https://id.example/auth/v1/auth/introspect");
    assert_eq!(
        found["introspection_endpoint_auth_methods_supported"],
        json!(["client_secret_basic", "Bearer"])
    );
    let below = reqwest::get(format!("http://{}{path}/auth", app.address())).await.unwrap();
    assert_eq!(below.json::<Value>().await.unwrap(), found);
    let other = reqwest::get(format!("http://{}{path}/other", app.address())).await.unwrap();
    assert_eq!(other.status(), 404);
    // With a secret there are no keys to find; without an https URL there is nothing.
    let secret = format!("--jwt-secret={OLD}");
    let app = Setup::unlimited().with(&secret).with("--jwt-issuer=https://id.example").start().await;
    assert!(app.client().get(path).await.ok().get("jwks_uri").is_none());
    App::start().await.client().get(path).await.refused("route_not_found");
}
