//! A stream of documents that a kill cuts off: what was answered is there, and sent again nothing is there twice.
//!
//! A failed run is repeated with the seed it has printed: `TENANTRY_TEST_SEED=…`.

use crate::support::client::{Client, plain_http};
use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const LINES: usize = 6_000;
const ROUNDS: u32 = 3;
const KEY: &str = "the-same-key";

/// Every answered line survives a kill, and none is stored twice when the lines are sent again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bulk_lines_answered_survive_kill_and_retry_adds_none_twice() {
    let mut rng = TestRng::of_this_run();
    for has_ids in [false, true] {
        let test_env = TestEnv::new();
        let server = Launch::on(&test_env).start();
        let body = new_organization("Acme", &email_for("Acme"));
        let id =
            server.client().post("/org/create", &body).await.created()["id"].as_str().unwrap().to_owned();
        let path = format!("/v1/organizations/{id}/collections/documents");
        let lines = lines(has_ids);
        let mut server = Some(server);
        let mut answered = BTreeMap::new();
        for _ in 0..ROUNDS {
            let running = server.take().unwrap();
            let after = usize::try_from(rng.between(1, LINES as u64 * 3 / 4)).unwrap();
            answered.extend(send_until_killed(running, &path, &lines, after).await);
            let restarted = restarted(&test_env).await;
            check(&owner(&restarted).await, &path, &answered, None).await;
            server = Some(restarted);
        }
        let server = server.take().unwrap();
        let owner = owner(&server).await;
        let answers = send(&server, &owner, &path, &lines).await;
        let total = answers.last().unwrap();
        assert_eq!(total["refused"], 0, "{total}");
        assert_eq!(total["inserted"].as_u64().unwrap() + total["repeated"].as_u64().unwrap(), LINES as u64);
        for answer in &answers[..LINES] {
            let line = answer["line"].as_u64().unwrap();
            if let Some(id) = answered.get(&line) {
                assert_eq!(&answer["id"], id, "the same line has the same id");
                assert_eq!(answer["repeated"], true, "{answer}");
            }
            answered.insert(line, answer["id"].clone());
        }
        check(&owner, &path, &answered, Some(LINES)).await;
        println!("{} lines, {ROUNDS} kills", answered.len());
        server.stop().await;
    }
}

fn lines(has_ids: bool) -> String {
    let line = |n: usize| match has_ids {
        true => format!("{{\"_id\":\"own-{n}\",\"n\":{n}}}\n"),
        false => format!("{{\"n\":{n}}}\n"),
    };
    (1..=LINES).map(line).collect()
}

async fn restarted(test_env: &TestEnv) -> Server {
    test_env.end_leases();
    Launch::on(test_env).start()
}

async fn owner(server: &Server) -> Client {
    let tokens = server.client().post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await.ok();
    server.client().with_token(tokens["access_token"].as_str().unwrap())
}

async fn begin(server: &Server, owner: &Client, path: &str, lines: &str) -> reqwest::Response {
    let request = plain_http();
    let request = request.post(format!("http://{}{path}/documents", server.address()));
    let request = request.header("authorization", owner.header("authorization").unwrap());
    let request = request.header("content-type", "application/x-ndjson").header("idempotency-key", KEY);
    let response = request.body(lines.to_owned()).send().await.unwrap();
    assert_eq!(response.status(), 200);
    response
}

/// The lines of an answer that may be cut off, and is cut off by `stop`.
async fn answers(mut response: reqwest::Response, mut stop: impl AsyncFnMut(usize)) -> Vec<Value> {
    let (mut text, mut seen) = (Vec::new(), 0);
    while let Ok(Some(chunk)) = response.chunk().await {
        seen += chunk.iter().filter(|byte| **byte == b'\n').count();
        text.extend_from_slice(&chunk);
        stop(seen).await;
    }
    let text = String::from_utf8(text).unwrap();
    text.split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Sends the lines and kills the service once `after` are answered; returns the answered ones with their ids.
async fn send_until_killed(server: Server, path: &str, lines: &str, after: usize) -> BTreeMap<u64, Value> {
    let owner = owner(&server).await;
    let response = begin(&server, &owner, path, lines).await;
    let mut server = Some(server);
    let answers = answers(response, async |seen| {
        if seen >= after
            && let Some(server) = server.take()
        {
            server.kill().await;
        }
    })
    .await;
    assert!(server.is_none(), "all was answered before the kill");
    let inserted = answers.into_iter().filter(|answer| answer["line"].is_u64());
    inserted
        .inspect(|answer| assert_eq!(answer["status"], 201, "{answer}"))
        .map(|answer| (answer["line"].as_u64().unwrap(), answer["id"].clone()))
        .collect()
}

async fn send(server: &Server, owner: &Client, path: &str, lines: &str) -> Vec<Value> {
    answers(begin(server, owner, path, lines).await, async |_| {}).await
}

/// Looks whether those lines are there, each once, and, if it is known, how many there are in all.
async fn check(owner: &Client, path: &str, answered: &BTreeMap<u64, Value>, total: Option<usize>) {
    let mut found: BTreeMap<u64, Vec<Value>> = BTreeMap::new();
    let mut next = format!("{path}/documents?limit=200");
    loop {
        let page = owner.get(&next).await.ok();
        for document in page["items"].as_array().unwrap() {
            found.entry(document["n"].as_u64().unwrap()).or_default().push(document["_id"].clone());
        }
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        next = format!("{path}/documents?limit=200&cursor={cursor}");
    }
    for (line, ids) in &found {
        assert_eq!(ids.len(), 1, "line {line} is there as {ids:?}");
    }
    for (line, id) in answered {
        let there = found.get(line).unwrap_or_else(|| panic!("line {line} was answered and is not there"));
        assert_eq!(there, std::slice::from_ref(id));
    }
    if let Some(total) = total {
        assert_eq!(found.len(), total);
        let counted = owner.get(&format!("{path}/count?filter=%7B%7D")).await.ok();
        assert_eq!(counted["count"], json!(total));
    }
}
