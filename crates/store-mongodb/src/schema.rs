//! The collections of the records and their indexes, as a list of schema steps.
//!
//! Beside the record's own, some documents have fields that are derived from it in one place per noun, because
//! queries filter or sort by them; each noun's file lists them. A step that has been released is never edited: a
//! change is a new step.
//!
//! # Pitfalls
//! There is no transaction and no lock around a step. Two instances may run the same step at the same time, and one
//! may stop in the middle of it, so a step must be safe to repeat.

mod mailboxes;

use super::accounts::OWN_ROLES;
use super::client::Server;
use super::engine_error::{EngineError, EngineResult};
use super::record_codec::integer;
use crate::error::OpenError;
use crate::names::{
    ACCOUNTS, ACCOUNTS_BY_EMAIL, ACCOUNTS_EVENTS, API_KEYS, API_KEYS_BY_SLOT, API_KEYS_EVENTS, API_KEYS_OF,
    AUDIT_ENTRIES, AUDIT_ENTRIES_BY_ACTION, AUDIT_ENTRIES_BY_ACTOR, AUDIT_ENTRIES_BY_EVENT, AUDIT_OUTBOX,
    AUDIT_OUTBOX_EVENTS, COLLECTION_SCHEMAS, COLLECTION_SCHEMAS_OF, EXPIRIES, EXPIRIES_DUE, IDENTITIES,
    IDENTITIES_BY_SLOT, IDENTITIES_EVENTS, INSTALLATION, INVITATIONS, INVITATIONS_BY_ADDRESS,
    INVITATIONS_BY_SLOT, INVITATIONS_EVENTS, INVITATIONS_OF, MAILS, MAILS_DUE, OPERATIONS, OPERATIONS_EVENTS,
    ORGANIZATIONS, ORGANIZATIONS_BY_STATUS, ORGANIZATIONS_RESERVED, REQUESTS, SESSIONS, SESSIONS_BY_ACCOUNT,
    SESSIONS_BY_END, SESSIONS_EVENTS, SHARED_DOCUMENTS, THROTTLES, VERSION_ID,
};
use mongodb::IndexModel;
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::IndexOptions;
use tenantry_domain::Error;

/// The collections that must be empty where there is no schema yet. Databases of other services have some of these
/// names.
const RESERVED_COLLECTIONS: [&str; 6] =
    [ORGANIZATIONS, ACCOUNTS, SESSIONS, API_KEYS, INVITATIONS, IDENTITIES];

/// Step n leads from schema version n to n + 1.
const STEPS: &[SchemaStep] = &[
    SchemaStep::Indexes(STEP_1),
    SchemaStep::Indexes(STEP_2),
    SchemaStep::Mailboxes,
    SchemaStep::Indexes(STEP_4),
    SchemaStep::Indexes(STEP_5),
    SchemaStep::Indexes(STEP_6),
    SchemaStep::Indexes(STEP_7),
    SchemaStep::Indexes(STEP_8),
    SchemaStep::Indexes(STEP_9),
    SchemaStep::Indexes(STEP_10),
    SchemaStep::Indexes(STEP_IDENTITIES),
    SchemaStep::Indexes(STEP_EXPIRIES),
    SchemaStep::Indexes(STEP_COLLECTION_SCHEMAS),
];

/// What each step changes, for the page of schema steps.
pub(super) const STEP_TEXTS: [&str; STEPS.len()] = [
    "organizations, accounts, sessions, operations, idempotency keys, rate limits, shared documents",
    "documents of the shared placement in their order",
    "addresses of accounts become mailboxes",
    "who holds which idempotency keys",
    "API keys and invitations",
    "the audit trail",
    "sessions by account",
    "accounts that are being removed",
    "roles that an organization defines; earlier versions refuse to start",
    "the queue of mails",
    "links of accounts to identity providers",
    "collections in which documents expire",
    "schemas of collections",
];

