//! What can go wrong with a call to the server, and the one place that turns it into a row of the error table.
//!
//! What a newcomer gets wrong: after an error nobody knows whether a write has happened. Only a broken
//! uniqueness rule says that it has not; everything else that may pass is `store_unavailable`.

use super::names::{ACCOUNTS_BY_EMAIL, ORGANIZATIONS_RESERVED};
use mongodb::error::{Error as DriverError, ErrorKind, WriteFailure};
use tenantry_documents::query::SORT_POINTER;
use tenantry_domain::{Error, ErrorCode};

/// Why a call came to nothing.
#[derive(Debug)]
pub(super) enum EngineError {
    /// Another document has in this unique index what was to be written. Nothing has changed.
    Duplicate {
        /// The name of the index.
        index: String,
    },
    /// The collection of that UUID does not have that name. Nothing has changed.
    Elsewhere {
        /// The name it has; `None` if there is no such collection (any more).
        actual: Option<String>,
    },
    /// There is a collection of the name that another was to get. Nothing has changed.
    NamespaceExists,
    /// The server knows us and does not let us, or it is too old for the driver: waiting alone will not help.
    Forbidden {
        /// What the server or the driver says.
        cause: String,
    },
    /// What was read from has been renamed or dropped meanwhile. Nothing has changed.
    Interrupted,
    /// Anything else that the server has answered.
    Answered {
        /// The server's code.
        code: i32,
        /// What it says.
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
        let code = answer(&error).map(|(code, _)| code);
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
        } else if let Some((code, message)) = answer(&error) {
            Self::Answered { code, message: message.to_owned() }
        } else {
            Self::Refused(refusal(&error))
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
            EngineError::NamespaceExists => Self::unavailable("there is a collection of that name"),
            EngineError::Interrupted => {
                Self::unavailable("a collection was renamed or dropped while it was read")
            }
            EngineError::Answered { code, message } => answered(code, &message),
            EngineError::Duplicate { index } => match index.as_str() {
                ORGANIZATIONS_RESERVED => ErrorCode::NameTaken.into(),
                ACCOUNTS_BY_EMAIL => ErrorCode::EmailTaken.into(),
                _ => Self::internal(format!("something else has the same key in the index {index}")),
            },
        }
    }
}

impl EngineError {
    /// The same, of a question of a caller's: what the server refuses about the question itself is not a failure of the
    /// server's, and no waiting helps.
    pub(super) fn of_question(self) -> Error {
        match self {
            Self::Answered { code, message } if refuses_question(code) => {
                let known = answered(code, &message);
                if known.code() == ErrorCode::InvalidInput {
                    return known;
                }
                // Not its message: that repeats what was asked, and so what documents hold.
                tracing::warn!(code, "MongoDB refuses a question that was thought to be allowed");
                Error::from(ErrorCode::InvalidInput).detail(format!(
                    "MongoDB does not answer this question (its code {code}): ask another one."
                ))
            }
            other => other.into(),
        }
    }

    /// Whether a document of the same `_id` is there already.
    pub(super) fn is_same_id(&self) -> bool {
        matches!(self, Self::Duplicate { index } if index == PRIMARY_INDEX)
    }

    /// Whether there is no such collection (any more).
    pub(super) fn is_missing_collection(&self) -> bool {
        matches!(self, Self::Refused(error) if error.code() == ErrorCode::CollectionNotFound)
    }
}

/// "DuplicateKey" among the server's codes.
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
const TIME_IS_OVER: i32 = 50;
/// "BadValue": among much else, documents that cannot be sorted as asked.
const BAD_VALUE: i32 = 2;
/// "CannotIndexParallelArrays", and a number in a path that means two things: a document that has no sensible
/// entries in an index.
pub(super) const NOT_INDEXABLE: [i32; 2] = [171, 16746];

/// Codes that say that our command makes no sense: defects, which no waiting mends. BadValue, FailedToParse,
/// TypeMismatch, CommandNotFound, ImmutableField, InvalidOptions, and a field that is not known.
const DEFECTS: [i32; 7] = [2, 9, 14, 59, 66, 72, 40415];

/// Codes with a name that speak of the question: BadValue, FailedToParse, TypeMismatch, Overflow, InvalidLength,
/// InvalidBSON, PathNotViable, InvalidPath, DollarPrefixedFieldName, InvalidIdField, InvalidDBRef, EmptyFieldName,
/// DottedFieldName, ExceededMemoryLimit, DurationOverflow, InvalidPipelineOperator, MaxSubPipelineDepthExceeded,
/// ConversionFailure, NoQueryExecutionPlans, QueryExceededMemoryLimitNoDiskUseAllowed, InvalidBSONType,
/// NonConformantBSON, QueryRejectedBySettings, BSONObjectTooLarge.
const REFUSES_QUESTION: [i32; 24] = [
    2, 9, 14, 15, 16, 22, 28, 30, 52, 53, 55, 56, 57, 146, 159, 168, 232, 241, 291, 292, 357, 378, 411, 10334,
];

