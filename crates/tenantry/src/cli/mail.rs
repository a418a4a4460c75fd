//! `tenantry mail`: whether mail works, tried with the settings alone and without the service.

use super::print::say;
use crate::config::{self, Config};
use crate::mail::Postman;
use anyhow::{Context, Result, bail};
use clap::{Arg, ArgMatches, Command};
use std::path::Path;
use tenantry_domain::app::mail::{MailTransport, SendError};
use tenantry_domain::email::EmailAddress;
use tenantry_domain::mail::{Mail, MailKind};

const AFTER: &str = "\
It reads the settings of the service (SMTP_URL, MAIL_FROM ..), talks to the mail server itself, and changes nothing.

Examples:
  tenantry mail test me@example.com";

/// `tenantry mail`.
pub fn command() -> Command {
    Command::new("mail")
        .about("Send a mail to see whether that works")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .subcommand(
            config::flags_showing(Command::new("test"), &[])
                .about("Send a test mail to an address")
                .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
                .arg(
                    Arg::new("address")
                        .value_name("ADDRESS")
                        .required(true)
                        .help("The address to send it to")
                        .value_parser(|text: &str| EmailAddress::parse(text)),
                ),
        )
}

/// Runs the command.
///
/// # Errors
/// A sentence for the operator.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let Some(("test", matches)) = matches.subcommand() else { bail!("there is no such command") };
    let config = Config::load_for_command(matches, config::environment(), Some(Path::new(".env")))?;
    let postman = Postman::new(&config)?;
    let postman = postman.context("no mail is sent: set SMTP_URL, MAIL_FROM and PUBLIC_URL")?;
    let address = matches.get_one::<EmailAddress>("address").context("an address is required")?;
    let mail = Mail::new(MailKind::Test, address.clone());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        if let Err(reason) = postman.check().await {
            bail!("the mail server cannot be used: {reason}");
        }
        // A new one each time: servers and mailboxes leave out what they have seen.
        let id = format!("test-{}", std::process::id());
        match postman.send(&id, &mail).await {
            Ok(()) => Ok(()),
            Err(SendError::Unreachable) => {
                bail!("the mail server does not take mails from MAIL_FROM, or went away")
            }
            Err(SendError::Later(code)) => {
                bail!("the mail server does not take the mail now (it answers {code})")
            }
            Err(SendError::Refused(code)) => bail!("the mail server refuses the mail (it answers {code})"),
        }
    })?;
    say(&format!("The mail server has taken a mail for {}.", address.as_str()));
    Ok(())
}