/// What leads from one version to the next.
enum SchemaStep {
    /// Creates these indexes.
    Indexes(&'static [Index]),
    /// Changes the keys of accounts to mailboxes.
    Mailboxes,
}

/// The newest version this program knows.
pub(super) const NEWEST_VERSION: i64 = STEPS.len() as i64;

struct Index {
    collection: &'static str,
    name: &'static str,
    keys: &'static [&'static str],
    kind: IndexKind,
}

/// Which documents an index has, and whether it is unique.
enum IndexKind {
    /// All documents; not unique.
    Plain,
    /// All documents; unique.
    Unique,
    /// Documents that have the field; not unique.
    Present,
    /// Documents that have the field; unique.
    UniquePresent,
    /// Documents with at least one text in this list; unique. (MongoDB indexes an empty list as "nothing", and there
    /// may be many of those.)
    UniqueTexts,
}

const STEP_1: &[Index] = &[
    Index {
        collection: ORGANIZATIONS,
        name: ORGANIZATIONS_RESERVED,
        keys: &["reserved"],
        kind: IndexKind::UniqueTexts,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_by_name",
        keys: &["identifier", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_shown",
        keys: &["hidden", "identifier", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: ORGANIZATIONS,
        name: ORGANIZATIONS_BY_STATUS,
        keys: &["status", "identifier", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_due",
        keys: &["purge_due"],
        kind: IndexKind::Present,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_by_operation",
        keys: &["operation.id"],
        kind: IndexKind::UniquePresent,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_leased",
        keys: &["lease_until"],
        kind: IndexKind::Present,
    },
    Index {
        collection: ORGANIZATIONS,
        name: "organizations_by_container",
        keys: &["container"],
        kind: IndexKind::Present,
    },
    Index {
        collection: ACCOUNTS,
        name: ACCOUNTS_BY_EMAIL,
        keys: &["email_key"],
        kind: IndexKind::UniquePresent,
    },
    Index {
        collection: ACCOUNTS,
        name: "accounts_of",
        keys: &["memberships.organization_id", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: SESSIONS,
        name: "sessions_of",
        keys: &["organization_id", "_id"],
        kind: IndexKind::Plain,
    },
    Index { collection: SESSIONS, name: "sessions_ending", keys: &["ends_at"], kind: IndexKind::Plain },
    Index {
        collection: OPERATIONS,
        name: "operations_of",
        keys: &["organization_id", "_id"],
        kind: IndexKind::Plain,
    },
    Index { collection: REQUESTS, name: "requests_expiring", keys: &["expires_at"], kind: IndexKind::Plain },
    Index { collection: THROTTLES, name: "throttles_idle", keys: &["arrival"], kind: IndexKind::Plain },
    Index {
        collection: SHARED_DOCUMENTS,
        name: "shared_documents_of",
        keys: &["org_id", "_id"],
        kind: IndexKind::Plain,
    },
];

const STEP_2: &[Index] = &[Index {
    collection: SHARED_DOCUMENTS,
    name: "shared_documents_listed",
    keys: &["org_id", "collection", "document._id"],
    kind: IndexKind::Plain,
}];

const STEP_4: &[Index] = &[Index {
    collection: REQUESTS,
    name: "requests_held",
    keys: &["holder", "expires_at"],
    kind: IndexKind::Plain,
}];

const STEP_5: &[Index] = &[
    Index { collection: API_KEYS, name: API_KEYS_OF, keys: &["owner", "_id"], kind: IndexKind::Plain },
    Index { collection: API_KEYS, name: API_KEYS_BY_SLOT, keys: &["owner", "slot"], kind: IndexKind::Unique },
    Index {
        collection: INVITATIONS,
        name: INVITATIONS_OF,
        keys: &["organization_id", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: INVITATIONS,
        name: INVITATIONS_BY_SLOT,
        keys: &["organization_id", "slot"],
        kind: IndexKind::Unique,
    },
    Index {
        collection: INVITATIONS,
        name: INVITATIONS_BY_ADDRESS,
        keys: &["organization_id", "email_key"],
        kind: IndexKind::Unique,
    },
    Index {
        collection: INVITATIONS,
        name: "invitations_expiring",
        keys: &["expires_at"],
        kind: IndexKind::Plain,
    },
];

const STEP_6: &[Index] = &[
    Index { collection: SESSIONS, name: SESSIONS_EVENTS, keys: &["events.id"], kind: IndexKind::Present },
    Index { collection: API_KEYS, name: API_KEYS_EVENTS, keys: &["events.id"], kind: IndexKind::Present },
    Index {
        collection: INVITATIONS,
        name: INVITATIONS_EVENTS,
        keys: &["events.id"],
        kind: IndexKind::Present,
    },
    Index { collection: ACCOUNTS, name: ACCOUNTS_EVENTS, keys: &["events.id"], kind: IndexKind::Present },
    Index { collection: OPERATIONS, name: OPERATIONS_EVENTS, keys: &["events.id"], kind: IndexKind::Present },
    Index {
        collection: AUDIT_OUTBOX,
        name: AUDIT_OUTBOX_EVENTS,
        keys: &["events.id"],
        kind: IndexKind::Present,
    },
    Index {
        collection: AUDIT_ENTRIES,
        name: AUDIT_ENTRIES_BY_EVENT,
        keys: &["chain", "id"],
        kind: IndexKind::Unique,
    },
    Index {
        collection: AUDIT_ENTRIES,
        name: AUDIT_ENTRIES_BY_ACTION,
        keys: &["chain", "action", "id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: AUDIT_ENTRIES,
        name: AUDIT_ENTRIES_BY_ACTOR,
        keys: &["chain", "actor", "id"],
        kind: IndexKind::Plain,
    },
];

const STEP_7: &[Index] = &[
    Index {
        collection: SESSIONS,
        name: SESSIONS_BY_ACCOUNT,
        keys: &["account_id", "_id"],
        kind: IndexKind::Plain,
    },
    Index {
        collection: SESSIONS,
        name: SESSIONS_BY_END,
        keys: &["account_id", "ends_at", "_id"],
        kind: IndexKind::Plain,
    },
];

const STEP_8: &[Index] = &[Index {
    collection: ACCOUNTS,
    name: "accounts_removing",
    keys: &["removing_since"],
    kind: IndexKind::Present,
}];

/// Who has a role that an organization has defined. Versions of before do not start with it: they know no such roles,
/// and would lose them.
const STEP_9: &[Index] =
    &[Index { collection: ACCOUNTS, name: "accounts_by_role", keys: &[OWN_ROLES], kind: IndexKind::Present }];

const STEP_10: &[Index] =
    &[Index { collection: MAILS, name: MAILS_DUE, keys: &["due_at"], kind: IndexKind::Plain }];

/// The links of accounts to identity providers.
const STEP_IDENTITIES: &[Index] = &[
    Index {
        collection: IDENTITIES,
        name: IDENTITIES_BY_SLOT,
        keys: &["account_id", "slot"],
        kind: IndexKind::Unique,
    },
    Index { collection: IDENTITIES, name: IDENTITIES_EVENTS, keys: &["events.id"], kind: IndexKind::Present },
];

/// The collections in which documents may expire.
const STEP_EXPIRIES: &[Index] =
    &[Index { collection: EXPIRIES, name: EXPIRIES_DUE, keys: &["due_at"], kind: IndexKind::Plain }];

/// The schemas of collections. Versions of before do not start with it: they would write without checks.
const STEP_COLLECTION_SCHEMAS: &[Index] = &[Index {
    collection: COLLECTION_SCHEMAS,
    name: COLLECTION_SCHEMAS_OF,
    keys: &["org_id"],
    kind: IndexKind::Plain,
}];

/// Why the schema is not up to date.
#[derive(Debug)]
pub(super) enum StartupError {
    /// Waiting will not help: the operator must do something.
    Lasting(OpenError),
    /// The server cannot be reached or written; it may be soon.
    Passing(Error),
}

impl From<EngineError> for StartupError {
    fn from(failure: EngineError) -> Self {
        match failure {
            EngineError::Forbidden { cause } => Self::Lasting(OpenError::Forbidden { cause }),
            other => Self::Passing(other.into()),
        }
    }
}

/// Brings the database to the newest version. A database of another program or of a newer version is refused and left
/// as it is.
pub(super) async fn upgrade(server: &Server) -> Result<(), StartupError> {
    execute_steps(server).await?
}

async fn execute_steps(server: &Server) -> EngineResult<Result<(), StartupError>> {
    let database = || server.database().name().to_owned();
    let found = version(server).await?;
    if found > NEWEST_VERSION {
        let newer = OpenError::NewerSchema { database: database(), found, known: NEWEST_VERSION };
        return Ok(Err(StartupError::Lasting(newer)));
    }
    if found == 0 && is_foreign(server).await? {
        return Ok(Err(StartupError::Lasting(OpenError::Foreign { database: database() })));
    }
    if found < NEWEST_VERSION {
        tracing::info!(from = found, to = NEWEST_VERSION, "upgrading the schema of the database");
        for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            match step {
                SchemaStep::Indexes(indexes) => make(server, indexes).await?,
                SchemaStep::Mailboxes => mailboxes::upgrade(server).await?,
            }
        }
        save_version(server).await?;
    }
    Ok(Ok(()))
}

/// The schema version; 0 for a database that has none.
pub(super) async fn version(server: &Server) -> EngineResult<i64> {
    let installation = server.collection(INSTALLATION);
    let document = server.within(installation.find_one(doc! { "_id": VERSION_ID })).await?;
    Ok(document.and_then(|document| document.get("version").and_then(Bson::as_i64)).unwrap_or(0))
}

/// Whether our collections contain documents of another program.
async fn is_foreign(server: &Server) -> EngineResult<bool> {
    for name in RESERVED_COLLECTIONS {
        if server.within(server.collection(name).find_one(Document::new())).await?.is_some() {
            // Another instance may have created the schema since, and its first record.
            return Ok(version(server).await? == 0);
        }
    }
    Ok(false)
}

async fn make(server: &Server, indexes: &[Index]) -> EngineResult<()> {
    for index in indexes {
        let collection = server.collection(index.collection);
        server.within(collection.create_index(index.model())).await?;
    }
    Ok(())
}

/// Records that the schema has the newest version, or a newer one.
async fn save_version(server: &Server) -> EngineResult<()> {
    let installation = server.collection(INSTALLATION);
    let update = doc! { "$max": { "version": integer(NEWEST_VERSION.unsigned_abs()) } };
    server.within(installation.update_one(doc! { "_id": VERSION_ID }, update).upsert(true)).await?;
    Ok(())
}

impl Index {
    fn model(&self) -> IndexModel {
        let mut options = IndexOptions::default();
        options.name = Some(self.name.to_owned());
        match self.kind {
            IndexKind::Plain => {}
            IndexKind::Unique => options.unique = Some(true),
            IndexKind::Present => options.sparse = Some(true),
            IndexKind::UniquePresent => {
                options.sparse = Some(true);
                options.unique = Some(true);
            }
            IndexKind::UniqueTexts => {
                let [field] = self.keys else { unreachable!("a list is indexed alone") };
                options.partial_filter_expression = Some(doc! { *field: { "$type": "string" } });
                options.unique = Some(true);
            }
        }
        let keys = self.keys.iter().map(|key| ((*key).to_owned(), Bson::Int32(1))).collect::<Document>();
        IndexModel::builder().keys(keys).options(options).build()
    }
}
