//! Addresses: what is one, which are one mailbox, and that accounts of before which share one both go on.

use crate::support::app::{App, Setup};
use crate::support::checker::Snapshot;
use crate::support::fixtures::{
    PASSWORD, credentials, encoded, new_organization, organization, sign_in, with_access,
};
use crate::support::records::readdress_as_before;
use crate::support::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

/// One mailbox: in Unicode, in ASCII, in capitals, in full-width letters, decomposed, with another dot.
const SPELLINGS: [&str; 6] = [
    "ada@b\u{fc}cher.test",
    "ada@xn--bcher-kva.test",
    "ADA@B\u{dc}CHER.TEST",
    "ada@\u{ff42}\u{fc}\u{ff43}\u{ff48}\u{ff45}\u{ff52}.\u{ff54}\u{ff45}\u{ff53}\u{ff54}",
    "ada@bu\u{308}cher.test",
    "ada@b\u{fc}cher\u{3002}test",
];

#[tokio::test]
async fn email_addresses_that_html_accepts_sign_up_and_in() {
    let app = App::start().await;
    let addresses = [
        "o'brien@example.com",
        "a!#$%&'*+/=?^_`{|}~-b@example.com",
        ".a..b.@example.com",
        "admin@localhost",
        "admin@127.0.0.1",
        "admin@xn--0.com",
        "admin@ab--cd.example",
    ];
    for (number, email) in addresses.iter().enumerate() {
        let new = new_organization(&format!("Acme {number}"), email);
        let made = app.client().post("/org/create", &new).await.created();
        assert_eq!(made["admin_email"], *email);
        sign_in(&app, email).await;
    }
    for email in
        ["a b@example.com", "a@-example.com", "a@example.", "a\"b@example.com", "a@exam_ple.com", "a@"]
    {
        let new = new_organization("Refused", email);
        app.client().post("/org/create", &new).await.refused_fields(&["/email"]);
    }
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn spellings_of_one_mailbox_are_one_account() {
    let app = App::start().await;
    let other = organization(&app, "Other").await;
    let archive = app.operator().get(&format!("{}/export", other.path())).await.text;
    for (number, first) in SPELLINGS.iter().enumerate() {
        let new = new_organization(&format!("Acme {number}"), first);
        let made = app.client().post("/org/create", &new).await.created();
        assert_eq!(made["admin_email"], *first, "it is not kept as given");
        for spelling in SPELLINGS {
            assert_eq!(sign_in(&app, spelling).await["org_id"], made["id"], "{first} as {spelling}");
            let taken = new_organization("Second", spelling);
            app.client().post("/org/create", &taken).await.refused("email_taken");
            let change = json!({ "organization_name": "Other", "email": spelling });
            other.owner.put("/org/update", &change).await.refused("email_taken");
            let query = format!("id=new&organization_name=Copy&owner_email={}", encoded(spelling));
            let body = Some(("application/x-ndjson", archive.as_bytes().to_vec()));
            let path = format!("/v1/organizations/import?{query}");
            app.operator().send(Method::POST, &path, body).await.refused("email_taken");
        }
        let path = format!("/v1/organizations/{}", made["id"].as_str().unwrap());
        app.operator().delete(&path).await.ok();
    }
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn guesses_at_one_mailbox_are_counted_together() {
    let app = Setup::default().start().await;
    app.client().post("/org/create", &new_organization("Acme", SPELLINGS[0])).await.created();
    for number in 0..10 {
        let guess = credentials(SPELLINGS[number % SPELLINGS.len()], "not the password");
        app.client().post("/admin/login", &guess).await.refused("invalid_credentials");
    }
    for spelling in SPELLINGS {
        let right = credentials(spelling, PASSWORD);
        app.client().post("/admin/login", &right).await.refused("too_many_attempts");
    }
}

/// An installation of before with three accounts of one mailbox, in the order of their ids: none of them is in ASCII
/// but the last.
async fn three_of_one_mailbox() -> (App, [Value; 3]) {
    let app = App::start().await;
    let mut made = Vec::new();
    for name in ["One", "Two", "Three"] {
        made.push(organization(&app, name).await.body);
    }
    let accounts = [
        ("owner@one.example", SPELLINGS[0]),
        ("owner@two.example", SPELLINGS[3]),
        ("owner@three.example", SPELLINGS[1]),
    ];
    let app = app.restart_after(|test_env| readdress_as_before(test_env, &accounts)).await;
    // What comes now is later than what came before there was a trail.
    app.clock.advance(Duration::from_secs(1));
    (app, made.try_into().unwrap())
}

#[tokio::test]
async fn earlier_accounts_with_one_mailbox_all_sign_in() {
    let (mut app, [one, two, three]) = three_of_one_mailbox().await;
    for _ in 0..2 {
        for (organization, spelling) in [(&one, SPELLINGS[0]), (&two, SPELLINGS[3]), (&three, SPELLINGS[1])] {
            assert_eq!(sign_in(&app, spelling).await["org_id"], organization["id"], "{spelling}");
            let path = format!("/v1/organizations/{}", organization["id"].as_str().unwrap());
            let shown = app.operator().get(&path).await.ok();
            assert_eq!(shown["admin_email"], spelling, "it has not kept its spelling");
        }
        for spelling in SPELLINGS {
            let taken = new_organization("Fourth", spelling);
            app.client().post("/org/create", &taken).await.refused("email_taken");
        }
        Snapshot::sound(app.test_env());
        app = app.restart().await;
    }
}

#[tokio::test]
async fn earlier_account_changes_password_and_keeps_spelling() {
    let (app, [one, ..]) = three_of_one_mailbox().await;
    let owner = with_access(&app, &sign_in(&app, SPELLINGS[0]).await);
    let password = "another horse battery";
    let change = json!({ "organization_name": "One", "email": SPELLINGS[0], "password": password });
    owner.put("/org/update", &change).await.ok();
    let login = credentials(SPELLINGS[0], password);
    assert_eq!(app.client().post("/admin/login", &login).await.ok()["org_id"], one["id"]);
    app.client()
        .post("/admin/login", &credentials(SPELLINGS[1], password))
        .await
        .refused("invalid_credentials");

    // Nor does it get the mailbox's own spelling, which another account has.
    let change = json!({ "organization_name": "One", "email": SPELLINGS[1] });
    let owner = with_access(&app, &app.client().post("/admin/login", &login).await.ok());
    owner.put("/org/update", &change).await.refused("email_taken");
    owner.put("/org/update", &json!({ "organization_name": "One", "email": "ada@one.example" })).await.ok();
    assert_eq!(
        app.client().post("/admin/login", &credentials("ada@one.example", password)).await.ok()["org_id"],
        one["id"]
    );
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn mailbox_stays_taken_while_an_earlier_account_has_it() {
    let (app, [one, two, three]) = three_of_one_mailbox().await;
    let path = |organization: &Value| format!("/v1/organizations/{}", organization["id"].as_str().unwrap());
    // The one that holds the mailbox's own key.
    app.operator().delete(&path(&three)).await.ok();
    for spelling in SPELLINGS {
        let taken = new_organization("Fourth", spelling);
        app.client().post("/org/create", &taken).await.refused("email_taken");
    }
    let restore = format!("{}/restore", path(&three));
    app.operator().post_empty(&restore).await.refused("email_taken");
    assert_eq!(sign_in(&app, SPELLINGS[0]).await["org_id"], one["id"]);
    assert_eq!(sign_in(&app, SPELLINGS[3]).await["org_id"], two["id"]);
    for gone in [&one, &two] {
        app.operator().delete(&path(gone)).await.ok();
    }
    app.client().post("/org/create", &new_organization("Fourth", SPELLINGS[2])).await.created();
    Snapshot::sound(app.test_env());
}

/// What `tenantry doctor` prints of the mailboxes.
fn doctor(test_env: &TestEnv) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_tenantry"))
        .arg("doctor")
        .args(test_env.flags())
        .arg("--port=0")
        .env_clear()
        .current_dir(test_env.data_dir().parent().unwrap())
        .output()
        .unwrap();
    let text = String::from_utf8(run.stdout).unwrap();
    text.lines().find(|line| line.contains(" mailboxes ")).unwrap_or_else(|| panic!("{text}")).to_owned()
}

#[tokio::test]
async fn doctor_lists_earlier_accounts_with_one_mailbox() {
    let (app, organizations) = three_of_one_mailbox().await;
    let test_env = app.stop().await;
    let line = doctor(&test_env);
    assert!(line.starts_with("warn "), "{line}");
    for (organization, spelling) in organizations.iter().zip([SPELLINGS[0], SPELLINGS[3], SPELLINGS[1]]) {
        let shown = format!("{spelling} ({})", organization["id"].as_str().unwrap());
        assert!(line.contains(&shown), "{line}");
    }
    let app = App::start().await;
    organization(&app, "Acme").await;
    let line = doctor(&app.stop().await);
    assert!(line.starts_with("ok "), "{line}");
}
