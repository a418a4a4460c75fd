//! The conversation with the SMTP server, a connection for each mail.
//!
//! What a server refuses before it has heard of a recipient is about us, not about the mail: the mail waits. Nothing of
//! what a server says is logged, because it may repeat an address.

use crate::config::{MailFrom, Secret, SmtpSecurity, SmtpUrl};
use lettre::Address;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::{Error, response::Severity};
use std::error::Error as _;
use std::io;
use std::time::Duration;
use tenantry_domain::app::mail::SendError;
use tenantry_domain::limits::MAIL_SEND_TIMEOUT;

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The SMTP server of the settings.
pub struct Smtp {
    host: String,
    port: u16,
    security: SmtpSecurity,
    tls: TlsParameters,
    credentials: Option<Credentials>,
    hello: ClientId,
    from: Address,
}

impl Smtp {
    /// The server at `url`; `password` is that of its user unless the URL has it.
    ///
    /// # Errors
    /// TLS cannot be set up on this machine.
    pub fn new(url: &SmtpUrl, password: Option<&Secret>, from: &MailFrom) -> Result<Self, Error> {
        let password = url.password.as_deref().or(password.map(Secret::expose));
        let from = from.0.email.clone();
        Ok(Self {
            host: url.host.clone(),
            port: url.port,
            security: url.security,
            tls: TlsParameters::new(url.host.clone())?,
            credentials: url
                .user
                .as_deref()
                .zip(password)
                .map(|(user, password)| Credentials::new(user.to_owned(), password.to_owned())),
            // The domain that we send for, which says more than what this machine calls itself.
            hello: ClientId::Domain(from.domain().to_owned()),
            from,
        })
    }

    /// Connects and signs in, without sending anything.
    pub async fn check(&self) -> Result<(), String> {
        let checking = tokio::time::timeout(MAIL_SEND_TIMEOUT, async {
            let mut connection = self.connect().await?;
            let _ = connection.quit().await;
            Ok(())
        });
        let late = || format!("no answer within {} seconds", MAIL_SEND_TIMEOUT.as_secs());
        checking.await.map_err(|_| late())?.map_err(|error: Error| reason(&error))
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, Error> {
        let server = (self.host.as_str(), self.port);
        let from_start = (self.security == SmtpSecurity::Tls).then(|| self.tls.clone());
        let timeout = Some(CONNECT_TIMEOUT);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(server, timeout, &self.hello, from_start, None).await?;
        if self.security == SmtpSecurity::StartTls {
            connection.starttls(self.tls.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// Sends a message of ASCII to that recipient.
    pub async fn send(&self, to: &Address, message: &[u8]) -> Result<(), SendError> {
        let mut connection = self.connect().await.map_err(|_| SendError::Unreachable)?;
        let mut parameters = Vec::new();
        if !to.user().is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                return Err(SendError::Refused(0));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        let begin = Mail::new(Some(self.from.clone()), parameters);
        connection.command(begin).await.map_err(|_| SendError::Unreachable)?;
        connection.command(Rcpt::new(to.clone(), Vec::new())).await.map_err(|error| about_mail(&error))?;
        connection.command(Data).await.map_err(|error| about_mail(&error))?;
        connection.message(message).await.map_err(|error| about_mail(&error))?;
        // It has the mail: how the conversation ends is of no matter.
        let _ = connection.quit().await;
        Ok(())
    }
}

/// What a refusal means for the mail that it is about. A conversation that breaks off is no refusal.
fn about_mail(error: &Error) -> SendError {
    let Some(code) = error.status() else { return SendError::Later(0) };
    let number = u16::from(code);
    match code.severity {
        Severity::PermanentNegativeCompletion => SendError::Refused(number),
        _ if number == SHUTTING_DOWN => SendError::Unreachable,
        _ => SendError::Later(number),
    }
}

/// The server ends the conversation, at any command.
const SHUTTING_DOWN: u16 = 421;

/// Whether a handshake failed. The mail library calls that a failed connection, and says what it was in a cause.
fn is_about_tls(error: &Error) -> bool {
    let mut cause = error.source();
    while let Some(current) = cause {
        let io = current.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::InvalidData) {
            return true;
        }
        cause = current.source();
    }
    false
}

/// Why the server cannot be used, for the operator who asks.
fn reason(error: &Error) -> String {
    match error.status() {
        Some(code) => format!("it answers {code}: check the user and the password"),
        None if error.is_tls() || is_about_tls(error) => {
            "its certificate or its TLS is not accepted".to_owned()
        }
        None if error.is_client() => {
            "it does not offer what the settings ask for (STARTTLS, or signing in)".to_owned()
        }
        None => "it cannot be reached".to_owned(),
    }
}
