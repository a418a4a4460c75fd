//! What an adoption reports: what was recognized, what would happen, every conflict, and the reason why it stops.

use crate::error::OpenError;
use serde::Serialize;
use tenantry_domain::Error;

/// A field that was recognized.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecognizedField {
    /// What it has.
    pub role: &'static str,
    /// Its name.
    pub field: String,
    /// In how many records it has that.
    pub count: usize,
    /// Of how many.
    pub of: usize,
}

/// How the other program has laid its data out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecognizedLayout {
    /// The collection of the organizations.
    pub registry: String,
    /// The collection of the accounts.
    pub accounts: String,
    /// Where the data is.
    pub data: &'static str,
    /// The fields.
    pub fields: Vec<RecognizedField>,
}

/// An organization, and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptedOrganization {
    /// Its id, which stays.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its status.
    pub status: &'static str,
    /// Its members.
    pub members: u32,
    /// Where its data is now.
    pub from: Vec<String>,
    /// The name of its container afterwards.
    pub tenant_collection: String,
    /// Documents in it.
    pub documents: u64,
    /// Their size as BSON.
    pub bytes: u64,
}

/// A kind of conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ConflictKind {
    /// Several organizations have one collection or database.
    SharedCollection,
    /// Several organizations have one name.
    DuplicateName,
    /// Several accounts have one address.
    DuplicateAddress,
    /// An organization has no account.
    OrganizationWithoutAccount,
    /// An account has no organization.
    AccountWithoutOrganization,
    /// Accounts name an organization by a name that several have.
    OrganizationAmbiguous,
    /// Whether records are in use is not known.
    StatusUnknown,
    /// A collection or database belongs to no organization.
    CollectionWithoutOrganization,
    /// An id is none that the service has.
    IdRefused,
    /// A name is against the rules.
    NameRefused,
    /// An address is against the rules.
    AddressRefused,
    /// A hash has an unknown form.
    HashUnknown,
    /// A collection has a name or a kind that the service does not have.
    CollectionRefused,
    /// A document is too large, or has something that the service does not keep.
    DocumentRefused,
    /// The name that a collection would get is in use.
    NameInUse,
}

impl ConflictKind {
    /// Its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SharedCollection => "shared_collection",
            Self::DuplicateName => "duplicate_name",
            Self::DuplicateAddress => "duplicate_address",
            Self::OrganizationWithoutAccount => "organization_without_account",
            Self::AccountWithoutOrganization => "account_without_organization",
            Self::OrganizationAmbiguous => "organization_ambiguous",
            Self::StatusUnknown => "status_unknown",
            Self::CollectionWithoutOrganization => "collection_without_organization",
            Self::IdRefused => "id_refused",
            Self::NameRefused => "name_refused",
            Self::AddressRefused => "address_refused",
            Self::HashUnknown => "hash_unknown",
            Self::CollectionRefused => "collection_refused",
            Self::DocumentRefused => "document_refused",
            Self::NameInUse => "name_in_use",
        }
    }

    /// What to do about it.
    const fn advice(self) -> &'static str {
        match self {
            Self::SharedCollection => {
                "Their documents cannot be told apart: leave out all but one, which gets all of them (--skip ID)."
            }
            Self::DuplicateName => {
                "Give all but one another name (--rename ID=NAME), or leave them out (--skip ID)."
            }
            Self::DuplicateAddress => {
                "Give all but one another address (--address ID=ADDRESS), or leave them out (--skip ID)."
            }
            Self::OrganizationWithoutAccount => {
                "Give it an account (--member ACCOUNT=ORGANIZATION), or leave it out (--skip ID)."
            }
            Self::AccountWithoutOrganization => {
                "Say which one it belongs to (--member ACCOUNT=ORGANIZATION), or leave it out (--skip ID)."
            }
            Self::OrganizationAmbiguous => {
                "Say which one each belongs to (--member ACCOUNT=ORGANIZATION), or leave them out (--skip ID)."
            }
            Self::StatusUnknown => {
                "Say what the value means (--status VALUE=active, suspended or deleted), or leave them out (--skip ID)."
            }
            Self::CollectionWithoutOrganization => "Say that it stays where it is (--leave NAME).",
            Self::IdRefused => {
                "An id has 24 hexadecimal digits: leave it out (--skip ID), or bring it by an archive (docs/guides/migrating.md)."
            }
            Self::NameRefused => "Give it another name (--rename ID=NAME), or leave it out (--skip ID).",
            Self::AddressRefused => {
                "Give it another address (--address ID=ADDRESS), or leave it out (--skip ID)."
            }
            Self::HashUnknown => {
                "Adopt it without a password, which its person then sets by a link (--without-password ID), or leave it \
                 out (--skip ID)."
            }
            Self::CollectionRefused => "Rename it in the source, or leave it where it is (--leave NAME).",
            Self::DocumentRefused => {
                "Correct it in the source (if it is too large, raise MAX_DOCUMENT_KIB), or leave the organization out \
                 (--skip ID)."
            }
            Self::NameInUse => "Rename that collection in the source.",
        }
    }
}

/// A conflict. An adoption begins only when there is none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Its kind.
    pub kind: ConflictKind,
    /// The records, collections or documents that it is about.
    pub records: Vec<String>,
    /// What is the matter with them.
    pub detail: String,
    /// What to do.
    pub advice: &'static str,
}

