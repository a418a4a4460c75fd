//! `tenantry serve`: the service itself, from its first line of output to its last connection.

use super::output;
use crate::config::{self, Config, Warning};
use crate::listening;
use crate::service::{OperatorKey, Service};
use crate::service_manager::ServiceManager;
use crate::system::{SystemClock, SystemEntropy};
use crate::telemetry;
use anyhow::{Context, Result};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tenantry_api::listen;
use tenantry_domain::clock::Clock;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often to search for the remains of a crash.
const CLEANUP_INTERVAL: Duration = Duration::from_secs(3600);

/// How long the store may take to close after the drain. The operator kills the process after a while, which
/// costs only a recovery of some containers' logs at the next start.
const STOP_TIMEOUT: Duration = Duration::from_millis(800);

/// Runs the service until it is told to stop.
///
/// # Errors
/// A sentence that names the obstacle and the fix.
pub fn run(config: &Config) -> Result<()> {
    #[cfg(feature = "crash-points")]
    crate::failpoints::arm();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    telemetry::init(config, runtime.handle())?;
    output::log_panics(config);
    let served = runtime.block_on(serve(config));
    // Work on blocking threads has been told to stop, and no acknowledged write depends on it.
    runtime.shutdown_background();
    served
}

async fn serve(config: &Config) -> Result<()> {
    // First of all: a service that is stopped while it is still starting must end cleanly too.
    let stop = stop_signal()?;
    // Without TLS, SIGHUP ends the process as it does by default.
    let hangup = config.tls_cert_file.is_some().then(|| signal(SignalKind::hangup())).transpose()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // The port before the data: if somebody starts a second one by mistake, it reports the port and touches nothing.
    let listener = TcpListener::bind((config.host, config.port)).await.with_context(|| {
        format!("cannot listen on {}:{} (choose another port with --port)", config.host, config.port)
    })?;
    let (options, tls) = listening::options(config).await?;
    let service = Service::start(config, clock, Arc::new(SystemEntropy)).await?;
    announce(listener.local_addr()?, config, &service.operator_key);
    let of_tls = tls.as_ref().map(|tls| tls.warnings(SystemClock.now())).unwrap_or_default();
    for Warning { found, advice } in config::warnings(config, config::environment()).into_iter().chain(of_tls)
    {
        tracing::warn!("{found}: {advice}");
    }
    let manager = ServiceManager::from_environment(config::environment());
    let stop = async {
        stop.await;
        manager.notify_stopping();
    };
    manager.notify_ready();
    let listening = listen::serve(listener, service.handlers.clone(), options, stop);
    tokio::select! {
        () = listening => {}
        () = tidy(&service) => {}
        () = renew(tls, hangup) => {}
        () = manager.keep_alive() => {}
    }
    tracing::info!("stopping");
    if tokio::time::timeout(STOP_TIMEOUT, service.stop()).await.is_err() {
        tracing::warn!("the store was not closed in time: the next start recovers the rest from its logs");
    }
    telemetry::otlp::stop().await;
    Ok(())
}

/// Searches at start, and at intervals, for the remains of a crash of this or another instance. Never returns.
async fn tidy(service: &Service) {
    loop {
        service.tidy().await;
        tokio::time::sleep(CLEANUP_INTERVAL).await;
    }
}

/// Takes certificates that replace the one in use. Never returns.
async fn renew(tls: Option<listening::Tls>, hangup: Option<Signal>) {
    match tls.zip(hangup) {
        Some((tls, hangup)) => tls.keep_fresh(hangup, &SystemClock).await,
        None => std::future::pending().await,
    }
}

fn announce(address: SocketAddr, config: &Config, operator_key: &OperatorKey) {
    let data = if config.mongo_uri.is_some() {
        format!("MongoDB, database {}", config.master_db.as_str())
    } else {
        config.data_dir.display().to_string()
    };
    let key = match operator_key {
        OperatorKey::Given => "as OPERATOR_KEY gives it".to_owned(),
        OperatorKey::In(path) => path.display().to_string(),
        OperatorKey::Elsewhere => {
            "as it was given out (not in DATA_DIR; `tenantry operator-key` makes a new one)".to_owned()
        }
        OperatorKey::Unknown if config.operator_key.is_some() => {
            "as OPERATOR_KEY gives it; it is checked once MongoDB answers".to_owned()
        }
        OperatorKey::Unknown => {
            format!("in {} once MongoDB answers, if there is none yet", config.data_dir.display())
        }
    };
    let title = format!("Tenantry {} listens on {}://{address}", env!("CARGO_PKG_VERSION"), config.scheme());
    let base = config.public_url.as_ref().map(|url| url.as_str().to_owned());
    let docs = format!("{}/docs", base.unwrap_or_else(|| format!("{}://{address}", config.scheme())));
    output::announce(config, &title, &[("docs", docs), ("data", data), ("operator key", key)]);
}

/// Completes when the process is asked to end, by the service manager or by Ctrl-C.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
