//! Many documents, one to a line: each is answered, in order, once it is stored; what is cut off is noticed.

use crate::support::app::{App, Setup};
use crate::support::client::Answer;
use crate::support::fixtures::{Organization, insert_lines, organization};
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

async fn count(acme: &Organization) -> Value {
    acme.owner.get(&acme.about("count")).await.ok()["count"].take()
}

/// The lines before the last, and the last.
fn split(answer: &Answer) -> (Vec<Value>, Value) {
    assert_eq!(
        (answer.status.as_u16(), answer.header("content-type")),
        (200, "application/x-ndjson"),
        "{answer}"
    );
    let mut lines = answer.lines();
    let last = lines.pop().unwrap();
    (lines, last)
}

#[tokio::test]
async fn bulk_lines_are_answered_in_order_and_bad_ones_stop_none() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let lines = "{\"_id\":1,\"a\":{\"$numberLong\":\"5\"}}\n\
        {\"_id\":{\"$numberDecimal\":\"1.0\"}}\n\
        \n\
        nonsense\n\
        \x20 \r\n\
        {\"_id\":\"x\",\"b\":{\"c.d\":1},\"_tenantry\":1}\r\n\
        {\"_id\":{\"k\":[9007199254740993]}}";
    let answer = insert_lines(&acme.owner, &acme.about("bulk"), lines).await;
    insta::assert_snapshot!(answer.text, @r#"
    {"line":1,"status":201,"id":1,"revision":"1800000000000"}
    {"line":2,"status":409,"code":"document_exists","detail":"There is a document of this `_id`. Replace it with PUT, or choose another `_id`."}
    {"line":4,"status":400,"code":"invalid_json","detail":"This is not JSON: an unknown word at byte 0."}
    {"line":6,"status":400,"code":"invalid_input","detail":"The request has invalid fields. Correct each field that `errors` names and send the request again.","errors":[{"pointer":"/b/c.d","detail":"A name must not contain `.`."},{"pointer":"/_tenantry","detail":"Is reserved for the service."}]}
    {"line":7,"status":201,"id":{"k":[9007199254740993]},"revision":"1800000000000"}
    {"inserted":2,"repeated":0,"refused":3,"lines":7}
    "#);
    assert_eq!(count(&acme).await, 2);
    for media_type in ["application/jsonl", "application/ndjson; charset=utf-8", "Application/X-NDJSON"] {
        let body = Some((media_type, b"{}".to_vec()));
        let (lines, last) = split(&acme.owner.send(Method::POST, &acme.about("bulk"), body).await);
        assert_eq!((lines.len(), last["inserted"].as_u64()), (1, Some(1)), "{media_type}");
    }
}

#[tokio::test]
async fn bulk_with_refused_outcomes_answers_only_refused_lines() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let path = format!("{}?outcomes=refused", acme.about("bulk"));
    let lines: String = (0..1200).map(|number| format!("{{\"_id\":{}}}\n", number % 1199)).collect();
    let (refused, last) = split(&insert_lines(&acme.owner, &path, &lines).await);
    assert_eq!(refused.len(), 1);
    assert_eq!((&refused[0]["line"], &refused[0]["code"]), (&json!(1200), &json!("document_exists")));
    assert_eq!(last, json!({ "inserted": 1199, "repeated": 0, "refused": 1, "lines": 1200 }));
    let (all, _) =
        split(&insert_lines(&acme.owner, &format!("{}?outcomes=all", acme.about("bulk")), &lines).await);
    assert_eq!(all.len(), 1200);
}

#[tokio::test]
async fn bulk_without_lines_is_no_error() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for (lines, number) in [("", 0), ("\n", 1), ("\n \n\t\n ", 4)] {
        let (answers, last) = split(&insert_lines(&acme.owner, &acme.about("bulk"), lines).await);
        assert!(answers.is_empty());
        assert_eq!(last, json!({ "inserted": 0, "repeated": 0, "refused": 0, "lines": number }));
    }
}

#[tokio::test]
async fn bulk_line_that_is_too_long_or_no_text_is_refused_alone() {
    let app = Setup::unlimited().with("--max-document-kib=1").start().await;
    let acme = organization(&app, "Acme").await;
    let mut body = b"{\"_id\":1}\n{\"a\":\"".to_vec();
    body.extend(std::iter::repeat_n(b'x', 1 << 20));
    body.extend(b"\"}\n{\"a\":\"");
    body.extend(std::iter::repeat_n(b'x', 1024));
    body.extend(b"\"}\n{\"a\":\"\xff\"}\n{\"_id\":2}\n");
    let answer = acme.owner.send(Method::POST, &acme.documents(), Some(("application/x-ndjson", body))).await;
    let (lines, last) = split(&answer);
    let outcomes: Vec<_> = lines
        .iter()
        .map(|line| (line["status"].as_u64().unwrap(), line["code"].as_str().unwrap_or("")))
        .collect();
    let expected =
        [(201, ""), (413, "body_too_large"), (400, "invalid_input"), (400, "invalid_json"), (201, "")];
    assert_eq!(outcomes, expected);
    assert_eq!((&last["inserted"], &last["refused"]), (&json!(2), &json!(3)));
}

