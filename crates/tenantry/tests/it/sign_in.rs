//! Signing in: what a token says, how long it and its session are good, what ends them, which stored passwords
//! open an account, and that nobody learns from an answer or its time whether an account exists.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, new_organization, organization, sign_in, with_access,
};
use crate::support::records::{edit_account, password_hash};
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Exchanges the refresh token among `tokens`.
async fn refresh(app: &App, tokens: &Value) -> Answer {
    app.client().post("/v1/auth/refresh", &json!({ "refresh_token": tokens["refresh_token"] })).await
}

/// A part of a token: 0 is its header, 1 its claims.
fn part(token: &Value, number: usize) -> Value {
    let part = token.as_str().unwrap().split('.').nth(number).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn encode(part: &Value) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(part.to_string())
}

#[tokio::test]
async fn access_token_names_account_organization_and_lifetime() {
    let app =
        Setup::unlimited().with("--jwt-issuer=https://id.example").with("--jwt-audience=api").start().await;
    let acme = organization(&app, "Acme").await;
    let token = &acme.tokens["access_token"];
    assert_eq!(part(token, 0), json!({ "typ": "at+jwt", "alg": "HS256" }));
    let claims = part(token, 1);
    assert_eq!(claims["sub"], acme.body["admin_id"]);
    assert_eq!(claims["admin_id"], acme.body["admin_id"]);
    assert_eq!(claims["org_id"], acme.body["id"]);
    assert_ne!(claims["jti"], part(&sign_in(&app, acme.email()).await["access_token"], 1)["jti"]);
    insta::assert_json_snapshot!(claims, {
        ".sub" => "[id]", ".admin_id" => "[id]", ".org_id" => "[id]", ".sid" => "[id]", ".jti" => "[random]",
    }, @r#"
    {
      "admin_id": "[id]",
      "aud": "api",
      "auth_time": 1800000000,
      "client_id": "tenantry",
      "email": "owner@acme.example",
      "exp": 1800003600,
      "iat": 1800000000,
      "iss": "https://id.example",
      "jti": "[random]",
      "org_id": "[id]",
      "role": "owner",
      "sid": "[id]",
      "sub": "[id]"
    }
    "#);
}

#[tokio::test]
async fn access_token_expires_on_time_and_within_its_session() {
    for (flags, lifetime) in [
        (&["--jwt-exp-seconds=60"][..], 60),
        (&["--jwt-exp-seconds=7200"], 7200),
        (&["--refresh-idle-lifetime=90", "--refresh-absolute-lifetime=90"], 90),
    ] {
        let setup = flags.iter().fold(Setup::unlimited(), |setup, flag| setup.with(flag));
        let app = setup.start().await;
        let acme = organization(&app, "Acme").await;
        assert_eq!(acme.tokens["expires_in"], lifetime);
        app.clock.advance(Duration::from_secs(lifetime - 1));
        acme.owner.get(&acme.path()).await.ok();
        app.clock.advance(Duration::from_secs(1));
        let answer = acme.owner.get(&acme.path()).await;
        assert!(answer.header("www-authenticate").contains("error=\"invalid_token\""), "{answer}");
        answer.refused("token_expired");
    }
}

#[tokio::test]
async fn access_token_of_others_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    let token = acme.tokens["access_token"].as_str().unwrap();
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let mut elevated = part(&acme.tokens["access_token"], 1);
    elevated["org_id"] = other.body["id"].clone();
    let unsigned = encode(&json!({ "typ": "at+jwt", "alg": "none" }));
    let longer = format!("{token}{}", "A".repeat(10_000));
    let forged = [
        format!("{header}.{}.{signature}", encode(&elevated)),
        format!("{unsigned}.{claims}."),
        format!("{unsigned}.{claims}.{signature}"),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        format!("{header}.{claims}.{}", &signature[1..]),
        longer,
        "garbage".to_owned(),
        "a.b.c".to_owned(),
        acme.tokens["refresh_token"].as_str().unwrap().to_owned(),
    ];
    for token in &forged {
        let client = app.client().with_token(token);
        client.get(&acme.path()).await.refused("token_invalid");
        client.delete(&other.path()).await.refused("token_invalid");
    }
    for (scheme, outcome) in [
        ("", "token_missing"),
        ("Bearer", "token_missing"),
        ("Basic b3duZXI6cGFzc3dvcmQ=", "token_missing"),
        (token, "token_missing"),
        ("Bearer ", "token_missing"),
    ] {
        let client = app.client().with_header("authorization", scheme);
        client.get(&acme.path()).await.refused(outcome);
    }
    app.client().with_header("authorization", &format!("bearer  {token}")).get(&acme.path()).await.ok();
}

