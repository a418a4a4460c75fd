//! The assembled service: engine, keys, application, and the work it does in the background.

use crate::config::{Config, LogRequests};
use crate::issuer_keys::IssuerKeyCache;
use crate::keys;
use crate::mail::Postman;
use crate::system::{SystemClock, SystemEntropy};
use crate::telemetry::{self, system_metrics};
use crate::{engine, huge_pages, issuers, operator_key};
use anyhow::{Result, bail};
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tenantry_api::listen::Handlers;
use tenantry_api::settings::{RequestRates, Settings};
use tenantry_domain::app::mail::{MailRound, MailTransport};
use tenantry_domain::app::signing_keys::{SigningState, read_state};
use tenantry_domain::app::{App, AppParts, Policy};
use tenantry_domain::audit::checkpoint::CheckpointKey;
use tenantry_domain::clock::Clock;
use tenantry_domain::foreign_token::{IssuerKeys, TrustedIssuers};
use tenantry_domain::ids::Entropy;
use tenantry_domain::limits::{
    AUDIT_INTERVAL, AUDIT_ROUNDS, EXPIRY_POLL_INTERVAL, MAIL_INTERVAL, MAINTENANCE_INTERVAL,
    RECOVERY_INTERVAL,
};
use tenantry_domain::metrics::{MAILS_WAITING, OPERATION_RECOVERIES, ORGANIZATIONS};
use tenantry_domain::organization::Quota;
use tenantry_domain::password::pool::HashPool;
use tenantry_domain::store::Store;
use tenantry_domain::{Error, ErrorCode};
use tenantry_store::OpenStore;
use tokio::task::JoinSet;

pub use crate::operator_key::OperatorKey;

/// A running service, apart from its listener.
pub struct Service {
    /// The use cases.
    pub app: Arc<App>,
    /// The use cases over HTTP.
    pub handlers: Handlers,
    /// Where the operator key is.
    pub operator_key: OperatorKey,
    opened: OpenStore,
    background: JoinSet<()>,
}

impl Service {
    /// Opens the data directory and starts everything but the listener.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn start(config: &Config, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self> {
        // Before anything records metrics: earlier values are lost.
        telemetry::metrics_handle();
        let engine = if config.mongo_uri.is_some() { "mongodb" } else { "embedded" };
        telemetry::record_start(clock.now(), engine);
        // Before the engine is opened, which makes a data directory.
        operator_key::given(config)?;
        let postman = Postman::new(config)?;
        let (issuers, issuer_keys) = trusted_issuers(config).await?;
        let opened = engine::open(config, Arc::clone(&clock)).await?;
        let mut background = JoinSet::new();
        let mail = postman.map(|postman| Arc::new(postman) as Arc<dyn MailTransport>);
        let outside = (mail, issuers);
        let started = Self::set_up(&mut background, &opened.store, config, outside, (&clock, &entropy)).await;
        let (app, operator_key) = match started {
            Ok(started) => started,
            Err(error) => {
                opened.close().await;
                return Err(error);
            }
        };
        let handlers = tenantry_api::handlers(tenantry_api::ApiParts {
            app: Arc::clone(&app),
            clock,
            entropy,
            settings: settings(config),
            render_metrics: telemetry::render_metrics,
            tracer: telemetry::otlp::request_tracer(),
        });
        background.spawn(keep_running("metrics", telemetry::metrics_upkeep));
        if let Some(sender) = telemetry::otlp::metrics_sender() {
            background.spawn(keep_running("OTLP metrics", move || sender.clone().run()));
        }
        let data_dir = config.mongo_uri.is_none().then(|| config.data_dir.clone());
        background.spawn(keep_running("process metrics", move || system_metrics::refresh(data_dir.clone())));
        let counted = Arc::clone(&app);
        background.spawn(keep_running("counts", move || count_organizations(Arc::clone(&counted))));
        background.spawn(keep_running("keys of identity providers", move || {
            let keys = Arc::clone(&issuer_keys);
            async move { keys.keep_fresh().await }
        }));
        let (recovered, kept, audited) = (Arc::clone(&app), Arc::clone(&app), Arc::clone(&app));
        background.spawn(keep_running("recovery", move || recover(Arc::clone(&recovered))));
        background.spawn(keep_running("housekeeping", move || maintain(Arc::clone(&kept))));
        let expiring = Arc::clone(&app);
        background.spawn(keep_running("expiry", move || expire(Arc::clone(&expiring))));
        background.spawn(keep_running("audit trail", move || collect_events(Arc::clone(&audited))));
        if app.mailer.is_enabled() {
            let mailing = Arc::clone(&app);
            background.spawn(keep_running("mail", move || send_mails(Arc::clone(&mailing))));
        }
        Ok(Self { app, handlers, operator_key, opened, background })
    }

    /// The use cases, with the keys of the installation made or checked.
    async fn set_up(
        background: &mut JoinSet<()>,
        store: &Store,
        config: &Config,
        (mail, issuers): (Option<Arc<dyn MailTransport>>, TrustedIssuers),
        (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
    ) -> Result<(Arc<App>, OperatorKey)> {
        let app = use_cases(store, config, (mail, issuers), (clock, entropy)).await?;
        let operator_key = set_up_keys(background, &app, store, config, entropy).await?;
        Ok((app, operator_key))
    }

    /// Removes or quarantines the remains of a crash.
    pub async fn tidy(&self) {
        if let Err(error) = self.opened.tidy().await {
            tracing::warn!(%error, "the search for leftovers of crashes failed");
        }
    }

    /// Stops the background work and closes the engine, which has every acknowledged write.
    pub async fn stop(mut self) {
        self.background.shutdown().await;
        if let Err(error) = self.app.audit.flush().await {
            tracing::warn!(%error, "the last counts of the audit trail are lost");
        }
        self.opened.close().await;
    }
}