#[tokio::test]
async fn bulk_of_many_batches_is_one_response() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let text = "t".repeat(20_000);
    let lines: String =
        (0..1500).map(|number| format!("{{\"_id\":{number},\"text\":\"{text}\"}}\n")).collect();
    let (answers, last) = split(&insert_lines(&acme.owner, &acme.about("bulk"), &lines).await);
    let in_order = (0..1500)
        .zip(&answers)
        .all(|(number, answer)| answer["line"] == number + 1 && answer["id"] == number);
    assert!(in_order && answers.len() == 1500);
    assert_eq!(last, json!({ "inserted": 1500, "repeated": 0, "refused": 0, "lines": 1500 }));
    assert_eq!(count(&acme).await, 1500);
}

#[tokio::test]
async fn bulk_lines_with_idempotency_key_insert_once() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keyed = acme.owner.with_header("idempotency-key", "key-1");
    let lines: String =
        (0..700).map(|number| format!("{{\"n\":{number}}}\n{}", "\n".repeat(number % 3))).collect();
    let half = &lines[..lines.len() / 2];
    let half = &half[..=half.rfind('\n').unwrap()];
    let (first, totals) = split(&insert_lines(&keyed, &acme.about("bulk"), half).await);
    assert_eq!(totals["inserted"], first.len());

    let (again, totals) = split(&insert_lines(&keyed, &acme.about("bulk"), &lines).await);
    assert_eq!((&totals["inserted"], &totals["repeated"]), (&json!(700 - first.len()), &json!(first.len())));
    for (number, line) in again.iter().enumerate() {
        let was_there = first.get(number);
        assert_eq!(line["repeated"] == true, was_there.is_some());
        assert!(was_there.is_none_or(|first| first["id"] == line["id"] && first["line"] == line["line"]));
    }
    assert_eq!(count(&acme).await, 700);

    // Another key, another collection, no key: other documents.
    acme.owner.post(&acme.collections(), &json!({ "name": "other" })).await.created();
    let other = format!("{}/other/documents", acme.collections());
    let two = acme.owner.with_header("idempotency-key", "key-2");
    for (client, path) in [(&two, &acme.documents()), (&keyed, &other), (&acme.owner, &acme.documents())] {
        let (_, totals) = split(&insert_lines(client, path, "{\"n\":0}\n").await);
        assert_eq!(totals["inserted"], 1);
    }
    // A line whose document has changed since is not the same.
    let changed = format!("{}/{}", acme.documents(), again[0]["id"]["$oid"].as_str().unwrap());
    acme.owner.patch(&changed, &json!({ "n": "changed" })).await.ok();
    let (third, _) = split(&insert_lines(&keyed, &acme.about("bulk"), half).await);
    assert_eq!((&third[0]["code"], &third[1]["repeated"]), (&json!("document_exists"), &json!(true)));
}

#[tokio::test]
async fn bulk_errors_before_first_line_are_plain_refusals() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for lines in ["{}\n", "", "nonsense\n"] {
        let nowhere = format!("{}/nothing/documents", acme.collections());
        insert_lines(&acme.owner, &nowhere, lines).await.refused("collection_not_found");
        insert_lines(&app.client(), &acme.documents(), lines).await.refused("token_missing");
        insert_lines(&app.operator(), &acme.documents(), lines).await.refused("members_only");
        for media_type in ["text/plain", "application/x-json-stream", "application/json-seq"] {
            let body = Some((media_type, format!("{lines}{{}}").into_bytes()));
            let answer = acme.owner.send(Method::POST, &acme.about("bulk"), body).await;
            answer.refused("unsupported_media_type");
        }
    }
    assert_eq!(count(&acme).await, 0);
}

/// A request whose body is sent as the test goes on.
pub struct Stream {
    pub stream: TcpStream,
    received: String,
}

impl Stream {
    pub async fn begin(app: &App, acme: &Organization) -> Self {
        let head = format!(
            "POST {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\nauthorization: {}\r\n\
             content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
            acme.documents(),
            acme.owner.header("authorization").unwrap(),
        );
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        Self { stream, received: String::new() }
    }

    pub async fn send(&mut self, text: &str) {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.stream.write_all(chunk.as_bytes()).await.unwrap();
    }

    pub async fn end(&mut self) {
        self.stream.write_all(b"0\r\n\r\n").await.unwrap();
    }

