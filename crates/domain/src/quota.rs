//! Quotas: how much an organization may store, and how much it stores.
//!
//! # Pitfalls
//! [`QuotaLimit`] is the only type for such a number, from every source: a setting, a request, an archive,
//! the command line. A plain `u64` would take what one engine stores and the other refuses.

use crate::error::{Error, ErrorCode, Result};
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// What the limits are on, in sentences.
const DOCUMENTS: &str = "documents";
const BYTES: &str = "bytes of documents";
const INDEX_BYTES: &str = "bytes of index entries";

/// One limit of a [`Quota`]: a whole number from 0 to 2^53.
///
/// Beyond 2^53, clients that read numbers as doubles would show another number, and beyond 2^63 MongoDB has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct QuotaLimit(u64);

impl QuotaLimit {
    /// The largest limit.
    pub const MAX: Self = Self(1 << 53);

    /// The limit `number`.
    ///
    /// # Errors
    /// The rule, if it is too large.
    pub fn new(number: u64) -> Result<Self, String> {
        if number > Self::MAX.0 {
            return Err(Self::rule());
        }
        Ok(Self(number))
    }

    /// The limit `number`, or the largest one. Builds before 2026-11-29 stored numbers up to 2^64 - 1 from archives; no
    /// organization ever has as much as either.
    #[must_use]
    pub const fn from_stored(number: u64) -> Self {
        if number > Self::MAX.0 { Self::MAX } else { Self(number) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// What a limit has to be, as a sentence.
    #[must_use]
    pub fn rule() -> String {
        format!("Must be a whole number from 0 to {} (2^53).", Self::MAX.0)
    }
}

impl TryFrom<u64> for QuotaLimit {
    type Error = String;

    fn try_from(number: u64) -> Result<Self, String> {
        Self::new(number)
    }
}

impl From<QuotaLimit> for u64 {
    fn from(limit: QuotaLimit) -> Self {
        limit.0
    }
}

impl FromStr for QuotaLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `parse` also takes a sign.
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|_| is_plain);
        number.ok_or_else(Self::rule).and_then(Self::new)
    }
}

impl fmt::Display for QuotaLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The most an organization may have; `None` is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "QuotaNumbers")]
pub struct Quota {
    /// Documents in all its collections.
    pub documents: Option<QuotaLimit>,
    /// Bytes of these documents as BSON.
    pub bytes: Option<QuotaLimit>,
    /// Collections, including the default one.
    pub collections: Option<QuotaLimit>,
    /// Bytes of all index entries. Omitted if there is no limit, so that earlier versions can read such an
    /// archive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index_bytes: Option<QuotaLimit>,
}

/// The numbers of a [`Quota`], before they are checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotaNumbers {
    documents: Option<u64>,
    bytes: Option<u64>,
    collections: Option<u64>,
    #[serde(default)]
    index_bytes: Option<u64>,
}

impl TryFrom<QuotaNumbers> for Quota {
    type Error = String;

    fn try_from(numbers: QuotaNumbers) -> Result<Self, String> {
        let limit = |name: &str, number: Option<u64>| match number.map(QuotaLimit::new).transpose() {
            Ok(limit) => Ok(limit),
            Err(rule) => Err(format!("`quota.{name}`: {rule}")),
        };
        Ok(Self {
            documents: limit("documents", numbers.documents)?,
            bytes: limit("bytes", numbers.bytes)?,
            collections: limit("collections", numbers.collections)?,
            index_bytes: limit("index_bytes", numbers.index_bytes)?,
        })
    }
}

impl Quota {
    /// Whether documents, their bytes or those of their index entries are limited, so that writes have to be counted.
    #[must_use]
    pub const fn limits_documents(&self) -> bool {
        self.documents.is_some() || self.bytes.is_some() || self.index_bytes.is_some()
    }

    /// The quota of a batch: what is there at its beginning may be there at its end, even if it is too much.
    #[must_use]
    pub fn at_least(self, used: Usage) -> Self {
        let raised = |limit: Option<QuotaLimit>, used: u64| {
            limit.map(|limit| limit.max(QuotaLimit::from_stored(used)))
        };
        Self {
            documents: raised(self.documents, used.documents),
            bytes: raised(self.bytes, used.bytes),
            collections: self.collections,
            index_bytes: raised(self.index_bytes, used.index_bytes.unwrap_or_default()),
        }
    }

    /// The error for more documents than it allows.
    #[must_use]
    pub fn documents_exceeded(&self) -> Error {
        exceeded(self.documents, DOCUMENTS)
    }

    /// The error for documents that take more bytes than it allows.
    #[must_use]
    pub fn bytes_exceeded(&self) -> Error {
        exceeded(self.bytes, BYTES)
    }

    /// The error for index entries that take more bytes than it allows.
    #[must_use]
    pub fn index_bytes_exceeded(&self) -> Error {
        exceeded(self.index_bytes, INDEX_BYTES)
    }

    /// Checks that the organization may have this many documents.
    ///
    /// # Errors
    /// `quota_exceeded`.
    pub fn check_documents(&self, documents: u64) -> Result<()> {
        check(self.documents, documents, DOCUMENTS)
    }