/// The use cases on that store.
async fn use_cases(
    store: &Store,
    config: &Config,
    (mail, issuers): (Option<Arc<dyn MailTransport>>, TrustedIssuers),
    (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
) -> Result<Arc<App>> {
    let keys = keys::load(config, &*store.installation, &**entropy).await?;
    Ok(App::new(AppParts {
        store: store.clone(),
        clock: Arc::clone(clock),
        entropy: Arc::clone(entropy),
        hashes: HashPool::start(config.hash_workers(), config.hash_queue, huge_pages::within),
        signing: keys.signing,
        issuers,
        mac_keys: keys.mac,
        checkpoint_key: CheckpointKey::new(&keys.checkpoint, config.jwt_issuer.as_str())?,
        mail,
        policy: policy(config),
    }))
}

/// The use cases for a command: no listener, no work in the background, no mails.
pub struct CommandService {
    /// The use cases.
    pub app: Arc<App>,
    /// The store below them.
    pub store: Store,
    opened: OpenStore,
}

impl CommandService {
    /// Opens what `config` names.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub async fn open(config: &Config) -> Result<Self> {
        let sources: (Arc<dyn Clock>, Arc<dyn Entropy>) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let opened = engine::open_existing(config, Arc::clone(&sources.0)).await?;
        let store = opened.store.clone();
        let outside = (None, TrustedIssuers::new(Vec::new(), Arc::new(IssuerKeyCache::new(Vec::new()))));
        match use_cases(&store, config, outside, (&sources.0, &sources.1)).await {
            Ok(app) => Ok(Self { app, store, opened }),
            Err(error) => {
                opened.close().await;
                Err(error)
            }
        }
    }

    /// Closes the engine, which has every acknowledged write.
    pub async fn close(self) {
        self.opened.close().await;
    }
}

/// Creates or checks the keys of the installation. If the store cannot be reached yet, it waits for it in the background.
async fn set_up_keys(
    background: &mut JoinSet<()>,
    app: &Arc<App>,
    store: &Store,
    config: &Config,
    entropy: &Arc<dyn Entropy>,
) -> Result<OperatorKey> {
    match make_keys(app, store, config, &**entropy).await {
        Ok(key) => Ok(key),
        Err(error) if config.mongo_uri.is_some() && is_passing(&error) => {
            let (store, config, entropy) = (store.clone(), config.clone(), Arc::clone(entropy));
            let app = Arc::clone(app);
            background.spawn(async move {
                while let Err(error) = make_keys(&app, &store, &config, &*entropy).await {
                    if !is_passing(&error) {
                        tracing::error!(%error, "the keys of the installation cannot be set up");
                    }
                    tokio::time::sleep(RECOVERY_INTERVAL).await;
                }
            });
            Ok(OperatorKey::Unknown)
        }
        Err(error) => Err(error),
    }
}

