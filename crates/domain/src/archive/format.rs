//! The contents of the lines of an archive.

use super::people::{ArchivedApiKey, ArchivedMember, ArchivedRole};
use super::trails::{ArchivedEntry, ArchivedTrail, ArchivedTrailEnd};
use crate::account::{Account, PasswordHash};
use crate::collection::CollectionName;
use crate::email::EmailAddress;
use crate::error::{Error, ErrorCode};
use crate::ids::{AccountId, OrganizationId};
use crate::limits::{ARCHIVE_EXPANSION_MAX, ARCHIVE_LINE_HEADROOM_BYTES};
use crate::name::OrganizationName;
use crate::organization::{Organization, Placement, Quota};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tenantry_documents::index::{Index, IndexName};
use tenantry_documents::schema::SchemaDefinition;

/// The name of the format.
pub const FORMAT: &str = "tenantry-archive";
/// The version of the format that is written.
pub const VERSION: u32 = 2;
/// The versions that are read. The first has no people but the owner, no keys and no audit trail.
pub const VERSIONS: std::ops::RangeInclusive<u32> = 1..=VERSION;
/// The beginning of a document's line. The document follows, and then `}`.
pub(super) const DOCUMENT: &[u8] = br#"{"document":"#;
/// The beginning of the line of a document that Extended JSON cannot hold exactly. Its BSON follows in base64, and then
/// `"}`.
pub(super) const BSON: &[u8] = br#"{"bson":""#;

/// Whether this is the line of a document.
pub(super) fn is_document(line: &[u8]) -> bool {
    line.starts_with(DOCUMENT) || line.starts_with(BSON)
}

/// The most bytes of a line, if a document may have `document_max_bytes` as BSON.
#[must_use]
pub const fn line_max_bytes(document_max_bytes: usize) -> usize {
    document_max_bytes.saturating_mul(ARCHIVE_EXPANSION_MAX).saturating_add(ARCHIVE_LINE_HEADROOM_BYTES)
}

/// A line that is not a document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ArchiveLine {
    Manifest(Manifest),
    Organization(Box<ArchivedOrganization>),
    Role(ArchivedRole),
    Member(ArchivedMember),
    ApiKey(ArchivedApiKey),
    Collection(ArchivedCollection),
    CollectionEnd(CollectionEnd),
    AuditTrail(ArchivedTrail),
    AuditEntry(Box<ArchivedEntry>),
    AuditTrailEnd(ArchivedTrailEnd),
    End(ArchiveEnd),
}

/// The first line: format and version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub(super) format: String,
    pub(super) version: u32,
    /// The version of the service that wrote it.
    pub tenantry: String,
    /// When its writing began.
    pub exported_at: Timestamp,
}

impl Manifest {
    /// The manifest of a new archive.
    #[must_use]
    pub fn new(exported_at: Timestamp) -> Self {
        let tenantry = env!("CARGO_PKG_VERSION").to_owned();
        Self { format: FORMAT.to_owned(), version: VERSION, tenantry, exported_at }
    }
}

/// An organization in an archive: everything needed to restore it elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedOrganization {
    /// Its id.
    pub id: OrganizationId,
    /// Its name.
    pub organization_name: OrganizationName,
    /// Where its data was. An import ignores it: the other server may not have that placement.
    pub placement: Placement,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether a delete is refused.
    pub delete_protection: bool,
    /// Whether a purge is refused.
    pub legal_hold: bool,
    /// Its quota.
    pub quota: Quota,
    /// When it was created.
    pub created_at: Timestamp,
    /// The first account, which owns the organization.
    pub owner: ArchivedOwner,
}

impl ArchivedOrganization {
    /// The archived form of `organization`, with the account that responses show as its admin.
    #[must_use]
    pub fn of(organization: &Organization, owner: &Account, password_hash: Option<PasswordHash>) -> Self {
        Self {
            id: organization.id,
            organization_name: organization.naming.name.clone(),
            placement: organization.placement,
            suspended: organization.suspended,
            delete_protection: organization.delete_protection,
            legal_hold: organization.legal_hold,
            quota: organization.quota,
            created_at: organization.created_at,
            owner: ArchivedOwner { id: owner.id, email: owner.email.clone(), password_hash },
        }
    }
}

/// The account an organization was created with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedOwner {
    /// Its id.
    pub id: AccountId,
    /// The address it signs in with.
    pub email: EmailAddress,
    /// Its password, hashed, where the archive may hold it. Version 1 always does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<PasswordHash>,
}

/// A collection, before its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchivedCollection {
    /// Its name.
    pub name: CollectionName,
    /// Its indexes, without the one on the `_id`.
    #[serde(with = "indexes")]
    pub indexes: Vec<Index>,
    /// Its schema. An earlier version reads a collection without one, and refuses one that has one.
    #[serde(default, with = "schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaDefinition>,
}