#[tokio::test]
async fn access_token_is_verifiable_with_published_key_alone() {
    let app = Setup::unlimited().with("--jwt-algorithm=EdDSA").start().await;
    let acme = organization(&app, "Acme").await;
    let answer = app.client().get("/.well-known/jwks.json").await;
    assert_eq!(answer.header("content-type"), "application/jwk-set+json");
    let keys = answer.ok();
    let [key] = keys["keys"].as_array().unwrap().as_slice() else { panic!("{keys}") };
    assert_eq!((&key["kty"], &key["crv"], &key["alg"]), (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA")));
    assert!(key.get("d").is_none(), "the private key is published");

    let token = acme.tokens["access_token"].as_str().unwrap();
    assert_eq!(
        part(&acme.tokens["access_token"], 0),
        json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": key["kid"] })
    );
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = BASE64_URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = BASE64_URL_SAFE_NO_PAD.decode(key["x"].as_str().unwrap()).unwrap();
    let public = UnparsedPublicKey::new(&ED25519, &public);
    public.verify(message.as_bytes(), &signature).unwrap();
    public.verify(format!("{message}x").as_bytes(), &signature).unwrap_err();

    // The key is kept, so that a token outlives a restart.
    let app = app.restart().await;
    app.client().with_token(token).get(&acme.path()).await.ok();
    assert_eq!(app.client().get("/.well-known/jwks.json").await.ok(), keys);
}

#[tokio::test]
async fn shared_secret_is_not_published() {
    let app = App::start().await;
    assert_eq!(app.client().get("/.well-known/jwks.json").await.ok(), json!({ "keys": [] }));
}

#[tokio::test]
async fn refresh_returns_new_tokens_of_same_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.clock.advance(HOUR);
    acme.owner.get(&acme.path()).await.refused("token_expired");
    let refreshed = refresh(&app, &acme.tokens).await.ok();
    with_access(&app, &refreshed).get(&acme.path()).await.ok();
    assert_ne!(refreshed["refresh_token"], acme.tokens["refresh_token"]);
    let (before, after) = (part(&acme.tokens["access_token"], 1), part(&refreshed["access_token"], 1));
    for claim in ["auth_time", "sid", "sub", "org_id", "role"] {
        assert_eq!(before[claim], after[claim], "{claim}");
    }
    assert_eq!(after["iat"].as_i64().unwrap() - before["iat"].as_i64().unwrap(), 3600);
}

/// A double click refreshes twice and gets one successor.
#[tokio::test]
async fn refresh_repeated_at_once_returns_same_successor() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (one, two) = tokio::join!(refresh(&app, &acme.tokens), refresh(&app, &acme.tokens));
    let (one, two) = (one.ok(), two.ok());
    assert_eq!(one["refresh_token"], two["refresh_token"]);
    app.clock.advance(Duration::from_secs(10));
    let late = refresh(&app, &acme.tokens).await.ok();
    assert_eq!(one["refresh_token"], late["refresh_token"]);
    for tokens in [one, two, late] {
        with_access(&app, &tokens).get(&acme.path()).await.ok();
    }
}

