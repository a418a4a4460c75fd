//! `tenantry healthcheck`: asks the running service whether it works, for container platforms and scripts.
//!
//! An image without a shell and without curl can still have a health check.

use super::client::{Client, ClientError, local_url};
use super::print::{say, switch};
use crate::config::{self, ListenConfig};
use crate::tls::{PairFiles, client_config};
use anyhow::{Result, bail};
use clap::{Arg, ArgMatches, Command, value_parser};
use reqwest::{Method, Url};
use serde::Deserialize;
use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

const AFTER: &str = "\
It asks for /readyz: whether the service can write to its store. With --live it asks for /livez: whether the process \
responds. The address is that of HOST and PORT, as the service reads them; flags that the service was started with are \
unknown here, so repeat them or give --url. With TLS_CERT_FILE it trusts that certificate. The exit code is 0 if the answer is good, and 1 if not.

Examples:
  tenantry healthcheck
  tenantry healthcheck --live --timeout 1
  tenantry healthcheck --url http://127.0.0.1:8000";

/// The settings that say where the service listens.
const SHOWN: [&str; 4] = ["HOST", "PORT", "TLS_CERT_FILE", "TLS_KEY_FILE"];

/// The command.
pub fn command() -> Command {
    config::flags_showing(Command::new("healthcheck"), &SHOWN)
        .about("Ask the running service whether it works; the exit code is the answer")
        .after_help(format!("{AFTER}\n\n{}", config::SETTINGS_POINTER))
        .arg(switch("live", "Ask whether the process responds, not whether it can write"))
        .arg(
            Arg::new("url")
                .long("url")
                .value_name("URL")
                .value_parser(value_parser!(Url))
                .help("Where the service is, instead of the address that it listens on"),
        )
        .arg(
            Arg::new("timeout")
                .long("timeout")
                .value_name("SECONDS")
                .value_parser(value_parser!(u64).range(1..=60))
                .default_value("3")
                .help("How long to wait for the answer"),
        )
}

/// The answer of a probe.
#[derive(Deserialize)]
struct ProbeAnswer {
    status: String,
}

/// Asks once.
///
/// # Errors
/// A sentence that says what is wrong.
pub fn run(matches: &ArgMatches) -> Result<()> {
    let (url, files) = match matches.get_one::<Url>("url") {
        Some(url) => (url.clone(), None),
        None => listening(matches)?,
    };
    let probe = if matches.get_flag("live") { "livez" } else { "readyz" };
    let timeout = Duration::from_secs(matches.get_one("timeout").copied().unwrap_or(3));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let is_live = Cell::new(false);
    let asked = runtime.block_on(async {
        let answer = ask(url.clone(), files.clone(), probe);
        tokio::time::timeout(timeout, while_asking_life(answer, &url, files, timeout / 2, &is_live)).await
    });
    let seconds = timeout.as_secs();
    match asked {
        Ok(Ok(())) => {
            say("ok");
            Ok(())
        }
        Ok(Err(ClientError::Refused(problem))) => {
            bail!("the service at {url} is not ready: {}", problem.detail)
        }
        Ok(Err(ClientError::Unreachable(_))) => bail!("nothing answers at {url}"),
        Ok(Err(error)) => bail!("the service at {url} does not answer as it should: {error}"),
        Err(_) if is_live.get() => bail!(
            "the service at {url} is not ready: it runs, and does not know within {seconds} seconds whether it can write; its \
             log says why"
        ),
        Err(_) => bail!("{url} does not answer within {seconds} seconds"),
    }
}

/// The outcome of `answer`. If that takes longer than `pause`, notes meanwhile whether the process responds.
async fn while_asking_life<T>(
    answer: impl Future<Output = T>,
    url: &Url,
    files: Option<PairFiles>,
    pause: Duration,
    is_live: &Cell<bool>,
) -> T {
    let life = async {
        tokio::time::sleep(pause).await;
        is_live.set(ask(url.clone(), files, "livez").await.is_ok());
        std::future::pending().await
    };
    tokio::select! {
        answer = answer => answer,
        never = life => never,
    }
}

/// Where the service listens, and the files with its certificate.
fn listening(matches: &ArgMatches) -> Result<(Url, Option<PairFiles>)> {
    let config = ListenConfig::load(matches, config::environment(), Some(Path::new(".env")))?;
    let address = config.address();
    if address.port() == 0 {
        bail!("PORT is 0, so the service listens on any free port: name it with --url");
    }
    let files = PairFiles::at(config.tls_cert_file, config.tls_key_file);
    let scheme = if files.is_some() { "https" } else { "http" };
    let url = local_url(scheme, address).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok((url, files))
}

async fn ask(url: Url, files: Option<PairFiles>, probe: &str) -> Result<(), ClientError> {
    let client = Client::with_tls(url, None, client_config(files).await)?;
    let answer: ProbeAnswer = client.send(client.request(Method::GET, &[probe], &[])).await?.read()?;
    if answer.status == "ok" { Ok(()) } else { Err(ClientError::Other(format!("status {}", answer.status))) }
}
