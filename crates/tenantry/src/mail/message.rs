//! A mail as it goes over the wire.
//!
//! # Pitfalls
//! Names come from strangers. In headers the library encodes them, and control characters are gone before
//! ([`plain`]); in HTML the templates escape them.

use super::templates::{Field, WrittenMail};
use lettre::message::header::{ContentTransferEncoding, ContentType, Header, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MessageBuilder, MultiPart, SinglePart};
use lettre::{Address, Message};
use std::collections::HashMap;
use tenantry_domain::account_link::LinkKind;
use tenantry_domain::mail::{Mail, MailKind};

/// The recipient, with its domain in ASCII; `None` for an address that SMTP cannot carry.
pub fn recipient(mail: &Mail) -> Option<Address> {
    mail.to.with_ascii_domain().parse().ok()
}

/// The values that templates may show.
pub fn fields(mail: &Mail, service: &str, public_url: &str) -> HashMap<Field, String> {
    let link = mail.token.as_deref().map(|token| format!("{public_url}{}#{token}", page(mail.kind)));
    let expires_at = mail.link_expires_at.map(|end| end.strftime("%Y-%m-%d %H:%M UTC").to_string());
    let values = [
        (Field::Service, Some(service.to_owned())),
        (Field::Link, link),
        (Field::Organization, mail.organization_name.clone()),
        (Field::Role, mail.role.map(|role| role.as_str().to_owned())),
        (Field::Address, Some(mail.to.as_str().to_owned())),
        (Field::OtherAddress, mail.other_address.as_ref().map(|other| other.as_str().to_owned())),
        (Field::ExpiresAt, expires_at),
    ];
    values.into_iter().map(|(field, value)| (field, plain(&value.unwrap_or_default()))).collect()
}

/// The page of the product that takes the token of such a mail.
const fn page(kind: MailKind) -> &'static str {
    match kind {
        MailKind::Invitation => "/invitations/accept",
        MailKind::EmailVerification => LinkKind::EmailVerification.page(),
        MailKind::EmailChange => LinkKind::EmailChange.page(),
        MailKind::PasswordReset => LinkKind::PasswordReset.page(),
        MailKind::EmailChanged | MailKind::Test => "",
    }
}

/// The text without control characters: no value begins a line of its own.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Says that no person wrote the mail, so that no machine answers it (RFC 3834).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The bytes of the mail. Each try has the same `Message-ID`, so that a mailbox that gets it twice may show it once.
pub fn encode(id: &str, from: &Mailbox, to: Address, mail: WrittenMail) -> Option<Vec<u8>> {
    let builder: MessageBuilder = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject)
        .message_id(Some(format!("<{id}@{}>", from.email.domain())))
        .header(AutoSubmitted);
    // Lines of any length, and any bytes, become lines of ASCII that every server takes.
    let part = |content_type: ContentType, text: String| {
        SinglePart::builder().header(content_type).header(ContentTransferEncoding::QuotedPrintable).body(text)
    };
    let text = part(ContentType::TEXT_PLAIN, mail.text);
    let message = match mail.html {
        None => builder.singlepart(text),
        Some(html) => builder.multipart(
            MultiPart::alternative().singlepart(text).singlepart(part(ContentType::TEXT_HTML, html)),
        ),
    };
    message.ok().map(|message| message.formatted())
}

#[cfg(test)]
mod tests {
    use super::super::Templates;
    use super::*;
    use tenantry_domain::account::Role;
    use tenantry_domain::email::EmailAddress;

    fn written(name: &str) -> String {
        let mail = Mail {
            token: Some("tnt_invitation_1".to_owned()),
            organization_name: Some(name.to_owned()),
            role: Some(Role::Member),
            ..Mail::new(MailKind::Invitation, EmailAddress::parse("new@b\u{fc}cher.example").unwrap())
        };
        let templates = Templates::load(None).unwrap();
        let written = templates.write(mail.kind, &fields(&mail, "Acme", "https://api.example/t"));
        assert!(written.text.contains("https://api.example/t/invitations/accept#tnt_invitation_1"));
        let html = written.html.clone().unwrap();
        assert!(!html.contains("<script>") && !html.contains("onerror=\""), "{html}");
        let bytes =
            encode("abc", &"Acme <a@acme.example>".parse().unwrap(), recipient(&mail).unwrap(), written);
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    /// The headers of a mail, unfolded.
    fn headers(message: &str) -> Vec<String> {
        let head = message.split("\r\n\r\n").next().unwrap().replace("\r\n ", " ").replace("\r\n\t", " ");
        head.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn mail_names_are_text_in_headers_and_html() {
        for name in [
            "Evil\r\nBcc: victim@example.com",
            "Evil\nSubject: other",
            "<script>alert(1)</script>",
            "<img src=x onerror=\"alert(1)\">",
            "Caf\u{e9} \u{682a}\u{5f0f}\u{4f1a}\u{793e}",
            "{{link}}",
        ] {
            let message = written(name);
            let headers = headers(&message);
            let starting = |name: &str| headers.iter().filter(|header| header.starts_with(name)).count();
            assert_eq!([starting("Subject:"), starting("To:"), starting("Bcc:")], [1, 1, 0], "{message}");
            assert!(headers.iter().any(|header| header == "To: new@xn--bcher-kva.example"), "{headers:?}");
            assert!(message.is_ascii() && message.lines().all(|line| line.len() <= 998));
        }
    }

    #[test]
    fn mail_says_which_it_is_and_that_no_person_wrote_it() {
        let message = written("Host");
        for header in
            ["Message-ID: <abc@acme.example>", "Auto-Submitted: auto-generated", "MIME-Version: 1.0"]
        {
            assert!(headers(&message).iter().any(|found| found == header), "{header}: {message}");
        }
    }
}
