//! Readiness, cached: a real write is tried at most once a second, regardless of the number of probes.

use std::time::{Duration, Instant};
use tenantry_domain::Result;
use tenantry_domain::app::App;
use tokio::sync::Mutex;

/// How long a result is reused.
const CACHE_DURATION: Duration = Duration::from_secs(1);

/// The last result.
#[derive(Default)]
pub struct Readiness(Mutex<Option<(Instant, Result<()>)>>);

impl Readiness {
    /// Whether the service can do its work.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn check(&self, app: &App) -> Result<()> {
        let mut last = self.0.lock().await;
        if let Some((at, answer)) = &*last
            && at.elapsed() < CACHE_DURATION
        {
            return answer.clone();
        }
        let answer = app.ready().await;
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
