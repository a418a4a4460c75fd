//! The keys of identity providers: got in the background and kept, so that a provider that is away stops nobody whose
//! token was signed with a key that is known.

use crate::guarded_client::{AddressPolicy, GuardedClient};
use async_trait::async_trait;
use futures_util::future::join_all;
use reqwest::Url;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tenantry_domain::foreign_token::{IssuerKeySet, IssuerKeys};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::Instrument;

/// How long the keys of an issuer are used before they are got again. They are used longer if that fails. With the pause
/// and a call after it, a key that is withdrawn is good for less than ten minutes.
const REFRESH_INTERVAL: Duration = Duration::from_secs(530);
/// How long nothing is asked after a call, whatever tokens arrive. A call that failed is made again after it.
const PAUSE: Duration = Duration::from_secs(60);

/// Where the keys of an issuer are.
#[derive(Debug, Clone)]
pub enum KeyLocation {
    /// In a file.
    File(PathBuf),
    /// At a URL.
    Url(Url, AddressPolicy),
}

/// The keys of all issuers, by their index.
pub struct IssuerKeyCache {
    sources: Vec<Arc<KeySource>>,
}

struct KeySource {
    issuer: String,
    location: KeyLocation,
    client: Arc<GuardedClient>,
    keys: RwLock<Arc<IssuerKeySet>>,
    /// When a call was made last, for each reason. Whoever holds the lock makes one; the others wait for its outcome.
    called: Mutex<LastCalls>,
}

/// The last calls.
#[derive(Default)]
struct LastCalls {
    /// Because the keys were old.
    of_time: Option<Instant>,
    /// Whether that failed.
    has_failed: bool,
    /// Because a token named a key that was not known. These have a pause of their own, so that a key which is new a
    /// moment after the start is found.
    of_token: Option<Instant>,
}

impl IssuerKeyCache {
    /// The keys at these places, each with the name of its issuer. None is known yet.
    #[must_use]
    pub fn new(locations: Vec<(String, KeyLocation)>) -> Self {
        let client = Arc::new(GuardedClient::default());
        let source = |(issuer, location)| {
            let client = Arc::clone(&client);
            Arc::new(KeySource {
                issuer,
                location,
                client,
                keys: RwLock::default(),
                called: Mutex::default(),
            })
        };
        Self { sources: locations.into_iter().map(source).collect() }
    }

    /// Gets the keys that are old, or not there yet, for as long as the service runs.
    pub async fn keep_fresh(&self) {
        loop {
            // At once: those that are away hold up no other.
            join_all(self.sources.iter().map(|source| source.refresh_if_old())).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Reads the keys that are in files.
    ///
    /// # Errors
    /// A sentence for each file that has none.
    pub async fn read_files(&self) -> Result<(), Vec<String>> {
        let mut faults = Vec::new();
        for source in &self.sources {
            if let KeyLocation::File(path) = &source.location
                && let Err(fault) = source.load().await
            {
                faults.push(format!("The keys of {} in {}: {fault}", source.issuer, path.display()));
            }
        }
        if faults.is_empty() { Ok(()) } else { Err(faults) }
    }
}

#[async_trait]
impl IssuerKeys for IssuerKeyCache {
    fn current(&self, issuer: usize) -> Arc<IssuerKeySet> {
        self.sources[issuer].current()
    }

    async fn refresh(&self, issuer: usize) {
        let source = Arc::clone(&self.sources[issuer]);
        // To its end, even if the request that asks is dropped: others wait for it.
        let refresh = async move { source.refresh_for_token().await };
        let _ = tokio::spawn(refresh.in_current_span()).await;
    }
}

impl KeySource {
    fn current(&self) -> Arc<IssuerKeySet> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn refresh_if_old(&self) {
        let mut called = self.called.lock().await;
        let pause = if called.has_failed { PAUSE } else { REFRESH_INTERVAL };
        if is_due(called.of_time, pause) {
            called.has_failed = !self.refresh().await;
            called.of_time = Some(Instant::now());
        }
    }

    async fn refresh_for_token(&self) {
        let asked = Instant::now();
        let mut called = self.called.lock().await;
        // A call that ended while this one waited has brought what there is: nobody waits for two.
        let is_answered = called.of_time.is_some_and(|ended| ended >= asked);
        if !is_answered && is_due(called.of_token, PAUSE) {
            self.refresh().await;
            called.of_token = Some(Instant::now());
        }
    }

    /// Whether it has brought keys.
    async fn refresh(&self) -> bool {
        let loaded = self.load().await;
        if let Err(fault) = &loaded {
            tracing::warn!(issuer = self.issuer, fault, "the keys of an identity provider could not be got");
        }
        loaded.is_ok()
    }

    async fn load(&self) -> Result<(), String> {
        let document = match &self.location {
            KeyLocation::File(path) => tokio::fs::read(path).await.map_err(|error| error.to_string())?,
            KeyLocation::Url(url, policy) => {
                self.client.get(url, policy).await.map_err(|error| error.to_string())?
            }
        };
        let keys = IssuerKeySet::parse(&document)?;
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
        Ok(())
    }
}

fn is_due(last: Option<Instant>, pause: Duration) -> bool {
    last.is_none_or(|last| last.elapsed() >= pause)
}