#[tokio::test]
async fn refresh_token_reused_later_ends_its_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let elsewhere = sign_in(&app, acme.email()).await;
    let first = acme.tokens.clone();
    let second = refresh(&app, &first).await.ok();
    let third = refresh(&app, &second).await.ok();
    app.clock.advance(Duration::from_secs(11));
    refresh(&app, &first).await.refused("refresh_token_invalid");
    for tokens in [&first, &second, &third] {
        refresh(&app, tokens).await.refused("refresh_token_invalid");
        with_access(&app, tokens).get(&acme.path()).await.refused("token_revoked");
    }
    // Another sign-in is another session.
    with_access(&app, &elsewhere).get(&acme.path()).await.ok();
    refresh(&app, &elsewhere).await.ok();
}

#[tokio::test]
async fn session_ends_when_idle_or_at_absolute_lifetime() {
    let app = Setup::unlimited()
        .with("--refresh-idle-lifetime=172800")
        .with("--refresh-absolute-lifetime=432000")
        .start()
        .await;
    let acme = organization(&app, "Acme").await;
    let (idle, mut used) = (sign_in(&app, acme.email()).await, acme.tokens.clone());
    for _ in 0..4 {
        app.clock.advance(DAY - Duration::from_secs(1));
        used = refresh(&app, &used).await.ok();
    }
    refresh(&app, &idle).await.refused("refresh_token_invalid");
    assert_eq!(used["expires_in"], 3600);
    app.clock.advance(DAY - Duration::from_secs(1));
    used = refresh(&app, &used).await.ok();
    assert_eq!(used["expires_in"], 5, "the access token would outlive its session");
    app.clock.advance(Duration::from_secs(5));
    refresh(&app, &used).await.refused("refresh_token_invalid");
    with_access(&app, &used).get(&acme.path()).await.refused("token_expired");
    // What has ended is also forgotten.
    app.maintain().await;
    refresh(&app, &used).await.refused("refresh_token_invalid");
}

#[tokio::test]
async fn refresh_token_of_others_is_refused() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let good = acme.tokens["refresh_token"].as_str().unwrap();
    let changed = good.replace(&good[30..31], if &good[30..31] == "A" { "B" } else { "A" });
    let body = |token: &str| json!({ "refresh_token": token });
    for token in ["", "garbage", "tenantry_refresh_", &changed, &good[..good.len() - 1], &format!("{good}A")]
    {
        app.client().post("/v1/auth/refresh", &body(token)).await.refused("refresh_token_invalid");
    }
    let access = acme.tokens["access_token"].as_str().unwrap();
    app.client().post("/v1/auth/refresh", &body(access)).await.refused("refresh_token_invalid");
    app.client().post("/v1/auth/refresh", &body(good)).await.ok();
}

#[tokio::test]
async fn logout_ends_only_its_session() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let elsewhere = sign_in(&app, acme.email()).await;
    acme.owner.post_empty("/v1/auth/logout").await.done();
    acme.owner.get(&acme.path()).await.refused("token_revoked");
    acme.owner.post_empty("/v1/auth/logout").await.refused("token_revoked");
    refresh(&app, &acme.tokens).await.refused("refresh_token_invalid");
    with_access(&app, &elsewhere).get(&acme.path()).await.ok();
    refresh(&app, &elsewhere).await.ok();
}

#[tokio::test]
async fn suspension_ends_sessions_and_blocks_sign_in() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let other = organization(&app, "Other").await;
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    let login = |password: &'static str| {
        let (client, body) = (app.client(), credentials(acme.email(), password));
        async move { client.post("/admin/login", &body).await }
    };
    // Only who knows the password learns of the suspension.
    login(PASSWORD).await.refused("organization_suspended");
    login("not the password").await.refused("invalid_credentials");
    other.owner.get(&other.path()).await.ok();

    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    with_access(&app, &login(PASSWORD).await.ok()).get(&acme.path()).await.ok();
}

#[tokio::test]
async fn delete_ends_sessions_even_after_restore() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    app.operator().delete(&acme.path()).await.ok();
    assert_dead(&app, &acme).await;
    let login = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &login).await.refused("invalid_credentials");
    app.operator().post_empty(&format!("{}/restore", acme.path())).await.ok();
    assert_dead(&app, &acme).await;
    sign_in(&app, acme.email()).await;
}

