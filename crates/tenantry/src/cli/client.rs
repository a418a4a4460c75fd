//! The HTTP client of the commands that talk to a running server, and the errors it reports.
//!
//! A response of 400 or above is a [`ClientError`]; an [`ClientResponse`] is always a success.

use crate::config::ClientConfig as Settings;
use crate::operator_key::OPERATOR_KEY_FILE;
use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use rustls::ClientConfig;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;
use tenantry_domain::app::operator::{self, OPERATOR_KEY_PREFIX};

/// Timeout for the connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Timeout for the response; the server's own deadlines are shorter unless its operator has raised them.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(60);

/// Why a command failed.
#[derive(Debug)]
pub enum ClientError {
    /// The command line is wrong.
    Usage(String),
    /// The server refuses.
    Refused(Problem),
    /// There is no server.
    Unreachable(String),
    /// The connection broke after the request was sent, so the change may have happened.
    Broken(String),
    /// Anything else, in sentences.
    Other(String),
}

/// The problem details of a refusal.
#[derive(Debug, Deserialize)]
pub struct Problem {
    /// The sentence.
    pub detail: String,
    /// Its stable name.
    pub code: String,
    /// Names the request in the server's log.
    pub request_id: String,
    /// Every bad field.
    #[serde(default)]
    pub errors: Vec<FieldProblem>,
}

/// A bad field.
#[derive(Debug, Deserialize)]
pub struct FieldProblem {
    /// Where it is.
    pub pointer: String,
    /// What is wrong with it.
    pub detail: String,
}

impl ClientError {
    /// The exit code of the process.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            _ => 1,
        }
    }

    /// As one line of JSON, for `--json`.
    pub fn to_json(&self) -> String {
        let Self::Refused(problem) = self else { return json!({ "error": self.to_string() }).to_string() };
        let errors = problem.errors.iter();
        let errors: Vec<_> =
            errors.map(|field| json!({ "pointer": field.pointer, "detail": field.detail })).collect();
        let (code, request_id) = (&problem.code, &problem.request_id);
        json!({ "error": problem.detail, "code": code, "request_id": request_id, "errors": errors })
            .to_string()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(problem) => problem.fmt(f),
            Self::Usage(text) | Self::Unreachable(text) | Self::Broken(text) | Self::Other(text) => {
                f.write_str(text)
            }
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.detail)?;
        for field in &self.errors {
            writeln!(f, "  {}: {}", field.pointer.trim_start_matches(['/', '?']), field.detail)?;
        }
        write!(f, "code: {}\nrequest id: {}", self.code, self.request_id)
    }
}

/// A success.
pub struct ClientResponse {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: String,
    /// The URL that returned it.
    url: Url,
}

impl ClientResponse {
    /// Its parsed body.
    ///
    /// # Errors
    /// A sentence, if the body is not Tenantry's.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.body).map_err(|_| strange(&self.url, self.status))
    }
}

/// A client of one server.
pub struct Client {
    http: reqwest::Client,
    base: Url,
    key: Option<String>,
}

impl Client {
    /// A client of the server at `base`, which sends `key`.
    ///
    /// # Errors
    /// A sentence, if no HTTP client can be built.
    pub fn new(base: Url, key: Option<String>) -> Result<Self, ClientError> {
        Self::with_tls(base, key, None)
    }

    /// The same, which trusts what `tls` does, if that is given.
    ///
    /// # Errors
    /// A sentence, if no HTTP client can be built.
    pub fn with_tls(base: Url, key: Option<String>, tls: Option<ClientConfig>) -> Result<Self, ClientError> {
        // No redirects: they would send the key elsewhere.
        let mut http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(RESPONSE_TIMEOUT)
            .redirect(Policy::none());
        if is_this_machine(&base) {
            http = http.no_proxy();
        }
        if let Some(tls) = tls {
            http = http.tls_backend_preconfigured(tls);
        } else if base.scheme() == "http" {
            // No certificate is checked, so none is needed: an image may have none.
            http = http.tls_certs_only([]);
        }
        let http =
            http.build().map_err(|error| ClientError::Other(format!("No HTTP client: {}", cause(&error))))?;
        Ok(Self { http, base, key })
    }

