//! How often somebody may guess a password or make an organization: per account and network, per network, and
//! for strangers together, across restarts, and never so that the owner is locked out of a network of theirs.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{PASSWORD, credentials, new_organization, organization};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::task::JoinSet;

/// Behind a proxy that says where requests come from, with deadlines that a crowd on a busy machine keeps.
fn behind_a_proxy() -> Setup {
    Setup::default()
        .with("--trusted-proxies=127.0.0.1")
        .with("--request-timeout=120")
        .with("--header-timeout=120")
}

/// A client at that address.
fn from(app: &App, address: &str) -> Client {
    app.client().with_header("x-forwarded-for", address)
}

async fn guess(client: &Client, email: &str) -> Answer {
    client.post("/admin/login", &credentials(email, "not the password")).await
}

/// Guesses all at once, the nth from the nth of `addresses`; how many got which answer.
async fn guess_at_once(
    app: &App,
    email: &str,
    addresses: impl Iterator<Item = String>,
) -> BTreeMap<String, usize> {
    let mut guesses = JoinSet::new();
    for address in addresses {
        let (client, email) = (from(app, &address), email.to_owned());
        guesses.spawn(async move { guess(&client, &email).await.outcome() });
    }
    let mut counts = BTreeMap::new();
    for outcome in guesses.join_all().await {
        *counts.entry(outcome).or_default() += 1;
    }
    counts
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    counts.into_iter().map(|(outcome, count)| (outcome.to_owned(), count)).collect()
}

/// Of a thousand parallel guesses ten are evaluated, while the owner signs in from elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_in_parallel_are_bounded_and_owner_still_signs_in() {
    let app = behind_a_proxy().start().await;
    let acme = organization(&app, "Acme").await;
    let (attacker, owner) = ("198.51.100.7", from(&app, "203.0.113.5"));
    let right = credentials(acme.email(), PASSWORD);
    let (guesses, signed_in) = tokio::join!(
        guess_at_once(&app, acme.email(), (0..1000).map(|_| attacker.to_owned())),
        owner.post("/admin/login", &right),
    );
    assert_eq!(guesses, counts([("invalid_credentials", 10), ("too_many_attempts", 990)]));
    signed_in.ok();

    // A restart forgives nobody.
    let app = app.restart().await;
    let again = guess_at_once(&app, acme.email(), (0..50).map(|_| attacker.to_owned())).await;
    assert_eq!(again, counts([("too_many_attempts", 50)]));
    // Not even the right password gets through from there, as it could be a guess.
    from(&app, attacker).post("/admin/login", &right).await.refused("too_many_attempts");
    from(&app, "203.0.113.5").post("/admin/login", &right).await.ok();
    from(&app, "203.0.113.99").post("/admin/login", &right).await.ok();
}

/// The owner still signs in from networks of an earlier sign-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_from_many_networks_are_slow_and_lock_nobody_out() {
    let app = behind_a_proxy().start().await;
    let acme = new_organization("Acme", "owner@acme.example");
    from(&app, "203.0.113.5").post("/org/create", &acme).await.created();
    let right = credentials("owner@acme.example", PASSWORD);
    from(&app, "203.0.113.6").post("/admin/login", &right).await.ok();

    let networks = (0..1000).map(|number| format!("198.51.{}.{}", number / 250, number % 250));
    let guesses = guess_at_once(&app, "owner@acme.example", networks).await;
    assert_eq!(guesses, counts([("invalid_credentials", 30), ("too_many_attempts", 970)]));
    // Where the account was made, and where its owner has signed in before.
    for home in ["203.0.113.5", "203.0.113.6"] {
        from(&app, home).post("/admin/login", &right).await.ok();
    }
    from(&app, "203.0.113.7").post("/admin/login", &right).await.refused("too_many_attempts");
    // Others are not affected.
    organization(&app, "Other").await;
}

