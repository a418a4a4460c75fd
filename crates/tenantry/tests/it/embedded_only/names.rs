//! Which names an organization can have and which of them are one name, as a client meets it.
//!
//! The rules themselves, with every vector, are tests of `domain::name`; here is what they come to over HTTP.

use crate::support::app::{App, Setup};
use crate::support::fixtures::{PASSWORD, find, new_organization, organization};
use crate::support::raw::{self, exchange};
use crate::support::records::containers;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// Creates an organization with an address of its own, and says what came of it.
async fn create(app: &App, name: &str, number: usize) -> crate::support::client::Answer {
    let new = new_organization(name, &format!("owner-{number}@names.example"));
    app.client().post("/org/create", &new).await
}

#[tokio::test]
async fn names_that_differ_only_in_spelling_are_one_name() {
    let families: [&[&str]; 6] = [
        &["Acme Corp", "ACME CORP", " acme\t\u{a0}corp\u{3000}", "Acme-Corp", "acme_corp!", "(Acme) Corp®"],
        &["Ｂｅｔａ　Ｃｏｒｐ", "Beta Corp", "𝐁𝐞𝐭𝐚 𝒞ℴ𝓇𝓅"],
        &["Café", "Cafe\u{301}", "CAFÉ"],
        &["Straße", "STRASSE"],
        &["ｶﾞｽ 会社", "ガス会社"],
        &["❤\u{fe0f}❤\u{fe0f}", "❤❤"],
    ];
    let app = App::start().await;
    for (number, family) in families.iter().enumerate() {
        let made = create(&app, family[0], number).await.created();
        for twin in *family {
            create(&app, twin, 1000 + number).await.refused("name_taken");
            assert_eq!(find(&app, twin).await.ok()["id"], made["id"], "{twin}");
        }
    }
    let listed = app.operator().get("/v1/organizations").await.ok();
    assert_eq!(listed["items"].as_array().unwrap().len(), families.len());
}

#[tokio::test]
async fn names_in_every_script_have_identifiers() {
    let app = App::start().await;
    let names = [
        ("株式会社 山田", "zhu-shi-hui-she-shan-tian"),
        ("北京烤鸭店", "bei-jing-kao-ya-dian"),
        ("Яндекс", "iandeks"),
        ("Ελληνική Εταιρεία", "ellenike-etaireia"),
        ("شركة الاتصالات", "shrka-alatsalat"),
        ("כתב עברית", "ktb-abryt"),
        ("शर्मा उद्योग", "shrmaa-udyog"),
        ("สวัสดีประเทศไทย", "swasdiipraethsaithy"),
        ("한국전력", "hangugjeonryeog"),
        ("Ünïcödé Straße", "unicode-strasse"),
        ("🦄🚀", "org-e9d1c1e4e89d4a5c"),
        ("!!!", "org-e84c538e7fe25073"),
    ];
    for (number, (name, identifier)) in names.iter().enumerate() {
        let made = create(&app, name, number).await.created();
        assert_eq!(made["organization_name"], *name);
        assert_eq!(made["organization_identifier"], *identifier, "{name}");
        assert_eq!(made["tenant_collection"], format!("tenant_{}", identifier.replace('-', "_")), "{name}");
        assert_eq!(find(&app, name).await.ok(), made);
        let by_identifier = app.operator().get(&format!("/v1/organizations/{identifier}")).await.ok();
        assert_eq!(by_identifier["id"], made["id"]);
    }
}

#[tokio::test]
async fn name_is_shown_as_given_except_white_space_and_composition() {
    let app = App::start().await;
    let names = [
        ("  Acme \t\r\n Corp\u{2028}", "Acme Corp"),
        ("Cafe\u{301}", "Café"),
        ("O'Reilly & Söhne 🍺", "O'Reilly & Söhne 🍺"),
    ];
    for (number, (given, shown)) in names.iter().enumerate() {
        assert_eq!(create(&app, given, number).await.created()["organization_name"], *shown);
    }
}

