//! The state that all handlers share.

use super::body_budget::BodyBudget;
use super::forwarding::Forwarding;
use super::load::LoadLimit;
use super::metrics::RequestMetrics;
use super::rate_limit::requests::RequestLimits;
use super::readiness::Readiness;
use super::request_id::RequestIds;
use super::request_trace::RequestTracer;
use super::settings::Settings;
use super::undeclared_query::OperationsWithoutQuery;
use std::sync::Arc;
use tenantry_domain::app::App;
use tenantry_domain::clock::Clock;
use tenantry_domain::password::policy::NewPassword;

/// The state that all handlers share.
pub struct Http {
    /// The use cases.
    pub app: Arc<App>,
    /// The clock of responses that hyper does not date.
    pub clock: Arc<dyn Clock>,
    /// The source of request ids.
    pub request_ids: RequestIds,
    /// The operator's settings.
    pub settings: Settings,
    /// The counters of requests.
    pub metrics: RequestMetrics,
    /// All metrics of the process, in the Prometheus text format.
    pub render_metrics: fn() -> String,
    /// Decides which requests are traced, if any are.
    pub tracer: Option<Arc<dyn RequestTracer>>,
    /// The operations that take no query.
    pub without_query: OperationsWithoutQuery,
    /// The result of the last readiness probe.
    pub readiness: Readiness,
    /// The proxies that have been warned about.
    pub forwarding: Forwarding,
    /// The requests that are worked on.
    pub load: LoadLimit,
    /// How many requests each may send.
    pub request_limits: RequestLimits,
    /// The memory that lines of NDJSON may take.
    pub body_budget: Arc<BodyBudget>,
}

impl Http {
    /// Parses a new password under the rules of the settings.
    ///
    /// # Errors
    /// The rule that it breaks.
    pub fn new_password(&self, text: &str) -> Result<NewPassword, String> {
        NewPassword::parse(text, self.app.policy().password_min_chars)
    }
}
