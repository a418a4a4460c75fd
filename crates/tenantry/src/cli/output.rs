//! What a command prints when a format was asked for: then both standard output and standard error are in it, so that
//! a program that reads one of them line by line can read the other.
//!
//! `LOG_FORMAT=json` asks for it of the service, `--json` of a command.

use super::print::{complain, say};
use crate::config::{Config, LogFormat};
use crate::system::SystemClock;
use clap::ArgMatches;
use serde_json::{Map, Value, json};
use std::panic;
use std::path::Path;
use tenantry_domain::clock::Clock;

/// Prints what the service says at its start: lines for eyes, or one line like those of its log.
pub fn announce(config: &Config, title: &str, facts: &[(&str, String)]) {
    match config.log_format {
        LogFormat::Json => say(&log_line("INFO", title, facts)),
        LogFormat::Text => {
            say(title);
            facts.iter().for_each(|(name, fact)| say(&format!("  {name:<13} {fact}")));
        }
    }
}

/// Prints why the service ends, in the format that its settings ask for, also where they are wrong otherwise.
pub fn fail_to_serve(matches: &ArgMatches, error: &anyhow::Error) {
    let format = crate::config::log_format(matches, crate::config::environment(), Some(Path::new(".env")));
    match format {
        LogFormat::Json => complain(&log_line("ERROR", &format!("{error:#}"), &[])),
        LogFormat::Text => complain(&format!("tenantry: {error:#}")),
    }
}

/// Lets a panic be a line of the log, where that has a format of its own.
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
