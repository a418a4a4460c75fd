//! What can go wrong with a call to the server, and the one place that turns it into a row of the error table.
//!
//! # Pitfalls
//! After an error nobody knows whether a write has happened. Only a broken uniqueness rule says that it has not;
//! every other temporary error is `store_unavailable`.

use super::names::{ACCOUNTS_BY_EMAIL, ORGANIZATIONS_RESERVED};
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};
use tenantry_documents::query::SORT_POINTER;
use tenantry_domain::store::StoreFailure;
use tenantry_domain::{Error, ErrorCode};

/// Why a call failed.
#[derive(Debug)]
pub(super) enum EngineError {
    /// Another document has the value in this unique index. Nothing has changed.
    Duplicate {
        /// The name of the index.
        index: String,
    },
    /// The collection of that UUID does not have that name. Nothing has changed.
    Elsewhere {
        /// The name it has; `None` if no collection has that UUID.
        actual: Option<String>,
    },
    /// A collection of the new name already exists. Nothing has changed.
    NamespaceExists,
    /// The server denies this user access, or is too old for the driver: waiting will not help.
    Forbidden {
        /// What the server or the driver says.
        cause: String,
    },
    /// The collection was renamed or dropped during a read. Nothing has changed.
    Interrupted,
    /// Any other error of the server.
    ServerError {
        /// The server's code.
        code: i32,
        /// The server's message.
        message: String,
    },
    /// Anything else, as a row of the error table.
    Refused(Error),
}

/// The result of a call.
pub(super) type EngineResult<T> = Result<T, EngineError>;

/// The unique index that every collection has.
pub(super) const PRIMARY_INDEX: &str = "_id_";

impl From<Error> for EngineError {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

impl From<tenantry_documents::Error> for EngineError {
    fn from(error: tenantry_documents::Error) -> Self {
        Self::Refused(error.into())
    }
}

impl From<bson::error::Error> for EngineError {
    fn from(error: bson::error::Error) -> Self {
        Self::Refused(Error::internal(format!("a record cannot be read or written: {error}")))
    }
}

impl From<DriverError> for EngineError {
    fn from(error: DriverError) -> Self {
        let code = server_error(&error).map(|(code, _)| code);
        if let Some(index) = duplicate(&error) {
            Self::Duplicate { index: index.to_owned() }
        } else if code == Some(COLLECTION_UUID_MISMATCH) {
            Self::Elsewhere { actual: actual_collection(&error) }
        } else if code == Some(NAMESPACE_EXISTS) {
            Self::NamespaceExists
        } else if code == Some(QUERY_PLAN_KILLED) {
            Self::Interrupted
        } else if is_forbidden(&error) {
            Self::Forbidden { cause: describe(&error) }
        } else if let Some((code, message)) = server_error(&error) {
            Self::ServerError { code, message: message.to_owned() }
        } else {
            Self::Refused(driver_error(&error))
        }
    }
}

impl From<EngineError> for Error {
    fn from(failure: EngineError) -> Self {
        match failure {
            EngineError::Refused(error) => error,
            EngineError::Forbidden { cause } => Self::unavailable(cause),
            EngineError::Elsewhere { actual } => {
                Self::unavailable(format!("a container is not where its record says, but at {actual:?}"))
            }
            EngineError::NamespaceExists => Self::unavailable("a collection of that name already exists"),
            EngineError::Interrupted => {
                Self::unavailable("a collection was renamed or dropped while it was read")
            }
            EngineError::ServerError { code, message } => error_of_code(code, &message),
            EngineError::Duplicate { index } => match index.as_str() {
                ORGANIZATIONS_RESERVED => ErrorCode::NameTaken.into(),
                ACCOUNTS_BY_EMAIL => ErrorCode::EmailTaken.into(),
                _ => Self::internal(format!("something else has the same key in the index {index}")),
            },
        }
    }
}

impl StoreFailure for EngineError {
    /// Not what callers go on after: somebody else was first, or the query is bad or too long.
    fn is_failure(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_failure(),
            Self::Forbidden { .. } => true,
            Self::ServerError { code, .. } => *code != MAX_TIME_EXPIRED && !refuses_query(*code),
            Self::Duplicate { .. } | Self::Elsewhere { .. } | Self::NamespaceExists | Self::Interrupted => {
                false
            }
        }
    }
}