    /// Reads until `text` has come, or the other side ends.
    pub async fn read_until(&mut self, text: &str) -> &str {
        let mut bytes = vec![0; 64 * 1024];
        while !self.received.contains(text) {
            let read = timeout(Duration::from_secs(20), self.stream.read(&mut bytes)).await;
            let count = read.unwrap_or_else(|_| panic!("no {text} in {}", self.received)).unwrap();
            if count == 0 {
                break;
            }
            self.received.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        &self.received
    }

    pub async fn read_to_end(&mut self) -> &str {
        self.read_until("\u{0}").await
    }
}

#[tokio::test]
async fn bulk_line_is_answered_before_the_next_is_sent() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    for number in 1..=3 {
        stream.send("{\"a\"").await;
        stream.send(":1}\n").await;
        let seen = stream.read_until(&format!("{{\"line\":{number},\"status\":201")).await;
        assert!(seen.starts_with("HTTP/1.1 200 ") && !seen.contains("\"lines\""), "{seen}");
        assert_eq!(count(&acme).await, number);
    }
    stream.end().await;
    let seen = stream.read_to_end().await;
    assert!(seen.contains("{\"inserted\":3,\"repeated\":0,\"refused\":0,\"lines\":3}"), "{seen}");
}

#[tokio::test]
async fn bulk_stream_ends_when_right_ends() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    stream.send("{\"_id\":1}\n").await;
    stream.read_until("\"line\":1").await;
    app.operator().post_empty(&format!("{}/suspend", acme.path())).await.ok();
    stream.send("\n{\"_id\":2}\n{\"_id\":3}\n").await;
    let seen = stream.read_to_end().await;
    assert!(seen.contains("{\"line\":2,\"status\":401,\"code\":\"token_revoked\""), "{seen}");
    assert!(seen.ends_with("\r\n0\r\n\r\n") && !seen.contains("\"lines\""), "{seen}");
    app.operator().post_empty(&format!("{}/reactivate", acme.path())).await.ok();
    let tokens = crate::support::fixtures::sign_in(&app, acme.email()).await;
    let owner = crate::support::fixtures::with_access(&app, &tokens);
    assert_eq!(owner.get(&acme.about("count")).await.ok()["count"], 1);
}

#[tokio::test]
async fn bulk_stream_ends_after_long_pause() {
    let app = Setup::unlimited().with("--request-timeout=2").start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    stream.send("{\"_id\":1}\n{\"_id\":2}\n{\"half").await;
    let seen = stream.read_to_end().await;
    assert!(seen.contains("\"line\":2,\"status\":201"), "{seen}");
    assert!(seen.contains("{\"line\":3,\"status\":408,\"code\":\"request_timeout\""), "{seen}");
    assert!(!seen.contains("\"lines\""), "{seen}");
    assert_eq!(count(&acme).await, 2);

    // One that never begins is refused as always.
    let mut stream = Stream::begin(&app, &acme).await;
    assert!(stream.read_to_end().await.starts_with("HTTP/1.1 408 "), "{}", stream.received);
    // So is one whose first line never ends, a byte at a time.
    let mut stream = Stream::begin(&app, &acme).await;
    for _ in 0..8 {
        if timeout(Duration::from_millis(200), stream.stream.readable()).await.is_ok() {
            break;
        }
        stream.send("{").await;
    }
    assert!(stream.read_to_end().await.starts_with("HTTP/1.1 408 "), "{}", stream.received);
}

#[tokio::test]
async fn bulk_body_that_breaks_off_stores_only_whole_lines() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    stream.send("{\"_id\":1}\n{\"_id\":2}\n{\"_id\":3}").await;
    stream.read_until("\"line\":2").await;
    stream.stream.shutdown().await.unwrap();
    let seen = stream.read_to_end().await.to_owned();
    assert!(!seen.contains("\"line\":3,\"status\":201") && !seen.contains("\"lines\""), "{seen}");
    assert_eq!(count(&acme).await, 2);
}

#[tokio::test]
async fn bulk_reads_no_more_while_client_reads_nothing() {
    // Lines of two bytes, each with an answer of a hundred and more.
    const LINES: &str = "x\n";
    const MOST: usize = 16 << 20;
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    let chunk = LINES.repeat(32 << 10);
    let mut sent = 0;
    while sent < MOST && timeout(Duration::from_secs(2), stream.send(&chunk)).await.is_ok() {
        sent += chunk.len();
    }
    assert!(sent < MOST, "all of it was read");
    // The service goes on for others.
    assert_eq!(count(&acme).await, 0);
}

