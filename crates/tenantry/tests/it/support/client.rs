//! A client that holds the service to its own OpenAPI document: a status or code that the document does not
//! list for an operation fails any test.

use super::schema::mismatches;
use reqwest::{Method, StatusCode, header::HeaderMap};
use serde_json::Value;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// What every response is compared with. Made once: an unoptimized build takes long for it.
pub static DOCUMENT: LazyLock<Value> = LazyLock::new(|| tenantry_api::openapi_document("Tenantry"));

/// HTTP without TLS, so without the certificates of the system: to read them takes longer than most requests.
pub fn plain_http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tls_certs_only([]).build().unwrap()
}

/// Sends requests, with or without a credential.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    headers: HeaderMap,
}

impl Client {
    /// A client of the service at `base`.
    pub fn new(http: reqwest::Client, base: String) -> Self {
        Self { http, base, headers: HeaderMap::new() }
    }

    /// This client with a bearer token or operator key.
    pub fn with_token(&self, token: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {token}"))
    }

    /// This client with a header on every request.
    pub fn with_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.insert(name, value.parse().unwrap());
        client
    }

    /// This client with one more header on every request, also if there are some of the same name.
    pub fn with_another_header(&self, name: &'static str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.append(name, value.parse().unwrap());
        client
    }

    /// The header that every request carries, if it is one of them.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// `POST` with a JSON body.
    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// `POST` without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.send(Method::POST, path, None).await
    }

    /// `PUT` with a JSON body.
    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PUT, path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// `PATCH` with a JSON merge patch.
    pub async fn patch(&self, path: &str, body: &Value) -> Answer {
        let body = Some(("application/merge-patch+json", body.to_string().into_bytes()));
        self.send(Method::PATCH, path, body).await
    }

    /// `DELETE` without a body.
    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// `DELETE` with a JSON body.
    pub async fn delete_with(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::DELETE, path, Some(("application/json", body.to_string().into_bytes()))).await
    }

    /// Any request, with a body of any type.
    pub async fn send(&self, method: Method, path: &str, body: Option<(&str, Vec<u8>)>) -> Answer {
        self.try_send(method, path, body).await.unwrap()
    }

    /// Any request, where the service may die before it answers.
    pub async fn try_send(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
    ) -> reqwest::Result<Answer> {
        let url = format!("{}{path}", self.base);
        let mut request = self.http.request(method.clone(), url).headers(self.headers.clone());
        let mut sent = path.as_bytes().to_vec();
        if let Some((media_type, bytes)) = body {
            sent.extend_from_slice(&bytes);
            request = request.header("content-type", media_type).body(bytes);
        }
        let began = Instant::now();
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await?;
        let took = began.elapsed();
        let shown: String = path.chars().take(200).collect();
        let answer = Answer { call: format!("{method} {shown}"), sent, status, headers, text, took };
        self.check(&method, path, &answer);
        Ok(answer)
    }

    /// Holds an answer to the document.
    fn check(&self, method: &Method, path: &str, answer: &Answer) {
        for name in ON_EVERY_ANSWER {
            assert!(answer.headers.contains_key(name), "{answer}: no {name}");
        }
        if answer.status.is_client_error() || answer.status.is_server_error() {
            answer.check_problem();
        }
        let path = path.split('?').next().unwrap();
        let is_lines =
            answer.headers.get("content-type").is_some_and(|media| media == "application/x-ndjson");
        // NDJSON to the path of single documents: the older form, which the document describes in words alone.
        let older = path.strip_suffix("/documents").filter(|_| is_lines && method == Method::POST);
        let path = older.map_or(path.to_owned(), |collection| format!("{collection}/bulk"));
        let Some(operation) = self.operation(method, &path) else { return };
        let listed = &operation["responses"][answer.status.as_str()];
        assert!(!listed.is_null(), "{answer}: the document does not list this status");
        answer.check_body(&DOCUMENT, listed);
        if answer.status.is_client_error() || answer.status.is_server_error() {
            let codes = listed["x-codes"].as_array().unwrap_or_else(|| panic!("{answer}: no codes listed"));
            assert!(codes.contains(&answer.json()["code"]), "{answer}: the document does not list this code");
        }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Value> {
        let paths = DOCUMENT["paths"].as_object().unwrap();
        // A path without variables comes before one that has some.
        let mut found: Vec<_> = paths.iter().filter(|(template, _)| matches(template, path)).collect();
        found.sort_by_key(|(template, _)| template.matches('{').count());
        let operation = &found.first()?.1[method.as_str().to_lowercase()];
        (!operation.is_null()).then_some(operation)
    }
}

fn matches(template: &str, path: &str) -> bool {
    let (template, path) = (template.split('/'), path.split('/'));
    template.clone().count() == path.clone().count()
        && template
            .zip(path)
            .all(|(part, given)| part == given || (part.starts_with('{') && !given.is_empty()))
}

/// Headers that no answer goes without.
const ON_EVERY_ANSWER: [&str; 7] = [
    "x-request-id",
    "x-content-type-options",
    "cache-control",
    "referrer-policy",
    "x-frame-options",
    "content-security-policy",
    "cross-origin-resource-policy",
];

/// A response.
pub struct Answer {
    call: String,
    /// The path and the body of the request.
    sent: Vec<u8>,
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
    /// From the first byte that was sent to the last that came.
    pub took: Duration,
}