#[tokio::test]
async fn ipv6_subscriber_counts_as_one_network() {
    let app = behind_a_proxy().start().await;
    let acme = organization(&app, "Acme").await;
    let subscriber = (1..=30).map(|number| format!("2001:db8:1:2:{number:x}::{number:x}"));
    let guesses = guess_at_once(&app, acme.email(), subscriber).await;
    assert_eq!(guesses, counts([("invalid_credentials", 10), ("too_many_attempts", 20)]));
    guess(&from(&app, "[2001:db8:1:2:ffff::1]:4711"), acme.email()).await.refused("too_many_attempts");
    guess(&from(&app, "2001:db8:1:3::1"), acme.email()).await.refused("invalid_credentials");
    // An IPv4 address is the same network in either notation.
    for _ in 0..5 {
        guess(&from(&app, "::ffff:198.51.100.7"), acme.email()).await.refused("invalid_credentials");
        guess(&from(&app, "198.51.100.7"), acme.email()).await.refused("invalid_credentials");
    }
    guess(&from(&app, "198.51.100.7"), acme.email()).await.refused("too_many_attempts");
}

#[tokio::test]
async fn network_that_tries_many_accounts_is_limited() {
    let app = behind_a_proxy().start().await;
    let mut outcomes = BTreeMap::new();
    let attacker = from(&app, "198.51.100.7");
    for number in 0..80 {
        let outcome = guess(&attacker, &format!("owner-{number}@acme.example")).await.outcome();
        *outcomes.entry(outcome).or_insert(0) += 1;
    }
    assert_eq!(outcomes, counts([("invalid_credentials", 60), ("too_many_attempts", 20)]));
    guess(&from(&app, "198.51.100.8"), "owner-79@acme.example").await.refused("invalid_credentials");
}

#[tokio::test]
async fn rate_limit_allows_retry_after_announced_wait() {
    let app = behind_a_proxy().start().await;
    let acme = organization(&app, "Acme").await;
    let client = from(&app, "198.51.100.7");
    for left in (0..10).rev() {
        let answer = guess(&client, acme.email()).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"sign-in\";q=10;w=600");
        assert_eq!(answer.header("ratelimit"), format!("\"sign-in\";r={left};t=60"));
        answer.refused("invalid_credentials");
    }
    let refused = guess(&client, acme.email()).await;
    assert_eq!(refused.header("ratelimit"), "\"sign-in\";r=0;t=60");
    let wait: u64 = refused.header("retry-after").parse().unwrap();
    refused.refused("too_many_attempts");
    assert_eq!(wait, 60);
    app.clock.advance(Duration::from_secs(wait - 1));
    let refused = guess(&client, acme.email()).await;
    assert_eq!(refused.header("retry-after"), "1");
    refused.refused("too_many_attempts");
    app.clock.advance(Duration::from_secs(1));
    guess(&client, acme.email()).await.refused("invalid_credentials");
    guess(&client, acme.email()).await.refused("too_many_attempts");
    // After a rest all is as it was.
    app.clock.advance(Duration::from_secs(600));
    assert_eq!(guess(&client, acme.email()).await.header("ratelimit"), "\"sign-in\";r=9;t=60");
}

#[tokio::test]
async fn sign_in_success_refunds_only_its_own_attempt() {
    let app = behind_a_proxy().start().await;
    let acme = organization(&app, "Acme").await;
    let client = from(&app, "198.51.100.7");
    let right = credentials(acme.email(), PASSWORD);
    for _ in 0..70 {
        let answer = client.post("/admin/login", &right).await;
        assert_eq!(answer.header("ratelimit"), "\"sign-in\";r=10;t=60");
        answer.ok();
    }
    for left in (0..10).rev() {
        assert_eq!(
            guess(&client, acme.email()).await.header("ratelimit"),
            format!("\"sign-in\";r={left};t=60")
        );
        if left > 0 {
            let answer = client.post("/admin/login", &right).await;
            assert_eq!(answer.header("ratelimit"), format!("\"sign-in\";r={left};t=60"));
            answer.ok();
        }
    }
    client.post("/admin/login", &right).await.refused("too_many_attempts");
}

