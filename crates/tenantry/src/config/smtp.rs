//! The mail server, and whom mails come from.

use super::value::{Limits, Value};
use lettre::message::Mailbox;
use percent_encoding::percent_decode_str;
use reqwest::Url;
use std::fmt;

/// How a connection to the mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpSecurity {
    /// By TLS from its first byte.
    Tls,
    /// By TLS before anything else is said; a server that does not offer it is not used.
    StartTls,
    /// Not at all.
    Off,
}

/// The mail server. Its `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
pub struct SmtpUrl {
    /// A name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: SmtpSecurity,
    /// The user to sign in as, if it wants one.
    pub user: Option<String>,
    /// The password in the URL.
    pub password: Option<String>,
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

impl SmtpUrl {
    /// Whether what is sent stays on this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let address = self.host.parse::<std::net::IpAddr>();
        self.host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl Value for SmtpUrl {
    const SHAPE: &'static str = "URL";
    const SECRET: bool = true;

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let (default_port, security) = match (url.scheme(), url.query()) {
            ("smtps", None) => (465, SmtpSecurity::Tls),
            ("smtp", None) => (587, SmtpSecurity::StartTls),
            ("smtp", Some("tls=off")) => (25, SmtpSecurity::Off),
            _ => return None,
        };
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return None;
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8().ok().map(String::from);
        let user = if url.username().is_empty() { None } else { Some(decoded(url.username())?) };
        let password = match url.password() {
            Some(password) => Some(decoded(password)?),
            None => None,
        };
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Some(Self { host, port: url.port().unwrap_or(default_port), security, user, password })
    }

    fn rule(_: &Limits) -> String {
        "a URL such as `smtps://user@mail.example.com` or `smtp://mail.example.com:587`, with nothing after it but \
         perhaps `?tls=off`"
            .to_owned()
    }
}

/// Whom mails come from.
#[derive(Debug, Clone, PartialEq)]
pub struct MailFrom(pub Mailbox);

impl Value for MailFrom {
    const SHAPE: &'static str = "ADDRESS";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        let mailbox: Mailbox = text.parse().ok()?;
        let is_plain = !text.contains(|c: char| c.is_control()) && mailbox.email.to_string().is_ascii();
        is_plain.then_some(Self(mailbox))
    }

    fn rule(_: &Limits) -> String {
        "an address, perhaps with a name: `Acme <no-reply@acme.example>`".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::super::value::Unit;
    use super::*;

    const NONE: Limits = Limits::new(0, 0, Unit::One);

    #[test]
    fn smtp_url_says_server_user_and_protection() {
        let parse = |text| SmtpUrl::parse(text, &NONE).unwrap();
        let url = parse("smtps://mail.example.com");
        assert_eq!((url.host.as_str(), url.port, url.security), ("mail.example.com", 465, SmtpSecurity::Tls));
        assert_eq!((url.user, url.password), (None, None));
        let url = parse("smtp://me%40example.com:p%2Fss@mail.example.com:2525/");
        assert_eq!((url.port, url.security), (2525, SmtpSecurity::StartTls));
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("me@example.com"), Some("p/ss")));
        let url = parse("smtp://[::1]?tls=off");
        assert_eq!((url.host.as_str(), url.port, url.security), ("::1", 25, SmtpSecurity::Off));
        assert!(url.is_loopback() && parse("smtp://127.0.0.1:1025?tls=off").is_loopback());
        assert!(!parse("smtp://mail.example.com?tls=off").is_loopback());
    }

    #[test]
    fn smtp_url_that_is_something_else_is_rejected_and_never_shown() {
        for text in [
            "",
            "mail.example.com",
            "https://mail.example.com",
            "smtp://",
            "smtps://mail.example.com?tls=off",
            "smtp://mail.example.com?tls=maybe",
            "smtp://mail.example.com/inbox",
            "smtp://mail.example.com#x",
        ] {
            assert_eq!(SmtpUrl::parse(text, &NONE), None, "{text}");
        }
        let url = SmtpUrl::parse("smtps://user:canary@mail.example.com", &NONE).unwrap();
        assert_eq!(format!("{url:?}"), "[secret]");
    }

    #[test]
    fn mail_from_is_an_address_with_or_without_name() {
        for text in ["no-reply@acme.example", "Acme <no-reply@acme.example>", "Caf\u{e9} <a@b.example>"] {
            assert!(MailFrom::parse(text, &NONE).is_some(), "{text}");
        }
        for text in ["", "acme", "a@b.example\r\nBcc: c@d.example", "\u{fc}@b.example"] {
            assert!(MailFrom::parse(text, &NONE).is_none(), "{text}");
        }
    }
}
