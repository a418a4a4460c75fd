//! Mail: the SMTP server that mails are sent through, and how they are written.

mod message;
mod smtp;
mod templates;

pub use templates::Templates;

use crate::config::Config;
use anyhow::{Context, Result};
use async_trait::async_trait;
use lettre::message::Mailbox;
use smtp::Smtp;
use tenantry_domain::app::mail::{MailTransport, SendError};
use tenantry_domain::mail::Mail;

/// Writes mails and gives them to the server.
pub struct Postman {
    smtp: Smtp,
    templates: Templates,
    from: Mailbox,
    service: String,
    public_url: String,
}

impl Postman {
    /// As the settings say; `None` if they name no mail server.
    ///
    /// # Errors
    /// A sentence for the operator, about the templates.
    pub fn new(config: &Config) -> Result<Option<Self>> {
        let (Some(url), Some(from), Some(public_url)) =
            (&config.smtp_url, &config.mail_from, &config.public_url)
        else {
            return Ok(None);
        };
        let templates = Templates::load(config.mail_templates.as_deref())?;
        let smtp = Smtp::new(url, config.smtp_password.as_ref(), from)
            .context("TLS for the mail server cannot be set up")?;
        let public_url = public_url.as_str().to_owned();
        Ok(Some(Self { smtp, templates, from: from.0.clone(), service: config.app_name.clone(), public_url }))
    }

    /// Whether the server would take mails from us: signs in, and sends nothing.
    ///
    /// # Errors
    /// What went wrong, in words.
    pub async fn check(&self) -> Result<(), String> {
        self.smtp.check().await
    }
}

#[async_trait]
impl MailTransport for Postman {
    async fn send(&self, id: &str, mail: &Mail) -> Result<(), SendError> {
        // What cannot be written as a mail will never be.
        let to = message::recipient(mail).ok_or(SendError::Refused(0))?;
        let fields = message::fields(mail, &self.service, &self.public_url);
        let written = self.templates.write(mail.kind, &fields);
        let message = message::encode(id, &self.from, to.clone(), written).ok_or(SendError::Refused(0))?;
        self.smtp.send(&to, &message).await
    }
}
