//! The settings of the operator, read once at start: flags, environment, `.env`, defaults.
//!
//! `table.rs` is the only list of the settings. Nothing else in the service reads the environment. A loaded
//! `Config` is valid as a whole, so no other code checks a setting again.

mod choices;
mod client;
mod env_file;
mod issuer;
mod layers;
mod listen;
mod misspelt;
pub mod otlp_headers;
mod public_url;
mod reference;
mod secret;
mod secret_file;
mod setting;
mod smtp;
mod table;
mod value;
mod warnings;

pub use choices::{CapacityPolicy, LogFormat, LogLevel, LogRequests, TokenAlgorithm};
pub use client::ClientConfig;
pub use listen::ListenConfig;
pub use public_url::PublicUrl;
pub use reference::{SETTINGS_POINTER, client_flags, flags, flags_showing, markdown};
pub use secret::{SECRET_MIN_BYTES, Secret, SigningSecret};
pub use setting::Setting;
pub use smtp::{MailFrom, SmtpSecurity, SmtpUrl};
pub use table::{Config, SETTINGS};
pub use value::{DatabaseName, Origin, SampleRatio, TenantPrefix};
pub use warnings::{Warning, warnings};

use clap::ArgMatches;
use layers::Layers;
use std::fmt;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::Path;
use std::thread::available_parallelism;
use table::{Draft, ReadSetting};
use tenantry_domain::app::SignupPolicy;
use tenantry_domain::organization::Placement;

/// Concurrent calls of one organization beside others, per core: some wait for a disk or a server while
/// others compute.
const CALLS_PER_CORE: usize = 4;

/// Everything that is wrong with the settings: sentences that name the problem and the fix, without secrets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(Vec<String>);

impl ConfigErrors {
    /// The sentences.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// The environment of this process. What is not UTF-8 in it is marked, and refused where it is a setting.
pub fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
}

impl Config {
    /// Reads the settings from `flags` (those of [`flags`], or some of them), `env`, and the file `dotenv` if it exists.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        Self::read_checked(flags, env, dotenv, no_shared_secret)
    }

    /// Reads the settings as [`Self::load`] does, for a command that signs no tokens: it needs no secret for that.
    ///
    /// # Errors
    ///
    /// Everything that is wrong, at once.
    pub fn load_for_command(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        Self::read_checked(flags, env, dotenv, |_| None)
    }

    /// Reads the settings, and refuses them by `more` as well.
    fn read_checked(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
        more: impl FnOnce(&Draft) -> Option<String>,
    ) -> Result<Self, ConfigErrors> {
        let mut layers = Layers::new(flags, env, dotenv);
        let draft = Draft::read(&mut layers);
        let mut errors = layers.into_errors();
        errors.extend(refusals(&draft));
        errors.extend(more(&draft));
        draft.finish().filter(|_| errors.is_empty()).ok_or(ConfigErrors(errors))
    }

    /// The missing settings that would limit what anybody may sign up for; empty if sign-up is not open.
    #[must_use]
    pub fn missing_signup_quotas(&self) -> Vec<&'static str> {
        let quotas = [
            ("DEFAULT_QUOTA_DOCUMENTS", self.default_quota_documents),
            ("DEFAULT_QUOTA_BYTES", self.default_quota_bytes),
            ("DEFAULT_QUOTA_COLLECTIONS", self.default_quota_collections),
            ("DEFAULT_QUOTA_INDEX_BYTES", self.default_quota_index_bytes),
        ];
        let missing = quotas.into_iter().filter(|(_, limit)| limit.is_none()).map(|(name, _)| name);
        match self.signup {
            SignupPolicy::Open => missing.collect(),
            SignupPolicy::Operator => Vec::new(),
        }
    }

    /// The most bytes of a document as JSON: a character written as `\u0041` takes six bytes for one, and
    /// nothing realistic takes more.
    #[must_use]
    pub const fn max_document_json_bytes(&self) -> usize {
        6 * self.max_document_bytes
    }

    /// What the service listens with.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls_cert_file.is_some() { "https" } else { "http" }
    }

    /// How many threads hash passwords.
    #[must_use]
    pub fn hash_workers(&self) -> usize {
        match self.hash_threads {
            0 => (cores() / 2).max(1),
            threads => threads,
        }
    }

    /// How many calls for its own data an organization may have under way while others are active.
    #[must_use]
    pub fn calls_of_each(&self) -> usize {
        match self.organization_share {
            0 => CALLS_PER_CORE * cores(),
            calls => calls,
        }
    }
}