impl Answer {
    /// The body without what it repeats of the request: a refusal quotes the names that it is about.
    pub fn text_beyond_request(&self) -> String {
        if !self.status.is_client_error() {
            return self.text.clone();
        }
        let sent = String::from_utf8_lossy(&self.sent);
        let is_repeated = |index: usize, piece: &str| index % 2 == 1 && sent.contains(piece);
        let pieces = self.text.split('`').enumerate();
        pieces.filter(|(index, piece)| !is_repeated(*index, piece)).map(|(_, piece)| piece).collect()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{self}: the body is not JSON"))
    }

    /// The body as JSON, one value to a line.
    pub fn lines(&self) -> Vec<Value> {
        let read = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{self}: {line} is not JSON"));
        self.text.lines().map(read).collect()
    }

    /// The header of that name.
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name).unwrap_or_else(|| panic!("{self}: no {name}"));
        value.to_str().unwrap()
    }

    /// Expects that status; the body.
    #[track_caller]
    pub fn expect(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self}");
        self.json()
    }

    /// Expects 200; the body.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.expect(200)
    }

    /// Expects 201; the body.
    #[track_caller]
    pub fn created(self) -> Value {
        self.expect(201)
    }

    /// Expects 202; the body, which is an operation.
    #[track_caller]
    pub fn accepted(self) -> Value {
        assert_eq!(self.header("location"), self.header("operation-location"), "{self}");
        self.expect(202)
    }

    /// Expects 204.
    #[track_caller]
    pub fn done(self) {
        assert_eq!((self.status.as_u16(), self.text.as_str()), (204, ""), "{self}");
    }

    /// Expects a refusal with that code; the problem.
    #[track_caller]
    pub fn refused(self, code: &str) -> Value {
        assert!(self.status.as_u16() >= 400, "{self}: expected {code}");
        let problem = self.json();
        assert_eq!(problem["code"], code, "{self}");
        problem
    }

    /// Whether it is a refusal with that code.
    pub fn is_refused(&self, code: &str) -> bool {
        self.status.as_u16() >= 400 && self.json()["code"] == code
    }

    /// Expects `invalid_input` and these pointers, in this order.
    #[track_caller]
    pub fn refused_fields(self, pointers: &[&str]) {
        assert_eq!(self.outcome(), pointers.join(" "), "{self}");
    }

    /// Expects a refusal of a batch with that code, because of the operation at that pointer.
    #[track_caller]
    pub fn refused_at(self, code: &str, pointer: &str) {
        let text = self.to_string();
        let errors = self.refused(code)["errors"].take();
        let pointers: Vec<&str> =
            errors.as_array().into_iter().flatten().filter_map(|error| error["pointer"].as_str()).collect();
        assert_eq!(pointers, [pointer], "{text}");
    }

    /// Its outcome for tables of refusals: the code, or, for `invalid_input`, the pointers of its fields.
    pub fn outcome(&self) -> String {
        let problem = self.json();
        match (&problem["code"], problem["errors"].as_array()) {
            (Value::String(code), None) => code.clone(),
            // An operation of a batch.
            (Value::String(code), Some(_)) if code != "invalid_input" => code.clone(),
            (Value::String(_), Some(errors)) => {
                let pointers = errors.iter().map(|error| error["pointer"].as_str().unwrap());
                pointers.collect::<Vec<_>>().join(" ")
            }
            _ => panic!("{self}: not a refusal"),
        }
    }

    /// Holds the body to what the document says of this status.
    fn check_body(&self, document: &Value, listed: &Value) {
        let Some(content) = listed["content"].as_object() else {
            assert!(self.text.is_empty(), "{self}: the document lists no body");
            return;
        };
        let content_type = self.header("content-type").split(';').next().unwrap();
        let media = content.get(content_type);
        let media = media.unwrap_or_else(|| panic!("{self}: the document does not list {content_type}"));
        let schema = &media["schema"];
        let (bodies, schema) = match (content_type, schema.get("contentSchema")) {
            ("application/x-ndjson", Some(line)) => (self.lines(), line),
            // An archive.
            ("application/x-ndjson", None) => (Vec::new(), schema),
            _ if content_type.ends_with("json") => (vec![self.json()], schema),
            _ => (Vec::new(), schema),
        };
        for body in bodies {
            let wrong = mismatches(document, schema, &body);
            assert!(wrong.is_empty(), "{self}: {body}: {wrong:?}");
        }
    }

    fn check_problem(&self) {
        assert_eq!(self.header("content-type"), "application/problem+json", "{self}");
        let problem = self.json();
        for member in ["type", "title", "status", "detail", "code", "request_id"] {
            assert!(!problem[member].is_null(), "{self}: no {member}");
        }
        assert_eq!(problem["status"], self.status.as_u16(), "{self}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{self}");
        if self.status == StatusCode::UNAUTHORIZED {
            assert!(self.header("www-authenticate").starts_with("Bearer "), "{self}");
        }
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            assert!(self.header("retry-after").parse::<u64>().unwrap() > 0, "{self}");
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown: String = self.text.chars().take(2000).collect();
        write!(f, "{} -> {} {shown}", self.call, self.status)
    }
}