/// That no token of the sign-in of `organization` is good for anything.
async fn assert_dead(app: &App, organization: &Organization) {
    let owner = &organization.owner;
    owner.get(&organization.path()).await.refused("token_revoked");
    owner.put("/org/update", &json!({ "organization_name": "Mine" })).await.refused("token_revoked");
    owner.delete(&organization.path()).await.refused("token_revoked");
    owner.post_empty("/v1/auth/logout").await.refused("token_revoked");
    refresh(app, &organization.tokens).await.refused("refresh_token_invalid");
}

#[tokio::test]
async fn account_rights_follow_current_role() {
    let mut app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let created = app.operator().get(&format!("{}/operations", acme.path())).await.ok();
    let operation = format!("/v1/operations/{}", created["items"][0]["id"].as_str().unwrap());
    for (role, may_change) in [("viewer", false), ("member", false), ("admin", true), ("owner", true)] {
        app = change_membership(app, &acme, |membership| membership["role"] = role.into()).await;
        // The current role counts, not the one in the token.
        let client = with_access(&app, &acme.tokens);
        client.get(&acme.path()).await.ok();
        let patch = client.patch(&acme.path(), &json!({ "delete_protection": false })).await;
        if may_change {
            patch.ok();
            client.get(&operation).await.ok();
        } else {
            patch.refused("role_insufficient");
            client
                .put("/org/update", &json!({ "organization_name": "Mine" }))
                .await
                .refused("role_insufficient");
            client.delete("/org/delete?organization_name=Acme").await.refused("role_insufficient");
            client.delete(&acme.path()).await.refused("role_insufficient");
            client.get(&operation).await.refused("operation_not_found");
        }
        assert_eq!(part(&sign_in(&app, acme.email()).await["access_token"], 1)["role"], role);
    }
    // A change of role through the service also ends the sessions.
    let app = change_membership(app, &acme, |membership| membership["epoch"] = json!(1)).await;
    with_access(&app, &acme.tokens).get(&acme.path()).await.refused("token_revoked");
    let app =
        change_membership(app, &acme, |membership| membership["organization_id"] = json!("0".repeat(24)))
            .await;
    let login = credentials(acme.email(), PASSWORD);
    app.client().post("/admin/login", &login).await.refused("invalid_credentials");
}

async fn change_membership(app: App, organization: &Organization, change: impl FnOnce(&mut Value)) -> App {
    app.restart_after(|test_env| {
        edit_account(test_env, organization.email(), |account| change(&mut account["memberships"][0]));
    })
    .await
}

#[tokio::test]
async fn sign_in_ignores_email_case_and_needs_whole_password() {
    let app = App::start().await;
    let long: String = (0..64).map(|number| format!("{number:03}.")).collect();
    assert_eq!(long.len(), 256);
    let mut new = new_organization("Acme", "Owner@Acme.Example");
    new["password"] = long.clone().into();
    app.client().post("/org/create", &new).await.created();
    for email in ["owner@acme.example", "OWNER@ACME.EXAMPLE", " Owner@Acme.Example\n"] {
        app.client().post("/admin/login", &credentials(email, &long)).await.ok();
    }
    for wrong in [&long[..72], &long[..255], &format!("{long}x"), &format!(" {long}"), ""] {
        let answer = app.client().post("/admin/login", &credentials("owner@acme.example", wrong)).await;
        answer.refused("invalid_credentials");
    }
    // The same text, however it was composed.
    let mut new = new_organization("Café", "owner@cafe.example");
    new["password"] = "Café au lait ﬁn".into();
    app.client().post("/org/create", &new).await.created();
    let composed = credentials("owner@cafe.example", "Cafe\u{301} au lait fin");
    app.client().post("/admin/login", &composed).await.ok();
}

