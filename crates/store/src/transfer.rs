//! Moving a whole installation from one engine to another: every organization, account, session, finished
//! operation and document.
//!
//! The target is marked while this goes on, and no service starts on a marked one. A transfer that was stopped is
//! run again: records are written anew, and only those containers are copied that are not the same already. What a
//! newcomer gets wrong: nothing is believed because it was written. At the end both sides are read once more, and
//! compared by counts and hashes.

mod compare;
mod copy;
mod pages;

use crate::error::OpenError;
use crate::{EmbeddedOptions, Engine, MongoOptions, TRANSFER_MARK};
use compare::Digest;
use std::sync::Arc;
use tenantry_domain::Error;
use tenantry_domain::app::operator;
use tenantry_domain::error::Result;
use tenantry_domain::organization::Organization;
use tenantry_domain::store::Store;
use tenantry_domain::store::full_scan::FullScan;
use tenantry_store_mongodb::MongoDb;
use tenantry_store_sqlite::Sqlite;

/// One side of a transfer.
#[derive(Clone)]
pub enum Side {
    /// A data directory.
    Embedded(EmbeddedOptions),
    /// A database of MongoDB.
    MongoDb(MongoOptions),
}

/// How far a transfer is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferProgress {
    /// So many of the organizations, of which there are so many, have been copied with so many documents.
    Copied {
        /// Organizations that are done.
        organizations: u64,
        /// Organizations in all.
        of: u64,
        /// Documents in them.
        documents: u64,
    },
    /// The other records are copied.
    Records,
    /// Both sides are read once more; so many of so many organizations have been compared.
    Compared {
        /// Organizations that are the same.
        organizations: u64,
        /// Organizations in all.
        of: u64,
    },
}

/// What was copied, and found to be the same on both sides.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Organizations, deleted ones too.
    pub organizations: u64,
    /// Accounts.
    pub accounts: u64,
    /// Sessions.
    pub sessions: u64,
    /// Finished operations.
    pub operations: u64,
    /// Documents of organizations.
    pub documents: u64,
}

/// Why a transfer did not come to its end: sentences for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// A side cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A side cannot be read or written now.
    #[error("{} Run the same command again: it goes on where this one has stopped.", cause_of(.0))]
    Store(Error),
    /// A change is under way at the source.
    #[error(
        "{organization} is in the middle of a change. Start the service on the source once, which finishes it, \
         stop it, and run this again."
    )]
    Busy {
        /// The organization's id.
        organization: String,
    },
    /// There is something at the target that is not from this source.
    #[error("The target has {what} already. Choose an empty one.")]
    Occupied {
        /// What there is.
        what: &'static str,
    },
    /// The two sides differ after all.
    #[error(
        "{what} differ after the copy: the source was changed meanwhile. Stop every service on it, and run this \
         again; until then the target cannot be used."
    )]
    Differs {
        /// What differs.
        what: String,
    },
}

impl From<Error> for TransferError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn cause_of(error: &Error) -> String {
    let cause = error.cause().unwrap_or("no reason is known");
    format!("A side cannot be read or written ({cause}).")
}

/// Copies everything from one side to the other, which must be empty or come from an earlier try. No service may
/// run on either; an embedded side is locked meanwhile.
///
/// # Errors
/// See [`TransferError`]. What was copied stays, and the target stays marked.
pub async fn transfer(
    from: &Side,
    to: &Side,
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let source = OpenSide::open(from).await?;
    let target = match OpenSide::open(to).await {
        Ok(target) => target,
        Err(error) => {
            source.engine.close().await;
            return Err(error.into());
        }
    };
    let outcome = execute_step(&source, &target, tell).await;
    source.engine.close().await;
    target.engine.close().await;
    outcome
}

/// A side that has been opened.
struct OpenSide {
    /// The ports, without a cache.
    ports: Store,
    whole: Arc<dyn FullScan>,
    engine: Engine,
}

