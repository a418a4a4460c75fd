//! Sign-in: the claims of a token, how long it and its session are valid, what ends them, which stored passwords
//! open an account, and that nobody learns from an answer or its time whether an account exists.

mod access_tokens;
mod sessions;

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, new_organization, organization, sign_in, with_access};
use crate::support::records::{edit_account, password_hash};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A part of a token: 0 is its header, 1 its claims.
fn part(token: &Value, number: usize) -> Value {
    let part = token.as_str().unwrap().split('.').nth(number).unwrap();
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// Exchanges the refresh token among `tokens`.
async fn refresh(app: &App, tokens: &Value) -> Answer {
    app.client().post("/v1/auth/refresh", &json!({ "refresh_token": tokens["refresh_token"] })).await
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