impl Conflict {
    pub(super) fn new(
        kind: ConflictKind,
        records: impl IntoIterator<Item = String>,
        detail: impl Into<String>,
    ) -> Self {
        let records = records.into_iter().collect();
        Self { kind, records, detail: detail.into(), advice: kind.advice() }
    }
}

/// The result of a rehearsal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AdoptReport {
    /// How the data is laid out.
    pub recognized: RecognizedLayout,
    /// The organizations that are adopted.
    pub organizations: Vec<AdoptedOrganization>,
    /// Accounts that are adopted.
    pub accounts: u64,
    /// Every conflict.
    pub conflicts: Vec<Conflict>,
    /// What is worth knowing, and does not stand in the way.
    pub notes: Vec<String>,
}

/// The progress of an adoption.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AdoptProgress {
    /// The documents are read and checked.
    Checked {
        /// Organizations so far.
        organizations: u64,
        /// Organizations in all.
        of: u64,
    },
    /// The source is watched for writes.
    Watching,
    /// Organizations are copied or moved.
    Adopted {
        /// Organizations so far.
        organizations: u64,
        /// Organizations in all.
        of: u64,
    },
    /// Both sides are compared.
    Compared {
        /// Organizations so far.
        organizations: u64,
        /// Organizations in all.
        of: u64,
    },
}

/// What is told of the progress.
pub(crate) type ProgressSink<'a> = &'a mut (dyn FnMut(AdoptProgress) + Send);

/// The result of an adoption.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AdoptionTotals {
    /// Organizations.
    pub organizations: u64,
    /// Accounts.
    pub accounts: u64,
    /// Documents; where they stay in place they are not counted.
    pub documents: Option<u64>,
}

/// Why an adoption stopped: sentences for the operator.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// A side cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A side cannot currently be read or written.
    #[error("{}", cause_of(.0))]
    Store(Error),
    /// The layout is unknown.
    #[error(
        "The layout is not known: {what}. Name the collections with --registry and --accounts, or bring the data by \
         archives (docs/guides/migrating.md)."
    )]
    Unrecognized {
        /// What was looked for.
        what: String,
    },
    /// Several collections may have the accounts.
    #[error("Several collections may have the accounts: {collections}. Say which one with --accounts.")]
    Ambiguous {
        /// Their names.
        collections: String,
    },
    /// The source has the records of this service.
    #[error("The database {database} belongs to this service already. `tenantry transfer` moves such data.")]
    OwnDatabase {
        /// Its name.
        database: String,
    },
    /// There are conflicts.
    #[error("Nothing was changed: there are conflicts. Run it without --apply to see them.")]
    Conflicts,
    /// A rule names a record that there is not.
    #[error("There is no organization or account {id} in the source. Check the ids in the options.")]
    UnknownRecord {
        /// Its id.
        id: String,
    },
    /// The source was written to.
    #[error(
        "The old service still writes: {what} changed while it was watched. Stop everything that writes to the source, \
         and run the same command again."
    )]
    StillWriting {
        /// What has changed.
        what: String,
    },
    /// The old service has created a collection again.
    #[error(
        "The old service still writes: there is a new collection {name}. Stop the old service, see whether the \
         collection has something that you need, remove it, and run the same command again."
    )]
    Recreated {
        /// Its name.
        name: String,
    },
    /// The two sides differ after the copy.
    #[error(
        "{what} differs from the source after the copy. Stop everything that writes to the source, and run the same \
         command again."
    )]
    Differs {
        /// What differs.
        what: String,
    },
    /// The target has something.
    #[error("The target has {what} already. Choose an empty one.")]
    Occupied {
        /// What it has.
        what: String,
    },
    /// The source is the target of a copy.
    #[error(
        "The database {database} is the source and would be the target. Copy into another one (MASTER_DB), or adopt in \
         place (--in-place)."
    )]
    SameDatabase {
        /// Its name.
        database: String,
    },
    /// In place the target must be the source.
    #[error(
        "In place, the data stays in its database: set MONGO_URI and MASTER_DB to the source ({database}), \
         PLACEMENT=collection, and leave out --to. Otherwise copy, without --in-place."
    )]
    OtherDatabase {
        /// The name of the source.
        database: String,
    },
    /// What cannot be done in place.
    #[error("{reason} Copy instead, without --in-place.")]
    NotInPlace {
        /// Why.
        reason: String,
    },
    /// An adoption was begun with other options.
    #[error("{what} Run it with the same options, or take it back first (--undo).")]
    OtherOptions {
        /// What was begun.
        what: String,
    },
    /// Somebody else is at work.
    #[error(
        "Another `tenantry adopt`, `restore` or `transfer` is at work on this database. Let it end, and run the command \
         again if it is still needed."
    )]
    AnotherRun,
    /// An adoption is in another state.
    #[error("{0}")]
    State(&'static str),
}

impl From<Error> for AdoptError {
    fn from(error: Error) -> Self {
        Self::Store(error)
    }
}

fn cause_of(error: &Error) -> String {
    let cause = error.cause().map_or_else(|| error.sentence(), str::to_owned);
    format!(
        "A side cannot be read or written ({cause}). Run the same command again: it continues where this one has stopped."
    )
}
