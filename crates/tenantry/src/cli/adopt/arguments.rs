//! The arguments of `tenantry adopt`.

use crate::cli::print::switch;
use crate::config::Config;
use anyhow::{Context, Result, ensure};
use clap::{Arg, ArgAction, ArgMatches};
use std::time::Duration;
use tenantry_domain::account::Role;
use tenantry_store::AdoptRules;

/// The word for the connection string in the settings.
const SETTING: &str = "MONGO_URI";

/// The shortest and the longest time for which a source is watched.
const WATCH_MIN: Duration = Duration::from_millis(100);
const WATCH_MAX: Duration = Duration::from_secs(3600);

/// What to do.
pub enum Action {
    /// Say what would happen.
    Rehearse,
    /// Do it.
    Apply,
    /// Take it back.
    Undo,
    /// Make it final.
    Confirm,
}

/// The arguments that are no settings.
pub fn arguments() -> Vec<Arg> {
    let rule = |name: &'static str, value: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name(value).help(help).action(ArgAction::Append)
    };
    let pair = |name, value, help| rule(name, value, help).value_parser(parse_pair);
    let name = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("COLLECTION").help(help)
    };
    vec![
        Arg::new("from")
            .long("from")
            .value_name("MONGO_URI")
            .required(true)
            .help("The MongoDB of the other program"),
        Arg::new("database")
            .long("database")
            .value_name("NAME")
            .required(true)
            .help("Its database with the records"),
        Arg::new("to")
            .long("to")
            .value_name("DIRECTORY|MONGO_URI")
            .conflicts_with("in-place")
            .help("Where the organizations go, instead of the installation of the settings"),
        switch("in-place", "Leave the data in its database, and rename collections"),
        switch("apply", "Do it; without this, only say what would happen")
            .conflicts_with_all(["undo", "confirm"]),
        switch("undo", "Take it back").conflicts_with("confirm"),
        switch("confirm", "Make it final: from then on it cannot be taken back"),
        switch("json", "Print the rehearsal as JSON").conflicts_with_all(["apply", "undo", "confirm"]),
        rule("skip", "ID", "Leave this organization or account out"),
        pair("rename", "ID=NAME", "Give this organization another name"),
        pair("address", "ID=ADDRESS", "Give this account another e-mail address"),
        pair("member", "ACCOUNT=ORGANIZATION", "Say which organization this account belongs to"),
        rule("status", "VALUE=STATUS", "Say what a status means: active, suspended or deleted")
            .value_parser(|text: &str| parse_word(text, &["active", "suspended", "deleted"])),
        rule("role", "VALUE=ROLE", "Say what a role means: owner, admin, member or viewer")
            .value_parser(|text: &str| parse_word(&text.to_lowercase(), &Role::BUILT_IN_NAMES)),
        rule("without-password", "ID", "Adopt this account without its password"),
        rule("leave", "NAME", "Leave this collection or database where it is"),
        name("registry", "The collection of the organizations, if it is not recognized"),
        name("accounts", "The collection of the accounts, if it is not recognized"),
        Arg::new("watch")
            .long("watch")
            .value_name("SECONDS")
            .default_value("10")
            .value_parser(parse_seconds)
            .help("How long to watch the source for writes before the adoption begins"),
    ]
}

/// What to do.
pub fn action(matches: &ArgMatches) -> Action {
    match ["apply", "undo", "confirm"].map(|name| matches.get_flag(name)) {
        [true, ..] => Action::Apply,
        [_, true, _] => Action::Undo,
        [.., true] => Action::Confirm,
        _ => Action::Rehearse,
    }
}

/// The connection string of the source.
pub fn source(config: &Config, matches: &ArgMatches) -> Result<String> {
    let text = matches.get_one::<String>("from").map_or("", String::as_str);
    if text == SETTING {
        let uri = config.mongo_uri.as_ref();
        let uri = uri.context("MONGO_URI is not set: set it, or give the connection string itself")?;
        return Ok(uri.expose().to_owned());
    }
    ensure!(
        text.starts_with("mongodb://") || text.starts_with("mongodb+srv://"),
        "--from must be a connection string (mongodb://.. or mongodb+srv://..), or the word MONGO_URI"
    );
    Ok(text.to_owned())
}

/// Decisions about single records.
pub fn rules(matches: &ArgMatches) -> AdoptRules {
    let all = |name| matches.get_many::<String>(name).into_iter().flatten().cloned().collect();
    let pairs = |name| matches.get_many::<(String, String)>(name).into_iter().flatten().cloned().collect();
    AdoptRules {
        registry: matches.get_one("registry").cloned(),
        accounts: matches.get_one("accounts").cloned(),
        skip: all("skip"),
        rename: pairs("rename"),
        address: pairs("address"),
        member: pairs("member"),
        status: pairs("status"),
        role: pairs("role"),
        without_password: all("without-password"),
        leave: all("leave"),
    }
}

/// How long the source is watched.
pub fn watch(matches: &ArgMatches) -> Duration {
    matches.get_one::<Duration>("watch").copied().unwrap_or(WATCH_MIN)
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let seconds = seconds.filter(|seconds| (WATCH_MIN..=WATCH_MAX).contains(seconds));
    seconds.ok_or_else(|| "it must be a number of seconds from 0.1 to 3600".to_owned())
}

/// A value of the other program, and the word for it here.
fn parse_word(text: &str, words: &[&str]) -> Result<(String, String), String> {
    // The value may have a `=`; the word has none.
    let (value, word) = text.rsplit_once('=').ok_or("it has no `=` after the value")?;
    if words.contains(&word) {
        Ok((value.to_owned(), word.to_owned()))
    } else {
        Err(format!("after the `=` there must be one of {}", words.join(", ")))
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let (id, value) = text.split_once('=').ok_or("it has no `=` after the id")?;
    Ok((id.to_owned(), value.to_owned()))
}
