//! The service behind a proxy that serves it below a path: every link leads back through the proxy.

use crate::support::app::{App, Setup};
use crate::support::client::plain_http;
use crate::support::fixtures::{PASSWORD, email_for, new_organization, organization};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The path below which the proxy serves it.
const PREFIX: &str = "/base/tenantry";

/// Takes the prefix off the target of each request, as `location /base/tenantry/ { proxy_pass http://host:port/; }` does
/// with nginx, and answers 404 to all else. A connection carries one request.
struct Proxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl Proxy {
    /// A listener for a proxy; `serve` then names the target.
    async fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    fn serve(listener: TcpListener, to: SocketAddr) -> Self {
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(async move { pass_on(client, to).await });
            }
        });
        Self { address, serving }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(mut client: TcpStream, to: SocketAddr) -> std::io::Result<()> {
    let mut begin = Vec::new();
    while !begin.windows(2).any(|two| two == b"\r\n") {
        if client.read_buf(&mut begin).await? == 0 {
            return Ok(());
        }
    }
    let end = begin.windows(2).position(|two| two == b"\r\n").unwrap();
    let line = String::from_utf8(begin[..end].to_vec()).unwrap();
    let Some((method, target)) =
        line.split_once(' ').filter(|(_, rest)| rest.starts_with(&format!("{PREFIX}/")))
    else {
        let none = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        return client.write_all(none.as_bytes()).await;
    };
    let mut server = TcpStream::connect(to).await?;
    let line = format!(
        "{method} {}\r\nx-forwarded-host: evil.example\r\nconnection: close",
        &target[PREFIX.len()..]
    );
    server.write_all(line.as_bytes()).await?;
    server.write_all(&begin[end..]).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

/// The service, and a proxy in front of it.
async fn behind_a_proxy() -> (App, Proxy, String) {
    let (listener, address) = Proxy::listen().await;
    let public_url = format!("http://{address}{PREFIX}");
    let app = Setup::unlimited().with(&format!("--public-url={public_url}/")).start().await;
    let proxy = Proxy::serve(listener, app.address());
    (app, proxy, public_url)
}

/// What is found at a link, followed as any client would.
async fn follow(link: &str, authorization: Option<&str>) -> (StatusCode, String) {
    let client = plain_http();
    let mut request = client.get(link);
    if let Some(value) = authorization {
        request = request.header("authorization", value);
    }
    let answer = request.send().await.unwrap();
    (answer.status(), answer.text().await.unwrap())
}

#[tokio::test]
async fn links_lead_through_the_proxy() {
    let (app, proxy, public_url) = behind_a_proxy().await;
    assert_eq!(public_url, format!("http://{}{PREFIX}", proxy.address));
    let acme = organization(&app, "Acme").await;
    let owner = acme.owner.header("authorization");
    let operator = app.operator();
    let key = operator.header("authorization");

    let body = json!({ "organization_name": "Second", "email": email_for("Second"), "password": PASSWORD });
    let keyed = operator.with_header("idempotency-key", "one");
    let mut links = Vec::new();
    for _ in 0..2 {
        // The second answer is the repeated one.
        let made = keyed.post("/v1/organizations", &body).await;
        links.push((made.header("location").to_owned(), key));
        links.push((made.header("operation-location").to_owned(), key));
        made.created();
    }
    let classic = app.client().post("/org/create", &new_organization("Third", &email_for("Third"))).await;
    links.push((classic.header("location").to_owned(), key));
    let made = acme.owner.post(&acme.documents(), &json!({ "_id": "a b/c" })).await;
    links.push((made.header("location").to_owned(), owner));
    let made = acme.owner.post(&acme.collections(), &json!({ "name": "notes" })).await;
    links.push((made.header("location").to_owned(), owner));
    let made = acme.owner.post(&acme.about("indexes"), &json!({ "keys": "a" })).await;
    links.push((made.header("location").to_owned(), owner));
    let renamed = json!({ "organization_name": "Acme Two" });
    let renamed = operator.patch(&acme.path(), &renamed).await;
    links.push((renamed.header("operation-location").to_owned(), key));
    let root = app.client().get("/").await.ok();
    for name in ["docs", "redoc", "openapi", "health"] {
        links.push((root[name].as_str().unwrap().to_owned(), None));
    }
    for (link, credential) in links {
        assert!(link.starts_with(&format!("{public_url}/")), "{link}");
        let (status, text) = follow(&link, credential).await;
        assert_eq!(status, 200, "{link}: {text}");
    }
}

#[tokio::test]
async fn problems_and_openapi_document_use_public_url() {
    let (app, _proxy, public_url) = behind_a_proxy().await;
    let problem = app.client().get("/v1/organizations").await.refused("operator_key_required");
    let link = problem["type"].as_str().unwrap();
    assert_eq!(link, format!("{public_url}/problems/operator_key_required"));
    assert_eq!(follow(link, None).await.0, 200);
    let (_, document) = follow(&format!("{public_url}/openapi.json"), None).await;
    let document: Value = serde_json::from_str(&document).unwrap();
    assert_eq!(document["servers"][0]["url"], public_url);
    // A client that goes by the document gets there.
    let server = document["servers"][0]["url"].as_str().unwrap();
    assert_eq!(follow(&format!("{server}/health"), None).await.0, 200);
    // What pages ask for, they ask for beside themselves.
    for page in ["docs", "redoc"] {
        let (status, html) = follow(&format!("{public_url}/{page}"), None).await;
        assert_eq!(status, 200);
        for part in html.split(['"']).filter(|part| part.ends_with(".js") || part.ends_with(".css")) {
            assert_eq!(follow(&format!("{public_url}/{part}"), None).await.0, 200, "{part}");
        }
    }
}

#[tokio::test]
async fn request_headers_never_change_links() {
    let app = App::start().await;
    let mut client = app.client();
    for (name, value) in [
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-prefix", "/evil"),
        ("forwarded", "host=evil.example;proto=https"),
    ] {
        client = client.with_header(name, value);
    }
    let made = client.post("/org/create", &new_organization("Acme", &email_for("Acme"))).await;
    assert!(made.header("location").starts_with("/v1/organizations/"), "{made}");
    let problem = client.send(Method::GET, "/nowhere", None).await.refused("route_not_found");
    assert_eq!(problem["type"], "/problems/route_not_found");
    let document: Value = client.get("/openapi.json").await.ok();
    assert_eq!(document["servers"][0]["url"], "/");
}