#[tokio::test]
async fn name_that_reads_like_path_or_reserved_word_is_accepted() {
    let app = App::start().await;
    let names = [
        ("../../etc/passwd", "etc-passwd"),
        ("/", ""),
        ("C:\\Windows\\System32", "c-windows-system32"),
        ("CON", "con"),
        ("nul", "nul"),
        ("system.users", "system-users"),
        ("$cmd", "cmd"),
        ("admin", "admin"),
        ("null", "null"),
        ("quarantine", "quarantine"),
        ("'; DROP TABLE organizations; --", "drop-table-organizations"),
        ("{{7*7}}", "7-7"),
        ("<script>alert(1)</script>", "script-alert-1-script"),
        ("%2e%2e%2f", "2e-2e-2f"),
        ("restore", "restore"),
    ];
    let before = files(&app);
    let (mut made, mut ids) = (0, Vec::new());
    for (number, (name, identifier)) in names.iter().enumerate() {
        let answer = create(&app, name, number).await;
        if identifier.is_empty() {
            answer.refused_fields(&["/organization_name"]);
            continue;
        }
        let body = answer.created();
        assert_eq!(
            (&body["organization_name"], &body["organization_identifier"]),
            (&json!(name), &json!(identifier))
        );
        assert_eq!(find(&app, name).await.ok(), body);
        made += 1;
        ids.extend(body["id"].as_str().map(str::to_owned));
    }
    for id in ids {
        tenantry_store::make_container_file(&app.data_dir(), id.parse().unwrap());
    }
    // Each is one container, where containers are, and nothing else.
    assert_eq!(containers(&app).len(), made);
    let is_a_file = app.test_env().database().is_none();
    assert_eq!(files(&app).len(), before.len() + if is_a_file { made } else { 0 });
}

/// Every container file below the data directory, and every other file beside the engine's own.
fn files(app: &App) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![app.data_dir().parent().unwrap().to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { directories.push(path) } else { found.push(path) }
        }
    }
    found.retain(|path| !["db-wal", "db-shm"].iter().any(|end| path.to_string_lossy().ends_with(end)));
    found
}

#[tokio::test]
async fn name_has_2_to_120_characters() {
    let app = App::start().await;
    for (name, fits) in [
        (String::new(), false),
        (" ".to_owned(), false),
        ("a".to_owned(), false),
        (" a ".to_owned(), false),
        ("日".to_owned(), false),
        ("e\u{301}".to_owned(), false),
        ("ab".to_owned(), true),
        ("日本".to_owned(), true),
        ("é".repeat(120), true),
        (format!(" {} ", "x".repeat(120)), true),
        ("🦄".repeat(120), true),
        ("é".repeat(121), false),
        ("x".repeat(121), false),
        ("x".repeat(10_000), false),
    ] {
        let answer = create(&app, &name, name.len()).await;
        if fits {
            answer.created();
        } else {
            answer.refused_fields(&["/organization_name"]);
        }
    }
}

#[tokio::test]
async fn long_names_with_same_start_are_different_names() {
    let app = App::start().await;
    let long = "National Association of Long Names and Very Long Names in the Town of";
    let north = create(&app, &format!("{long} North"), 1).await.created();
    let south = create(&app, &format!("{long} South"), 2).await.created();
    let [north, south] = [&north, &south].map(|body| body["organization_identifier"].as_str().unwrap());
    assert!(north.len() <= 63 && south.len() <= 63 && north != south, "{north} {south}");
}

