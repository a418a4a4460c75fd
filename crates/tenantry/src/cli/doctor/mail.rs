//! The mail server: whether it can be reached, and takes our user and password.

use super::report::Report;
use crate::config::Config;
use crate::mail::Postman;

const CHECK: &str = "mail";

/// Connects to the mail server and signs in; sends nothing.
pub fn examine(report: &mut Report, config: &Config) {
    let postman = match Postman::new(config) {
        Ok(Some(postman)) => postman,
        Ok(None) => {
            report.ok(CHECK, "none is sent: SMTP_URL is not set, and links are brought by hand");
            return;
        }
        Err(error) => {
            report.fail(CHECK, format!("{error:#}"), "correct the templates");
            return;
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let checked = match runtime {
        Ok(runtime) => runtime.block_on(postman.check()),
        Err(error) => Err(error.to_string()),
    };
    match checked {
        Ok(()) => report.ok(CHECK, "the mail server can be used; `tenantry mail test ADDRESS` sends a mail"),
        Err(reason) => report.fail(
            CHECK,
            format!("the mail server cannot be used: {reason}"),
            "correct SMTP_URL; until then mails wait",
        ),
    }
}
