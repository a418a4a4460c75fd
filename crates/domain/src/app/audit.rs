//! The audit trail: reading it, linking its events into chains, and keeping it within its time.

mod access;
mod counts;

pub use access::AuditAccess;
pub(super) use counts::AuditCounts;

use self::counts::{AuditCount, take_saved};
use super::auth::{Auth, OrganizationRef, Principal, operator_or_service_only};
use super::clock_and_entropy::ClockAndEntropy;
use crate::audit::chain::{ChainHead, FIRST_PREVIOUS};
use crate::audit::checkpoint::CheckpointKey;
use crate::audit::collect::{COLLECT_BATCH, collect_events};
use crate::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent, AuditOutcome, RequestOrigin};
use crate::clock;
use crate::error::{ErrorCode, Result};
use crate::ids::{AuditEventId, OrganizationId};
use crate::limits::PAGE_MAX_ITEMS;
use crate::page::{Page, PageLimit};
use crate::permission::Permission;
use crate::store::{self, AuditQuery, Store};
use jiff::Timestamp;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// Chains that one round of maintenance looks at, so that a round is short.
const TRIMMED_CHAINS: usize = 500;
/// Batches that a reader waits for at most: those who read must not wait for those who write.
const COLLECTED_BEFORE_READ: usize = 4;

/// Which events to list.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// Only those of this action.
    pub action: Option<AuditAction>,
    /// Only those of this actor, as [`Actor::to_text`] writes it.
    ///
    /// [`Actor::to_text`]: crate::actor::Actor::to_text
    pub actor: Option<String>,
    /// Only those that began at this time or later.
    pub since: Option<Timestamp>,
    /// Only those that began before this time.
    pub until: Option<Timestamp>,
}

/// A signed statement of where a chain ends.
#[derive(Debug, Clone)]
pub struct SignedCheckpoint {
    /// The statement.
    pub text: String,
    /// Whose chain.
    pub chain: AuditChain,
    /// Where it ends.
    pub head: ChainHead,
    /// When it was signed.
    pub at: Timestamp,
    /// The public key.
    pub jwk: serde_json::Value,
}

/// The audit trail.
pub struct AuditTrail {
    audit: Arc<dyn store::Audit>,
    organizations: Arc<dyn store::Organizations>,
    auth: Arc<Auth>,
    key: CheckpointKey,
    counts: Arc<AuditCounts>,
    /// Events of counts that are not saved yet. They wait here for a store that is away.
    unwritten: Mutex<VecDeque<AuditEvent>>,
    /// How long entries are kept; zero means for good.
    retention: Duration,
    /// One round at a time: two of one process would only get in each other's way.
    collecting: Mutex<()>,
    trimmed: Mutex<Option<AuditChain>>,
    sources: ClockAndEntropy,
}