/// The format of the log that the settings ask for, also where others of them are wrong; text if it is not known.
pub fn log_format(
    flags: &ArgMatches,
    env: impl Iterator<Item = (String, String)>,
    dotenv: Option<&Path>,
) -> LogFormat {
    let mut layers = Layers::new(flags, env, dotenv);
    let setting = SETTINGS.iter().find(|setting| setting.name == "LOG_FORMAT");
    setting.and_then(|setting| layers.read(setting)).unwrap_or(LogFormat::Text)
}

/// The files that the settings name for secrets: the setting, and the path as it is given.
pub fn secret_files(
    flags: &ArgMatches,
    env: impl Iterator<Item = (String, String)>,
    dotenv: Option<&Path>,
) -> Vec<(&'static str, String)> {
    Layers::new(flags, env, dotenv).secret_files()
}

/// Processors this process may use.
pub(crate) fn cores() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// Reads only the settings that `read` asks for.
fn read_alone<T>(mut layers: Layers, read: impl FnOnce(&mut Layers) -> Option<T>) -> Result<T, ConfigErrors> {
    let config = read(&mut layers);
    let errors = layers.into_errors();
    config.filter(|_| errors.is_empty()).ok_or(ConfigErrors(errors))
}

impl ClientConfig {
    /// Reads its settings as [`Config::load`] does, and no others: settings that only the service uses do not
    /// stop a command that talks to it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub fn load(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        read_alone(Layers::new(flags, env, dotenv), Self::read)
    }
}

impl ListenConfig {
    /// Reads its settings as [`Config::load`] does, and no others.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, at once.
    pub fn load(
        flags: &ArgMatches,
        env: impl Iterator<Item = (String, String)>,
        dotenv: Option<&Path>,
    ) -> Result<Self, ConfigErrors> {
        read_alone(Layers::new(flags, env, dotenv), Self::read)
    }

    /// The address with its port.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        SocketAddr::new(self.host, self.port)
    }
}

