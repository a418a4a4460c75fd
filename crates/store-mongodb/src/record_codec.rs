//! Converts records to documents and back.
//!
//! A record's document is serde's representation of it, with the types that MongoDB has and serde's data model lacks:
//! ids as ObjectIds, times as dates, hashes and UUIDs as binary data; and without absent fields. So an operator reads
//! and queries it like any other document.
//!
//! # Pitfalls
//! The *name* of a field says whether its text is an id or a time, and a new field of a record that is one must be
//! listed here (a test finds it missing). On the way back the type is enough.

use super::engine_error::EngineResult;
use jiff::Timestamp;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::spec::BinarySubtype;
use mongodb::bson::{Binary, Bson, DateTime, Document, deserialize_from_document, serialize_to_document};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tenantry_domain::{Error, Result};

/// Fields with an id, or a list of ids.
const ID_FIELDS: [&str; 17] = [
    "id",
    "organization_id",
    "account_id",
    "owner_id",
    "owners",
    "kept_session",
    "last_operation",
    "last_organization",
    "operation_id",
    "invitation_id",
    // A pair of account and change.
    "credentials",
    // Of an API key: its owner, and what it is limited to.
    "organization",
    "organizations",
    "inviter",
    "inviter_key",
    // Of a carried audit trail: the organization that it is kept for, and the one whose chain it is.
    "kept_as",
    "chain",
];

/// Fields with a time.
const TIME_FIELDS: [&str; 19] = [
    "created_at",
    "modified_at",
    "deleted_at",
    "removing_since",
    "email_verified_at",
    "purge_at",
    "since",
    "tokens_since",
    "token_epoch_since",
    "started_at",
    "finished_at",
    "signed_in_at",
    "expires_at",
    "due_at",
    "idle_expires_at",
    "used_at",
    "last_used_at",
    "accepted_until",
    "accepted_at",
];

/// Fields with bytes, which serde writes as a list of numbers.
const BYTES_FIELDS: [&str; 3] = ["token_hash", "hash", "salt"];

/// Fields with a UUID, which serde writes as hex digits.
const UUID_FIELDS: [&str; 1] = ["container"];

/// Encodes a record, with its `id` as `_id`.
pub(super) fn encode(record: &impl Serialize) -> EngineResult<Document> {
    let mut document = Document::new();
    for (name, value) in serialize_to_document(record)? {
        if let Some(value) = native(&name, value) {
            document.insert(if name == "id" { "_id".to_owned() } else { name }, value);
        }
    }
    Ok(document)
}

/// Decodes a record.
pub(super) fn decode<T: DeserializeOwned>(document: Document) -> EngineResult<T> {
    let mut plain = Document::new();
    for (name, value) in document {
        plain.insert(if name == "_id" { "id".to_owned() } else { name }, serdes(value)?);
    }
    let what = std::any::type_name::<T>();
    let record = deserialize_from_document(plain);
    Ok(record.map_err(|error| Error::internal(format!("a stored {what} is unreadable: {error}")))?)
}

/// Converts serde's value of the field `name` to MongoDB's types; `None` if it is absent.
fn native(name: &str, value: Bson) -> Option<Bson> {
    Some(match value {
        Bson::Null => return None,
        Bson::String(text) => native_text(name, text),
        Bson::Array(items) if BYTES_FIELDS.contains(&name) => match bytes(&items) {
            Some(bytes) => binary(&bytes),
            None => Bson::Array(items),
        },
        // A null in a list keeps its position.
        Bson::Array(items) => {
            items.into_iter().map(|item| native(name, item).unwrap_or(Bson::Null)).collect()
        }
        Bson::Document(fields) => Bson::Document(
            fields
                .into_iter()
                .filter_map(|(name, value)| Some((name.clone(), native(&name, value)?)))
                .collect(),
        ),
        other => other,
    })
}

fn native_text(name: &str, text: String) -> Bson {
    let value = if ID_FIELDS.contains(&name) {
        ObjectId::parse_str(&text).ok().map(Bson::ObjectId)
    } else if TIME_FIELDS.contains(&name) {
        text.parse().ok().map(|at: Timestamp| moment(at).into())
    } else if UUID_FIELDS.contains(&name) {
        bson::Uuid::parse_str(&text).ok().map(Bson::from)
    } else {
        None
    };
    value.unwrap_or(Bson::String(text))
}

