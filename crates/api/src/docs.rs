//! The documentation of the API: the OpenAPI document, and Swagger UI and ReDoc to read it with.
//!
//! Everything is embedded in the binary. The Content-Security-Policy of each page allows scripts, styles and requests
//! from this service alone, and nothing inline.
//!
//! # Pitfalls
//! The browser ignores scripts and styles inside the HTML of a page: put them in files.

use super::conditional::hash;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::sync::{Arc, OnceLock};

/// The policy for Swagger UI: besides itself, the pictures in its style sheet and requests to this service.
const SWAGGER_UI_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The policy for ReDoc. Its search runs in a worker created from a blob. One of the style elements it creates has
/// fixed rules, allowed by their hash. The others are empty, allowed by the hash of the empty text, and get
/// their rules through the CSS object model, which does not count as inline.
const REDOC_POLICY: &str = "default-src 'none'; script-src 'self'; \
    style-src 'self' 'sha256-DLDPR1ic47WIdK2WyeLkblb/tm2mQH+Jt/NNhZWu1k0=' \
    'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='; img-src 'self' data:; \
    connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// The routes of the documentation; `openapi_json` is the OpenAPI document as it is sent.
pub fn routes<S>(openapi_json: Bytes) -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    let document = File::new("/openapi.json", "application/json", openapi_json);
    files().into_iter().chain([document]).fold(Router::new(), |router, file| {
        let path = file.path;
        let file = Arc::new(file);
        router.route(path, get(async move |headers: HeaderMap| file.answer(&headers)))
    })
}

fn files() -> [File; 8] {
    macro_rules! ours {
        ($name:literal) => {
            Bytes::from_static(include_bytes!(concat!("docs/", $name)))
        };
    }
    macro_rules! theirs {
        ($name:literal) => {
            Bytes::from_static(include_bytes!(concat!(env!("OUT_DIR"), "/", $name)))
        };
    }
    [
        File::new("/docs", HTML, ours!("swagger-ui.html")).with_policy(SWAGGER_UI_POLICY),
        File::new("/docs/start.js", JAVASCRIPT, ours!("swagger-ui.js")),
        File::new("/docs/page.css", CSS, ours!("page.css")),
        File::new("/docs/swagger-ui.css", CSS, theirs!("swagger-ui.css")),
        File::new("/docs/swagger-ui-bundle.js", JAVASCRIPT, theirs!("swagger-ui-bundle.js")),
        File::new("/redoc", HTML, ours!("redoc.html")).with_policy(REDOC_POLICY),
        File::new("/redoc/page.css", CSS, ours!("page.css")),
        File::new("/redoc/redoc.standalone.js", JAVASCRIPT, theirs!("redoc.standalone.js")),
    ]
}

/// An embedded file.
struct File {
    path: &'static str,
    media_type: &'static str,
    policy: Option<&'static str>,
    bytes: Bytes,
    /// Computed on first use: hashing all files would slow down every start.
    etag: OnceLock<HeaderValue>,
}

impl File {
    fn new(path: &'static str, media_type: &'static str, bytes: Bytes) -> Self {
        Self { path, media_type, policy: None, bytes, etag: OnceLock::new() }
    }

    fn with_policy(self, policy: &'static str) -> Self {
        Self { policy: Some(policy), ..self }
    }

    /// The file, or 304 if the caller already has it.
    fn answer(&self, request: &HeaderMap) -> Response {
        let etag = self.etag();
        let mut response = if has_this(request, etag) {
            StatusCode::NOT_MODIFIED.into_response()
        } else {
            let media_type = [(header::CONTENT_TYPE, HeaderValue::from_static(self.media_type))];
            (media_type, self.bytes.clone()).into_response()
        };
        let headers = response.headers_mut();
        headers.insert(header::ETAG, etag.clone());
        // Cached, but revalidated each time: the next version of the service uses the same paths.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(policy) = self.policy {
            headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
        }
        response
    }

    fn etag(&self) -> &HeaderValue {
        self.etag.get_or_init(|| {
            let digits = hash(&self.bytes);
            HeaderValue::from_str(&format!("\"{digits}\"")).expect("hex digits in quotes are a header value")
        })
    }
}

/// Whether `If-None-Match` names `etag` (RFC 9110, 13.1.2: compared weakly).
fn has_this(request: &HeaderMap, etag: &HeaderValue) -> bool {
    let Ok(etag) = etag.to_str() else { return false };
    request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|known| known == "*" || known.trim_start_matches("W/") == etag)
}
