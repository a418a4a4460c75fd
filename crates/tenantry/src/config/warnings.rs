//! Warnings about settings that are valid but rarely intended, for `serve` at its start and for `tenantry doctor`.

use super::{Config, misspelt};
use tenantry_api::settings::LookupPolicy;
use tenantry_domain::app::SignupPolicy;

/// A setting that is valid but rarely intended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The finding, a sentence without its full stop.
    pub found: String,
    /// What to do about it.
    pub advice: &'static str,
}

/// Everything in the settings and the environment that is valid but rarely intended.
pub fn warnings(config: &Config, env: impl Iterator<Item = (String, String)>) -> Vec<Warning> {
    let env: Vec<_> = env.collect();
    let ineffective = ineffective(&env);
    let misspelt = misspelt::in_environment(env.into_iter());
    let misspelt = misspelt.into_iter().map(|found| Warning { found, advice: misspelt::ADVICE });
    let own = [
        rate_limit_off(config),
        open_to_everybody(config),
        unlimited_signup(config),
        public_url_without_tls(config),
    ];
    own.into_iter().flatten().chain(ineffective).chain(misspelt).collect()
}

/// Variables of OpenTelemetry that other programs know and this one does not, with what it does, and the values that say the
/// same.
const INEFFECTIVE: [(&str, &[&str], &str, &str); 3] = [
    (
        "OTEL_TRACES_SAMPLER",
        &["parentbased_traceidratio"],
        "the sampler is parentbased_traceidratio",
        "remove it, and set OTEL_TRACES_SAMPLER_ARG to the part of the traces that is kept",
    ),
    (
        "OTEL_SDK_DISABLED",
        &["false"],
        "telemetry is sent if OTEL_EXPORTER_OTLP_ENDPOINT is set",
        "remove OTEL_EXPORTER_OTLP_ENDPOINT to send none",
    ),
    (
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        &["http/protobuf"],
        "the protocol is http/protobuf",
        "remove it, and give the collector's port for HTTP, usually 4318",
    ),
];

fn ineffective(env: &[(String, String)]) -> Vec<Warning> {
    let given = |name: &str| env.iter().find(|(given, _)| given == name).map(|(_, text)| text.trim());
    let differs = |(name, same, ..): &&(&str, &[&str], &str, &str)| {
        given(name).is_some_and(|text| !text.is_empty() && !same.contains(&text))
    };
    let warning = |(name, _, instead, advice): &(&str, &[&str], &str, &'static str)| Warning {
        found: format!("{name} in the environment has no effect: {instead}"),
        advice,
    };
    INEFFECTIVE.iter().filter(differs).map(warning).collect()
}

fn rate_limit_off(config: &Config) -> Option<Warning> {
    (!config.rate_limit).then(|| Warning {
        found: "RATE_LIMIT is off, so that passwords can be guessed without limit".to_owned(),
        advice: "remove it, unless this is a test",
    })
}

/// Links would lead to HTTP without TLS, which the port does not speak.
fn public_url_without_tls(config: &Config) -> Option<Warning> {
    let is_plain = config.public_url.as_ref().is_some_and(|url| url.as_str().starts_with("http:"));
    (is_plain && config.tls_cert_file.is_some()).then(|| Warning {
        found: "PUBLIC_URL begins with http://, and the service speaks TLS (TLS_CERT_FILE)".to_owned(),
        advice: "let PUBLIC_URL begin with https://",
    })
}

/// Warns if anybody may sign up and store without limit.
fn unlimited_signup(config: &Config) -> Option<Warning> {
    let missing = config.missing_signup_quotas();
    (!missing.is_empty()).then(|| {
        let (names, verb) = (missing.join(", "), if missing.len() == 1 { "is" } else { "are" });
        Warning {
            found: format!(
                "anybody can create organizations (SIGNUP=open), and nothing limits what they store: {names} {verb} \
                 not set"
            ),
            advice: "set them for new organizations, or SIGNUP=operator",
        }
    })
}

/// Warns of defaults for a first try on one's own machine if others can reach the service.
fn open_to_everybody(config: &Config) -> Option<Warning> {
    let is_open = config.signup == SignupPolicy::Open && config.public_lookup == LookupPolicy::Full;
    (is_open && !config.host.is_loopback()).then(|| Warning {
        found: format!(
            "HOST {} is reached from other machines, and anybody there may create organizations (SIGNUP=open) and see \
             names, admins' addresses and containers of all of them (PUBLIC_LOOKUP=full)",
            config.host
        ),
        advice: "set SIGNUP=operator, and PUBLIC_LOOKUP=card or off, unless that is meant",
    })
}