async fn make_keys(app: &App, store: &Store, config: &Config, entropy: &dyn Entropy) -> Result<OperatorKey> {
    // Before the operator key: an installation that has one is not new.
    app.signing_keys.set_up().await?;
    if config.mongo_uri.is_some()
        && config.jwt_algorithm.is_none()
        && read_state(&*store.installation).await? == SigningState::Stored
    {
        tracing::warn!(
            "{}: set JWT_ALGORITHM=EdDSA, or JWT_ALGORITHM=HS256 if that is meant",
            keys::UNUSED_KEYS
        );
    }
    operator_key::set_up(store, config, entropy).await
}

fn is_passing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<Error>().is_some_and(|error| error.code() == ErrorCode::StoreUnavailable)
}

/// The identity providers of the settings, and their keys: those in files are read now, the others soon.
async fn trusted_issuers(config: &Config) -> Result<(TrustedIssuers, Arc<IssuerKeyCache>)> {
    let configured = issuers::load(config)?;
    let locations = configured.iter().map(|found| (found.issuer.issuer.clone(), found.keys.clone()));
    let keys = Arc::new(IssuerKeyCache::new(locations.collect()));
    if let Err(faults) = keys.read_files().await {
        bail!("OIDC_ISSUERS_FILE names files without keys.\n{}", faults.join("\n"));
    }
    let issuers = configured.into_iter().map(|found| found.issuer).collect();
    Ok((TrustedIssuers::new(issuers, Arc::clone(&keys) as Arc<dyn IssuerKeys>), keys))
}

fn settings(config: &Config) -> Settings {
    Settings {
        app_name: config.app_name.clone(),
        public_url: config.public_url.as_ref().map(|url| url.as_str().to_owned()).unwrap_or_default(),
        issuer_url: config.issuer_url(),
        public_lookup: config.public_lookup,
        metrics: config.metrics,
        max_body_bytes: config.max_body_bytes,
        max_document_json_bytes: config.max_document_json_bytes(),
        bulk_memory_bytes: config.bulk_memory_bytes,
        full_scan_notice: config.full_scan_notice,
        request_timeout: config.request_timeout,
        export_pause_timeout: config.export_pause_timeout,
        compression: config.compression,
        max_concurrent_requests: config.max_concurrent_requests,
        log_all_requests: config.log_requests == LogRequests::All,
        request_rates: request_rates(config),
        trusted_proxies: config.trusted_proxies.clone(),
        cors_origins: config.cors_origins.iter().filter_map(|origin| origin.as_str().parse().ok()).collect(),
        cors_headers: config.cors_headers.clone(),
    }
}

fn request_rates(config: &Config) -> RequestRates {
    let rate = |per_minute| if config.rate_limit { per_minute } else { 0 };
    RequestRates {
        address: rate(config.rate_limit_address),
        account: rate(config.rate_limit_account),
        organization: rate(config.rate_limit_organization),
        key: rate(config.rate_limit_key),
        exempt: config.rate_limit_exempt.clone(),
    }
}

fn policy(config: &Config) -> Policy {
    Policy {
        tenant_prefix: config.tenant_prefix.as_str().to_owned(),
        signup: config.signup,
        exchange: config.exchange,
        retention: config.retention,
        audit_retention: config.audit_retention,
        password_min_chars: config.password_min_length,
        reauth_max_age: config.reauth_max_age,
        access_lifetime: config.access_token_lifetime,
        refresh_idle_lifetime: config.refresh_idle_lifetime,
        refresh_absolute_lifetime: config.refresh_absolute_lifetime,
        throttle: config.rate_limit,
        default_quota: Quota {
            documents: config.default_quota_documents,
            bytes: config.default_quota_bytes,
            collections: config.default_quota_collections,
            index_bytes: config.default_quota_index_bytes,
        },
        idempotency_keys: config.idempotency_keys,
        document_max_bytes: config.max_document_bytes,
        query_time: config.query_timeout,
    }
}