#[tokio::test]
async fn stolen_token_gives_no_more_password_guesses() {
    let app = Setup::default().start().await;
    let acme = organization(&app, "Acme").await;
    let mut outcomes = BTreeMap::new();
    for number in 0..15 {
        let body = json!({ "organization_name": "New", "password": format!("not the password {number}") });
        *outcomes.entry(acme.owner.put("/org/update", &body).await.outcome()).or_insert(0) += 1;
    }
    assert_eq!(outcomes, counts([("invalid_credentials", 10), ("too_many_attempts", 5)]));
    guess(&app.client(), acme.email()).await.refused("too_many_attempts");
}

#[tokio::test]
async fn creates_are_limited_per_network_unless_invalid() {
    let app = behind_a_proxy().start().await;
    let client = from(&app, "198.51.100.7");
    let new =
        |number: usize| new_organization(&format!("Acme {number}"), &format!("owner-{number}@acme.example"));
    for _ in 0..30 {
        client.post("/org/create", &json!({ "organization_name": "A" })).await.refused("invalid_input");
    }
    for number in 0..19 {
        let answer = client.post("/org/create", &new(number)).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"create\";q=20;w=1200");
        assert_eq!(answer.header("ratelimit"), format!("\"create\";r={};t=60", 19 - number));
        answer.created();
    }
    // Asking whether a name is taken is limited, too.
    client.post("/org/create", &new(0)).await.refused("name_taken");
    let refused = client.post("/org/create", &new(100)).await;
    assert_eq!(refused.header("ratelimit"), "\"create\";r=0;t=60");
    refused.refused("too_many_attempts");

    let app = app.restart().await;
    let client = from(&app, "198.51.100.7");
    client.post("/org/create", &new(100)).await.refused("too_many_attempts");
    from(&app, "198.51.100.8").post("/org/create", &new(101)).await.created();
    for number in 102..110 {
        app.operator()
            .with_header("x-forwarded-for", "198.51.100.7")
            .post("/v1/organizations", &new(number))
            .await
            .created();
    }
    app.clock.advance(Duration::from_secs(60));
    client.post("/org/create", &new(100)).await.created();
    client.post("/org/create", &new(111)).await.refused("too_many_attempts");
}

#[tokio::test]
async fn forwarded_address_counts_only_from_trusted_proxy() {
    // Nobody is, unless told: each of these would else be a network of its own.
    let app = Setup::default().start().await;
    let acme = organization(&app, "Acme").await;
    let guesses =
        guess_at_once(&app, acme.email(), (0..30).map(|number| format!("198.51.100.{number}"))).await;
    assert_eq!(guesses, counts([("invalid_credentials", 10), ("too_many_attempts", 20)]));

    // The client's own entry is left of the proxy's.
    let app = behind_a_proxy().start().await;
    let acme = organization(&app, "Acme").await;
    let spoofed = (0..30).map(|number| format!("198.51.100.{number}, 203.0.113.5"));
    let guesses = guess_at_once(&app, acme.email(), spoofed).await;
    assert_eq!(guesses, counts([("invalid_credentials", 10), ("too_many_attempts", 20)]));
    // A proxy of ours is not where it comes from, and nonsense is nowhere.
    guess(&from(&app, "203.0.113.5, 127.0.0.1"), acme.email()).await.refused("too_many_attempts");
    guess(&from(&app, "203.0.113.5, nonsense"), acme.email()).await.refused("invalid_credentials");
}

#[tokio::test]
async fn rate_limit_that_is_off_counts_nothing() {
    let app = Setup::unlimited().start().await;
    let acme = organization(&app, "Acme").await;
    for number in 0..25 {
        let answer = guess(&app.client(), acme.email()).await;
        assert!(!answer.headers.contains_key("ratelimit"), "{answer}");
        answer.refused("invalid_credentials");
        let new = new_organization(&format!("Acme {number}"), &format!("owner-{number}@acme.example"));
        app.client().post("/org/create", &new).await.created();
    }
}
