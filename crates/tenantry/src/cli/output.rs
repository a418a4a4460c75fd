//! Output in a requested format: both standard output and standard error use it, so that a program can parse
//! either one line by line.
//!
//! `LOG_FORMAT=json` selects it for the service, `--json` for a command.

use super::print::{complain, say};
use crate::config::{Config, LogFormat};
use crate::system::SystemClock;
use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::panic;
use std::path::Path;
use tenantry_domain::clock::Clock;

/// Prints the announcement at start: lines for people, or one line in the format of the log.
pub fn announce(config: &Config, title: &str, facts: &[(&str, String)]) {
    match config.log_format {
        LogFormat::Json => say(&log_line("INFO", title, facts)),
        LogFormat::Text => {
            say(title);
            facts.iter().for_each(|(name, fact)| say(&format!("  {name:<13} {fact}")));
        }
    }
}

/// Prints why the service ends, in the format of its settings, even if other settings are wrong.
pub fn fail_to_serve(matches: &ArgMatches, error: &anyhow::Error) {
    let format = crate::config::log_format(matches, crate::config::environment(), Some(Path::new(".env")));
    match format {
        LogFormat::Json => complain(&log_line("ERROR", &format!("{error:#}"), &[])),
        LogFormat::Text => complain(&format!("tenantry: {error:#}")),
    }
}

/// Makes a panic a line of the log, if the log has a format of its own.
pub fn log_panics(config: &Config) {
    if config.log_format == LogFormat::Json {
        panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    }
}

/// A line as `telemetry` writes them under `LOG_FORMAT=json`.
fn log_line(level: &str, message: &str, facts: &[(&str, String)]) -> String {
    let mut line = Map::new();
    line.insert("timestamp".to_owned(), SystemClock.now().to_string().into());
    line.insert("level".to_owned(), level.into());
    line.insert("message".to_owned(), message.into());
    line.extend(facts.iter().map(|(name, fact)| (name.replace(' ', "_"), fact.as_str().into())));
    line.insert("target".to_owned(), json!(module_path!()));
    Value::Object(line).to_string()
}