impl EngineError {
    /// Converts the error of a caller's query: if the server refuses the query itself, that is no failure of the
    /// server, and waiting does not help.
    pub(super) fn of_query(self) -> Error {
        match self {
            Self::ServerError { code, message } if refuses_query(code) => {
                let known = error_of_code(code, &message);
                if known.code() == ErrorCode::InvalidInput {
                    return known;
                }
                // Without the server's message: it repeats the query, and with it the contents of documents.
                tracing::warn!(code, "MongoDB refuses a query that the service allows");
                Error::from(ErrorCode::InvalidInput).detail(format!(
                    "MongoDB refuses this query (error code {code}). Change the filter or the sort order."
                ))
            }
            other => other.into(),
        }
    }

    /// Whether a document of the same `_id` already exists.
    pub(super) fn is_same_id(&self) -> bool {
        matches!(self, Self::Duplicate { index } if index == PRIMARY_INDEX)
    }

    /// Whether the collection does not exist (any more).
    pub(super) fn is_missing_collection(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code() == ErrorCode::CollectionNotFound)
    }
}

/// "DuplicateKey".
const DUPLICATE_KEY: i32 = 11000;

/// "CollectionUUIDMismatch".
pub(super) const COLLECTION_UUID_MISMATCH: i32 = 361;
/// "NamespaceNotFound".
pub(super) const NAMESPACE_NOT_FOUND: i32 = 26;
/// "NamespaceExists".
const NAMESPACE_EXISTS: i32 = 48;
/// "QueryPlanKilled".
const QUERY_PLAN_KILLED: i32 = 175;
/// "MaxTimeMSExpired".
pub(super) const MAX_TIME_EXPIRED: i32 = 50;
/// "BadValue": among much else, documents that cannot be sorted as requested.
const BAD_VALUE: i32 = 2;
/// "CannotIndexParallelArrays", and a number in a path that has two meanings: the document cannot have sensible
/// entries in an index.
pub(super) const NOT_INDEXABLE: [i32; 2] = [171, 16746];

/// Codes for a malformed command: defects of this program, which no waiting repairs. BadValue, FailedToParse,
/// TypeMismatch, CommandNotFound, ImmutableField, InvalidOptions, and an unknown field.
const DEFECT_CODES: [i32; 7] = [2, 9, 14, 59, 66, 72, 40415];

/// Named codes for a bad query: BadValue, FailedToParse, TypeMismatch, Overflow, InvalidLength, InvalidBSON,
/// PathNotViable, InvalidPath, DollarPrefixedFieldName, InvalidIdField, InvalidDBRef, EmptyFieldName,
/// DottedFieldName, ExceededMemoryLimit, DurationOverflow, InvalidPipelineOperator, MaxSubPipelineDepthExceeded,
/// ConversionFailure, NoQueryExecutionPlans, QueryExceededMemoryLimitNoDiskUseAllowed, InvalidBSONType,
/// NonConformantBSON, QueryRejectedBySettings, BSONObjectTooLarge.
const QUERY_ERROR_CODES: [i32; 24] = [
    2, 9, 14, 15, 16, 22, 28, 30, 52, 53, 55, 56, 57, 146, 159, 168, 232, 241, 291, 292, 357, 378, 411, 10334,
];

/// Named codes of five digits and more: they concern the server or the form of a command. Every other code of that
/// length is a single place at which the server checks a query.
const SERVER_ERROR_CODES: [i32; 38] = [
    10003, 10058, 10107, 11000, 11600, 11601, 11602, 12586, 12587, 13104, 13113, 13297, 13388, 13435, 13436,
    14031, 17280, 28769, 31082, 40413, 40414, 40415, 46841, 50768, 50915, 56846, 57986, 91331, 640_570,
    640_571, 1_003_141, 4_662_500, 4_938_500, 9_737_301, 9_751_901, 9_751_902, 9_751_903, 10_045_600,
];

/// Whether a code says that the query is bad.
fn refuses_query(code: i32) -> bool {
    QUERY_ERROR_CODES.contains(&code)
        || NOT_INDEXABLE.contains(&code)
        || (code >= 10_000 && !SERVER_ERROR_CODES.contains(&code))
}

/// Codes that deny this user access: Unauthorized, AuthenticationFailed.
const FORBIDDEN_CODES: [i32; 2] = [13, 18];

/// The unique index that a write violated, if any. The reply names it in its message alone: `E11000 duplicate key
/// error collection: db.accounts index: accounts_by_email dup key: { .. }`. No name of a database or collection has a
/// space in it, so no user's text comes before the index.
fn duplicate(error: &DriverError) -> Option<&str> {
    let (code, message) = server_error(error)?;
    duplicate_in(code, message)
}

/// The unique index in a server's code and message.
pub(super) fn duplicate_in(code: i32, message: &str) -> Option<&str> {
    if code != DUPLICATE_KEY {
        return None;
    }
    let (_, rest) = message.split_once(" index: ")?;
    rest.split(' ').next()
}

