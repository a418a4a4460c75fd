//! Executes operations: begins them, runs them to their end, and takes over those that another process left.
//!
//! Only this module runs steps. A request begins an operation and waits for it, but the operation runs in its
//! own task, so it continues if the client hangs up.

use super::archives::source::ArchiveSource;
use super::auth::{Auth, Authorization};
use super::clock_and_entropy::ClockAndEntropy;
use super::mailboxes::Mailboxes;
use super::view::{EntityTag, OrganizationView, Precondition, Views};
use crate::audit::Origin;
use crate::error::{Error, ErrorCode, Result};
use crate::failpoints;
use crate::ids::{OperationId, OrganizationId};
use crate::limits::{OPERATION_WAIT, PAGE_MAX_ITEMS};
use crate::metrics::OPERATIONS;
use crate::operation::{
    Actor, Operation, OperationArguments, OperationRecord, OperationState, OperationStep, RecordUpdate,
    StepResult, next_save,
};
use crate::organization::{Naming, Organization, Placement};
use crate::store::{self, InsertOutcome, Store, UpdateOutcome};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tracing::Instrument;

mod compensation;
mod lease;
mod load;
mod log;
mod steps;

pub use log::{LogQuery, Operations};

use lease::{Interrupted, Lease, LeaseTimer};
use load::{ArchiveLoader, ImportStream};
use steps::Steps;

/// The outcome of a change when the request stopped waiting for it.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It is done.
    Done {
        /// Its record in the log.
        record: OperationRecord,
        /// The organization afterwards; `None` if it is gone.
        view: Option<OrganizationView>,
    },
    /// It is still running; it can be watched.
    Running(OperationRecord),
}

impl Outcome {
    /// The operation, finished or not.
    #[must_use]
    pub const fn record(&self) -> &OperationRecord {
        match self {
            Self::Done { record, .. } | Self::Running(record) => record,
        }
    }
}

/// How an operation gets into its organization's record.
enum Intent {
    Insert(Organization),
    Update(Organization),
}

/// How a task that began and ran an operation ended.
enum RunOutcome {
    /// The operation is finished and logged.
    Finished(Box<OperationRecord>),
    /// Another instance has it now.
    Lost,
    /// The record was not what the intent expected: nothing began.
    NotBegun,
}

/// Executes operations.
pub struct Executor {
    organizations: Arc<dyn store::Organizations>,
    accounts: Arc<dyn store::Accounts>,
    containers: Arc<dyn store::Containers>,
    operations: Operations,
    auth: Arc<Auth>,
    views: Views,
    steps: Steps,
    loader: ArchiveLoader,
    sources: ClockAndEntropy,
    /// Identifies this process, to tell its operations from those of other or earlier ones.
    instance: String,
}

impl Executor {
    pub(super) fn new(
        store: &Store,
        auth: &Arc<Auth>,
        mailboxes: &Mailboxes,
        sources: &ClockAndEntropy,
    ) -> Self {
        Self {
            organizations: store.organizations.clone(),
            accounts: store.accounts.clone(),
            containers: store.containers.clone(),
            operations: Operations::new(store, auth),
            auth: auth.clone(),
            views: Views::new(store),
            steps: Steps::new(store, mailboxes, sources),
            loader: ArchiveLoader::new(store, mailboxes, sources),
            sources: sources.clone(),
            instance: hex::encode(sources.random::<12>()),
        }
    }

    /// Begins an operation on an idle organization: `prepare` writes the intent into its record, or refuses.
    /// Intent, lock and reservation are one compare-and-set on the version that all checks were made against.
    pub(super) async fn begin(
        self: &Arc<Self>,
        id: OrganizationId,
        authority: &Authorization,
        expected: &Precondition,
        prepare: impl Fn(&mut Organization) -> Result<OperationArguments> + Send + Sync,
    ) -> Result<Outcome> {
        loop {
            let current = self.idle(id).await?;
            self.auth.confirm(authority, &current).await?;
            self.check_version(&current, expected).await?;
            if let Some(outcome) = self.try_begin(&current, authority.actor(), &prepare).await? {
                return Ok(outcome);
            }
        }
    }

