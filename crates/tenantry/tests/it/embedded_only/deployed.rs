//! The samples in `deploy`: each program runs its sample as it is, but for addresses and files, in front of the service.
//!
//! `cargo xtask ci --long` runs these tests; `cargo xtask proxies` installs the programs and runs them alone.

mod proxy;

use crate::support::fixtures::{PASSWORD, credentials, email_for, new_organization};
use crate::support::process::{Launch, Server};
use axum::body::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use proxy::{Proxy, Sample};
use reqwest::{Body, Client, Response};
use serde_json::Value;
use std::convert::Infallible;
use std::time::Duration;
use tempfile::{TempDir, tempdir};
use tokio::sync::mpsc;
use tokio::time::timeout;

/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long nothing happens, on a connection and within a request.
const IDLE: Duration = Duration::from_secs(60);

/// A service behind a proxy, and an owner with a token.
struct Deployed {
    proxy: Proxy,
    server: Server,
    http: Client,
    token: String,
    organization: String,
    _home: TempDir,
}

impl Deployed {
    async fn start(sample: Sample) -> Self {
        let home = tempdir().unwrap();
        let port = proxy::free_port();
        let url = format!("https://localhost:{port}/tenantry");
        let launch = Launch::on(&home.path().join("data")).with(&format!("--public-url={url}"));
        // Longer than the pause within a body.
        let launch = launch.with("--trusted-proxies=127.0.0.0/8").with("--request-timeout=150");
        let server = launch.start();
        let proxy = Proxy::start(sample, port, server.address());
        let http = proxy.client();
        let mut deployed =
            Self { proxy, server, http, token: String::new(), organization: String::new(), _home: home };
        deployed.proxy.answers(&deployed.http).await;
        let acme = deployed.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await;
        acme["id"].as_str().unwrap().clone_into(&mut deployed.organization);
        let tokens = deployed.post("/admin/login", &credentials(&email_for("Acme"), PASSWORD)).await;
        tokens["access_token"].as_str().unwrap().clone_into(&mut deployed.token);
        deployed
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.proxy.url())
    }

    async fn post(&self, path: &str, body: &Value) -> Value {
        let response = self.http.post(self.url(path)).json(body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    fn collection(&self, what: &str) -> String {
        self.url(&format!("/v1/organizations/{}/collections/documents/{what}", self.organization))
    }

    /// A bulk request whose lines are sent one by one, and its response, once a first line has been answered.
    async fn bulk(&self) -> (mpsc::Sender<Result<Bytes, Infallible>>, LineReader) {
        let (lines, body) = mpsc::channel::<Result<Bytes, Infallible>>(1);
        let body = futures_util::stream::unfold(body, |mut body| async {
            Some((body.recv().await?.map(Frame::data), body))
        });
        let request = self.http.post(self.collection("bulk")).bearer_auth(&self.token);
        let request =
            request.header("content-type", "application/x-ndjson").body(Body::wrap(StreamBody::new(body)));
        lines.send(line(0)).await.unwrap();
        let response = timeout(PATIENCE, request.send()).await.expect("the head of the response").unwrap();
        assert_eq!(response.status(), 200);
        (lines, LineReader::new(response))
    }
}

fn line(number: u32) -> Result<Bytes, Infallible> {
    Ok(Bytes::from(format!("{{\"_id\":{number}}}\n")))
}

/// The lines of a response, as they arrive.
struct LineReader {
    response: Response,
    arrived: Vec<u8>,
}

impl LineReader {
    const fn new(response: Response) -> Self {
        Self { response, arrived: Vec::new() }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(end) = self.arrived.iter().position(|byte| *byte == b'\n') {
                let line: Vec<_> = self.arrived.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let piece = timeout(PATIENCE, self.response.chunk()).await.expect("a line in time");
            self.arrived.extend_from_slice(&piece.unwrap().expect("a line"));
        }
    }
}

/// Each line is answered before the next one is sent: nothing on the way waits for more, in either direction.
async fn passes_lines_both_ways(sample: Sample) {
    let deployed = Deployed::start(sample).await;
    let (lines, mut answers) = deployed.bulk().await;
    assert_eq!(answers.next().await["line"], 1);
    for number in 1..20 {
        lines.send(line(number)).await.unwrap();
        let answer = answers.next().await;
        assert_eq!((&answer["line"], &answer["status"]), (&(number + 1).into(), &201.into()));
    }
    drop(lines);
    assert_eq!(answers.next().await["inserted"], 20);
    deployed.stop().await;
}

/// Links lead through the proxy, and the service sees the address of the client.
async fn serves_below_a_path(sample: Sample) {
    let deployed = Deployed::start(sample).await;
    let document = deployed.http.post(deployed.collection("documents")).bearer_auth(&deployed.token);
    let document = document.json(&serde_json::json!({ "_id": "one" })).send().await.unwrap();
    let location = document.headers()["location"].to_str().unwrap().to_owned();
    assert_eq!(location, format!("{}/one", deployed.collection("documents")));
    let found = deployed.http.get(&location).bearer_auth(&deployed.token).send().await.unwrap();
    assert!(found.status() == 200 && found.headers().contains_key("etag"), "{found:?}");
    let outside = deployed.http.get(format!("https://localhost:{}/livez", deployed.proxy.port)).send().await;
    assert_ne!(outside.unwrap().status(), 200);
    let problem: Value =
        deployed.http.get(deployed.url("/nothing")).send().await.unwrap().json().await.unwrap();
    assert_eq!(problem["type"], format!("{}/problems/route_not_found", deployed.proxy.url()));
    let log = deployed.server.log();
    assert!(!log.contains("TRUSTED_PROXIES does not name"), "{log}");
    deployed.stop().await;
}

/// A minute without a byte: within a request, and on a connection that is used again afterwards.
async fn survives_a_minute_of_idle(sample: Sample) {
    let deployed = Deployed::start(sample).await;
    let (lines, mut answers) = deployed.bulk().await;
    assert_eq!(answers.next().await["line"], 1);
    tokio::time::sleep(IDLE).await;
    lines.send(line(1)).await.unwrap();
    assert_eq!(answers.next().await["line"], 2);
    drop(lines);
    assert_eq!(answers.next().await["inserted"], 2);
    for _ in 0..3 {
        let found = deployed.http.get(deployed.url("/livez")).send().await.unwrap();
        assert_eq!(found.status(), 200);
    }
    deployed.stop().await;
}

impl Deployed {
    async fn stop(self) {
        drop(self.http);
        drop(self.proxy);
        self.server.stop().await;
    }
}

/// A module of tests for each sample.
macro_rules! samples {
    ($($name:ident = $sample:ident;)*) => { $(
        mod $name {
            use super::{Sample, passes_lines_both_ways, serves_below_a_path, survives_a_minute_of_idle};

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn proxy_passes_lines_both_ways() {
                passes_lines_both_ways(Sample::$sample).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn proxy_serves_below_a_path() {
                serves_below_a_path(Sample::$sample).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn proxy_survives_a_minute_of_idle() {
                survives_a_minute_of_idle(Sample::$sample).await;
            }
        }
    )* };
}

samples! {
    nginx = Nginx;
    caddy = Caddy;
    haproxy = HaProxy;
}
