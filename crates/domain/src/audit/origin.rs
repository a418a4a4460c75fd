//! Where a request came from, for the events that it causes.
//!
//! It accompanies the task of a request and is no argument of the use cases: nothing they decide depends on it.

use crate::actor::Actor;
use crate::ids::OrganizationId;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

tokio::task_local! {
    static ORIGIN: Arc<RequestOrigin>;
}

/// Where a change was asked for; empty for the service itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The client's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The id of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The identity provider whose token the caller has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issuer: Option<String>,
}

impl Origin {
    /// That of the request whose task this is.
    #[must_use]
    pub fn current() -> Self {
        let read = ORIGIN.try_with(|origin| Self {
            address: origin.address.map(|address| address.to_canonical().to_string()),
            request_id: Some(origin.request_id.clone()),
            issuer: origin.issuer.get().cloned(),
        });
        read.unwrap_or_default()
    }
}

/// What is known about a request while it is answered.
pub struct RequestOrigin {
    address: Option<IpAddr>,
    request_id: String,
    noted: Mutex<RequestFindings>,
    issuer: OnceLock<String>,
}

/// What was found out while the request is answered.
#[derive(Clone, Copy, Default)]
struct RequestFindings {
    caller: Option<(Actor, Option<OrganizationId>)>,
    /// The organization that the request names, or has made.
    named: Option<OrganizationId>,
}

impl RequestOrigin {
    /// A request with that id from that address.
    #[must_use]
    pub fn new(address: Option<IpAddr>, request_id: String) -> Self {
        Self { address, request_id, noted: Mutex::default(), issuer: OnceLock::new() }
    }

    /// Runs `answer` as the work of this request.
    pub async fn run<T>(self, answer: impl Future<Output = T>) -> T {
        ORIGIN.scope(Arc::new(self), answer).await
    }

    /// Makes `work`, which is to run in a task of its own, work of the request whose task this is.
    pub fn share<F: Future>(work: F) -> impl Future<Output = F::Output> {
        let origin = ORIGIN.try_with(Arc::clone).ok();
        async move {
            match origin {
                Some(origin) => ORIGIN.scope(origin, work).await,
                None => work.await,
            }
        }
    }

    fn change(change: impl FnOnce(&mut RequestFindings)) {
        let _ = ORIGIN
            .try_with(|origin| change(&mut origin.noted.lock().unwrap_or_else(PoisonError::into_inner)));
    }

    fn noted(&self) -> RequestFindings {
        *self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes who has proven to be the caller, and the organization that the credential is bound to.
    pub fn note_caller(actor: Actor, organization: Option<OrganizationId>) {
        Self::change(|noted| noted.caller = Some((actor, organization)));
    }

    /// Notes the organization that the request is about, or has made, if that is not the one of its credential.
    pub fn note_organization(id: OrganizationId) {
        Self::change(|noted| noted.named = Some(id));
    }

    /// The organization that the request is about, as far as the caller may know it.
    #[must_use]
    pub fn organization() -> Option<OrganizationId> {
        let noted = ORIGIN.try_with(|origin| origin.noted()).ok()?;
        noted.named.or_else(|| noted.caller.and_then(|(_, organization)| organization))
    }

    /// The address of the client, if it is known.
    #[must_use]
    pub fn address() -> Option<IpAddr> {
        ORIGIN.try_with(|origin| origin.address).ok().flatten()
    }

    /// Notes the identity provider whose token the caller has.
    pub fn note_issuer(issuer: &str) {
        let _ = ORIGIN.try_with(|origin| origin.issuer.set(issuer.to_owned()));
    }

    /// Who has proven to be the caller of the request whose task this is, and from where.
    #[must_use]
    pub fn caller() -> Option<(Actor, Option<OrganizationId>, Option<IpAddr>)> {
        let read = ORIGIN.try_with(|origin| {
            origin.noted().caller.map(|(actor, organization)| (actor, organization, origin.address))
        });
        read.ok().flatten()
    }
}