    /// Like [`Self::begin`], on the organization as it was read; `None` if it has changed since. Who asks is
    /// left to the caller, who has checked it against that record.
    pub(super) async fn try_begin(
        self: &Arc<Self>,
        current: &Organization,
        actor: Actor,
        prepare: impl FnOnce(&mut Organization) -> Result<OperationArguments> + Send,
    ) -> Result<Option<Outcome>> {
        let mut next = current.successor(self.sources.now());
        let arguments = prepare(&mut next)?;
        if let Some(to) = arguments.naming().filter(|to| to.namespace != current.naming.namespace) {
            self.ensure_available(current.placement, to).await?;
        }
        if arguments.kind().is_deferred() {
            next.modified_at = current.modified_at;
        }
        let id = OperationId::new(self.sources.now(), self.sources.entropy());
        next.operation = Some(Box::new(self.operation(id, actor, arguments)));
        self.carry(Intent::Update(next)).await
    }

    /// Refuses a version that the caller has not seen.
    async fn check_version(&self, current: &Organization, expected: &Precondition) -> Result<()> {
        if expected.0.is_none() {
            return Ok(());
        }
        let admin = self.accounts.get_account(current.admin_id()).await?;
        let admin = admin.map_or(0, |admin| admin.version);
        let tag = EntityTag { organization: current.version, admin };
        if expected.allows(tag) { Ok(()) } else { Err(ErrorCode::VersionMismatch.into()) }
    }

    /// Refuses a name that is in use by somebody else. An operation would wait for it; this check avoids that.
    pub(super) async fn ensure_available(&self, placement: Placement, naming: &Naming) -> Result<()> {
        if self.containers.is_foreign(placement, &naming.namespace).await? {
            tracing::error!(collection = naming.namespace, "a collection of somebody else is in the way");
            return Err(ErrorCode::NameTaken.into());
        }
        Ok(())
    }

    /// Begins the create that a new record carries. If the id exists already, returns the outcome of that create.
    pub(super) async fn begin_new(self: &Arc<Self>, organization: Organization) -> Result<Outcome> {
        let id = organization.id;
        match self.carry(Intent::Insert(organization)).await? {
            Some(outcome) => Ok(outcome),
            None => self
                .outcome_of_create(id)
                .await?
                .ok_or_else(|| Error::internal("an organization without its create in the log")),
        }
    }

    /// Begins the import that a new record carries, and waits for its end without a time limit: if the caller goes
    /// away, the archive ends, and the import with it.
    pub(super) async fn begin_import(
        self: &Arc<Self>,
        organization: Organization,
        source: ArchiveSource,
    ) -> Result<Outcome> {
        let running = running(&organization)?;
        let (load, refused) = ImportStream::new(source);
        let executor = Arc::clone(self);
        let task = async move { executor.begin_and_run(Intent::Insert(organization), Some(load)).await };
        let outcome = match tokio::spawn(task.in_current_span()).await.map_err(Error::internal)?? {
            RunOutcome::NotBegun => return Err(ErrorCode::OrganizationExists.into()),
            RunOutcome::Finished(record) => self.outcome(*record).await,
            RunOutcome::Lost => self.watch(running).await,
        };
        // The record has only the code of a refusal; the caller gets the complete error if this process has it.
        outcome.map_err(|error| refused.get().cloned().unwrap_or(error))
    }

    /// The id of the operation that creates organization `id`: the same id, so that it can be found by it.
    pub(super) const fn create_operation(id: OrganizationId) -> OperationId {
        OperationId::from_bytes(*id.as_bytes())
    }

    /// A new operation, owned by this process.
    pub(super) fn operation(
        &self,
        id: OperationId,
        actor: Actor,
        arguments: OperationArguments,
    ) -> Operation {
        Operation {
            id,
            actor,
            arguments,
            done: 0,
            fence: 1,
            owner: self.instance.clone(),
            refused: None,
            undone: 0,
            documents: None,
            imported: None,
            started_at: self.sources.now(),
            origin: Some(Origin::current()),
        }
    }

