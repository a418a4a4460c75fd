//! Request bodies with `Content-Encoding`: gzip and zstd wherever a body is taken, and every limit as for a plain one.

use crate::support::app::App;
use crate::support::client::Client;
use crate::support::fixtures::organization;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Method;
use serde_json::json;
use std::io::Write;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 1).unwrap()
}

type Encode = fn(&[u8]) -> Vec<u8>;

/// The codings that are taken, each with a client that names it and what makes it.
fn codings(client: &Client) -> [(Client, Encode); 2] {
    [
        (client.with_header("content-encoding", "gzip"), gzip),
        (client.with_header("content-encoding", "zstd"), zstd),
    ]
}

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";

#[tokio::test]
async fn coded_body_is_taken_wherever_a_plain_one_is() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let lines: String = (0..500).map(|number| format!("{{\"number\":{number}}}\n")).collect();
    for (client, encode) in codings(&acme.owner) {
        let one = Some((JSON, encode(br#"{"a": 1}"#)));
        client.send(Method::POST, &acme.documents(), one).await.created();
        let bulk =
            client.send(Method::POST, &acme.about("bulk"), Some((NDJSON, encode(lines.as_bytes())))).await;
        assert_eq!(bulk.lines().last().unwrap()["inserted"], 500, "{bulk}");
        let older = client.send(Method::POST, &acme.documents(), Some((NDJSON, encode(b"{}\n{}\n")))).await;
        assert_eq!(older.lines().last().unwrap()["inserted"], 2, "{older}");
        let array = client.send(Method::POST, &acme.documents(), Some((JSON, encode(b"[{}, {}]")))).await;
        assert_eq!(array.lines().last().unwrap()["inserted"], 2, "{array}");
        let query = Some((JSON, encode(br#"{"filter": {"number": 7}}"#)));
        client.send(Method::POST, &acme.about("query"), query).await.ok();
    }
    let count = acme.owner.get(&acme.about("count")).await.ok();
    assert_eq!(count["count"], 2 * 505, "{count}");
}

#[tokio::test]
async fn coded_archive_is_imported() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    acme.store(&[json!({ "_id": "one" })]).await;
    let archive = app.operator().get(&format!("{}/export", acme.path())).await.text.into_bytes();
    for (number, (client, encode)) in codings(&app.operator()).into_iter().enumerate() {
        let path = format!(
            "/v1/organizations/import?id=new&organization_name=copy{number}&owner_email=o{number}@acme.example"
        );
        let damaged = Some((NDJSON, encode(&archive)[..40].to_vec()));
        client.send(Method::POST, &path, damaged).await.refused("archive_invalid");
        client.send(Method::POST, &path, Some((NDJSON, archive.clone()))).await.refused("archive_invalid");
        client.send(Method::POST, &path, Some((NDJSON, encode(&archive)))).await.created();
    }
}

#[tokio::test]
async fn unknown_coding_is_refused_and_the_known_are_named() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for coding in ["br", "deflate", "gzip, gzip"] {
        let client = acme.owner.with_header("content-encoding", coding);
        for media_type in [JSON, NDJSON] {
            let refused =
                client.send(Method::POST, &acme.documents(), Some((media_type, b"{}".to_vec()))).await;
            assert_eq!(refused.header("accept-encoding"), "gzip, zstd", "{refused}");
            refused.refused("unsupported_media_type");
        }
    }
    // Where the media type is what is wrong, the codings are not.
    let refused = acme.owner.send(Method::POST, &acme.documents(), Some(("text/csv", b"a,b".to_vec()))).await;
    assert!(!refused.headers.contains_key("accept-encoding"), "{refused}");
    refused.refused("unsupported_media_type");
}

#[tokio::test]
async fn coded_body_that_is_damaged_or_cut_off_changes_nothing() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let document = format!("{{\"text\": \"{}\"}}", "0123456789".repeat(100));
    for (client, encode) in codings(&acme.owner) {
        let whole = encode(document.as_bytes());
        for wrong in [&whole[..whole.len() - 3], &whole[..5], document.as_bytes(), b"\0\0\0\0"] {
            let sent = Some((JSON, wrong.to_vec()));
            client.send(Method::POST, &acme.documents(), sent).await.refused("invalid_json");
            let sent = Some((NDJSON, wrong.to_vec()));
            let bulk = client.send(Method::POST, &acme.about("bulk"), sent).await;
            bulk.refused("invalid_json");
        }
    }
    assert_eq!(acme.owner.get(&acme.about("count")).await.ok()["count"], 0);
}

/// As where a plain one breaks off: the lines that are whole are stored and answered.
#[tokio::test]
async fn coded_lines_that_break_off_are_stored_up_to_there() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let line =
        |number: usize| format!("{{\"_id\":{number},\"text\":\"{number}{}\"}}\n", "x".repeat(number % 97));
    let lines: String = (0..20_000).map(line).collect();
    for (client, encode) in codings(&acme.owner) {
        let coded = encode(lines.as_bytes());
        let cut = Some((NDJSON, coded[..coded.len() / 2].to_vec()));
        let answers = client.send(Method::POST, &acme.about("bulk"), cut).await.lines();
        let (last, stored) = answers.split_last().unwrap();
        assert_eq!(last["code"], "invalid_json", "{last}");
        assert!(!stored.is_empty() && stored.len() < 20_000, "{}", stored.len());
        assert_eq!(last["line"], stored.len() + 1);
        let count = acme.owner.get(&acme.about("count")).await.ok();
        assert_eq!(count["count"], stored.len());
        let all = acme.owner.post(&acme.about("delete"), &json!({ "filter": {} })).await;
        assert!(all.status.is_success(), "{all}");
    }
}

#[tokio::test]
async fn limits_of_bodies_apply_to_what_comes_out() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let spaces = vec![b' '; 1 << 20];
    for (client, encode) in codings(&acme.owner) {
        let coded = encode(&spaces);
        assert!(coded.len() < 8 << 10);
        client.send(Method::POST, "/org/create", Some((JSON, coded.clone()))).await.refused("body_too_large");
        // Lines that swell without end: refused, although lines have no limit together.
        let swelling = encode(&vec![b'\n'; 64 << 20]);
        let bulk = client.send(Method::POST, &acme.about("bulk"), Some((NDJSON, swelling))).await;
        bulk.refused("body_too_large");
    }
}
