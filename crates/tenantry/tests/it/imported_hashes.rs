//! Password hashes that people bring along in an archive: verified as they were made, refused with the reason, and
//! replaced only by a hash of what was compared.

use crate::support::app::App;
use crate::support::client::Answer;
use crate::support::fixtures::{Organization, credentials, organization};
use crate::support::records::{edit_account, password_hash};
use reqwest::Method;
use serde_json::Value;

const BROUGHT: &str = "securepassword123";
/// As argon2 0.45.0 for Node printed it; with a hash of 4 bytes; as PHP 8.2 did; and as Django 5.2
/// did, without what it puts before it.
const ARGON2: [&str; 4] = [
    "$argon2id$v=19$m=512,p=1,t=2$xUGFddWmeVnqkSVHI9lg1A$TQGFhkhLPG1UK+TfYftne1Gx3OxOxozrGhsmqcuGakU",
    "$argon2i$v=19$m=512,p=2,t=2$MTIzNDU2Nzg$BGpMRA",
    "$argon2i$v=19$m=512,t=2,p=1$T1NKTzhjcTA3aXFGYVQzMw$yeocKFuS2DdXfUkSq78QKx3FZqmPGZth0oWqmHBjTQY",
    "$argon2id$v=19$m=102400,t=2,p=8$bnhITndjZlhnQzNWMzNnUFdqUlEzTQ$GF883/aiF86z8VDTY3Xob7nwMtfq8NsrxWmPxO45qB8",
];
/// Hashes that cannot be verified, each with the detail of its refusal.
const REFUSED: [(&str, &str); 6] = [
    ("$argon2id$v=19$t=2,p=1$c2FsdHNhbHRzYWx0$CV9GP2lpho7dJntky2B+arEl9DlCeUJJgxqqSiH6RZQ", "`m=`"),
    (
        "$argon2id$v=19$m=2097152,t=1,p=1$c2FsdHNhbHRzYWx0$CV9GP2lpho7dJntky2B+arEl9DlCeUJJgxqqSiH6RZQ",
        "1048576",
    ),
    (
        "$argon2id$v=19$m=1048576,t=9,p=1$c2FsdHNhbHRzYWx0$CV9GP2lpho7dJntky2B+arEl9DlCeUJJgxqqSiH6RZQ",
        "4194304",
    ),
    ("$2b$31$r8gnGXvLb9faaEPtrPyMne.rXcF51overz1qt/TrCZjeGbdsHuj0q", "cost of 31"),
    (
        "argon2$argon2id$v=19$m=102400,t=2,p=8$bnhITndjZlhnQzNWMzNnUFdqUlEzTQ$GF883/aiF86z8VDTY3Xob7nwMtfq8NsrxWmPxO45qB8",
        "remove all that comes before `$argon2`",
    ),
    ("bcrypt$$2b$12$s0qRSjSc1huivkFtcaOYdOc/L49wFKrcnx.HB.1J20xI38H7rmH1e", "before `$2b$`"),
];

/// Imports a copy of an organization whose owner has that hash.
async fn import(app: &App, template: &Organization, number: usize, hash: &str) -> Answer {
    let archive = app.operator().get(&format!("{}/export", template.path())).await.text;
    let mut lines: Vec<&str> = archive.lines().collect();
    let mut record: Value = serde_json::from_str(lines[1]).unwrap();
    record["organization"]["owner"]["password_hash"] = hash.into();
    let record = record.to_string();
    lines[1] = &record;
    let query = format!("id=new&organization_name=Copy%20{number}&owner_email=owner{number}@copy.example");
    let path = format!("/v1/organizations/import?{query}");
    let body = Some(("application/x-ndjson", resealed(&lines).into_bytes()));
    app.operator().send(Method::POST, &path, body).await
}

/// The archive of these lines, with the checksum that they have.
fn resealed(lines: &[&str]) -> String {
    let (end, before) = lines.split_last().unwrap();
    let before: String = before.iter().map(|line| format!("{line}\n")).collect();
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, before.as_bytes());
    let sha256: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let mut end: Value = serde_json::from_str(end).unwrap();
    end["end"]["sha256"] = sha256.into();
    format!("{before}{end}\n")
}

#[tokio::test]
async fn argon2_hash_of_common_tools_is_imported_and_verified() {
    let app = App::start().await;
    let template = organization(&app, "Template").await;
    for (number, hash) in ARGON2.iter().enumerate() {
        let made = import(&app, &template, number, hash).await.created();
        let email = made["admin_email"].as_str().unwrap();
        let wrong = credentials(email, "securepassword124");
        app.client().post("/admin/login", &wrong).await.refused("invalid_credentials");
        assert_eq!(password_hash(&app, email), *hash);
        app.client().post("/admin/login", &credentials(email, BROUGHT)).await.ok();
        assert!(password_hash(&app, email).starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
    }
}

#[tokio::test]
async fn imported_hash_that_can_never_verify_is_refused() {
    let app = App::start().await;
    let template = organization(&app, "Template").await;
    for (number, (hash, reason)) in REFUSED.iter().enumerate() {
        let answer = import(&app, &template, number, hash).await;
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains("`password_hash`") && detail.contains(reason), "{hash}: {detail}");
        assert!(!detail.contains(&hash[hash.len() - 20..]), "{detail}");
        answer.refused("archive_invalid");
    }
    let listed = app.operator().get("/v1/organizations").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1, "{listed}");
}

/// bcrypt sees 72 bytes only, so a longer password that matches must not become the new hash.
#[tokio::test]
async fn bcrypt_hash_of_72_bytes_is_not_replaced() {
    /// bcrypt 5.0 made it of `letters(72)`.
    const OF_72: &str = "$2b$04$GzXg3z7zdZ/84Pn712MhCONWB9TNOIIe0jSopWv6ipdkNb4x025Ca";
    /// And this one of `letters(71)`.
    const OF_71: &str = "$2b$04$IftCUZY2awv979nVykyHyefrs4BWPzw2ysaxfm2e6jvQNOsY7rfoe";
    let letters = |count: usize| -> String { ('a'..='z').cycle().take(count).collect() };
    let app = App::start().await;
    let (long, short) = (organization(&app, "Long").await, organization(&app, "Short").await);
    let app = app
        .restart_after(|test_env| {
            edit_account(test_env, long.email(), |account| account["password_hash"] = OF_72.into());
            edit_account(test_env, short.email(), |account| account["password_hash"] = OF_71.into());
        })
        .await;
    let sign_in_with = async |organization: &Organization, password: &str| {
        app.client().post("/admin/login", &credentials(organization.email(), password)).await
    };
    // A user who types on behind the 72nd byte is let in, as bcrypt does, and changes nothing by that.
    for tail in ["", "-and-more", "x"] {
        sign_in_with(&long, &format!("{}{tail}", letters(72))).await.ok();
        assert_eq!(password_hash(&app, long.email()), OF_72);
    }
    sign_in_with(&long, &letters(71)).await.refused("invalid_credentials");
    // The same where the password repeats itself behind a zero byte.
    let repeated = format!("{0}\0{0}", letters(30));
    sign_in_with(&short, &repeated).await.refused("invalid_credentials");
    sign_in_with(&short, &letters(71)).await.ok();
    assert!(password_hash(&app, short.email()).starts_with("$argon2id$"));
    sign_in_with(&short, &letters(71)).await.ok();
    sign_in_with(&short, &letters(72)).await.refused("invalid_credentials");
}