    /// Takes over abandoned operations, up to a limit, and finishes them. If the count is not 0, there may be more.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn recover(self: &Arc<Self>) -> Result<usize> {
        let claimed = self.organizations.claim_operations(&self.instance, PAGE_MAX_ITEMS).await?;
        // All at once, so that their writes share commits.
        let count = claimed.len();
        join_all(claimed.iter().map(|organization| self.take_over(organization))).await;
        Ok(count)
    }

    /// Finishes a claimed operation. If that fails, the lease runs out and the operation is tried again.
    async fn take_over(self: &Arc<Self>, organization: &Organization) {
        let kind = organization.operation.as_ref().map_or("", |operation| operation.kind().as_str());
        tracing::info!(organization = %organization.id, operation = kind, "taking over an operation");
        if let Err(error) = self.drive(organization.clone(), None).await {
            tracing::error!(organization = %organization.id, operation = kind, %error, "recovery stopped");
        }
    }

    /// The organization, once no operation is under way in it.
    pub(super) async fn idle(&self, id: OrganizationId) -> Result<Arc<Organization>> {
        let deadline = Instant::now() + OPERATION_WAIT;
        let mut pause = Duration::from_millis(1);
        loop {
            let found = self.organizations.get_organization(id).await?;
            let organization = found.ok_or(ErrorCode::OrganizationNotFound)?;
            if organization.operation.is_none() {
                return Ok(organization);
            }
            if Instant::now() >= deadline {
                return Err(Error::new(ErrorCode::OperationInProgress).retry_after(OPERATION_WAIT));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
        }
    }

    /// Begins and runs an operation in a task of its own, and waits for its outcome for a limited time. Once the
    /// intent is saved, the operation runs whether anybody waits or not. `None` if it could not begin.
    async fn carry(self: &Arc<Self>, intent: Intent) -> Result<Option<Outcome>> {
        let (Intent::Insert(organization) | Intent::Update(organization)) = &intent;
        let running = running(organization)?;
        let executor = Arc::clone(self);
        let task = tokio::spawn(async move { executor.begin_and_run(intent, None).await }.in_current_span());
        match tokio::time::timeout(OPERATION_WAIT, task).await {
            Err(_) => Ok(Some(Outcome::Running(running))),
            Ok(Err(panic)) => Err(Error::internal(panic)),
            Ok(Ok(driven)) => match driven? {
                RunOutcome::NotBegun => Ok(None),
                RunOutcome::Finished(record) => self.outcome(*record).await.map(Some),
                RunOutcome::Lost => self.watch(running).await.map(Some),
            },
        }
    }

    async fn begin_and_run(
        self: &Arc<Self>,
        intent: Intent,
        load: Option<ImportStream>,
    ) -> Result<RunOutcome> {
        let store = &self.organizations;
        let (Intent::Insert(organization) | Intent::Update(organization)) = &intent;
        let kind = organization.operation.as_ref().map_or("", |operation| operation.kind().as_str());
        failpoints::point(kind, "intent", "before");
        let begun = match &intent {
            Intent::Insert(new) => store.insert_organization(new).await? == InsertOutcome::New,
            Intent::Update(next) => store.update_organization(next).await? == UpdateOutcome::Done,
        };
        if !begun {
            return Ok(RunOutcome::NotBegun);
        }
        failpoints::point(kind, "intent", "saved");
        let (Intent::Insert(organization) | Intent::Update(organization)) = intent;
        self.drive(organization, load).await
    }

    /// Waits for a limited time for an operation that another task or process runs.
    async fn watch(&self, mut record: OperationRecord) -> Result<Outcome> {
        let deadline = Instant::now() + OPERATION_WAIT;
        while record.state == OperationState::Running {
            if Instant::now() >= deadline {
                return Ok(Outcome::Running(record));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            record = self.operations.get(record.id).await?.unwrap_or(record);
        }
        self.outcome(record).await
    }

    /// The outcome of an earlier create of `id`, if there was one; a refused one is refused again.
    pub(super) async fn outcome_of_create(&self, id: OrganizationId) -> Result<Option<Outcome>> {
        match self.operations.get(Self::create_operation(id)).await? {
            Some(record) => self.watch(record).await.map(Some),
            None => Ok(None),
        }
    }

    async fn outcome(&self, record: OperationRecord) -> Result<Outcome> {
        if let Some(refusal) = record.refused {
            return Err(refusal.code().into());
        }
        let found = self.organizations.get_organization(record.organization_id).await?;
        // The current state, even if another instance has executed it.
        let view = match found {
            Some(organization) => {
                let admin = self.accounts.get_account(organization.admin_id()).await?;
                Some(self.views.view_with(organization, admin))
            }
            None => None,
        };
        Ok(Outcome::Done { record, view })
    }

    async fn execute_steps(
        &self,
        mut organization: Organization,
        mut load: Option<ImportStream>,
    ) -> Result<RunOutcome> {
        while let Some(operation) = organization.operation.clone() {
            let (kind, step) = (operation.kind().as_str(), operation.current_step());
            failpoints::point(kind, step.as_str(), "before");
            let observed = match step {
                OperationStep::LoadArchive => match self.loader.load(&mut organization, load.take()).await {
                    Some(observed) => observed,
                    None => return Ok(RunOutcome::Lost),
                },
                OperationStep::DropContainer
                | OperationStep::ReleaseEmails
                | OperationStep::ReserveEmails
                | OperationStep::RemoveMembers => {
                    match self.execute_long_step(step, &mut organization, &operation).await {
                        Ok(observed) => observed,
                        Err(Interrupted::Lost) => return Ok(RunOutcome::Lost),
                        Err(Interrupted::Failed(error)) => return Err(error),
                    }
                }
                _ => self.steps.execute(step, &organization, &operation).await?,
            };
            failpoints::point(kind, step.as_str(), "done");
            let Some(save) = next_save(&organization, observed, self.sources.now()) else { break };
            let store = &self.organizations;
            let (written, next) = match save {
                RecordUpdate::Update(next) => (store.update_organization(&next).await?, Some(*next)),
                RecordUpdate::Delete => {
                    (store.delete_organization(organization.id, organization.version).await?, None)
                }
            };
            if written == UpdateOutcome::Stale {
                return Ok(RunOutcome::Lost);
            }
            failpoints::point(kind, step.as_str(), "saved");
            match next {
                Some(next) if next.operation.is_some() => organization = next,
                _ => {
                    let record = OperationRecord::finished(&organization, &operation, self.sources.now());
                    metrics::counter!(OPERATIONS, "kind" => kind, "outcome" => record.state.as_str())
                        .increment(1);
                    return Ok(RunOutcome::Finished(Box::new(record)));
                }
            }
        }
        Ok(RunOutcome::Lost)
    }

    /// Executes a step on a container or on members, of which there may be many. A process that loses the
    /// operation stops, because the id may soon belong to another organization.
    async fn execute_long_step(
        &self,
        step: OperationStep,
        organization: &mut Organization,
        operation: &Operation,
    ) -> Result<StepResult, Interrupted> {
        let begun = organization.clone();
        let effect = self.steps.execute(step, &begun, operation);
        let (mut term, documents) = (LeaseTimer::new(), operation.documents);
        let mut lease = self.lease(organization, &mut term, documents);
        let observed = lease.hold_or_stop(effect).await??;
        lease.settle().await?;
        Ok(observed)
    }

    /// The lease of the operation under way in `organization`, which has `documents` so far.
    fn lease<'a>(
        &'a self,
        organization: &'a mut Organization,
        term: &'a mut LeaseTimer,
        documents: Option<u64>,
    ) -> Lease<'a> {
        Lease { store: &*self.organizations, clock: &*self.sources.clock, organization, term, documents }
    }
}

/// The operation that `organization` carries, as it begins.
fn running(organization: &Organization) -> Result<OperationRecord> {
    let operation = organization.operation.as_deref();
    let operation = operation.ok_or_else(|| Error::internal("an operation was begun without its record"))?;
    Ok(OperationRecord::running(organization, operation))
}