/// Codes of five digits and more that have a name, and speak of the server or of the form of a command. Each of the others
/// is a single place at which the server looks at what it was asked.
const OTHERS_WITH_A_NAME: [i32; 38] = [
    10003, 10058, 10107, 11000, 11600, 11601, 11602, 12586, 12587, 13104, 13113, 13297, 13388, 13435, 13436,
    14031, 17280, 28769, 31082, 40413, 40414, 40415, 46841, 50768, 50915, 56846, 57986, 91331, 640_570,
    640_571, 1_003_141, 4_662_500, 4_938_500, 9_737_301, 9_751_901, 9_751_902, 9_751_903, 10_045_600,
];

/// Whether a code says that the question is bad.
fn refuses_question(code: i32) -> bool {
    REFUSES_QUESTION.contains(&code)
        || NOT_INDEXABLE.contains(&code)
        || (code >= 10_000 && !OTHERS_WITH_A_NAME.contains(&code))
}

/// Codes that say that this user may not do it: Unauthorized, AuthenticationFailed.
const FORBIDDEN: [i32; 2] = [13, 18];

/// The unique index that was in the way, if one was. The answer names it in its message alone:
/// `E11000 duplicate key error collection: db.accounts index: accounts_by_email dup key: { .. }`. No name of a
/// database or collection has a space in it, so nothing that a user wrote comes before the index.
fn duplicate(error: &DriverError) -> Option<&str> {
    let (code, message) = answer(error)?;
    duplicate_in(code, message)
}

/// The same, of a code and its message.
pub(super) fn duplicate_in(code: i32, message: &str) -> Option<&str> {
    if code != DUPLICATE_KEY {
        return None;
    }
    let (_, rest) = message.split_once(" index: ")?;
    rest.split(' ').next()
}

/// The name that the collection has whose UUID was given.
fn actual_collection(error: &DriverError) -> Option<String> {
    error.server_response()?.get_str("actualCollection").ok().map(str::to_owned)
}

/// Code and message of what the server has answered, if it did.
fn answer(error: &DriverError) -> Option<(i32, &str)> {
    match error.kind.as_ref() {
        ErrorKind::Command(error) => Some((error.code, &error.message)),
        ErrorKind::Write(WriteFailure::WriteError(error)) => Some((error.code, &error.message)),
        ErrorKind::Write(WriteFailure::WriteConcernError(error)) => Some((error.code, &error.message)),
        _ => None,
    }
}

/// `internal` for defects, `store_unavailable` for what may pass.
fn refusal(error: &DriverError) -> Error {
    match error.kind.as_ref() {
        ErrorKind::InvalidArgument { .. } | ErrorKind::Bson(_) | ErrorKind::InvalidResponse { .. } => {
            Error::internal(describe(error))
        }
        _ => Error::unavailable(describe(error)),
    }
}

/// The same for what the server has answered; and what a query of a user's can come to.
fn answered(code: i32, message: &str) -> Error {
    let unsortable = message.contains("cannot sort with keys that are parallel arrays");
    if code == TIME_IS_OVER {
        Error::query_timed_out()
    } else if NOT_INDEXABLE.contains(&code) || (code == BAD_VALUE && unsortable) {
        let detail = "There are documents in which two of the paths go through different arrays, or a number is \
                      both a position and a name: they cannot be sorted so.";
        Error::invalid_field(SORT_POINTER, detail)
    } else if DEFECTS.contains(&code) {
        Error::internal(said(code, message))
    } else {
        Error::unavailable(said(code, message))
    }
}

/// What happened, for the log: without the server's whole answer, which repeats what was to be written.
pub(super) fn describe(error: &DriverError) -> String {
    match answer(error) {
        Some((code, message)) => said(code, message),
        None => error.kind.to_string(),
    }
}

fn said(code: i32, message: &str) -> String {
    format!("MongoDB answers {code}: {message}")
}

fn is_forbidden(error: &DriverError) -> bool {
    let kind = error.kind.as_ref();
    matches!(kind, ErrorKind::Authentication { .. } | ErrorKind::IncompatibleServer { .. })
        || answer(error).is_some_and(|(code, _)| FORBIDDEN.contains(&code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(code: i32) -> ErrorCode {
        EngineError::Answered { code, message: "of the server".into() }.of_question().code()
    }

    /// A server that refuses a query refuses the query; only failures of the server are unavailability.
    #[test]
    fn query_error_code_never_maps_to_unavailable() {
        // A pattern that PCRE does not compile (by the version), and memory for a sort; then what names no place.
        for code in [51091, 51092, 292, 2, 9, 14, 16, 10334, 7_241_101] {
            assert_eq!(question(code), ErrorCode::InvalidInput, "{code}");
        }
        assert_eq!(question(TIME_IS_OVER), ErrorCode::QueryTooSlow);
        // InterruptedAtShutdown, NotWritablePrimary, HostUnreachable, WriteConflict, OutOfDiskSpace.
        for code in [11600, 10107, 6, 112, 14031] {
            assert_eq!(question(code), ErrorCode::StoreUnavailable, "{code}");
        }
    }

    #[test]
    fn command_error_code_maps_to_internal_error() {
        let own = |code| Error::from(EngineError::Answered { code, message: String::new() }).code();
        assert_eq!(own(BAD_VALUE), ErrorCode::Internal);
        assert_eq!(question(40415), ErrorCode::Internal);
    }
}