/// The current name of the collection whose UUID was given.
fn actual_collection(error: &DriverError) -> Option<String> {
    error.server_response()?.get_str("actualCollection").ok().map(str::to_owned)
}

/// Code and message of the server's reply, if there was one.
fn server_error(error: &DriverError) -> Option<(i32, &str)> {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => Some((error.code, &error.message)),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some((error.code, &error.message)),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some((error.code, &error.message)),
        // Of several documents: only if all that failed did so for the same reason.
        ErrorKind::InsertMany(error) if error.write_concern_error.is_none() => {
            let errors = error.write_errors.as_deref().unwrap_or_default();
            let first = errors.first()?;
            let is_same = errors.iter().all(|error| error.code == first.code);
            is_same.then_some((first.code, first.message.as_str()))
        }
        _ => None,
    }
}

/// `internal` for defects, `store_unavailable` for temporary errors.
fn driver_error(error: &DriverError) -> Error {
    match error.kind.as_ref() {
        ErrorKind::InvalidArgument { .. } | ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => {
            Error::internal(describe(error))
        }
        _ => Error::unavailable(describe(error)),
    }
}

/// The error for a code and message of the server, including those of users' queries.
fn error_of_code(code: i32, message: &str) -> Error {
    let unsortable = message.contains("cannot sort with keys that are parallel arrays");
    if code == MAX_TIME_EXPIRED {
        Error::query_timed_out()
    } else if NOT_INDEXABLE.contains(&code) || (code == BAD_VALUE && unsortable) {
        let detail = "There are documents in which two of the paths go through different arrays, or a number is \
                      both a position and a name: they cannot be sorted by these.";
        Error::invalid_field(SORT_POINTER, detail)
    } else if DEFECT_CODES.contains(&code) {
        Error::internal(describe_code(code, message))
    } else {
        Error::unavailable(describe_code(code, message))
    }
}

/// The cause for the log, without the server's whole reply, which repeats the data.
pub(super) fn describe(error: &DriverError) -> String {
    match server_error(error) {
        Some((code, message)) => describe_code(code, message),
        None => error.kind.to_string(),
    }
}

fn describe_code(code: i32, message: &str) -> String {
    format!("MongoDB replies {code}: {message}")
}

fn is_forbidden(error: &DriverError) -> bool {
    let kind = error.kind.as_ref();
    matches!(kind, ErrorKind::Authentication { .. } | ErrorKind::IncompatibleServer { .. })
        || server_error(error).is_some_and(|(code, _)| FORBIDDEN_CODES.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query_error(code: i32) -> ErrorCode {
        EngineError::ServerError { code, message: "of the server".into() }.of_query().code()
    }

    /// A server that refuses a query refuses the query; only failures of the server are unavailability.
    #[test]
    fn query_error_code_never_maps_to_unavailable() {
        // A pattern that PCRE does not compile (by the version), and memory for a sort; then what names no place.
        for code in [51091, 51092, 292, 2, 9, 14, 16, 10334, 7_241_101] {
            assert_eq!(query_error(code), ErrorCode::InvalidInput, "{code}");
        }
        assert_eq!(query_error(MAX_TIME_EXPIRED), ErrorCode::QueryTooSlow);
        // InterruptedAtShutdown, NotWritablePrimary, HostUnreachable, WriteConflict, OutOfDiskSpace.
        for code in [11600, 10107, 6, 112, 14031] {
            assert_eq!(query_error(code), ErrorCode::StoreUnavailable, "{code}");
        }
    }

    #[test]
    fn only_what_the_server_cannot_do_is_a_failure() {
        let failed = |code| EngineError::ServerError { code, message: String::new() }.is_failure();
        // InterruptedAtShutdown, NotWritablePrimary, OutOfDiskSpace.
        for code in [11600, 10107, 14031] {
            assert!(failed(code), "{code}");
        }
        for code in [MAX_TIME_EXPIRED, BAD_VALUE, 292] {
            assert!(!failed(code), "{code}");
        }
        assert!(!EngineError::Duplicate { index: PRIMARY_INDEX.to_owned() }.is_failure());
        assert!(EngineError::from(Error::unavailable("no reply")).is_failure());
    }

    #[test]
    fn command_error_code_maps_to_internal_error() {
        let own = |code| Error::from(EngineError::ServerError { code, message: String::new() }).code();
        assert_eq!(own(BAD_VALUE), ErrorCode::Internal);
        assert_eq!(query_error(40415), ErrorCode::Internal);
    }
}