/// The counts of a collection, after its documents.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CollectionEnd {
    /// Its name.
    pub name: CollectionName,
    /// How many documents it has.
    pub documents: u64,
    /// Bytes of these as BSON.
    pub bytes: u64,
    /// Over their lines, each with its line feed.
    pub sha256: String,
}

/// The counts of the whole archive. Nothing follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArchiveEnd {
    /// How many roles of the organization's own it has. Version 1 counts none of these four.
    #[serde(default)]
    pub roles: u64,
    /// How many members, without the owner in the organization's line.
    #[serde(default)]
    pub members: u64,
    /// How many API keys.
    #[serde(default)]
    pub api_keys: u64,
    /// How many entries of audit trails.
    #[serde(default)]
    pub audit_entries: u64,
    /// How many collections it has.
    pub collections: u64,
    /// How many documents, in all of them.
    pub documents: u64,
    /// Bytes of these as BSON.
    pub bytes: u64,
    /// Over every byte before this line.
    pub sha256: String,
    /// Collections that are not in it, because other programs gave them names that the service does not
    /// allow.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// The error for line `line`; `what` says what is wrong with it.
#[must_use]
pub fn damaged(line: u64, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::ArchiveInvalid).detail(format!("Line {line} of the archive: {what}"))
}

/// The serialized form of indexes, with their keys like a sort order (`a,-b.c`). What not every index has is left out of
/// those that lack it: an earlier version reads them, and refuses the others.
mod indexes {
    use super::{Index, IndexName};
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;
    use tenantry_documents::Error;
    use tenantry_documents::index::{Coverage, IndexOptions, PartialFilter};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ArchivedIndex {
        name: IndexName,
        keys: String,
        unique: bool,
        #[serde(default, skip_serializing_if = "is_false")]
        sparse: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partial_filter: Option<Box<RawValue>>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expire_after_seconds: Option<u32>,
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    const fn is_false(flag: &bool) -> bool {
        !*flag
    }

    impl ArchivedIndex {
        fn of(index: &Index) -> Self {
            let partial_filter = match &index.coverage {
                Coverage::Partial(filter) => RawValue::from_string(filter.text().to_owned()).ok(),
                Coverage::All | Coverage::Sparse(_) => None,
            };
            Self {
                name: index.name.clone(),
                keys: index.keys_text(),
                unique: index.unique,
                sparse: matches!(index.coverage, Coverage::Sparse(_)),
                partial_filter,
                expire_after_seconds: index.expire_after_seconds,
            }
        }

        fn read(self) -> Result<Index, Error> {
            let filter = self.partial_filter.map(|json| PartialFilter::parse(json.get(), "/partial_filter"));
            let options = IndexOptions {
                unique: self.unique,
                sparse: self.sparse,
                partial_filter: filter.transpose()?,
                expire_after_seconds: self.expire_after_seconds,
            };
            Index::parse_with(Some(self.name), &self.keys, options)
        }
    }

    pub fn serialize<S: Serializer>(indexes: &[Index], serializer: S) -> Result<S::Ok, S::Error> {
        indexes.iter().map(ArchivedIndex::of).collect::<Vec<_>>().serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Index>, D::Error> {
        let index = |written: ArchivedIndex| {
            written.read().map_err(|error| {
                let detail = error.fields().first().map(|field| field.detail.clone());
                D::Error::custom(format!("an index cannot be: {}", detail.unwrap_or_default()))
            })
        };
        Vec::<ArchivedIndex>::deserialize(deserializer)?.into_iter().map(index).collect()
    }
}

/// The serialized form of a schema: as JSON, not as a text.
mod schema {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::value::RawValue;
    use tenantry_documents::schema::{Schema, SchemaAction, SchemaDefinition, SchemaLevel};

    #[derive(Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct ArchivedSchema {
        schema: Box<RawValue>,
        level: SchemaLevel,
        action: SchemaAction,
    }

    pub fn serialize<S: Serializer>(
        definition: &Option<SchemaDefinition>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        use serde::ser::Error as _;
        let write = |definition: &SchemaDefinition| {
            let schema = RawValue::from_string(definition.schema.to_string());
            let SchemaDefinition { level, action, .. } = *definition;
            schema.map(|schema| ArchivedSchema { schema, level, action }).map_err(S::Error::custom)
        };
        definition.as_ref().map(write).transpose()?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<SchemaDefinition>, D::Error> {
        let Some(written) = Option::<ArchivedSchema>::deserialize(deserializer)? else { return Ok(None) };
        let schema = Schema::parse(written.schema.get(), "").map_err(|error| {
            let first = error.fields().first().map(|field| format!("{} {}", field.pointer, field.detail));
            D::Error::custom(format!("the schema cannot be: {}", first.unwrap_or_default()))
        })?;
        Ok(Some(SchemaDefinition {
            schema: schema.text().into(),
            level: written.level,
            action: written.action,
        }))
    }
}