#[tokio::test]
async fn sign_in_response_hides_whether_account_exists() {
    for setup in [Setup::unlimited(), Setup::default()] {
        let app = setup.start().await;
        let [one, two, three, gone] = ["One", "Two", "Three", "Gone"].map(|name| organization(&app, name));
        let (one, two, three, gone) = (one.await, two.await, three.await, gone.await);
        app.operator().delete(&gone.path()).await.ok();
        let long = "x".repeat(5000);
        // Each account is tried once, so that as many attempts are left for it.
        let attempts = [
            (one.email(), "not the password"),
            (two.email(), ""),
            (three.email(), &long),
            ("nobody@acme.example", PASSWORD),
            ("nobody-else@acme.example", &long),
            (gone.email(), PASSWORD),
            ("not an address", PASSWORD),
            ("", ""),
        ];
        let mut first = None;
        for (email, password) in attempts {
            let answer = bytes_but_for_the_request(&app, &credentials(email, password)).await;
            assert_eq!(answer, *first.get_or_insert_with(|| answer.clone()), "{email:?}");
        }
    }
}

/// The whole answer to a sign-in that is refused, without what is different in every answer.
async fn bytes_but_for_the_request(app: &App, body: &Value) -> String {
    let answer = app.client().post("/admin/login", body).await;
    assert_eq!(answer.outcome(), "invalid_credentials", "{answer}");
    let headers: BTreeMap<_, _> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    format!("{headers:?} {}", answer.text.replace(answer.header("x-request-id"), "[request]"))
}

/// Hashes of [`PASSWORD`] as other software made them: passlib 1.7, bcrypt 4.0 and argon2-cffi 25.1.
const FOREIGN_HASHES: [&str; 8] = [
    "$2a$04$NzMzku6uhn4IUVD0ik3J.um2xyERhDXmwR31YhGT10XSCuiCAJzXS",
    "$2b$04$DyRuQqfSZWDAXv1Wce7yqe2BDNdNX2h8xMssTOyvbUiMwfaCrip0q",
    "$2y$04$inkXeh2jTFN75.EgYs1bSOvhcCTU.DIDvSaf.SA3PfdefzIaVLa0y",
    "$bcrypt-sha256$v=2,t=2b,r=4$l7hb0UxYjaGY78UIQ.uGuO$Ojm2oFrdk6IfkkZvYICpdFds/VS/tdK",
    "$bcrypt-sha256$2b,4$B8up0xMTxLiuaSjjVujxlu$lthJ05VPZuukqAiei3VUrt2L2i7Gsum",
    "$argon2id$v=19$m=1024,t=3,p=4$c081Flv0xhCVt5IHJEErGg$M0EJ3uQGHsw6DU4iWK9ihUQtAdU/YtWDkT7ECsESQWg",
    "$argon2i$v=19$m=512,t=2,p=1$GO/UtSzM8/PAbNfV6RLmcQ$fpBTkvBeHRrkcpavw8XaSIMJ702lUmTBRb2ZXwU0ECI",
    "$argon2d$v=19$m=512,t=1,p=2$64B2yOl0rL5kCBQPqioS0Q$YiqLIj9LOh+NW7dGzE312KPewRkWQPUzS1ryLAYycj4",
];

#[tokio::test]
async fn sign_in_with_foreign_hash_succeeds_and_replaces_hash() {
    const OURS: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
    let app = App::start().await;
    let mut emails = Vec::new();
    for number in 0..FOREIGN_HASHES.len() {
        emails.push(organization(&app, &format!("Acme {number}")).await.email().to_owned());
    }
    let app = app
        .restart_after(|test_env| {
            for (email, hash) in emails.iter().zip(FOREIGN_HASHES) {
                edit_account(test_env, email, |account| account["password_hash"] = hash.into());
            }
        })
        .await;
    for (email, hash) in emails.iter().zip(FOREIGN_HASHES) {
        let wrong = credentials(email, "not the password");
        app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
        assert_eq!(password_hash(&app, email), hash, "a wrong password changed it");

        let tokens = sign_in(&app, email).await;
        let renewed = password_hash(&app, email);
        assert!(renewed.starts_with(OURS), "{hash} became {renewed}");
        let path = format!("/v1/organizations/{}", tokens["org_id"].as_str().unwrap());
        with_access(&app, &tokens).get(&path).await.ok();

        sign_in(&app, email).await;
        assert_eq!(password_hash(&app, email), renewed, "it was hashed once more");
        app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
    }
}

