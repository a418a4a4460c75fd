//! The reference of the settings: the flags of `--help` and the page `docs/settings.md`.

use super::client::ClientConfig;
use super::setting::{Alias, Setting};
use super::table::SETTINGS;
use super::value::Unit;
use clap::{Arg, Command};
use std::fmt::Write;

/// `cmd` with one flag for every setting, under the headings of the page.
#[must_use]
pub fn flags(cmd: Command) -> Command {
    cmd.args(SETTINGS.iter().flat_map(setting_flags))
}

/// Where the help of a command says that its hidden flags are.
pub const SETTINGS_POINTER: &str =
    "Settings: see `tenantry serve --help`; each of its flags is accepted here too.";

/// `cmd` with one flag for every setting; its help shows those of `shown` alone.
#[must_use]
pub fn flags_showing(cmd: Command, shown: &[&str]) -> Command {
    let flags = SETTINGS.iter().flat_map(|setting| {
        let is_hidden = !shown.contains(&setting.name);
        setting_flags(setting).map(move |flag| flag.hide(is_hidden))
    });
    cmd.args(flags)
}

/// `cmd`, and every command below it, with the flags that are needed to talk to a running server.
#[must_use]
pub fn client_flags(cmd: Command) -> Command {
    let flags = ClientConfig::SETTINGS.iter().flat_map(setting_flags);
    cmd.args(flags.map(|flag| flag.global(true).help_heading("Server")))
}

/// The flags of a setting: its own, and that of the file it may be in.
fn setting_flags(setting: &Setting) -> impl Iterator<Item = Arg> {
    std::iter::once(flag(setting)).chain(file_flag(setting))
}

fn file_flag(setting: &Setting) -> Option<Arg> {
    let file = setting.file?;
    let (name, names) = (file.names.first()?, file.names.join(", "));
    let help = format!("The file that holds {}", setting.name);
    let arg = Arg::new(*name).long(file.flag).value_name("PATH").help_heading(setting.group);
    Some(arg.help(format!("{help} [env: {name}]")).long_help(format!(
        "{help}, which is then not given itself: the content without one line break at its end.\n[env: {names}]"
    )))
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
is everybody's, the service and `tenantry doctor` warn of it, but for names as short as `PORTS`.

Give secrets in the environment, in `.env` or in files: other users of the machine can read the flags of a process. A secret
for `JWT_SECRET` comes from `openssl rand -base64 32`.

Every secret can be in a file of its own, as container platforms and service managers hand secrets out: `JWT_SECRET_FILE`
names the file that holds `JWT_SECRET`, and so on. The content of the file is the secret, without one line break at its end; the
file is read at the start. A secret that is given itself and by a file in one place is refused, and so is a file that is missing,
unreadable or empty; in different places the order above decides.
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
    let files = setting.file.map_or(&[][..], |file| file.names).iter().map(|name| (*name).to_owned());
    let names: Vec<_> = names(setting).into_iter().chain(files).map(|name| code_first_word(&name)).collect();
    let file_flag = setting.file.map(|file| format!(", `--{}`", file.flag)).unwrap_or_default();
    let default =
        if setting.default.is_empty() { "none".to_owned() } else { format!("`{}`", setting.default) };
    let secret = if setting.secret { " A secret: never shown." } else { "" };
    let (flag, help, rule) = (setting.flag, setting.help, setting.rule());
    format!("| {}, `--{flag}`{file_flag} | {default} | {rule} | {help}{secret} |\n", names.join(", "))
}

/// `NAME in minutes` with its name as code.
fn code_first_word(text: &str) -> String {
    match text.split_once(' ') {
        Some((name, rest)) => format!("`{name}` {rest}"),
        None => format!("`{text}`"),
    }
}