impl AuditTrail {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        key: CheckpointKey,
        counts: &Arc<AuditCounts>,
        retention: Duration,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            audit: store.audit.clone(),
            organizations: store.organizations.clone(),
            auth: auth.clone(),
            key,
            counts: counts.clone(),
            unwritten: Mutex::default(),
            retention,
            collecting: Mutex::default(),
            trimmed: Mutex::default(),
            sources: sources.clone(),
        }
    }

    /// The right to the trail of that organization: the operator's, also when it is gone, and that of callers
    /// with the permission `audit:read`.
    ///
    /// # Errors
    /// `organization_not_found`, `role_insufficient`, `permission_missing`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn allow_read(&self, caller: &Principal, which: &OrganizationRef) -> Result<AuditAccess> {
        if let (Principal::Operator(_), OrganizationRef::Id(id)) = (caller, which) {
            return self.allow_operator(*id).await;
        }
        let organization = self.auth.visible(caller, which).await?;
        caller.require(Permission::AuditRead)?;
        Ok(AuditAccess::new(organization.id.into(), organization.trails.clone()))
    }

    /// The operator reads the trail of every organization that there is or was.
    async fn allow_operator(&self, id: OrganizationId) -> Result<AuditAccess> {
        let chain = AuditChain::from(id);
        let organization = self.organizations.get_organization(id).await?;
        if organization.is_none() && self.audit.get_last_entry(chain).await?.is_none() {
            self.collect().await?;
            self.audit.get_last_entry(chain).await?.ok_or(ErrorCode::OrganizationNotFound)?;
        }
        let carried = organization.map(|organization| organization.trails.clone()).unwrap_or_default();
        Ok(AuditAccess::new(chain, carried))
    }

    /// The right to the trail of the installation: the operator's, and that of a service key with `audit:read`
    /// that is not limited to some organizations.
    ///
    /// # Errors
    /// `operator_only`, `permission_missing`.
    pub fn allow_read_installation(&self, caller: &Principal) -> Result<AuditAccess> {
        match caller {
            Principal::Operator(_) => {}
            Principal::Service(service) => {
                service.require(Permission::AuditRead)?;
                service.require_all_organizations()?;
            }
            Principal::Key(_) | Principal::Member(_) => return Err(operator_or_service_only()),
        }
        Ok(AuditAccess::new(AuditChain::INSTALLATION, Vec::new()))
    }

    /// A page of events, the newest first, those of carried trails among them. What was acknowledged before is in it.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(chain = %access.chain()))]
    pub async fn list_events(
        &self,
        access: &AuditAccess,
        filter: AuditFilter,
        before: Option<AuditEventId>,
        limit: PageLimit,
    ) -> Result<Page<AuditEntry, AuditEventId>> {
        self.collect_for_reader().await?;
        let until = filter.until.map(first_id);
        let mut query = AuditQuery {
            chain: access.chain(),
            action: filter.action,
            actor: filter.actor,
            from: filter.since.map(first_id),
            before: match (before, until) {
                (Some(before), Some(until)) => Some(before.min(until)),
                (before, until) => before.or(until),
            },
        };
        let mut found = Vec::new();
        for chain in access.chains() {
            query.chain = chain;
            found.push(self.audit.list_entries(&query, limit.items() + 1).await?);
        }
        let found = access.merged(found, limit.items() as usize + 1);
        Ok(Page::of(found, limit, |entry| entry.id))
    }

    /// The next entries of the chain, after the number `after`; none at its end. What was acknowledged before
    /// is in it.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(chain = %access.chain()))]
    pub async fn read_chain(&self, access: &AuditAccess, after: u64) -> Result<Vec<AuditEntry>> {
        if after == 0 {
            self.collect_for_reader().await?;
        }
        let page = self.audit.list_chain(access.chain(), after, PAGE_MAX_ITEMS).await?;
        Ok(page.into_iter().map(|entry| access.shown(entry)).collect())
    }

    /// A signed statement of where the chain ends; a chain without entries ends at number 0.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all, fields(chain = %access.chain()))]
    pub async fn sign_checkpoint(&self, access: &AuditAccess) -> Result<SignedCheckpoint> {
        self.collect_for_reader().await?;
        let (chain, at) = (access.chain(), self.sources.now());
        let last = self.audit.get_last_entry(chain).await?;
        let empty = ChainHead { sequence: 0, hash: FIRST_PREVIOUS };
        let head = last.map_or(empty, |last| last.head());
        let text = self.key.sign(chain, head, at)?;
        Ok(SignedCheckpoint { text, chain, head, at, jwk: self.key.jwk() })
    }

    /// Counts the request whose task this is as denied with that code.
    pub fn count_denial(&self, code: &'static str) {
        let Some((actor, organization, address)) = RequestOrigin::caller() else { return };
        let chain = AuditChain(organization);
        self.counts.count(AuditAction::AccessDenied, chain, Some(actor), address, code, self.sources.now());
    }

    /// As [`Self::collect`], if this process has made an event since the last time or `is_due`: other processes link
    /// their own events, unless they were stopped.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn collect_if_due(&self, is_due: bool) -> Result<()> {
        if self.sources.take_activity() || self.counts.has_any_before(self.sources.now()) || is_due {
            self.collect().await?;
        }
        Ok(())
    }

    /// Links the events that wait into their chains, and writes the counts of past minutes.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn collect(&self) -> Result<()> {
        self.write_counts(self.sources.now()).await?;
        loop {
            // A turn for each batch: a reader comes in between.
            let _turn = self.collecting.lock().await;
            if collect_events(&*self.audit).await? < COLLECT_BATCH as usize {
                return Ok(());
            }
        }
    }

    async fn collect_for_reader(&self) -> Result<()> {
        self.write_counts(self.sources.now()).await?;
        let _turn = self.collecting.lock().await;
        for _ in 0..COLLECTED_BEFORE_READ {
            if collect_events(&*self.audit).await? < COLLECT_BATCH as usize {
                break;
            }
        }
        Ok(())
    }

    /// Writes all counts, for a service that stops.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn flush(&self) -> Result<()> {
        self.write_counts(Timestamp::MAX).await
    }

    /// Saves the events of earlier rounds first: until they are saved, counts stay where their number is bounded.
    async fn write_counts(&self, now: Timestamp) -> Result<()> {
        let mut unwritten = self.unwritten.lock().await;
        self.save(&mut unwritten).await?;
        unwritten.extend(self.counts.take_before(now).into_iter().map(|count| self.count_event(count)));
        self.save(&mut unwritten).await
    }

    async fn save(&self, unwritten: &mut VecDeque<AuditEvent>) -> Result<()> {
        let insert = |event| {
            let audit = self.audit.clone();
            async move { audit.insert_event(&event).await }
        };
        take_saved(unwritten, insert).await
    }

    fn count_event(&self, count: AuditCount) -> AuditEvent {
        let event = self.sources.event(count.chain.0, AuditAction::AccessDenied, count.actor);
        AuditEvent {
            at: count.minute,
            action: count.action,
            address: count.network,
            request_id: None,
            outcome: AuditOutcome::Denied,
            code: Some(count.code.to_owned()),
            count: Some(count.count),
            ..event
        }
    }

    /// Removes entries whose time is over, from the beginning of their chains. The last entry of a chain stays,
    /// because the next one names it.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn trim(&self) -> Result<()> {
        if self.retention.is_zero() {
            return Ok(());
        }
        let end = clock::before(self.sources.now(), self.retention);
        let mut position = self.trimmed.lock().await;
        for _ in 0..TRIMMED_CHAINS {
            let Some(first) = self.audit.get_next_chain(*position).await? else {
                *position = None;
                return Ok(());
            };
            *position = Some(first.chain);
            if first.at < end {
                self.trim_chain(&first, end).await?;
            }
        }
        Ok(())
    }

    async fn trim_chain(&self, first: &AuditEntry, end: Timestamp) -> Result<()> {
        let chain = first.chain;
        let Some(last) = self.audit.get_last_entry(chain).await? else { return Ok(()) };
        let mut after = first.sequence - 1;
        loop {
            let page = self.audit.list_chain(chain, after, PAGE_MAX_ITEMS).await?;
            let old =
                page.iter().take_while(|entry| entry.at < end && entry.sequence < last.sequence).count();
            let Some(to) = page[..old].last().map(|entry| entry.sequence) else { return Ok(()) };
            self.audit.delete_entries(chain, to).await?;
            if old < page.len() {
                return Ok(());
            }
            after = to;
        }
    }
}

/// The smallest id of an event that began at that time.
fn first_id(at: Timestamp) -> AuditEventId {
    let seconds = u32::try_from(at.as_second()).unwrap_or(if at.as_second() < 0 { 0 } else { u32::MAX });
    let milliseconds = u16::try_from(at.subsec_millisecond()).unwrap_or(0);
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&seconds.to_be_bytes());
    bytes[4..6].copy_from_slice(&milliseconds.to_be_bytes());
    AuditEventId::from_bytes(bytes)
}
