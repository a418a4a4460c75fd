//! The settings of mail, and which of them go together.

use super::{env, refused};
use crate::config::SmtpSecurity;

const URL: (&str, &str) = ("SMTP_URL", "smtps://mailer@mail.example.com");
const FROM: (&str, &str) = ("MAIL_FROM", "Acme <no-reply@acme.example>");
const PUBLIC: (&str, &str) = ("PUBLIC_URL", "https://app.example");
const PASSWORD: (&str, &str) = ("SMTP_PASSWORD", "canary");

#[test]
fn mail_settings_together_are_accepted() {
    let config = env(&[URL, FROM, PUBLIC, PASSWORD]).unwrap();
    assert_eq!(config.smtp_url.as_ref().unwrap().security, SmtpSecurity::Tls);
    assert!(!format!("{config:?}").contains("canary"));
    let local = ("SMTP_URL", "smtp://mailer:canary@localhost?tls=off");
    assert!(!format!("{:?}", env(&[local, FROM, PUBLIC]).unwrap()).contains("canary"));
    assert!(env(&[("SMTP_URL", "smtp://relay.internal?tls=off"), FROM, PUBLIC]).is_ok());
    assert!(env(&[FROM]).is_ok(), "a sender alone sends nothing");
}

#[test]
fn mail_settings_that_conflict_are_refused() {
    for (values, why) in [
        (&[URL, PASSWORD, PUBLIC][..], "MAIL_FROM is not"),
        (&[URL, PASSWORD, FROM], "PUBLIC_URL is not"),
        (&[URL, FROM, PUBLIC], "there is no password"),
        (&[PASSWORD], "SMTP_URL is not"),
        (&[("SMTP_URL", "smtps://mail.example.com"), FROM, PUBLIC, PASSWORD], "names no user"),
        (
            &[("SMTP_URL", "smtps://me:canary@mail.example.com"), FROM, PUBLIC, PASSWORD],
            "has a password, too",
        ),
        (
            &[("SMTP_URL", "smtp://me:canary@mail.example.com?tls=off"), FROM, PUBLIC],
            "would cross the network in clear",
        ),
        (&[("SMTP_URL", "canary"), FROM, PUBLIC], "SMTP_URL"),
        (&[("MAIL_FROM", "nobody")], "MAIL_FROM"),
    ] {
        let refused = refused(values);
        assert!(refused.len() == 1 && refused[0].contains(why), "{why}: {refused:?}");
        assert!(!refused[0].contains("canary"), "{refused:?}");
    }
}
