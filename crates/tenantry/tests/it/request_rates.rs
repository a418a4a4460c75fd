//! How many requests an address, an account, an organization and a key may send, and that nobody is refused for others.

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{Organization, credentials, invited, organization, with_access};
use crate::support::keys::{exchanged, organization_key, service_key, with_key};
use serde_json::json;

/// With that limit, and no other of requests. A limit of two a minute gives one back after 30 seconds: more than a busy
/// machine takes for a few requests.
fn limited(flag: &str) -> Setup {
    let off = ["address", "account", "organization", "key"].map(|name| format!("--rate-limit-{name}=0"));
    let flag_name = flag.split('=').next().unwrap();
    let others = off.iter().filter(|other| !other.starts_with(&format!("{flag_name}=")));
    others
        .fold(Setup::default().with("--trusted-proxies=127.0.0.1"), |setup, other| setup.with(other))
        .with(flag)
}

fn from(app: &App, address: &str) -> Client {
    app.client().with_header("x-forwarded-for", address)
}

/// Sends until it is refused; how many requests were answered, and the refusal.
async fn flood(client: &Client, path: &str, name: &str) -> (u32, Answer) {
    for sent in 0..1000 {
        let answer = client.get(path).await;
        if answer.status == 429 {
            return (sent, answer);
        }
        assert!(answer.header("ratelimit").starts_with(&format!("\"{name}\";r=")), "{answer}");
    }
    panic!("{path} is never refused");
}

/// That the refusal says what is limited, and when to come back.
fn check_refusal(refused: Answer, name: &str, per_minute: u32) {
    let period = 60 / per_minute;
    assert_eq!(refused.header("ratelimit-policy"), format!("\"{name}\";q={per_minute};w=60"));
    assert_eq!(refused.header("ratelimit"), format!("\"{name}\";r=0;t={period}"));
    let wait: u32 = refused.header("retry-after").parse().unwrap();
    assert!((1..=period).contains(&wait), "{wait}");
    let problem = refused.refused("too_many_requests");
    assert!(problem["detail"].as_str().unwrap().contains(&format!("{per_minute} requests a minute")));
}

