//! Mail, through a real SMTP server: what is sent to whom, what a mailed link proves, and that a server which is away,
//! slow, refusing or dying delays nobody and loses nothing.

mod limits;

use crate::support::app::{App, Setup};
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{
    Organization, PASSWORD, credentials, new_organization, organization, sign_in, with_access,
};
use crate::support::process::Launch;
use crate::support::records::tables_with;
use crate::support::smtp::{SmtpServer, flags, free_port};
use crate::support::test_env::TestEnv;
#[cfg(feature = "crash-points")]
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
#[cfg(feature = "crash-points")]
use tenantry::system::SystemClock;
#[cfg(feature = "crash-points")]
use tenantry_domain::clock::Clock;

const NEW: &str = "another secret 47";

fn sending_to(port: u16, setup: Setup) -> Setup {
    flags(port).iter().fold(setup, |setup, flag| setup.with(flag))
}

async fn service(smtp: &SmtpServer) -> App {
    sending_to(smtp.port, Setup::unlimited()).start().await
}

async fn invite(host: &Organization, email: &str) -> Answer {
    let body = json!({ "email": email, "role": "member" });
    host.owner.post(&format!("{}/invitations", host.path()), &body).await
}

async fn accept(client: &Client, token: &Value, password: Option<&str>) -> Answer {
    let mut body = json!({ "token": token });
    if let Some(password) = password {
        body["password"] = password.into();
    }
    client.post("/v1/invitations/accept", &body).await
}

async fn forgot(client: &Client, email: &str) -> Answer {
    client.post("/v1/auth/forgot-password", &json!({ "email": email })).await
}

async fn is_verified(client: &Client) -> bool {
    client.get("/v1/me").await.ok()["email_verified_at"].is_string()
}

async fn metric(app: &App, name: &str) -> f64 {
    let text = app.client().get("/metrics").await.text;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.map_or(0.0, |value| value.trim().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn invitation_is_mailed_and_shown_to_nobody_else() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let host = organization(&app, "Host & <Co>").await;
    let answer = invite(&host, "New@Guest.example").await.created();
    assert_eq!((&answer["token"], &answer["url"]), (&Value::Null, &Value::Null));
    assert_eq!(answer["delivery"], "mail");
    let mail = smtp.mail().await;
    assert_eq!(
        (&mail["to"], &mail["from"]),
        (&json!(["New@guest.example"]), &json!("no-reply@acme.example"))
    );
    assert_eq!(mail["subject"], "Invitation to Host & <Co>");
    assert!(mail["html"].as_str().unwrap().contains("Host &amp; &lt;Co&gt;"), "{mail}");
    let link = mail["link"].as_str().unwrap();
    assert!(link.starts_with("https://app.example/t/invitations/accept#tnt_invitation_"), "{link}");

    // The operator gets no link either, and a further one ends the first.
    let renewed = format!("{}/invitations/{}/renew", host.path(), answer["id"].as_str().unwrap());
    assert_eq!(app.operator().post_empty(&renewed).await.ok()["token"], Value::Null);
    let second = smtp.mail().await;
    assert_ne!(second["token"], mail["token"]);
    accept(&app.client(), &mail["token"], Some(PASSWORD)).await.refused("invitation_invalid");
    let tokens = accept(&app.client(), &second["token"], Some(PASSWORD)).await.created();
    assert!(is_verified(&with_access(&app, &tokens)).await);
    smtp.no_mail().await;
}

/// Somebody has made an account with an address that is not theirs, and the person who has the address is invited.
#[tokio::test(flavor = "multi_thread")]
async fn mailed_invitation_ends_password_of_unproven_account() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let (host, squatter) = (organization(&app, "Host").await, organization(&app, "Squatter").await);
    invite(&host, squatter.email()).await.created();
    let mail = smtp.mail().await;
    accept(&app.client(), &mail["token"], None).await.refused_fields(&["/password"]);
    accept(&app.client(), &mail["token"], Some("short")).await.refused_fields(&["/password"]);
    squatter.owner.get("/v1/me").await.ok();
    let tokens = accept(&app.client(), &mail["token"], Some(NEW)).await.created();
    assert_eq!((&tokens["admin_id"], &tokens["org_id"]), (&squatter.body["admin_id"], &host.body["id"]));
    squatter.owner.get("/v1/me").await.refused("token_revoked");
    let old = credentials(squatter.email(), PASSWORD);
    app.client().post("/admin/login", &old).await.refused("invalid_credentials");
    let person = with_access(&app, &tokens);
    assert!(is_verified(&person).await);

    // Once it is proven, a link alone ends nothing.
    let other = organization(&app, "Other").await;
    invite(&other, squatter.email()).await.created();
    let mail = smtp.mail().await;
    accept(&app.client(), &mail["token"], Some("a third secret 48")).await.refused("account_exists");
    accept(&person, &mail["token"], None).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn mailed_invitation_proves_address_of_who_is_signed_in() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let (host, guest) = (organization(&app, "Host").await, organization(&app, "Guest").await);
    invite(&host, guest.email()).await.created();
    let mail = smtp.mail().await;
    accept(&host.owner, &mail["token"], None).await.refused("invitation_for_another");
    accept(&guest.owner, &mail["token"], None).await.ok();
    assert!(is_verified(&guest.owner).await);
    sign_in(&app, guest.email()).await;
}