/// Conflicts between settings that are valid one by one.
fn refusals(draft: &Draft) -> Vec<String> {
    [
        half_of_tls(draft),
        no_such_placement(draft),
        secret_too_short(draft, "JWT_SECRET", draft.jwt_secret.as_ref()),
        secret_too_short(draft, "JWT_SECRET_PREVIOUS", draft.jwt_secret_previous.as_ref()),
        previous_secret_without_use(draft),
        previous_secret_repeated(draft),
        idle_longer_than_absolute(draft),
        mail_without_sender(draft),
        mail_password_misplaced(draft),
        mail_password_in_clear(draft),
        export_headers_malformed(draft),
        export_headers_without_collector(draft),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// A certificate is of no use without its key.
fn half_of_tls(draft: &Draft) -> Option<String> {
    let (certificate, key) =
        (draft.tls_cert_file.as_ref()?.is_some(), draft.tls_key_file.as_ref()?.is_some());
    let (given, missing) = match (certificate, key) {
        (true, false) => ("TLS_CERT_FILE", "TLS_KEY_FILE"),
        (false, true) => ("TLS_KEY_FILE", "TLS_CERT_FILE"),
        _ => return None,
    };
    Some(format!("{given} is set and {missing} is not: set both for TLS, or neither."))
}

/// All instances must sign with the same secret, so none may generate its own.
fn no_shared_secret(draft: &Draft) -> Option<String> {
    let missing = draft.mongo_uri.as_ref()?.is_some() && draft.jwt_secret.as_ref()?.is_none();
    missing.then(|| {
        "MONGO_URI is set and JWT_SECRET is not: every instance must sign tokens with the same secret. \
         Make one with `openssl rand -base64 32` and give it to all of them."
            .to_owned()
    })
}

fn no_such_placement(draft: &Draft) -> Option<String> {
    let (placement, mongo_uri) = ((*draft.placement.as_ref()?)?, draft.mongo_uri.as_ref()?);
    (mongo_uri.is_none() && placement != Placement::Database).then(|| {
        format!(
            "PLACEMENT is {} and MONGO_URI is not set: the embedded engine keeps each organization in a file of \
             its own (database). Remove PLACEMENT, or set MONGO_URI.",
            placement.as_str()
        )
    })
}

fn secret_too_short(draft: &Draft, setting: &str, secret: Option<&Option<SigningSecret>>) -> Option<String> {
    let secret = secret?.as_ref()?;
    let algorithm = draft.jwt_algorithm?.unwrap_or(TokenAlgorithm::Hs256);
    let needed = algorithm.secret_min_bytes();
    (secret.expose().len() < needed).then(|| {
        let name = algorithm.as_str();
        format!(
            "JWT_ALGORITHM {name} needs a {setting} of at least {needed} bytes: \
             make one with `openssl rand -base64 {needed}`, or use HS256."
        )
    })
}

fn previous_secret_without_use(draft: &Draft) -> Option<String> {
    draft.jwt_secret_previous.as_ref()?.as_ref()?;
    draft.jwt_secret.as_ref()?.is_none().then(|| {
        "JWT_SECRET_PREVIOUS is set and JWT_SECRET is not: set JWT_SECRET to the secret that signs, or remove \
         JWT_SECRET_PREVIOUS."
            .to_owned()
    })
}

fn previous_secret_repeated(draft: &Draft) -> Option<String> {
    let (secret, previous) =
        (draft.jwt_secret.as_ref()?.as_ref()?, draft.jwt_secret_previous.as_ref()?.as_ref()?);
    (secret == previous).then(|| {
        "JWT_SECRET and JWT_SECRET_PREVIOUS are the same: set JWT_SECRET to a new one, or remove JWT_SECRET_PREVIOUS."
            .to_owned()
    })
}

fn idle_longer_than_absolute(draft: &Draft) -> Option<String> {
    let (idle, absolute) = (draft.refresh_idle_lifetime?, draft.refresh_absolute_lifetime?);
    (idle > absolute).then(|| {
        "REFRESH_IDLE_LIFETIME is longer than REFRESH_ABSOLUTE_LIFETIME and could never run out: \
         make it at most as long."
            .to_owned()
    })
}

/// A mail has a sender, and its links begin with what only the settings know: no header of a request is trusted for that.
fn mail_without_sender(draft: &Draft) -> Option<String> {
    draft.smtp_url.as_ref()?.as_ref()?;
    let missing = match (draft.mail_from.as_ref()?, draft.public_url.as_ref()?) {
        (Some(_), Some(_)) => return None,
        (None, _) => "MAIL_FROM is not: set it to the address that mails come from",
        (_, None) => "PUBLIC_URL is not: links in mails begin with it, so set it to that of your product",
    };
    Some(format!("SMTP_URL is set and {missing}."))
}

fn mail_password_misplaced(draft: &Draft) -> Option<String> {
    let password = draft.smtp_password.as_ref()?.is_some();
    let Some(url) = draft.smtp_url.as_ref()? else {
        return password.then(|| "SMTP_PASSWORD is set and SMTP_URL is not: set it, too.".to_owned());
    };
    let problem = match (&url.user, &url.password, password) {
        (_, Some(_), true) => "SMTP_PASSWORD is set, and SMTP_URL has a password, too: remove one of them",
        (None, _, true) => "SMTP_PASSWORD is set, and SMTP_URL names no user: write `user@` before the host",
        (Some(_), None, false) => {
            "SMTP_URL names a user and there is no password: set SMTP_PASSWORD or SMTP_PASSWORD_FILE"
        }
        _ => return None,
    };
    Some(format!("{problem}."))
}

fn mail_password_in_clear(draft: &Draft) -> Option<String> {
    let url = draft.smtp_url.as_ref()?.as_ref()?;
    let is_clear = url.security == SmtpSecurity::Off && url.user.is_some() && !url.is_loopback();
    is_clear.then(|| {
        "SMTP_URL has `tls=off` and a user: the password would cross the network in clear. Remove `?tls=off`, or use a \
         mail server on this machine."
            .to_owned()
    })
}

/// Their text may be a secret, so nothing of it is shown.
fn export_headers_malformed(draft: &Draft) -> Option<String> {
    let headers = draft.otlp_headers.as_ref()?.as_ref()?;
    otlp_headers::parse(headers.expose()).is_none().then(|| {
        "OTEL_EXPORTER_OTLP_HEADERS must be `name=value` pairs, separated by commas, with percent-encoded values."
            .to_owned()
    })
}

fn export_headers_without_collector(draft: &Draft) -> Option<String> {
    draft.otlp_headers.as_ref()?.as_ref()?;
    draft.otlp_endpoint.as_ref()?.is_none().then(|| {
        "OTEL_EXPORTER_OTLP_HEADERS is set and OTEL_EXPORTER_OTLP_ENDPOINT is not: set it, too.".to_owned()
    })
}

#[cfg(test)]
mod tests;
