//! The reference of the settings: the flags of `--help` and the page `docs/settings.md`.

use super::table::{Alias, ClientConfig, SETTINGS, Setting};
use super::value::Unit;
use clap::{Arg, Command};
use std::fmt::Write;

/// `cmd` with one flag for every setting, under the headings of the page.
#[must_use]
pub fn flags(cmd: Command) -> Command {
    cmd.args(SETTINGS.iter().map(flag))
}

/// `cmd`, and every command below it, with the flags that are needed to talk to a running server.
#[must_use]
pub fn client_flags(cmd: Command) -> Command {
    cmd.args(ClientConfig::SETTINGS.iter().map(|setting| flag(setting).global(true).help_heading("Server")))
}

fn flag(setting: &Setting) -> Arg {
    let help = setting.help;
    let (names, rule) = (names(setting).join(", "), setting.rule());
    let default =
        if setting.default.is_empty() { String::new() } else { format!(" [default: {}]", setting.default) };
    let caution =
        if setting.secret { "\nBetter in the environment: other users can read flags." } else { "" };
    // Not clap's own `default_value` and `env`: they would hide the source of a value from the loader.
    Arg::new(setting.name)
        .long(setting.flag)
        .value_name(placeholder(setting))
        .help_heading(setting.group)
        .help(format!("{help} [env: {}]{default}", setting.name))
        .long_help(format!("{help}\nTakes {rule}.{caution}\n[env: {names}]{default}"))
}

fn placeholder(setting: &Setting) -> &'static str {
    match setting.limits.unit() {
        Unit::One => setting.shape,
        Unit::Seconds => "SECONDS",
        Unit::Minutes => "MINUTES",
        Unit::Days => "DAYS",
        Unit::Kibibytes => "KIB",
        Unit::Mebibytes => "MIB",
    }
}

/// The names of a setting, each with its unit where they differ.
fn names(setting: &Setting) -> Vec<String> {
    let alias = |alias: &Alias| match alias.unit {
        Some(unit) => format!("{} in {}", alias.name, unit.name()),
        None => alias.name.to_owned(),
    };
    std::iter::once(setting.name.to_owned()).chain(setting.aliases.iter().map(alias)).collect()
}

const HEAD: &str = "\
<!-- Generated from crates/tenantry/src/config/table.rs by `cargo xtask generate`: change it there. -->

# Settings

`tenantry` runs without any. What it is told, it takes from the first of these places that has a value:

1. flags of the command line;
2. environment variables;
3. the file `.env` in the working directory, if there is one: `NAME=value` per line; nothing is substituted in a value;
4. the default.

An empty value counts as none. A setting with several names takes any of them; two names in one place that disagree are
refused. The service names everything that is wrong with its settings at once, and does not start until it is right.
A name that is none of these and close to one, or that begins with `TENANTRY_`, is refused in `.env`; in the environment, which
is everybody's, the service and `tenantry doctor` warn of it.

Give secrets in the environment or in `.env`: other users of the machine can read the flags of a process. A secret for
`JWT_SECRET` comes from `openssl rand -base64 32`.
";

/// The page `docs/settings.md`.
#[must_use]
pub fn markdown() -> String {
    let mut page = HEAD.to_owned();
    let mut group = "";
    for setting in SETTINGS {
        if setting.group != group {
            group = setting.group;
            let _ = write!(
                page,
                "\n## {group}\n\n| name, flag | default | takes | what it is |\n|---|---|---|---|\n"
            );
        }
        page.push_str(&row(setting));
    }
    page
}

fn row(setting: &Setting) -> String {
    let names: Vec<_> = names(setting).iter().map(|name| code_first_word(name)).collect();
    let default =
        if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
    let secret = if setting.secret { " A secret: never shown." } else { "" };
    let (flag, help, rule) = (setting.flag, setting.help, setting.rule());
    format!("| {}, `--{flag}` | {default} | {rule} | {help}{secret} |\n", names.join(", "))
}

/// `NAME in minutes` with its name as code.
fn code_first_word(text: &str) -> String {
    match text.split_once(' ') {
        Some((name, rest)) => format!("`{name}` {rest}"),
        None => format!("`{text}`"),
    }
}