#[tokio::test]
async fn name_with_invisible_characters_is_refused_everywhere() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let gone = organization(&app, "Gone").await;
    app.operator().delete(&gone.path()).await.ok();
    let names = [
        "Acme\0",
        "Ac\u{7}me",
        "Ac\u{9b}me",
        "Ac\u{200b}me",
        "Ac\u{200d}me",
        "\u{feff}Acme",
        "Ac\u{ad}me",
        "Acme\u{202e}proC",
        "Acme\u{2066}Corp",
        "Acme\u{3164}",
        "Acme\u{e0041}",
        "Acme\u{e000}",
        "Acme\u{fffe}",
        // And a name that would be read as an id in a path.
        "6790000007070707070707aa",
    ];
    let operator = app.operator();
    for name in names {
        let field = json!({ "organization_name": name });
        let pointer = ["/organization_name"];
        create(&app, name, 1).await.refused_fields(&pointer);
        let new = new_organization(name, "owner@other.example");
        operator.post("/v1/organizations", &new).await.refused_fields(&pointer);
        acme.owner.put("/org/update", &field).await.refused_fields(&pointer);
        let update = json!({ "organization_name": "Acme", "new_organization_name": name });
        acme.owner.put("/org/update", &update).await.refused_fields(&["/new_organization_name"]);
        acme.owner.patch(&acme.path(), &field).await.refused_fields(&pointer);
        acme.owner.delete_with("/org/delete", &field).await.refused_fields(&pointer);
        operator.post(&format!("{}/restore", gone.path()), &field).await.refused_fields(&pointer);
        find(&app, name).await.refused_fields(&["?organization_name"]);
    }
    assert_eq!(find(&app, "Acme").await.ok(), acme.body);
}

#[tokio::test]
async fn lone_surrogate_in_name_is_invalid_json() {
    let app = App::start().await;
    for name in [r"Acme\ud800", r"\udfffAcme", r"\udc00\ud800"] {
        let body = format!(
            r#"{{"organization_name": "{name}", "email": "owner@acme.example", "password": "{PASSWORD}"}}"#
        );
        let body = Some(("application/json", body.into_bytes()));
        app.client().send(Method::POST, "/org/create", body).await.refused("invalid_json");
    }
    // A pair of them is a character.
    let unicorn = r#"{"organization_name": "\ud83e\udd84\ud83e\udd84", "email": "owner@acme.example", "password": "correct horse battery"}"#;
    let body = Some(("application/json", unicorn.as_bytes().to_vec()));
    let made = app.client().send(Method::POST, "/org/create", body).await.created();
    assert_eq!(made["organization_name"], "🦄🦄");
}

#[tokio::test]
async fn name_that_is_not_utf_8_is_refused() {
    let app = App::start().await;
    let body = b"{\"organization_name\": \"Acme\xff\", \"email\": \"owner@acme.example\", \"password\": \"correct horse battery\"}";
    let body = Some(("application/json", body.to_vec()));
    app.client().send(Method::POST, "/org/create", body).await.refused("invalid_json");
    app.client().get("/org/get?organization_name=Acme%FF").await.refused_fields(&["?organization_name"]);
}

#[tokio::test]
async fn name_of_a_megabyte_is_refused_fast() {
    let name = "a ".repeat(500_000);
    // As it comes, the body is too large for any request; where larger ones are allowed, it is too long a name.
    for (setup, outcome) in [
        (Setup::unlimited(), "body_too_large"),
        (Setup::unlimited().with("--max-body-kib=4096"), "/organization_name"),
    ] {
        let app = setup.start().await;
        let body = new_organization(&name, "owner@acme.example").to_string();
        let mut request =
            raw::head("POST /org/create", &format!("content-length: {}", body.len())).into_bytes();
        request.extend_from_slice(body.as_bytes());
        let answer = exchange(&app, &request).await;
        let problem: Value = serde_json::from_str(&answer.body).unwrap();
        let named = problem["errors"][0]["pointer"].as_str().or(problem["code"].as_str());
        assert_eq!(named, Some(outcome));
        assert!(answer.body.len() < 1000, "the name came back");
        assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
        let listed = app.operator().get("/v1/organizations?show_deleted=true").await.ok();
        assert_eq!(listed["items"], json!([]));
    }
}
