//! The command line: one binary, its commands, and what they print.

#[cfg(feature = "mongodb")]
mod adopt;
mod arguments;
mod audit;
mod backup;
mod client;
mod completions;
mod docs;
mod doctor;
mod healthcheck;
mod invite;
mod key;
mod mail;
mod man;
mod member;
mod operations;
mod operator_key;
mod org;
mod output;
mod pages;
mod print;
mod remote;
mod restore;
mod role;
mod scratch;
mod serve;
mod signing_key;
mod terminal;
#[cfg(feature = "mongodb")]
mod transfer;

use crate::config::{self, Config};
use clap::{ArgMatches, Command};
use print::complain;
use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

const ABOUT: &str = "Keeps the organizations of a SaaS product and the isolated data of each";
const AFTER: &str = "Without a command, `tenantry` is `tenantry serve`, and takes its flags. Every flag is also an environment \
    variable and a line of `.env`; see `tenantry serve --help` or docs/settings.md.";

/// The command line, whole.
#[must_use]
pub fn command() -> Command {
    let command = config::flags_showing(Command::new("tenantry"), &[])
        .version(env!("CARGO_PKG_VERSION"))
        .about(ABOUT)
        .after_help(AFTER)
        .args_conflicts_with_subcommands(true)
        .subcommand(config::flags(Command::new("serve")).about("Run the service (the default)"))
        .subcommand(org::command())
        .subcommand(key::command())
        .subcommand(signing_key::command())
        .subcommand(member::command())
        .subcommand(invite::command())
        .subcommand(role::command())
        .subcommand(operations::command())
        .subcommand(audit::command())
        .subcommand(mail::command())
        .subcommand(backup::command())
        .subcommand(restore::command())
        .subcommand(doctor::command())
        .subcommand(healthcheck::command())
        .subcommand(operator_key::command());
    #[cfg(feature = "mongodb")]
    let command = command.subcommand(transfer::command()).subcommand(adopt::command());
    command
        .subcommand(Command::new("openapi").about("Print the OpenAPI document"))
        .subcommand(completions::command())
        .subcommand(man::command())
        .subcommand(docs::command())
}

/// Runs the command of `arguments`.
pub fn run(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let matches = command().get_matches_from(arguments);
    let result = match matches.subcommand() {
        None => return serve(&matches),
        Some(("serve", matches)) => return serve(matches),
        Some(("org", matches)) => return org::run(matches),
        Some(("key", matches)) => return key::run(matches),
        Some(("signing-key", matches)) => return signing_key::run(matches),
        Some(("member", matches)) => return member::run(matches),
        Some(("invite", matches)) => return invite::run(matches),
        Some(("role", matches)) => return role::run(matches),
        Some(("operations", matches)) => return operations::run(matches),
        Some(("audit", matches)) => return audit::run(matches),
        Some(("backup", matches)) => return backup::run(matches),
        Some(("restore", matches)) => restore::run(matches),
        Some(("doctor", matches)) => return doctor::run(matches),
        Some(("healthcheck", matches)) => healthcheck::run(matches),
        Some(("mail", matches)) => mail::run(matches),
        Some(("operator-key", matches)) => operator_key::run(matches),
        #[cfg(feature = "mongodb")]
        Some(("transfer", matches)) => transfer::run(matches),
        #[cfg(feature = "mongodb")]
        Some(("adopt", matches)) => match adopt::run(matches) {
            Ok(code) => return code,
            Err(error) => Err(error),
        },
        Some(("openapi", _)) => docs::openapi(),
        Some(("completions", matches)) => completions::run(matches, command()),
        Some(("man", matches)) => man::run(matches, command()),
        Some((_, matches)) => docs::run(matches),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("tenantry: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn serve(matches: &ArgMatches) -> ExitCode {
    let config = Config::load(matches, config::environment(), Some(Path::new(".env")));
    match config.map_err(Into::into).and_then(|config| serve::run(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::fail_to_serve(matches, &error);
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SETTINGS;

    /// Settings whose flags a command shows; `None` for all of them.
    fn shown(name: &str) -> Option<&'static [&'static str]> {
        match name {
            "serve" => None,
            "org" | "key" | "signing-key" | "member" | "invite" | "role" | "operations" | "audit" => {
                Some(&["DATA_DIR", "SERVER_URL", "OPERATOR_KEY"])
            }
            "healthcheck" => Some(&["HOST", "PORT", "TLS_CERT_FILE", "TLS_KEY_FILE"]),
            "backup" => Some(&["DATA_DIR", "MONGO_URI", "MASTER_DB", "TENANT_PREFIX", "MONGO_TIMEOUT"]),
            "restore" => Some(&[
                "DATA_DIR",
                "MONGO_URI",
                "MASTER_DB",
                "TENANT_PREFIX",
                "PLACEMENT",
                "SERVER_URL",
                "OPERATOR_KEY",
            ]),
            "operator-key" => Some(&["DATA_DIR", "MONGO_URI", "MASTER_DB", "MONGO_TIMEOUT", "OPERATOR_KEY"]),
            "transfer" => Some(&[
                "TENANT_PREFIX",
                "MONGO_URI",
                "MASTER_DB",
                "PLACEMENT",
                "MAX_NAMESPACES",
                "AT_CAPACITY",
                "MONGO_TIMEOUT",
            ]),
            "adopt" => Some(&["MONGO_URI", "MASTER_DB"]),
            _ => Some(&[]),
        }
    }

    fn assert_shows(command: &mut Command, shown: Option<&[&str]>) {
        let help = command.render_long_help().to_string();
        for setting in SETTINGS {
            // A command may have a flag of its own that is called like one of a setting.
            let is_shown =
                [']', ','].iter().any(|end| help.contains(&format!("[env: {}{end}", setting.name)));
            let is_wanted = shown.is_none_or(|names| names.contains(&setting.name));
            assert_eq!(is_shown, is_wanted, "--{} in\n{help}", setting.flag);
        }
        if shown.is_some() {
            // The settings alone would be 270 lines.
            assert!(help.lines().count() < 150, "{help}");
        }
    }

    #[test]
    fn help_shows_the_flags_that_a_command_uses() {
        let mut tenantry = command();
        tenantry.build();
        tenantry.clone().debug_assert();
        assert_shows(&mut tenantry, Some(&[]));
        for command in tenantry.get_subcommands_mut().filter(|command| command.get_name() != "help") {
            let name = command.get_name().to_owned();
            assert_shows(command, shown(&name));
            let below =
                if ["backup", "operator-key"].contains(&&*name) { Some(&[][..]) } else { shown(&name) };
            for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
                assert_shows(command, below);
                for command in command.get_subcommands_mut().filter(|command| command.get_name() != "help") {
                    assert_shows(command, below);
                }
            }
        }
    }

    #[test]
    fn hidden_setting_flags_are_accepted_and_pointed_to() {
        for name in ["doctor", "operator-key"] {
            let mut tenantry = command();
            assert!(tenantry.try_get_matches_from_mut(["tenantry", name, "--signup", "operator"]).is_ok());
            let command = tenantry.find_subcommand_mut(name).unwrap();
            let help = command.render_long_help().to_string();
            assert!(help.contains(config::SETTINGS_POINTER), "{help}");
        }
        assert!(command().try_get_matches_from(["tenantry", "--signup", "operator"]).is_ok());
    }
}
