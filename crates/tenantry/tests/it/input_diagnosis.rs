//! Input from editors, spreadsheets, compressors and other languages in place of JSON: accepted if it is harmless, else
//! refused with a sentence that names it, and nothing of it is stored.

use crate::support::app::App;
use crate::support::client::{Answer, Client};
use crate::support::fixtures::{insert_lines, new_organization, organization};
use reqwest::Method;
use serde_json::{Value, json};

const NDJSON: &str = "application/x-ndjson";
/// `{"a":1}`, as gzip, zstd, xz, bzip2, lz4 and zip write it; the beginnings say what it is.
const GZIP: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\xabVJT\xb22\xac\x05\x00\x8a\x10\x2d\x4e\x07\x00\x00\x00";

fn utf16(text: &str) -> Vec<u8> {
    let units = [0xfeff].into_iter().chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

async fn post(client: &Client, path: &str, media_type: &str, body: &[u8]) -> Answer {
    client.send(Method::POST, path, Some((media_type, body.to_vec()))).await
}

#[track_caller]
fn assert_names(answer: Answer, code: &str, expected: &str) {
    let problem = answer.refused(code);
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains(expected), "{expected}: {detail}");
}

#[tokio::test]
async fn body_in_another_format_is_named() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let text = "{\"name\": \"orders\"}";
    let array = b"[{\"name\": \"orders\"}]".to_vec();
    assert_names(
        post(&acme.owner, &acme.collections(), "application/json", &array).await,
        "invalid_json",
        "JSON array",
    );
    let cases: [(Vec<u8>, &str); 11] = [
        (GZIP.to_vec(), "gzip -dc"),
        (b"\x28\xb5\x2f\xfd\x24\x10\x81\0\0".to_vec(), "zstd -dc"),
        (b"PK\x03\x04\x14\0\0\0".to_vec(), "ZIP"),
        (utf16(text), "UTF-16"),
        (b"{\"name\": \"caf\xe9\"}".to_vec(), "WINDOWS-1252"),
        (b"{'name': 'orders'}".to_vec(), "json.dumps"),
        (b"{\"name\": \"orders\",}".to_vec(), "remove the comma"),
        (b"{\"name\": \"orders\"}\0".to_vec(), "NUL"),
        (b"{\"name\": \"orders\"}\x1a".to_vec(), "^Z"),
        (b"name=orders".to_vec(), "form"),
        (b"\"{\\\"name\\\": \\\"orders\\\"}\"".to_vec(), "encoded twice"),
    ];
    for (body, expected) in cases {
        for path in [acme.collections(), acme.documents()] {
            assert_names(post(&acme.owner, &path, "application/json", &body).await, "invalid_json", expected);
        }
    }
    assert_eq!(acme.owner.get(&acme.collections()).await.ok()["items"].as_array().unwrap().len(), 1);
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 0);
}

#[tokio::test]
async fn body_with_byte_order_mark_and_crlf_is_accepted() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mark = "\u{feff}";
    let body = format!("{mark}{{\"name\": \"orders\"}}\r\n");
    post(&acme.owner, &acme.collections(), "application/json", body.as_bytes()).await.created();
    let body = format!("{mark}{{\"_id\": 0}}\r\n");
    post(&acme.owner, &acme.documents(), "application/json", body.as_bytes()).await.created();
    // As `cat` joins files of a Windows editor, the last line without an end.
    let lines = format!("{mark}{{\"_id\": 1}}\r\n\r\n{mark}{{\"_id\": 2}}\r\n{{\"_id\": 3}}");
    let answer = insert_lines(&acme.owner, &acme.documents(), &lines).await;
    assert_eq!(answer.lines().last().unwrap()["inserted"], 3, "{answer}");
    let query = format!("{mark}{{\"limit\": 2}}\r\n");
    let page = post(&acme.owner, &acme.about("query"), "application/json", query.as_bytes()).await.ok();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn stream_in_another_format_is_refused_whole() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    // The last line of each of these is a document by itself: nothing of it may be stored.
    for (body, expected) in [
        ([GZIP, b"\n{\"_id\": 1}"].concat(), "gzip -dc"),
        (utf16("{\"_id\": 1}\n"), "UTF-16"),
        (b"{\n  \"items\": [\n    {\"_id\": 1}\n  ]\n}".to_vec(), "several lines"),
    ] {
        assert_names(post(&acme.owner, &acme.documents(), NDJSON, &body).await, "invalid_json", expected);
    }
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 0);
}