#[tokio::test]
async fn bulk_path_refuses_a_single_json_document() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let problem = acme.owner.post(&acme.about("bulk"), &json!({ "a": 1 })).await;
    let problem = problem.refused("invalid_json");
    assert!(problem["detail"].as_str().unwrap().contains("application/x-ndjson"), "{problem}");
    let body = Some(("text/plain", b"{}".to_vec()));
    acme.owner.send(Method::POST, &acme.about("bulk"), body).await.refused("unsupported_media_type");
    acme.owner.post_empty(&acme.about("bulk")).await.refused("unsupported_media_type");
    assert_eq!(count(&acme).await, 0);
}

/// As `mongoexport --jsonArray`, `jq -s` and `json.dump` write documents.
#[tokio::test]
async fn bulk_array_is_answered_as_lines_are() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let array = "\u{feff}[\n  {\"_id\": 1, \"a\": [\"x],\", {}]},\r\n  {\n    \"_id\": 2\n  },\n  {\"_id\": 1},\n  7\n]\n";
    let client = acme.owner.with_header("idempotency-key", "key-1");
    let send = async |path: String, media_type: &'static str, body: &str| {
        split(&client.send(Method::POST, &path, Some((media_type, body.as_bytes().to_vec()))).await)
    };
    let (lines, totals) = send(acme.about("bulk"), "application/json", array).await;
    let outcomes: Vec<_> = lines.iter().map(|line| (&line["line"], &line["status"])).collect();
    assert_eq!(json!(outcomes), json!([[1, 201], [2, 201], [3, 409], [4, 400]]));
    assert_eq!(totals, json!({ "inserted": 2, "repeated": 0, "refused": 2, "lines": 4 }));
    assert_eq!(acme.owner.get(&format!("{}/~1", acme.documents())).await.ok()["a"], json!(["x],", {}]));
    // Under one key, an element is the line of its number, at both paths and by both media types.
    for (path, media_type) in [
        (acme.about("bulk"), "application/x-ndjson"),
        (acme.documents(), "application/x-ndjson"),
        (acme.documents(), "application/json"),
    ] {
        let (_, totals) = send(path, media_type, array).await;
        assert_eq!(totals, json!({ "inserted": 0, "repeated": 2, "refused": 2, "lines": 4 }), "{media_type}");
    }
    let answer = acme.owner.post(&acme.about("bulk"), &json!([])).await;
    assert_eq!(split(&answer).1, json!({ "inserted": 0, "repeated": 0, "refused": 0, "lines": 0 }));
    assert_eq!(count(&acme).await, 2);
}

#[tokio::test]
async fn bulk_array_of_many_batches_is_one_response() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let documents: Vec<_> = (0..3000).map(|id| json!({ "_id": id, "text": "[,]".repeat(50) })).collect();
    let answer = acme.owner.post(&acme.about("bulk?outcomes=refused"), &json!(documents)).await;
    assert_eq!(answer.lines(), [json!({ "inserted": 3000, "repeated": 0, "refused": 0, "lines": 3000 })]);
}

#[tokio::test]
async fn bulk_array_that_is_no_good_stores_its_good_elements() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let send = async |body: &str| {
        acme.owner.send(Method::POST, &acme.about("bulk"), Some(("application/json", body.into()))).await
    };
    for (body, inserted, refused) in [
        ("[{},]", 1, 1),
        ("[{},,{}]", 2, 1),
        ("[{}, {\"a\": 1}}, {}]", 2, 1),
        ("[{}] {\"a\": 1}", 1, 1),
        ("[{\"a\": \"x\ny\"}, {}]", 1, 1),
    ] {
        let (_, totals) = split(&send(body).await);
        assert_eq!((&totals["inserted"], &totals["refused"]), (&json!(inserted), &json!(refused)), "{body}");
    }
    let before = count(&acme).await.as_u64().unwrap();
    // One that was cut off says so, in place of the totals.
    for body in ["[{}, {}", "[{}, {},", "[{}, {}, {\"a\":"] {
        let answer = send(body).await;
        let last = answer.lines().pop().unwrap_or_default();
        assert!(answer.text.contains("did not arrive whole") && last["lines"].is_null(), "{body}: {answer}");
    }
    // An element has arrived whole if a comma follows it.
    assert_eq!(count(&acme).await, before + 5);
}

#[tokio::test]
async fn documents_path_answers_ndjson_as_bulk_does() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let keyed = acme.owner.with_header("idempotency-key", "key-1");
    let (first, totals) = split(&insert_lines(&keyed, &acme.documents(), "{\"n\":1}\nnonsense\n").await);
    assert_eq!(totals, json!({ "inserted": 1, "repeated": 0, "refused": 1, "lines": 2 }));
    // A key means the same at both paths.
    let (second, totals) = split(&insert_lines(&keyed, &acme.about("bulk"), "{\"n\":1}\nnonsense\n").await);
    assert_eq!(totals, json!({ "inserted": 0, "repeated": 1, "refused": 1, "lines": 2 }));
    assert_eq!((&first[0]["id"], &first[1]), (&second[0]["id"], &second[1]));
}
