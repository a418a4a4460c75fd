//! The words of mails: templates, which files may replace.
//!
//! A template is a `.txt` file whose first line is `Subject: …`, and perhaps a `.html` file of the same name. What stands
//! between `{{` and `}}` is replaced. A file that replaces the text of a mail replaces all of it: without a `.html`
//! beside it, the mail has no HTML.

use anyhow::{Context, Result, anyhow, bail};
use std::collections::HashMap;
use std::fs;
use std::path::Path;
use tenantry_domain::mail::MailKind;

/// The largest file of a template, in bytes.
const MAX_BYTES: u64 = 64 << 10;
/// Characters of a subject; what is longer is cut.
const SUBJECT_MAX_CHARS: usize = 200;

/// What a template may show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Field {
    /// What the service calls itself.
    Service,
    /// The link.
    Link,
    /// The name of the organization that invites.
    Organization,
    /// The role that it offers.
    Role,
    /// The address that the mail goes to.
    Address,
    /// The other address of a change.
    OtherAddress,
    /// When the link ends.
    ExpiresAt,
}

impl Field {
    const ALL: [(Self, &'static str); 7] = [
        (Self::Service, "service"),
        (Self::Link, "link"),
        (Self::Organization, "organization"),
        (Self::Role, "role"),
        (Self::Address, "address"),
        (Self::OtherAddress, "other_address"),
        (Self::ExpiresAt, "expires_at"),
    ];
}

/// A mail in words.
pub struct WrittenMail {
    /// Its subject.
    pub subject: String,
    /// Its text.
    pub text: String,
    /// The same as HTML.
    pub html: Option<String>,
}

/// A text with fields in it.
struct Text(Vec<Part>);

enum Part {
    Literal(String),
    Field(Field),
}

impl Text {
    fn parse(text: &str) -> Result<Self> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((literal, after)) = rest.split_once("{{") {
            let (name, next) = after.split_once("}}").context("`{{` has no `}}` behind it")?;
            let field = Field::ALL.into_iter().find(|(_, known)| *known == name.trim());
            let (field, _) = field.ok_or_else(|| {
                let known = Field::ALL.map(|(_, name)| name).join(", ");
                anyhow!("`{{{{{name}}}}}` is none of the values that there are: {known}")
            })?;
            parts.push(Part::Literal(literal.to_owned()));
            parts.push(Part::Field(field));
            rest = next;
        }
        parts.push(Part::Literal(rest.to_owned()));
        Ok(Self(parts))
    }

    fn write(&self, fields: &HashMap<Field, String>, escape: fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Literal(text) => text.clone(),
            Part::Field(field) => escape(fields.get(field).map_or("", String::as_str)),
        };
        self.0.iter().map(part).collect()
    }
}

struct Template {
    subject: Text,
    text: Text,
    html: Option<Text>,
}

impl Template {
    fn parse(text: &str, html: Option<&str>) -> Result<Self> {
        let text = text.replace("\r\n", "\n");
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        let subject = first.strip_prefix("Subject:").context("the first line must be `Subject: …`")?.trim();
        if subject.is_empty() {
            bail!("the subject is empty");
        }
        Ok(Self {
            subject: Text::parse(subject)?,
            text: Text::parse(rest.trim_start_matches('\n'))?,
            html: html.map(Text::parse).transpose()?,
        })
    }
}

/// The templates of all mails.
pub struct Templates(HashMap<MailKind, Template>);

macro_rules! built_in {
    ($name:literal) => {
        (
            include_str!(concat!("templates/", $name, ".txt")),
            include_str!(concat!("templates/", $name, ".html")),
        )
    };
}

/// The text and the HTML of a mail, where no file replaces them.
const fn built_in(kind: MailKind) -> (&'static str, &'static str) {
    match kind {
        MailKind::Invitation => built_in!("invitation"),
        MailKind::EmailVerification => built_in!("email_verification"),
        MailKind::EmailChange => built_in!("email_change"),
        MailKind::EmailChanged => built_in!("email_changed"),
        MailKind::PasswordReset => built_in!("password_reset"),
        MailKind::Test => built_in!("test"),
    }
}

impl Templates {
    /// The templates, with those replaced for which `directory` has files.
    ///
    /// # Errors
    /// Which file is wrong, and what is.
    pub fn load(directory: Option<&Path>) -> Result<Self> {
        if let Some(directory) = directory {
            refuse_unknown_files(directory)?;
        }
        let mut templates = HashMap::new();
        for kind in MailKind::ALL {
            let name = kind.as_str();
            let read = |ending: &str| match directory {
                Some(directory) => read(&directory.join(format!("{name}.{ending}"))),
                None => Ok(None),
            };
            let template = match (read("txt")?, read("html")?) {
                (Some(text), html) => Template::parse(&text, html.as_deref())
                    .with_context(|| format!("the template {name} in MAIL_TEMPLATES")),
                (None, Some(_)) => {
                    bail!("MAIL_TEMPLATES has {name}.html and no {name}.txt: a mail needs a text")
                }
                (None, None) => {
                    let (text, html) = built_in(kind);
                    Template::parse(text, Some(html))
                }
            };
            templates.insert(kind, template?);
        }
        Ok(Self(templates))
    }