async fn refusals(app: &App, name: &str) -> u64 {
    let metrics = app.client().get("/metrics").await.text;
    let series = format!("requests_rate_limited_total{{limit=\"{name}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(series.as_str()));
    line.unwrap_or_else(|| panic!("{metrics}")).parse().unwrap()
}

#[tokio::test]
async fn address_over_its_rate_is_refused_and_others_are_not() {
    let app = limited("--rate-limit-address=2").with("--rate-limit-exempt=203.0.113.0/24").start().await;
    assert_eq!(refusals(&app, "address").await, 0);
    let (path, busy) = ("/org/get?organization_name=Acme", "198.51.100.7");
    for left in [1, 0] {
        let answer = from(&app, busy).get(path).await;
        assert_eq!(answer.header("ratelimit-policy"), "\"address\";q=2;w=60");
        assert_eq!(answer.header("ratelimit"), format!("\"address\";r={left};t=30"));
        answer.refused("organization_not_found");
    }
    check_refusal(from(&app, busy).get(path).await, "address", 2);
    // Before the body, the credential and the path are looked at.
    from(&app, busy).post("/admin/login", &json!(1)).await.refused("too_many_requests");
    from(&app, busy).with_token("nonsense").get("/v1/me").await.refused("too_many_requests");
    from(&app, busy).get("/nowhere").await.refused("too_many_requests");
    for probe in ["/livez", "/readyz", "/health"] {
        from(&app, busy).get(probe).await.ok();
    }
    assert_eq!(refusals(&app, "address").await, 4);
    from(&app, "198.51.100.8").get(path).await.refused("organization_not_found");
    // A subscriber is a /64 of IPv6.
    for number in 1..=2 {
        from(&app, &format!("2001:db8:1:2::{number}")).get(path).await.refused("organization_not_found");
    }
    from(&app, "2001:db8:1:2:ffff::1").get(path).await.refused("too_many_requests");
    from(&app, "2001:db8:1:3::1").get(path).await.refused("organization_not_found");
    // This machine, the proxy itself and the operator's own networks are not counted.
    for address in ["127.0.0.1", "::1", "203.0.113.9"] {
        for _ in 0..5 {
            let answer = from(&app, address).get(path).await;
            assert!(!answer.headers.contains_key("ratelimit"), "{answer}");
            answer.refused("organization_not_found");
        }
    }
}

#[tokio::test]
async fn address_that_no_trusted_proxy_forwards_counts_as_its_peer() {
    let flags = ["--rate-limit-address=1", "--trusted-proxies="];
    let app = flags.into_iter().fold(Setup::default(), Setup::with).start().await;
    for number in 0..5 {
        let client = from(&app, &format!("198.51.100.{number}"));
        client.get("/org/get?organization_name=Acme").await.refused("organization_not_found");
    }
}

#[tokio::test]
async fn organization_over_its_rate_leaves_others_alone() {
    let app = limited("--rate-limit-organization=4").start().await;
    let (busy, calm) = (organization(&app, "Busy").await, organization(&app, "Calm").await);
    let key = with_key(&app, &organization_key(&busy, &["documents:read"]).await);
    let token = exchanged(&app, &busy, &["documents:read"]).await;
    let (sent, refused) = flood(&busy.owner, &busy.documents(), "organization").await;
    assert_eq!(sent, 3, "making the key was the first request");
    check_refusal(refused, "organization", 4);
    // For every caller, and before the body is read.
    key.get(&busy.documents()).await.refused("too_many_requests");
    token.get(&busy.documents()).await.refused("too_many_requests");
    busy.owner.post(&busy.documents(), &json!(1)).await.refused("too_many_requests");
    for _ in 0..4 {
        calm.owner.get(&calm.documents()).await.ok();
    }
    // The operator still reaches it, and its people still sign in.
    app.operator().get(&busy.path()).await.ok();
    app.client()
        .post("/admin/login", &credentials(busy.email(), crate::support::fixtures::PASSWORD))
        .await
        .ok();
}

#[tokio::test]
async fn account_over_its_rate_leaves_other_members_alone() {
    let app = limited("--rate-limit-account=6").start().await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    let member = invited(&app, &guest, &host, "member").await;
    let (sent, refused) = flood(&member, &host.documents(), "account").await;
    assert!(sent < 6, "joining took some");
    check_refusal(refused, "account", 6);
    // In its other organization and its other sessions, too.
    guest.owner.get(&guest.documents()).await.refused("too_many_requests");
    let again = crate::support::fixtures::sign_in(&app, guest.email()).await;
    with_access(&app, &again).get("/v1/me").await.refused("too_many_requests");
    host.owner.get(&host.documents()).await.ok();
}

#[tokio::test]
async fn key_over_its_rate_leaves_other_keys_alone() {
    let app = limited("--rate-limit-key=2").start().await;
    let acme: Organization = organization(&app, "Acme").await;
    let made = [
        organization_key(&acme, &["documents:read"]).await,
        organization_key(&acme, &["documents:read"]).await,
    ];
    let [busy, calm] = made.map(|key| with_key(&app, &key));
    let (sent, refused) = flood(&busy, &acme.documents(), "key").await;
    assert_eq!(sent, 2);
    check_refusal(refused, "key", 2);
    calm.get(&acme.documents()).await.ok();
    acme.owner.get(&acme.documents()).await.ok();
    // A service key is one, too; its tokens count for their organization alone.
    let service = with_key(&app, &service_key(&app, &["organizations:read"]).await);
    let (sent, refused) = flood(&service, "/v1/organizations", "key").await;
    assert_eq!(sent, 2);
    refused.refused("too_many_requests");
    let token = exchanged(&app, &acme, &["documents:read"]).await;
    for _ in 0..5 {
        token.get(&acme.documents()).await.ok();
    }
}

#[tokio::test]
async fn response_announces_limit_of_which_least_is_left() {
    let flags = ["--rate-limit-account=100", "--rate-limit-organization=40", "--rate-limit-address=0"];
    let app = flags.into_iter().fold(Setup::default(), Setup::with).start().await;
    let acme = organization(&app, "Acme").await;
    let answer = acme.owner.get("/v1/me").await;
    assert_eq!(answer.header("ratelimit-policy"), "\"organization\";q=40;w=60");
    assert_eq!(answer.header("ratelimit"), "\"organization\";r=39;t=2");
    // What a route counts itself says more.
    let answer = app.client().post("/admin/login", &credentials(acme.email(), "not the password")).await;
    assert_eq!(answer.header("ratelimit-policy"), "\"sign-in\";q=10;w=600");
}

#[tokio::test]
async fn request_rates_are_off_with_rate_limit_off() {
    let app = Setup::unlimited().with("--rate-limit-account=1").start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..3 {
        let answer = acme.owner.get("/v1/me").await;
        assert!(!answer.headers.contains_key("ratelimit"), "{answer}");
        answer.ok();
    }
}