/// Runs endless background work and restarts it after a panic: nobody waits for it, so nobody would notice
/// that it has ended.
async fn keep_running<F: Future<Output = ()>>(name: &'static str, work: impl Fn() -> F) {
    while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
        tracing::error!(name, "a background task has panicked and restarts");
        tokio::time::sleep(RECOVERY_INTERVAL).await;
    }
}

/// Finishes operations that another or an earlier process left, at once and then at intervals.
async fn recover(app: Arc<App>) {
    loop {
        match app.executor.recover().await {
            Ok(0) => {}
            Ok(count) => {
                metrics::counter!(OPERATION_RECOVERIES).increment(count as u64);
                // There may be more than one round takes.
                continue;
            }
            Err(error) => tracing::warn!(%error, "the search for unfinished operations failed"),
        }
        tokio::time::sleep(RECOVERY_INTERVAL).await;
    }
}

/// Links the events of the audit trail into their chains.
async fn collect_events(app: Arc<App>) {
    for round in 0_u32.. {
        tokio::time::sleep(AUDIT_INTERVAL).await;
        let is_due = round.is_multiple_of(AUDIT_ROUNDS);
        if let Err(error) = app.audit.collect_if_due(is_due).await {
            tracing::warn!(%error, "events of the audit trail wait for their chains");
        }
    }
}

/// How long to leave a mail server alone that cannot be used, at first and at most.
const MAIL_SERVER_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// Sends the mails that are due. A server that cannot be used is left alone for longer and longer.
async fn send_mails(app: Arc<App>) {
    let mut pause = MAIL_SERVER_PAUSE.0;
    loop {
        match app.mailer.send_due().await {
            Ok(MailRound::Done) => pause = MAIL_SERVER_PAUSE.0,
            Ok(MailRound::Unreachable) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAIL_SERVER_PAUSE.1);
            }
            Err(error) => tracing::warn!(%error, "mails wait, because the store cannot be used"),
        }
        if let Ok(waiting) = app.mailer.waiting().await {
            metrics::gauge!(MAILS_WAITING).set(waiting as f64);
        }
        app.mailer.wait(MAIL_INTERVAL).await;
    }
}

/// How often organizations are counted, at most.
const COUNT_INTERVAL: Duration = Duration::from_secs(60);
/// The rests between two counts, as a multiple of the time that one takes.
const COUNT_REST: u32 = 100;

/// Counts the organizations of each status. Where there are very many, it does so less often.
async fn count_organizations(app: Arc<App>) {
    loop {
        let started = Instant::now();
        match app.maintenance.count_organizations().await {
            Ok(counts) => {
                for (status, count) in counts {
                    metrics::gauge!(ORGANIZATIONS, "status" => status.as_str()).set(count as f64);
                }
            }
            Err(error) => tracing::debug!(%error, "the organizations could not be counted"),
        }
        tokio::time::sleep(COUNT_INTERVAL.max(started.elapsed() * COUNT_REST)).await;
    }
}

/// Removes documents that have expired.
async fn expire(app: Arc<App>) {
    loop {
        tokio::time::sleep(EXPIRY_POLL_INTERVAL).await;
        if let Err(error) = app.expirer.run().await {
            tracing::warn!(%error, "a round of removing expired documents did not finish");
        }
    }
}

async fn maintain(app: Arc<App>) {
    // Not at once: the first requests have priority.
    let mut pause = Duration::from_secs(1);
    loop {
        tokio::time::sleep(pause).await;
        if let Err(error) = app.maintenance.run().await {
            tracing::warn!(%error, "a round of maintenance did not finish");
        }
        pause = MAINTENANCE_INTERVAL;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn background_task_that_panics_restarts() {
        let rounds = AtomicUsize::new(0);
        keep_running("test", async || {
            assert_eq!(rounds.fetch_add(1, Ordering::SeqCst), 2, "a defect");
        })
        .await;
        assert_eq!(rounds.load(Ordering::SeqCst), 3);
    }
}
