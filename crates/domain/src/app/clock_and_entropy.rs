//! The clock and the randomness of the use cases. Both are passed in, so that tests can set them.

use crate::audit::{AuditAction, AuditEvent, AuditOutcome, Origin};
use crate::clock::Clock;
use crate::ids::{AuditEventId, Entropy, OrganizationId, random};
use crate::operation::Actor;
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The clock and the randomness of the use cases.
#[derive(Clone)]
pub(super) struct ClockAndEntropy {
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
    /// Whether an event was made that may not be in its chain yet.
    has_new_events: Arc<AtomicBool>,
}

impl ClockAndEntropy {
    pub(super) fn new(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        Self { clock, entropy, has_new_events: Arc::default() }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// For the constructors of ids.
    pub(super) fn entropy(&self) -> &dyn Entropy {
        &*self.entropy
    }

    /// An event that happens now, by the request whose task this is, in the trail of that organization or of the
    /// installation.
    pub(super) fn event(
        &self,
        organization_id: Option<OrganizationId>,
        action: AuditAction,
        actor: Actor,
    ) -> AuditEvent {
        let (now, origin) = (self.now(), Origin::current());
        self.note_activity();
        let event = AuditEvent {
            id: AuditEventId::new(now, self.entropy()),
            organization_id,
            at: now,
            action,
            actor,
            subject: None,
            target: None,
            address: origin.address,
            request_id: origin.request_id,
            outcome: AuditOutcome::Succeeded,
            code: None,
            count: None,
            details: BTreeMap::new(),
        };
        event.detail("issuer", origin.issuer)
    }

    /// Notes that an event was made.
    pub(super) fn note_activity(&self) {
        self.has_new_events.store(true, Ordering::Relaxed);
    }

    /// Whether an event was made since the last call.
    pub(super) fn take_activity(&self) -> bool {
        self.has_new_events.swap(false, Ordering::Relaxed)
    }

    /// `N` unguessable bytes.
    pub(super) fn random<const N: usize>(&self) -> [u8; N] {
        random(&*self.entropy)
    }
}