    /// The mail of that kind with these values.
    pub fn write(&self, kind: MailKind, fields: &HashMap<Field, String>) -> WrittenMail {
        let Some(Template { subject, text, html }) = self.0.get(&kind) else {
            unreachable!("there is a template for each kind")
        };
        let subject: String = subject.write(fields, str::to_owned).chars().take(SUBJECT_MAX_CHARS).collect();
        WrittenMail {
            subject,
            text: text.write(fields, str::to_owned),
            html: html.as_ref().map(|html| html.write(fields, escape)),
        }
    }
}

/// A file that no mail is named after is a mistake: the mail that it is meant for would not change.
fn refuse_unknown_files(directory: &Path) -> Result<()> {
    let shown = directory.display();
    let entries =
        fs::read_dir(directory).with_context(|| format!("MAIL_TEMPLATES ({shown}) cannot be read"))?;
    for entry in entries {
        let path = entry.with_context(|| format!("MAIL_TEMPLATES ({shown}) cannot be read"))?.path();
        let is_template = path.extension().is_some_and(|ending| ending == "txt" || ending == "html");
        let is_known =
            path.file_stem().is_some_and(|stem| MailKind::ALL.iter().any(|kind| stem == kind.as_str()));
        if is_template && !is_known {
            let known = MailKind::ALL.map(MailKind::as_str).join(", ");
            bail!("{} in MAIL_TEMPLATES is named after no mail: there are {known}", path.display());
        }
    }
    Ok(())
}

/// The content of a file, if there is one.
fn read(path: &Path) -> Result<Option<String>> {
    let shown = path.display();
    match fs::metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("{shown} cannot be read")),
        Ok(found) if found.len() > MAX_BYTES => bail!("{shown} is longer than {} KiB", MAX_BYTES >> 10),
        Ok(_) => {}
    }
    let text =
        fs::read_to_string(path).with_context(|| format!("{shown} cannot be read as text in UTF-8"))?;
    Ok(Some(text))
}

/// The text as HTML shows it, also between quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(files: &[(&str, &str)]) -> Result<Templates> {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
        }
        Templates::load(Some(directory.path()))
    }

    fn written(templates: &Templates) -> WrittenMail {
        let fields = HashMap::from([
            (Field::Organization, "A & <B>".to_owned()),
            (Field::Link, "https://api.example/x#tnt_1".to_owned()),
            (Field::Service, "Acme".to_owned()),
        ]);
        templates.write(MailKind::Invitation, &fields)
    }

    #[test]
    fn template_files_replace_a_mail_whole() {
        let mail = written(&load(&[]).unwrap());
        assert!(mail.subject.contains("A & <B>") && mail.text.contains("https://api.example/x#tnt_1"));
        assert!(mail.html.unwrap().contains("A &amp; &lt;B&gt;"));
        let text = "Subject: Come to {{ organization }}\r\n\r\nHere: {{link}}\r\n";
        let mail = written(&load(&[("invitation.txt", text), ("README", "x")]).unwrap());
        assert_eq!(
            (mail.subject.as_str(), mail.text.as_str()),
            ("Come to A & <B>", "Here: https://api.example/x#tnt_1\n")
        );
        assert!(mail.html.is_none());
        let html = "<a title='{{organization}}' href=\"{{link}}\">x</a>";
        let mail = written(&load(&[("invitation.txt", text), ("invitation.html", html)]).unwrap());
        assert_eq!(
            mail.html.unwrap(),
            "<a title='A &amp; &lt;B&gt;' href=\"https://api.example/x#tnt_1\">x</a>"
        );
    }

    #[test]
    fn template_that_is_wrong_is_refused_and_named() {
        for (file, text, why) in [
            ("invitation.txt", "Hello", "the first line must be `Subject: …`"),
            ("invitation.txt", "Subject:\n\nx", "the subject is empty"),
            ("invitation.txt", "Subject: x\n\n{{password}}", "`{{password}}` is none of the values"),
            ("invitation.txt", "Subject: x\n\n{{link", "`{{` has no `}}`"),
            ("invitation.html", "x", "no invitation.txt"),
            ("invite.txt", "Subject: x\n", "named after no mail"),
        ] {
            let error = load(&[(file, text)]).err().unwrap();
            let error = format!("{error:#}");
            assert!(error.contains(why) && error.contains("MAIL_TEMPLATES"), "{file}: {error}");
        }
        let long = format!("Subject: x\n{}", "x".repeat(64 << 10));
        assert!(load(&[("test.txt", &long)]).is_err());
    }
}
