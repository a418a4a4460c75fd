//! The URL at which clients reach the service, with the path prefix of a proxy, if there is one.

use super::value::{Limits, Value};
use reqwest::Url;

/// Scheme, host and perhaps a path, without the slash at the end: the beginning of every absolute link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(String);

impl PublicUrl {
    /// Without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Value for PublicUrl {
    const SHAPE: &'static str = "URL";

    fn parse(text: &str, limits: &Limits) -> Option<Self> {
        let url = <Url as Value>::parse(text, limits)?;
        Some(Self(url.as_str().trim_end_matches('/').to_owned()))
    }

    fn rule(limits: &Limits) -> String {
        <Url as Value>::rule(limits)
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Unit;
    use super::*;

    fn parse(text: &str) -> Option<String> {
        PublicUrl::parse(text, &Limits::new(0, 0, Unit::One)).map(|url| url.0)
    }

    #[test]
    fn public_url_is_kept_without_its_last_slash() {
        for (text, expected) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://API.example.com:443/", "https://api.example.com"),
            ("http://localhost:8080/tenantry/", "http://localhost:8080/tenantry"),
            ("https://example.com/a/b", "https://example.com/a/b"),
            ("https://b\u{fc}cher.example/\u{fc}", "https://xn--bcher-kva.example/%C3%BC"),
        ] {
            assert_eq!(parse(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn public_url_with_more_than_host_and_path_is_rejected() {
        for text in [
            "",
            "api.example.com",
            "/tenantry",
            "//api.example.com",
            "ftp://api.example.com",
            "https://",
            "https://user@api.example.com",
            "https://user:secret@api.example.com",
            "https://api.example.com/?a=1",
            "https://api.example.com/#top",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