impl OpenSide {
    async fn open(side: &Side) -> Result<Self, OpenError> {
        Ok(match side {
            Side::Embedded(options) => {
                let engine = Arc::new(Sqlite::open(options).await?);
                Self {
                    ports: Sqlite::store(&engine),
                    whole: engine.clone(),
                    engine: Engine::Embedded(engine),
                }
            }
            Side::MongoDb(options) => {
                let engine = MongoDb::open(options).await?;
                Self {
                    ports: MongoDb::store(&engine),
                    whole: engine.clone(),
                    engine: Engine::MongoDb(engine),
                }
            }
        })
    }
}

async fn execute_step(
    source: &OpenSide,
    target: &OpenSide,
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let organizations = organizations(source).await?;
    mark(source, target).await?;
    copy::organizations(source, target, &organizations, tell).await?;
    copy::records(source, target).await?;
    tell(TransferProgress::Records);
    let transferred = compare_all(source, target, &organizations, tell).await?;
    target.ports.installation.delete_value(TRANSFER_MARK).await?;
    Ok(transferred)
}

/// The organizations of the source, none of which may be in the middle of a change.
async fn organizations(source: &OpenSide) -> Result<Vec<Organization>, TransferError> {
    let mut all = Vec::new();
    let visit = async |organization| {
        all.push(organization);
        Ok(())
    };
    pages::each(
        |after| source.whole.organizations(after),
        |organization: &Organization| organization.id,
        visit,
    )
    .await?;
    match all.iter().find(|organization| organization.operation.is_some()) {
        Some(busy) => Err(TransferError::Busy { organization: busy.id.to_string() }),
        None => Ok(all),
    }
}

/// Marks the target as one that is being made from this source; refuses one that is anything else.
async fn mark(source: &OpenSide, target: &OpenSide) -> Result<(), TransferError> {
    // The operator key tells installations apart; one without has nothing in it.
    let name = source.ports.installation.get_value(operator::HASH).await?.unwrap_or_default();
    let ports = &target.ports;
    match ports.installation.get_value(TRANSFER_MARK).await? {
        Some(marked) if marked == name => return Ok(()),
        Some(_) => return Err(TransferError::Occupied { what: "part of another installation" }),
        None => {}
    }
    if !target.whole.organizations(None).await?.is_empty() || !target.whole.accounts(None).await?.is_empty() {
        return Err(TransferError::Occupied { what: "organizations" });
    }
    ports.installation.put_value(TRANSFER_MARK, &name).await?;
    Ok(())
}

async fn compare_all(
    source: &OpenSide,
    target: &OpenSide,
    organizations: &[Organization],
    tell: &mut (dyn FnMut(TransferProgress) + Send),
) -> Result<TransferReport, TransferError> {
    let (ours, theirs) = (compare::records(source).await?, compare::records(target).await?);
    for (what, one, other) in ours.pairs(&theirs) {
        same(what, one, other)?;
    }
    let (mut documents, mut done) = (0, 0);
    for organization in organizations {
        let copied = target.ports.organizations.get_organization(organization.id).await?;
        let copied = copied.ok_or_else(|| TransferError::Differs { what: "the organizations".into() })?;
        let one = compare::container(source, organization).await?;
        let other = compare::container(target, &copied).await?;
        same(&format!("the documents of {}", organization.id), &one, &other)?;
        documents += one.count;
        done += 1;
        tell(TransferProgress::Compared { organizations: done, of: organizations.len() as u64 });
    }
    Ok(TransferReport {
        organizations: ours.organizations.count,
        accounts: ours.accounts.count,
        sessions: ours.sessions.count,
        operations: ours.operations.count,
        documents,
    })
}

fn same(what: &str, one: &Digest, other: &Digest) -> Result<(), TransferError> {
    if one == other { Ok(()) } else { Err(TransferError::Differs { what: what.to_owned() }) }
}
