//! The issuer of access tokens as a URL, for clients that look there for what they need to check a token.

use super::{Config, PublicUrl};
use reqwest::Url;
use tenantry_api::settings::IssuerUrl;

impl Config {
    /// The issuer, if it is an https URL without a query or fragment (RFC 8414, 2).
    #[must_use]
    pub fn issuer_url(&self) -> Option<IssuerUrl> {
        let public_url = self.public_url.as_ref().map(PublicUrl::as_str);
        issuer_url(&self.jwt_issuer, public_url)
    }
}

fn issuer_url(issuer: &str, public_url: Option<&str>) -> Option<IssuerUrl> {
    let url = Url::parse(issuer).ok()?;
    let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    if url.scheme() != "https" || !is_plain {
        return None;
    }
    // Clients take no other scheme for the keys.
    let public_url = public_url.filter(|url| url.starts_with("https://"));
    Some(IssuerUrl {
        text: issuer.to_owned(),
        path: url.path().trim_end_matches('/').to_owned(),
        base: public_url.unwrap_or(issuer).trim_end_matches('/').to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_that_is_an_https_url_has_a_base_and_a_path() {
        for (issuer, public_url, path, base) in [
            ("https://id.example", None, "", "https://id.example"),
            ("https://id.example/", None, "", "https://id.example"),
            ("https://id.example/a/b", None, "/a/b", "https://id.example/a/b"),
            ("https://id.example", Some("https://api.example/v"), "", "https://api.example/v"),
            ("https://id.example", Some("http://10.0.0.1"), "", "https://id.example"),
        ] {
            let found = issuer_url(issuer, public_url).unwrap();
            assert_eq!((found.text.as_str(), found.path.as_str(), found.base.as_str()), (issuer, path, base));
        }
    }

    #[test]
    fn issuer_that_is_no_https_url_has_none() {
        for issuer in [
            "tenantry",
            "http://id.example",
            "https://id.example?a",
            "https://id.example#a",
            "https://",
            "urn:a",
        ] {
            assert!(issuer_url(issuer, Some("https://id.example")).is_none(), "{issuer}");
        }
    }
}