    /// A request for the path of those segments.
    pub fn request(&self, method: Method, path: &[&str], query: &[(&str, &str)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.http.request(method, url);
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request and reads the whole response.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn send(&self, request: RequestBuilder) -> Result<ClientResponse, ClientError> {
        let response = self.open(request).await?;
        let status = response.status();
        let body = response.text().await.map_err(|error| self.unanswered(&error))?;
        Ok(ClientResponse { status, body, url: self.base.clone() })
    }

    /// Sends a request and reads the head of the response; the body may be of any type and length.
    ///
    /// # Errors
    /// The refusal of the server, or why there is no response.
    pub async fn open(&self, request: RequestBuilder) -> Result<Response, ClientError> {
        let response = request.send().await.map_err(|error| self.unanswered(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = response.text().await.map_err(|error| self.unanswered(&error))?;
        Err(serde_json::from_str(&body).map_or_else(|_| strange(&self.base, status), ClientError::Refused))
    }

    fn unanswered(&self, error: &reqwest::Error) -> ClientError {
        let (base, cause) = (&self.base, cause(error));
        if is_refused_certificate(error) {
            return ClientError::Other(format!(
                "The certificate of the server at {base} is refused ({cause}).\n\
                 Call the server by a name in its certificate. If no public authority has issued it, set SSL_CERT_FILE to a \
                 PEM file with the certificate of the authority that has."
            ));
        }
        if error.is_connect() {
            return ClientError::Unreachable(format!(
                "No server answers at {base} ({cause}).\n\
                 Start one with `tenantry serve`, or say where it is with --server-url or SERVER_URL."
            ));
        }
        if error.is_builder() {
            return ClientError::Other(format!("The request cannot be sent: {cause}."));
        }
        ClientError::Broken(format!(
            "The connection to {base} broke before the response ({cause}).\n\
             The change may have been made: check first, then repeat the command."
        ))
    }
}

fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The URL for a server on this machine that listens on `address`.
///
/// # Errors
/// None that could happen.
pub fn local_url(scheme: &str, address: SocketAddr) -> Result<Url, ClientError> {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    let url = format!("{scheme}://{}", SocketAddr::new(ip, address.port()));
    url.parse().map_err(|_| ClientError::Other(format!("{url} is no URL")))
}

fn strange(url: &Url, status: StatusCode) -> ClientError {
    ClientError::Other(format!("{url} answered {status}, but not as Tenantry does. Is that its URL?"))
}

/// Whether the handshake ended because this side does not trust the certificate of the server.
fn is_refused_certificate(error: &reqwest::Error) -> bool {
    let mut next: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = next {
        if matches!(error.downcast_ref(), Some(rustls::Error::InvalidCertificate(_))) {
            return true;
        }
        // The source of an I/O error is that of what it wraps, which it leaves out.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map_or_else(|| error.source(), |wrapped| Some(wrapped));
    }
    false
}

/// The innermost reason, which is the one that says something.
fn cause(error: &reqwest::Error) -> String {
    let mut innermost: &dyn Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The operator key: of the settings or, without one, of the server's data directory.
///
/// # Errors
/// A sentence that says where to find it.
pub fn operator_key(config: &Settings) -> Result<String, ClientError> {
    let key = match &config.operator_key {
        Some(key) => key.expose().to_owned(),
        None => operator_key_file(config)?,
    };
    let key = key.trim();
    if !operator::is_well_formed(key) {
        return Err(ClientError::Other(format!(
            "What is given as the operator key is none, or is mistyped: one begins with tnt_operator_, or with \
             {OPERATOR_KEY_PREFIX} if an earlier version made it. Copy it again, whole."
        )));
    }
    Ok(key.to_owned())
}

fn operator_key_file(config: &Settings) -> Result<String, ClientError> {
    let path = config.data_dir.join(OPERATOR_KEY_FILE);
    std::fs::read_to_string(&path).map_err(|error| {
        ClientError::Other(format!(
            "There is no operator key: OPERATOR_KEY is not set, and {} cannot be read ({error}).\n\
             The server says at its start where the key is. Set OPERATOR_KEY to it, or give the server's data \
             directory with --data-dir.",
            path.display()
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(base: &str) -> Client {
        Client::new(base.parse().unwrap(), Some("key".into())).unwrap()
    }

    fn url(base: &str, path: &[&str], query: &[(&str, &str)]) -> String {
        client(base).request(Method::GET, path, query).build().unwrap().url().to_string()
    }

    #[test]
    fn client_path_is_below_server_url() {
        assert_eq!(
            url("http://a.example", &["v1", "organizations"], &[]),
            "http://a.example/v1/organizations"
        );
        assert_eq!(url("http://a.example/t/", &["v1"], &[]), "http://a.example/t/v1");
        assert_eq!(
            url("http://a.example/t", &["a/b?c"], &[("name_prefix", "a&b c")]),
            "http://a.example/t/a%2Fb%3Fc?name_prefix=a%26b+c"
        );
    }

    #[test]
    fn client_error_lists_fields_and_ends_with_code() {
        let problem = r#"{"type": "/problems/invalid_input", "title": "t", "status": 400, "detail": "Bad fields.",
            "code": "invalid_input", "request_id": "r1",
            "errors": [{"pointer": "/email", "detail": "is required"}, {"pointer": "?limit", "detail": "is 0"}]}"#;
        let problem: Problem = serde_json::from_str(problem).unwrap();
        assert_eq!(
            ClientError::Refused(problem).to_string(),
            "Bad fields.\n  email: is required\n  limit: is 0\ncode: invalid_input\nrequest id: r1"
        );
    }

    #[test]
    fn loopback_urls_are_this_machine() {
        for (url, expected) in [
            ("http://127.0.0.1:8000", true),
            ("http://[::1]", true),
            ("http://localhost", true),
            ("https://tenantry.example", false),
            ("http://10.0.0.1", false),
        ] {
            assert_eq!(is_this_machine(&url.parse().unwrap()), expected, "{url}");
        }
    }

    #[test]
    fn server_url_of_every_interface_is_loopback() {
        for (address, url) in [
            ("0.0.0.0:8000", "http://127.0.0.1:8000/"),
            ("[::]:8000", "http://[::1]:8000/"),
            ("10.0.0.1:80", "http://10.0.0.1/"),
        ] {
            assert_eq!(local_url("http", address.parse().unwrap()).unwrap().as_str(), url);
        }
    }
}