fn bytes(items: &[Bson]) -> Option<Vec<u8>> {
    items.iter().map(|item| u8::try_from(item.as_i32()?).ok()).collect()
}

/// Converts a value of a document to serde's.
fn serdes(value: Bson) -> Result<Bson> {
    Ok(match value {
        Bson::ObjectId(id) => Bson::String(id.to_hex()),
        Bson::DateTime(at) => {
            let at = Timestamp::from_millisecond(at.timestamp_millis()).map_err(Error::internal)?;
            Bson::String(at.to_string())
        }
        Bson::Binary(Binary { subtype: BinarySubtype::Uuid, bytes }) => {
            Bson::String(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
        }
        Bson::Binary(Binary { bytes, .. }) => bytes.into_iter().map(i32::from).map(Bson::Int32).collect(),
        Bson::Array(items) => Bson::Array(items.into_iter().map(serdes).collect::<Result<_>>()?),
        Bson::Document(fields) => Bson::Document(
            fields.into_iter().map(|(name, value)| Ok((name, serdes(value)?))).collect::<Result<_>>()?,
        ),
        other => other,
    })
}

/// An id as MongoDB keeps it; it prints the same.
pub(super) fn object_id(bytes: &[u8; 12]) -> ObjectId {
    ObjectId::from_bytes(*bytes)
}

/// A time as MongoDB keeps it: to the millisecond.
pub(super) fn moment(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// Bytes as MongoDB keeps them.
pub(super) fn binary(bytes: &[u8]) -> Bson {
    Bson::Binary(Binary { subtype: BinarySubtype::Generic, bytes: bytes.to_vec() })
}

/// A counter as MongoDB keeps it. Versions and counts never come near 2^63.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::samples;
    use tenantry_domain::identity::Identity;

    /// Finds texts that look like an id or a time, and long lists of numbers, with their paths.
    fn foreign(path: &str, value: &Bson, found: &mut Vec<String>) {
        match value {
            Bson::String(text) if ObjectId::parse_str(text).is_ok() || text.parse::<Timestamp>().is_ok() => {
                found.push(format!("{path}: {text}"));
            }
            Bson::Array(items) if items.len() >= 16 => {
                found.push(format!("{path}: a list of {}", items.len()));
            }
            Bson::Array(items) => items.iter().for_each(|item| foreign(path, item, found)),
            Bson::Document(fields) => {
                fields.iter().for_each(|(name, value)| foreign(&format!("{path}.{name}"), value, found));
            }
            _ => {}
        }
    }

    #[track_caller]
    fn comes_back<T: Serialize + DeserializeOwned + PartialEq + std::fmt::Debug>(record: &T) -> Document {
        let document = encode(record).unwrap();
        assert_eq!(&decode::<T>(document.clone()).unwrap(), record);
        let mut found = Vec::new();
        foreign(std::any::type_name::<T>(), &Bson::Document(document.clone()), &mut found);
        assert!(found.is_empty(), "a type of its own is missing for {found:#?}");
        document
    }

    #[test]
    fn records_round_trip_through_mongodb_types() {
        for organization in samples::organizations() {
            let document = comes_back(&organization);
            assert_eq!(document.get_object_id("_id").unwrap().to_hex(), organization.id.to_string());
            assert!(document.get_datetime("created_at").is_ok(), "{document}");
        }
        comes_back(&samples::account());
        let session = comes_back(&samples::session());
        assert!(session.get_binary_generic("token_hash").is_ok(), "{session}");
        comes_back(&samples::operation_record());
        let key = comes_back(&samples::api_key());
        assert!(key.get_datetime("last_used_at").is_ok(), "{key}");
        comes_back(&samples::invitation());
        comes_back(&samples::identity());
        // A subject that looks like an id stays a text.
        let identity = Identity { subject: "650000000000000000000001".into(), ..samples::identity() };
        assert_eq!(decode::<Identity>(encode(&identity).unwrap()).unwrap(), identity);
    }

    #[test]
    fn record_fields_that_are_absent_are_not_stored() {
        let account = tenantry_domain::account::Account { email_key: None, ..samples::account() };
        assert!(!comes_back(&account).contains_key("email_key"));
    }
}