#[tokio::test]
async fn sign_in_with_unreadable_hash_is_refused() {
    let mut app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for hash in
        ["", "!", PASSWORD, "$2x$04$abc", "$argon2id$v=19$m=4294967295,t=9,p=1$AAAAAAAAAAA$AAAAAAAAAAAAAAAA"]
    {
        app = app
            .restart_after(|test_env| {
                edit_account(test_env, acme.email(), |account| account["password_hash"] = hash.into());
            })
            .await;
        for password in [PASSWORD, "", hash] {
            let login = credentials(acme.email(), password);
            app.client().post("/admin/login", &login).await.refused("invalid_credentials");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_over_queue_limit_is_told_when_to_retry() {
    let app = Setup::unlimited().with("--hash-threads=1").with("--hash-queue=2").start().await;
    let acme = organization(&app, "Acme").await;
    let mut sign_ins = tokio::task::JoinSet::new();
    for _ in 0..40 {
        let (client, body) = (app.client(), credentials(acme.email(), PASSWORD));
        sign_ins.spawn(async move { client.post("/admin/login", &body).await });
    }
    let (mut good, mut busy) = (0, 0);
    for answer in sign_ins.join_all().await {
        if answer.status == 200 {
            good += 1;
        } else {
            assert!(answer.header("retry-after").parse::<u64>().unwrap() <= 60, "{answer}");
            answer.refused("sign_in_busy");
            busy += 1;
        }
    }
    // The queue has room for two. The thread may take the first of them before all others come, or after.
    assert!(good >= 2 && busy >= 1, "{good} signed in, {busy} were sent away");
    sign_in(&app, acme.email()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_in_takes_equal_time_for_unknown_email() {
    const DIFFERENCE_MAX: f64 = 0.03;
    // The machine may be busy with other work. What the service itself gives away stays, however often it is measured.
    const ROUNDS: usize = 8;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let (mut known, mut unknown, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let times = times_of_sign_ins(&app.client(), acme.email(), round).await;
        known.extend(times.0);
        unknown.extend(times.1);
        // The median, and the quickest tenth: a busy machine only ever adds to a time.
        for part in [2, 10] {
            let (known, unknown) = (quantile(&mut known, part), quantile(&mut unknown, part));
            differences.push((known - unknown) / unknown);
        }
        if differences.iter().rev().take(2).any(|difference| difference.abs() <= DIFFERENCE_MAX) {
            return;
        }
    }
    panic!("a known address answers this much later than an unknown one: {differences:?}");
}

/// How long sign-ins with a wrong password take, for a known address and for unknown ones: 400 pairs, which
/// take turns in who is first.
async fn times_of_sign_ins(client: &Client, known: &str, round: usize) -> (Vec<Duration>, Vec<Duration>) {
    const WARM_UP: usize = 20;
    let (mut of_known, mut of_unknown) = (Vec::new(), Vec::new());
    for pair in 0..WARM_UP + 400 {
        let unknown = format!("nobody-{round}-{pair}@acme.example");
        for is_known in [pair % 2 == 0, pair % 2 == 1] {
            let email = if is_known { known } else { &unknown };
            let answer = client.post("/admin/login", &credentials(email, "not the password")).await;
            let times = if is_known { &mut of_known } else { &mut of_unknown };
            if pair >= WARM_UP {
                times.push(answer.took);
            }
            answer.refused("invalid_credentials");
        }
    }
    (of_known, of_unknown)
}

/// The time that one of `part` sign-ins was within, in seconds.
fn quantile(times: &mut [Duration], part: usize) -> f64 {
    times.sort();
    times[times.len() / part].as_secs_f64()
}
