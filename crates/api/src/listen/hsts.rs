//! `Strict-Transport-Security`: over TLS, browsers are told to use nothing else for this host from then on.

use axum::http::uri::Authority;
use hyper::header::{HOST, HeaderValue, STRICT_TRANSPORT_SECURITY};
use hyper::{Request, Response};

/// What is added to the responses to one request.
pub struct Hsts(Option<HeaderValue>);

impl Hsts {
    /// For a request that came over TLS. `localhost` is left out: it would bind every program on the developer's machine.
    pub fn of<B>(request: &Request<B>, value: Option<&HeaderValue>) -> Self {
        Self(value.filter(|_| !is_localhost(request)).cloned())
    }

    /// Adds it.
    pub fn add_to<B>(self, mut response: Response<B>) -> Response<B> {
        if let Some(value) = self.0 {
            response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
        }
        response
    }
}

fn is_localhost<B>(request: &Request<B>) -> bool {
    let host = || request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let host = request.uri().authority().map(Authority::as_str).or_else(host).unwrap_or_default();
    let name = host.split(':').next().unwrap_or_default().trim_end_matches('.');
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hsts_header_leaves_out_localhost() {
        let value = HeaderValue::from_static("max-age=1");
        for (uri, host, is_sent) in [
            ("/", "api.example", true),
            ("/", "localhost.example:8000", true),
            ("/", "localhost:8000", false),
            ("/", "a.LOCALHOST.", false),
            ("https://api.example/", "localhost", true),
            ("https://localhost:8443/", "api.example", false),
        ] {
            let request = Request::builder().uri(uri).header(HOST, host).body(()).unwrap();
            let response = Hsts::of(&request, Some(&value)).add_to(Response::new(()));
            assert_eq!(response.headers().contains_key(STRICT_TRANSPORT_SECURITY), is_sent, "{uri} {host}");
        }
    }
}