#[tokio::test]
async fn line_in_another_format_is_named() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (line, expected) in [
        (&b"id,name"[..], "CSV"),
        (b"\"{\"\"a\"\": 1}\"", "spreadsheets"),
        (b"{\"a\": None}", "json.dumps"),
        (b"{\"a\": \"caf\xe9\"}", "WINDOWS-1252"),
        (b"{\"a\": 1},", "without the comma"),
        (b"\x1a", "^Z"),
        (b"{\"_id\": ObjectId(\"674f1c2e9b1d4a0c5e8f7a6b\")}", "EJSON.stringify"),
        (b"// an order", "comments"),
    ] {
        // In the middle, where it stops no other line.
        let body = [b"{\"a\": 0}\n", line, b"\n{\"a\": 2}\n"].concat();
        let answer = post(&acme.owner, &acme.documents(), NDJSON, &body).await;
        let lines = answer.lines();
        let detail = lines[1]["detail"].as_str().unwrap_or_else(|| panic!("{answer}"));
        assert!(detail.contains(expected), "{expected}: {detail}");
        assert_eq!(lines[3], json!({ "inserted": 2, "repeated": 0, "refused": 1, "lines": 3 }));
    }
}

#[tokio::test]
async fn archive_saved_by_an_editor_is_accepted_or_named() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": 1 }), json!({ "_id": 2 })]).await;
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text;
    let import = "/v1/organizations/import?id=new&organization_name=Copy&owner_email=copy@acme.example";
    let pretty: Vec<Value> = archive.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for (body, expected) in [
        (GZIP.to_vec(), "gzip -dc"),
        (utf16(&archive), "UTF-16"),
        (serde_json::to_vec_pretty(&pretty[0]).unwrap(), "several lines"),
        (serde_json::to_vec_pretty(&pretty).unwrap(), "JSON array"),
        (b"PK\x03\x04\x14\0\0\0".to_vec(), "ZIP"),
        (b"<html>\n".to_vec(), "HTML"),
    ] {
        assert_names(post(&app.operator(), import, NDJSON, &body).await, "archive_invalid", expected);
    }
    // What Windows' editors and transfers as text do to it is in no checksum.
    let edited = format!("\u{feff}{}", archive.replace('\n', "\r\n"));
    let copy = post(&app.operator(), import, NDJSON, edited.trim_end().as_bytes()).await.created();
    assert_eq!(copy["organization_name"], "Copy");
}

#[tokio::test]
async fn signup_body_that_is_refused_is_explained() {
    let app = App::start().await;
    let body = new_organization("Acme", "owner@acme.example").to_string();
    let cases = [
        (body.replace('"', "'"), "json.dumps"),
        (body.replace(':', ":\u{a0}"), "no-break space"),
        (body.replacen('"', "“", 1), "typographic"),
        (format!("// Acme\n{body}"), "comments"),
        (format!("{body}{body}"), "--data-binary"),
    ];
    for (body, expected) in cases {
        let answer = post(&app.client(), "/org/create", "application/json", body.as_bytes()).await;
        assert_names(answer, "invalid_json", expected);
    }
    app.client().post("/org/create", &new_organization("Acme", "owner@acme.example")).await.created();
}

#[tokio::test]
async fn media_type_of_another_format_is_named() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (media_type, expected) in [
        ("multipart/form-data; boundary=x", "--data-binary"),
        ("text/csv", "CSV"),
        ("application/xml", "XML"),
        ("application/gzip", "gzip -dc"),
        ("text/plain", "application/json"),
    ] {
        let answer = post(&acme.owner, &acme.documents(), media_type, b"{}").await;
        assert_names(answer, "unsupported_media_type", expected);
    }
    let answer = post(&app.operator(), "/v1/organizations/import", "application/gzip", GZIP).await;
    assert_names(answer, "unsupported_media_type", "gzip -dc");
}
