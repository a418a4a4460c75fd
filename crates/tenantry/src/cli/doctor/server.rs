//! The address to listen on: free, or answered by a Tenantry that takes the operator key.

use super::report::Report;
use crate::cli::client::{Client, ClientError, local_url, operator_key};
use crate::config::{ClientConfig, Config};
use crate::tls::{PairFiles, client_config};
use reqwest::Method;
use serde::Deserialize;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

const CHECK: &str = "address";
/// Timeout for a response of a server on this machine.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Checks which program has the address of the settings; `in_use` says whether a process uses the data
/// directory, if that is known and relevant.
pub fn examine(report: &mut Report, config: &Config, client: &ClientConfig, in_use: Option<bool>) {
    let address = SocketAddr::new(config.host, config.port);
    if config.port == 0 {
        report.ok(CHECK, "the service takes any free port");
        return;
    }
    // The listener is dropped at once: nobody gets to connect.
    match TcpListener::bind(address) {
        Ok(_) if in_use == Some(true) => report.warn(
            CHECK,
            format!("{address} is free, but a process uses the data directory"),
            "find that process; it is probably a Tenantry with other settings",
        ),
        Ok(_) => report.ok(CHECK, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => occupied(report, config, client, in_use),
        Err(error) => report.fail(
            CHECK,
            format!("cannot listen on {address} ({error})"),
            "choose another with HOST and PORT",
        ),
    }
}

fn occupied(report: &mut Report, config: &Config, client: &ClientConfig, in_use: Option<bool>) {
    let address = SocketAddr::new(config.host, config.port);
    let asked = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| ClientError::Other(error.to_string()))
        .and_then(|runtime| runtime.block_on(ask(config, client)));
    match asked {
        Ok(answers) => answered(report, address, &answers, in_use),
        Err(_) => report.fail(
            CHECK,
            format!("another program listens on {address}"),
            "stop it, or choose another port with PORT",
        ),
    }
}

/// The responses of a Tenantry.
struct ServerResponses {
    version: String,
    /// Whether it accepts the operator key; `None` if no key was found.
    accepts_key: Option<Result<(), ClientError>>,
}

#[derive(Deserialize)]
struct Health {
    service: String,
}

#[derive(Deserialize)]
struct Root {
    version: String,
}

/// Asks the program that listens; fails if that is not Tenantry.
async fn ask(config: &Config, client: &ClientConfig) -> Result<ServerResponses, ClientError> {
    let key = operator_key(client).ok();
    let (url, tls) = (
        local_url(config.scheme(), SocketAddr::new(config.host, config.port))?,
        client_config(PairFiles::of(config)).await,
    );
    let anonymous = Client::with_tls(url.clone(), None, tls.clone())?;
    let health: Health = get(&anonymous, &["health"]).await?;
    if health.service != "Organization Management API" {
        return Err(ClientError::Other("another service".into()));
    }
    let root: Root = get(&anonymous, &[]).await?;
    let accepts_key = match key {
        Some(key) => {
            let operator = Client::with_tls(url, Some(key), tls)?;
            Some(get::<serde_json::Value>(&operator, &["v1", "organizations"]).await.map(|_| ()))
        }
        None => None,
    };
    Ok(ServerResponses { version: root.version, accepts_key })
}

async fn get<T: serde::de::DeserializeOwned>(client: &Client, path: &[&str]) -> Result<T, ClientError> {
    let asking = client.send(client.request(Method::GET, path, &[]));
    let late = |_| ClientError::Other(format!("no answer within {} seconds", RESPONSE_TIMEOUT.as_secs()));
    tokio::time::timeout(RESPONSE_TIMEOUT, asking).await.map_err(late)??.read()
}

fn answered(report: &mut Report, address: SocketAddr, answers: &ServerResponses, in_use: Option<bool>) {
    let version = &answers.version;
    if in_use == Some(false) {
        report.warn(
            CHECK,
            format!("Tenantry {version} answers at {address}, but uses another data directory"),
            "give each its own PORT and DATA_DIR",
        );
    } else {
        report.ok(CHECK, format!("Tenantry {version} answers at {address}"));
    }
    match &answers.accepts_key {
        Some(Ok(())) => report.ok("operator key", "the running server accepts it"),
        Some(Err(ClientError::Refused(problem))) => report.fail(
            "operator key",
            format!("the running server refuses it ({})", problem.code),
            "use the key of that server, or stop it and make another with `tenantry operator-key`",
        ),
        Some(Err(failure)) => report.warn("operator key", failure.to_string(), "check the server's log"),
        None => report.ok("operator key", "none was found to try on the running server"),
    }
}
