//! Where a request came from, for the events that it causes.
//!
//! It accompanies the task of a request and is no argument of the use cases: nothing they decide depends on it.

use crate::actor::Actor;
use crate::ids::OrganizationId;
use serde::{Deserialize, Serialize};
use std::cell::{Cell, OnceCell};
use std::net::IpAddr;

tokio::task_local! {
    static ORIGIN: RequestOrigin;
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
    caller: Cell<Option<(Actor, Option<OrganizationId>)>>,
    /// The organization that the request names.
    named: Cell<Option<OrganizationId>>,
    issuer: OnceCell<String>,
}

impl RequestOrigin {
    /// A request with that id from that address.
    #[must_use]
    pub const fn new(address: Option<IpAddr>, request_id: String) -> Self {
        Self { address, request_id, caller: Cell::new(None), named: Cell::new(None), issuer: OnceCell::new() }
    }

    /// Runs `answer` as the work of this request.
    pub async fn run<T>(self, answer: impl Future<Output = T>) -> T {
        ORIGIN.scope(self, answer).await
    }

    /// Notes who has proven to be the caller, and the organization that the credential is bound to.
    pub fn note_caller(actor: Actor, organization: Option<OrganizationId>) {
        let _ = ORIGIN.try_with(|origin| origin.caller.set(Some((actor, organization))));
    }

    /// Notes the organization that the request is about, if that is not the one of its credential.
    pub fn note_organization(id: OrganizationId) {
        let _ = ORIGIN.try_with(|origin| origin.named.set(Some(id)));
    }

    /// The organization that the request is about, as far as the caller may know it.
    #[must_use]
    pub fn organization() -> Option<OrganizationId> {
        let read = ORIGIN.try_with(|origin| {
            origin.named.get().or_else(|| origin.caller.get().and_then(|(_, organization)| organization))
        });
        read.ok().flatten()
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
            origin.caller.get().map(|(actor, organization)| (actor, organization, origin.address))
        });
        read.ok().flatten()
    }
}