    /// Checks that its documents may take this many bytes.
    ///
    /// # Errors
    /// `quota_exceeded`.
    pub fn check_bytes(&self, bytes: u64) -> Result<()> {
        check(self.bytes, bytes, BYTES)
    }

    /// Checks that the organization may have this many collections.
    ///
    /// # Errors
    /// `quota_exceeded`.
    pub fn check_collections(&self, collections: u64) -> Result<()> {
        check(self.collections, collections, "collections")
    }

    /// Checks that its index entries may take this many bytes.
    ///
    /// # Errors
    /// `quota_exceeded`.
    pub fn check_index_bytes(&self, index_bytes: u64) -> Result<()> {
        check(self.index_bytes, index_bytes, INDEX_BYTES)
    }

    /// Reads the quota of a stored record. A limit that is too large becomes the largest one: the record was accepted
    /// once and has to stay readable.
    ///
    /// # Errors
    /// Those of the format.
    pub fn deserialize_stored<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let stored = QuotaNumbers::deserialize(deserializer)?;
        Ok(Self {
            documents: stored.documents.map(QuotaLimit::from_stored),
            bytes: stored.bytes.map(QuotaLimit::from_stored),
            collections: stored.collections.map(QuotaLimit::from_stored),
            index_bytes: stored.index_bytes.map(QuotaLimit::from_stored),
        })
    }
}

fn check(most: Option<QuotaLimit>, number: u64, what: &str) -> Result<()> {
    match most {
        Some(most) if number > most.get() => Err(exceeded(Some(most), what)),
        _ => Ok(()),
    }
}

fn exceeded(most: Option<QuotaLimit>, what: &str) -> Error {
    let error = Error::new(ErrorCode::QuotaExceeded);
    match most {
        Some(most) => error.detail(format!(
            "The organization may have at most {most} {what}. {}",
            ErrorCode::QuotaExceeded.advice()
        )),
        None => error,
    }
}

/// A change of a [`Quota`]; absent limits stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QuotaChange {
    /// The new limit on documents; `Some(None)` removes it.
    pub documents: Option<Option<QuotaLimit>>,
    /// The new limit on bytes; `Some(None)` removes it.
    pub bytes: Option<Option<QuotaLimit>>,
    /// The new limit on collections; `Some(None)` removes it.
    pub collections: Option<Option<QuotaLimit>>,
    /// The new limit on bytes of index entries; `Some(None)` removes it.
    pub index_bytes: Option<Option<QuotaLimit>>,
}

impl QuotaChange {
    /// `quota` with the change.
    #[must_use]
    pub fn apply(self, quota: Quota) -> Quota {
        Quota {
            documents: self.documents.unwrap_or(quota.documents),
            bytes: self.bytes.unwrap_or(quota.bytes),
            collections: self.collections.unwrap_or(quota.collections),
            index_bytes: self.index_bytes.unwrap_or(quota.index_bytes),
        }
    }
}

/// How much an organization has, as a [`Quota`] counts it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Documents in all its collections.
    pub documents: u64,
    /// Bytes of these documents as BSON.
    pub bytes: u64,
    /// Collections, including the default one.
    pub collections: u64,
    /// Bytes of all index entries; `None` if counting them takes too long.
    pub index_bytes: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_limit_beyond_2_to_the_53_is_rejected() {
        for number in [(1 << 53) + 1, 1 << 63, u64::MAX] {
            assert!(QuotaLimit::new(number).is_err());
            assert!(number.to_string().parse::<QuotaLimit>().is_err());
            let quota = format!(r#"{{"documents":{number},"bytes":null,"collections":null}}"#);
            assert!(serde_json::from_str::<Quota>(&quota).is_err());
        }
        for text in ["-1", "+1", "1.0", "1e3", "", " 1", "0x10", "none", "99999999999999999999999"] {
            assert!(text.parse::<QuotaLimit>().is_err(), "{text}");
        }
        for number in [0, 1, 1 << 53] {
            let limit = QuotaLimit::new(number).unwrap();
            assert_eq!(number.to_string().parse(), Ok(limit));
            assert_eq!(serde_json::to_string(&limit).unwrap(), number.to_string());
        }
    }

    #[test]
    fn stored_quota_beyond_2_to_the_53_reads_as_maximum() {
        let text = r#"{"documents":18446744073709551615,"bytes":7,"collections":null}"#;
        let quota = Quota::deserialize_stored(&mut serde_json::Deserializer::from_str(text)).unwrap();
        let expected =
            Quota { documents: Some(QuotaLimit::MAX), bytes: QuotaLimit::new(7).ok(), ..Quota::default() };
        assert_eq!(quota, expected);
    }

    #[test]
    fn quota_without_index_limit_keeps_its_stored_form() {
        let text = r#"{"documents":5,"bytes":null,"collections":null}"#;
        assert_eq!(serde_json::to_string(&serde_json::from_str::<Quota>(text).unwrap()).unwrap(), text);
    }
}
