//! `tenantry operator-key`: puts another operator key in place of the old one, in case that is lost or has leaked, or
//! makes one for the settings.

use super::print::say;
use crate::config::{self, Config};
use crate::engine;
use crate::operator_key::{self, OperatorKey};
use crate::system::{SystemClock, SystemEntropy};
use anyhow::Result;
use clap::{ArgMatches, Command};
use std::path::Path;
use std::sync::Arc;
use tenantry_domain::app::operator;
use tenantry_domain::clock::Clock;

const AFTER: &str = "\
If OPERATOR_KEY or OPERATOR_KEY_FILE is set, that key becomes the operator key and no file is written; without them a \
new one is made, and written to operator.key in DATA_DIR. The old key is refused at once, also by instances that run.
The audit trail of the installation tells of it: operator_key.replaced.

On the embedded engine, stop the service first.

Examples:
  tenantry operator-key --data-dir /var/lib/tenantry
  tenantry operator-key generate > operator-key.new
  OPERATOR_KEY_FILE=operator-key.new tenantry operator-key";

/// The settings that say where the installation is, and what its key is to be.
const SHOWN: [&str; 5] = ["DATA_DIR", "MONGO_URI", "MASTER_DB", "MONGO_TIMEOUT", "OPERATOR_KEY"];

/// The command.
pub fn command() -> Command {
    config::flags_showing(Command::new("operator-key"), &SHOWN)
        .about("Put another operator key in place of the old one, or make one for OPERATOR_KEY")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .args_conflicts_with_subcommands(true)
        .subcommand(
            Command::new("generate")
                .about("Print a new operator key, for OPERATOR_KEY or OPERATOR_KEY_FILE; nothing is changed")
                .after_help("Example:\n  tenantry operator-key generate > operator-key.new"),
        )
}

/// Runs the command.
///
/// # Errors
/// A sentence: usually that the service still runs.
pub fn run(matches: &ArgMatches) -> Result<()> {
    if matches.subcommand_matches("generate").is_some() {
        say(&operator::generate(&SystemEntropy));
        return Ok(());
    }
    let config = Config::load_for_command(matches, config::environment(), Some(Path::new(".env")))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let key = runtime.block_on(replace(&config))?;
    say(&match key {
        OperatorKey::In(path) => {
            format!("The new operator key is in {}. The old one no longer works.", path.display())
        }
        _ => "The operator key is now the one of the settings. The old one no longer works.".to_owned(),
    });
    Ok(())
}

async fn replace(config: &Config) -> Result<OperatorKey> {
    // Before the engine is opened, which makes a data directory.
    operator_key::given(config)?;
    let opened = engine::open_existing(config, Arc::new(SystemClock)).await?;
    let replaced = operator_key::replace(&opened.store, config, SystemClock.now(), &SystemEntropy).await;
    opened.close().await;
    replaced
}