/// Neither the answer nor what is stored tells whether the address has an account.
#[tokio::test(flavor = "multi_thread")]
async fn forgotten_password_is_answered_alike_and_mailed_to_accounts() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let acme = organization(&app, "Acme").await;
    for email in ["nobody@acme.example", "nobody@elsewhere.example"] {
        let answer = forgot(&app.client(), email).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    }
    smtp.no_mail().await;
    let answer = forgot(&app.client(), "OWNER@acme.example").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (202, ""));
    let mail = smtp.mail().await;
    assert_eq!(mail["to"], json!([acme.email()]));
    assert!(mail["link"].as_str().unwrap().starts_with("https://app.example/t/reset-password#tnt_reset_"));
    let listed = acme.owner.get("/v1/me/links").await.ok();
    assert_eq!(
        (&listed["items"][0]["kind"], &listed["items"][0]["delivery"]),
        (&json!("password_reset"), &json!("mail"))
    );
    let body = json!({ "token": mail["token"], "new_password": NEW });
    app.client().post("/v1/auth/reset-password", &body).await.done();
    acme.owner.get("/v1/me").await.refused("token_revoked");
    let tokens = app.client().post("/admin/login", &credentials(acme.email(), NEW)).await.ok();
    // The link was mailed, so using it has proven the address.
    assert!(is_verified(&with_access(&app, &tokens)).await);
    app.client().post("/v1/auth/reset-password", &body).await.refused("reset_invalid");
    app.client()
        .post("/v1/auth/forgot-password", &json!({ "email": "nobody", "verified": true }))
        .await
        .refused_fields(&["/email", "/verified"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn address_is_proven_and_changed_by_mailed_links() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let link = acme.owner.post_empty("/v1/me/email/verification").await.expect(202);
    assert_eq!((&link["kind"], &link["delivery"]), (&json!("email_verification"), &json!("mail")));
    assert!(link.get("token").is_none(), "{link}");
    let mail = smtp.mail().await;
    acme.owner.post("/v1/auth/verify-email", &json!({ "token": mail["token"] })).await.done();
    acme.owner.post_empty("/v1/me/email/verification").await.refused("email_already_verified");

    let change = |email: &str, password: &str| json!({ "email": email, "current_password": password });
    let ask =
        async |email: &str, password: &str| acme.owner.post("/v1/me/email", &change(email, password)).await;
    ask("new@acme.example", "not this one").await.refused("invalid_credentials");
    ask(acme.email(), PASSWORD).await.refused_fields(&["/email"]);
    smtp.no_mail().await;
    // Alike for an address that has an account.
    let free = ask("new@acme.example", PASSWORD).await.expect(202);
    let mail = smtp.mail().await;
    let taken = ask(globex.email(), PASSWORD).await.expect(202);
    let other = smtp.mail().await;
    assert_eq!((&free["kind"], &taken["kind"]), (&json!("email_change"), &json!("email_change")));
    assert_eq!((&mail["to"], &other["to"]), (&json!(["new@acme.example"]), &json!([globex.email()])));
    let confirm = async |mail: &Value| {
        acme.owner.post("/v1/me/email/confirm", &json!({ "token": mail["token"] })).await
    };
    confirm(&mail).await.refused("link_invalid");
    confirm(&other).await.refused("email_taken");
    ask("new@acme.example", PASSWORD).await.expect(202);
    let mail = smtp.mail().await;
    confirm(&mail).await.done();
    // The former address is told, and the one that stayed is not.
    app.clock.advance(Duration::from_secs(11));
    let told = smtp.mail().await;
    assert_eq!((&told["to"], &told["link"]), (&json!([acme.email()]), &Value::Null));
    assert!(told["text"].as_str().unwrap().contains("new@acme.example"), "{told}");
    smtp.no_mail().await;
    assert!(is_verified(&acme.owner).await);
}

/// The classic call changes an address at once: the old one is told.
#[tokio::test(flavor = "multi_thread")]
async fn address_left_by_the_classic_update_is_told() {
    let smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let (acme, globex) = (organization(&app, "Acme").await, organization(&app, "Globex").await);
    let update = async |email: &str| {
        acme.owner.put("/org/update", &json!({ "organization_name": "Acme", "email": email })).await
    };
    // Nothing is told of what does not happen: the address is taken, or the same.
    update(globex.email()).await.refused("email_taken");
    update(acme.email()).await.ok();
    app.clock.advance(Duration::from_secs(11));
    smtp.no_mail().await;
    update("new@acme.example").await.ok();
    app.clock.advance(Duration::from_secs(11));
    let told = smtp.mail().await;
    assert_eq!((&told["to"], &told["link"]), (&json!([acme.email()]), &Value::Null));
    assert!(told["text"].as_str().unwrap().contains("new@acme.example"), "{told}");
    smtp.no_mail().await;
}

/// A change that a crash has left to be finished is told when it is made, however late.
#[cfg(feature = "crash-points")]
#[tokio::test(flavor = "multi_thread")]
async fn address_left_after_a_crash_is_told() {
    let smtp = SmtpServer::start();
    let test_env = TestEnv::new();
    let launch = smtp.flags().iter().fold(Launch::on(&test_env), |launch, flag| launch.with(flag));
    let server = launch.env("TENANTRY_CRASH_AT", "rename.change_credentials.before").start();
    let (old, body) =
        ("owner@acme.example", json!({ "organization_name": "Acme", "email": "new@acme.example" }));
    server.operator().post("/v1/organizations", &new_organization("Acme", old)).await.created();
    let tokens = server.client().post("/admin/login", &credentials(old, PASSWORD)).await.ok();
    let owner = server.client().with_token(tokens["access_token"].as_str().unwrap());
    let body = Some(("application/json", body.to_string().into_bytes()));
    assert!(owner.try_send(Method::PUT, "/org/update", body).await.is_err(), "it was answered");
    server.crashed().await;
    test_env.end_leases();
    let now = SystemClock.now().as_millisecond();
    let app = sending_to(smtp.port, Setup::unlimited()).at_time(now + 60_000).start_on(test_env).await;
    let mut told = None;
    for _ in 0..60 {
        told = tokio::task::block_in_place(|| smtp.next_line(Duration::from_secs(1)));
        if told.is_some() {
            break;
        }
        app.clock.advance(Duration::from_secs(11));
    }
    assert_eq!(told.expect("nobody was told")["to"], json!([old]));
    sign_in(&app, "new@acme.example").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revoked_links_are_not_mailed() {
    let port = free_port();
    let app = sending_to(port, Setup::unlimited()).start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post_empty("/v1/me/email/verification").await.expect(202);
    let invitation = invite(&acme, "new@guest.example").await.created();
    acme.owner.delete("/v1/me/links/email_verification").await.done();
    let path = format!("{}/invitations/{}", acme.path(), invitation["id"].as_str().unwrap());
    acme.owner.delete(&path).await.done();
    let smtp = SmtpServer::start_on(port, None);
    app.clock.advance(Duration::from_secs(60));
    smtp.no_mail().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_are_limited_for_each_address() {
    let smtp = SmtpServer::start();
    let app = sending_to(smtp.port, Setup::default()).start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..5 {
        acme.owner.post_empty("/v1/me/email/verification").await.expect(202);
        smtp.mail().await;
    }
    let refused = acme.owner.post_empty("/v1/me/email/verification").await;
    assert_eq!(refused.header("retry-after"), "720");
    assert_eq!(refused.header("ratelimit-policy"), "\"mail-address\";q=5;w=3600");
    assert_eq!(refused.header("ratelimit"), "\"mail-address\";r=0;t=720");
    refused.refused("too_many_mails");
    // For who has forgotten a password the answer stays the same, and no mail comes.
    assert_eq!(forgot(&app.client(), acme.email()).await.status, 202);
    smtp.no_mail().await;
    invite(&acme, "new@guest.example").await.created();
    smtp.mail().await;
    app.clock.advance(Duration::from_secs(720));
    acme.owner.post_empty("/v1/me/email/verification").await.expect(202);
    smtp.mail().await;
    for _ in 0..20 {
        forgot(&app.client(), "nobody@elsewhere.example").await;
    }
    let refused = forgot(&app.client(), "nobody@elsewhere.example").await;
    assert_eq!(refused.header("ratelimit-policy"), "\"forgot-password\";q=20;w=1200");
    assert_eq!(refused.header("ratelimit"), "\"forgot-password\";r=0;t=60");
    refused.refused("too_many_attempts");
}

/// Requests do not wait for the mail server, and what they asked for is sent when it is back. Until then nothing of it
/// can be read in the store.
#[tokio::test(flavor = "multi_thread")]
async fn mails_wait_sealed_while_the_server_is_away() {
    let port = free_port();
    let app = sending_to(port, Setup::unlimited()).start().await;
    let acme = organization(&app, "Acme").await;
    let began = Instant::now();
    for number in 0..5 {
        invite(&acme, &format!("guest-{number}@new.example")).await.created();
    }
    forgot(&app.client(), "secret-place@elsewhere.example").await;
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(!tables_with(&app, "guest-1@new.example").contains(&"mails".to_owned()));
    assert_eq!(tables_with(&app, "secret-place@elsewhere.example"), Vec::<String>::new());
    assert_eq!(tables_with(&app, "tnt_invitation_"), Vec::<String>::new());

    let smtp = SmtpServer::start_on(port, None);
    let mut tokens = BTreeMap::new();
    while tokens.len() < 5 {
        // A mail that is under way while the clock jumps may be sent twice: it comes at least once.
        app.clock.advance(Duration::from_secs(60));
        let mail = smtp.mail().await;
        tokens.insert(mail["to"][0].as_str().unwrap().to_owned(), mail["token"].clone());
    }
    let expected: Vec<String> = (0..5).map(|number| format!("guest-{number}@new.example")).collect();
    assert_eq!(tokens.keys().cloned().collect::<Vec<_>>(), expected);
    accept(&app.client(), &tokens[&expected[0]], Some(PASSWORD)).await.created();
}

#[tokio::test(flavor = "multi_thread")]
async fn server_that_refuses_dies_or_is_slow_loses_no_other_mail() {
    let mut smtp = SmtpServer::start();
    let app = service(&smtp).await;
    let acme = organization(&app, "Acme").await;
    smtp.does("refuse");
    let dropped = metric(&app, "mails_dropped_total{reason=\"refused\"}").await;
    invite(&acme, "refused@new.example").await.created();
    let began = Instant::now();
    while metric(&app, "mails_dropped_total{reason=\"refused\"}").await <= dropped {
        assert!(began.elapsed() < Duration::from_secs(30), "it is not given up");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for mode in ["later", "die"] {
        smtp.does(mode);
        let tried = metric(&app, "mails_tried_again_total").await;
        let address = format!("{mode}@new.example");
        invite(&acme, &address).await.created();
        let began = Instant::now();
        while metric(&app, "mails_tried_again_total").await <= tried {
            assert!(began.elapsed() < Duration::from_secs(30), "{mode}: it is not tried");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        smtp.does("ok");
        app.clock.advance(Duration::from_secs(20));
        assert_eq!(smtp.mail().await["to"], json!([address]));
    }
    // Each of these takes the server some seconds: nobody else waits for that.
    smtp.does("slow");
    let began = Instant::now();
    for number in 0..3 {
        invite(&acme, &format!("slow-{number}@new.example")).await.created();
    }
    acme.owner.get("/v1/me").await.ok();
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    for _ in 0..3 {
        smtp.mail().await;
    }
    smtp.no_mail().await;
}

/// A process that is killed while it sends leaves the mail to the next one; the link in it is the same.
#[tokio::test(flavor = "multi_thread")]
async fn mail_survives_kill_while_it_is_sent() {
    let mut smtp = SmtpServer::start();
    let test_env = TestEnv::new();
    let launch = smtp.flags().iter().fold(Launch::on(&test_env), |launch, flag| launch.with(flag));
    let server = launch.start();
    let new = new_organization("Acme", "owner@acme.example");
    server.operator().post("/v1/organizations", &new).await.created();
    smtp.does("slow");
    let body = json!({ "email": "new@guest.example", "role": "member" });
    server.operator().post("/v1/organizations/acme/invitations", &body).await.created();
    let begun = tokio::task::block_in_place(|| smtp.next_line(Duration::from_secs(60)));
    assert_eq!(begun.unwrap()["begun"], true);
    server.kill().await;
    smtp.does("ok");
    let server = launch.start();
    // The server may have gone on with the first one by itself.
    let mail = smtp.mail().await;
    assert_eq!(mail["to"], json!(["new@guest.example"]));
    let accepted = json!({ "token": mail["token"], "password": PASSWORD });
    server.client().post("/v1/invitations/accept", &accepted).await.created();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mail_server_gets_user_and_password() {
    let mut smtp = SmtpServer::start_on(0, Some("p/ss:word@"));
    let url = format!("--smtp-url=smtp://mailer:p%2Fss%3Aword%40@127.0.0.1:{}?tls=off", smtp.port);
    let setup = flags(smtp.port).iter().skip(1).fold(Setup::unlimited(), |setup, flag| setup.with(flag));
    let app = setup.with(&url).start().await;
    let acme = organization(&app, "Acme").await;
    invite(&acme, "new@guest.example").await.created();
    smtp.mail().await;
    // A server that lets us in no more is none that refuses our mails.
    smtp.does("closed");
    invite(&acme, "other@guest.example").await.created();
    smtp.no_mail().await;
    smtp.does("ok");
    app.clock.advance(Duration::from_secs(20));
    assert_eq!(smtp.mail().await["to"], json!(["other@guest.example"]));
}

/// Without a mail server, what needs mail says so, and the operator's links are the way out.
#[tokio::test]
async fn requests_for_mail_are_refused_where_none_is_sent() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.owner.post_empty("/v1/me/email/verification").await.refused("mail_not_configured");
    let body = json!({ "email": "new@acme.example", "current_password": PASSWORD });
    acme.owner.post("/v1/me/email", &body).await.refused("mail_not_configured");
    for email in [acme.email(), "nobody@elsewhere.example"] {
        forgot(&app.client(), email).await.refused("mail_not_configured");
    }
    let invitation = invite(&acme, "new@guest.example").await.created();
    assert!(invitation["token"].is_string());
    assert_eq!(invitation["delivery"], "response");
}
