//! `tenantry operator-key`: makes a new operator key, in case the old one is lost or has leaked.

use super::print::say;
use crate::config::{self, Config};
use crate::system::{SystemClock, SystemEntropy};
use crate::{engine, keys};
use anyhow::Result;
use clap::Command;
use std::sync::Arc;

/// The command.
pub fn command() -> Command {
    config::flags(Command::new("operator-key")).about(
        "Make a new operator key in place of the old one (on the embedded engine, stop the service first), and say where it was written",
    )
}

/// Makes the key.
///
/// # Errors
/// A sentence: usually that the service still runs.
pub fn run(config: &Config) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let opened = engine::open(config, Arc::new(SystemClock)).await?;
        let path = keys::replace_operator_key(&opened.store, &config.data_dir, &SystemEntropy).await?;
        opened.close().await;
        say(&format!("The new operator key is in {}. The old one no longer works.", path.display()));
        Ok(())
    })
}
