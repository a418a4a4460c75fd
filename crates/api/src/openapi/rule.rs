//! The rule of an operation: who may call it, and every error code it can answer.
//!
//! It is declared beside the handler, as the extension `x-rule` of its `utoipa::path`:
//! `extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::NameTaken]).and(&VERSIONED))))`.

use crate::error_codes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tenantry_domain::ErrorCode;
use tenantry_domain::ErrorCode as E;

/// What any operation may answer.
pub(super) const ALWAYS: &[ErrorCode] = &[
    error_codes::INVALID_HEADER,
    error_codes::MALFORMED_REQUEST,
    error_codes::URI_TOO_LONG,
    error_codes::HEADERS_TOO_LARGE,
    E::Internal,
    E::StoreUnavailable,
    E::Overloaded,
];
/// What an operation that reads a body may answer.
pub(super) const BODY: &[ErrorCode] = &[
    E::InvalidInput,
    E::InvalidJson,
    error_codes::REQUEST_TIMEOUT,
    error_codes::BODY_TOO_LARGE,
    error_codes::UNSUPPORTED_MEDIA_TYPE,
];
/// What a change of an organization may answer.
pub const VERSIONED: [ErrorCode; 2] = [E::OperationInProgress, E::VersionMismatch];
/// What an operation may answer that an `Idempotency-Key` goes with.
pub const REPEATABLE: [ErrorCode; 3] =
    [E::IdempotencyInProgress, E::IdempotencyKeyReused, E::TooManyIdempotencyKeys];
/// What a query of documents may answer.
pub const QUERY: [ErrorCode; 4] =
    [E::InvalidInput, E::CollectionNotFound, E::QueryTooSlow, E::DocumentUnreadable];
/// What a change of a document may answer.
pub const DOCUMENT_CHANGE: [ErrorCode; 8] = [
    E::RoleInsufficient,
    E::CollectionNotFound,
    E::DocumentNotFound,
    E::UniqueViolation,
    E::QuotaExceeded,
    E::VersionMismatch,
    E::DocumentBusy,
    E::DocumentUnreadable,
];

/// Who may call an operation, and what it may answer beside what every operation may.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub(super) access: Access,
    #[serde(serialize_with = "write_codes", deserialize_with = "read_codes")]
    pub(super) codes: Vec<ErrorCode>,
}

impl Rule {
    /// Adds what a group of operations refuses with.
    pub fn and(mut self, codes: &[ErrorCode]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Takes the rule out of the description of an operation.
    pub(super) fn take(operation: &mut Value) -> Option<Self> {
        let rule = operation.as_object_mut()?.remove("x-rule")?;
        serde_json::from_value(rule).ok()
    }
}

fn write_codes<S: Serializer>(codes: &[ErrorCode], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(codes.iter().map(|code| code.code()))
}

fn read_codes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<ErrorCode>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let row = |name: &String| error_codes::all().into_iter().find(|row| row.code() == name);
    names.iter().map(row).collect::<Option<_>>().ok_or_else(|| D::Error::custom("a code has no row"))
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, or fewer, as a setting says; an operator key that is sent must be good.
    SettingOperator,
    /// Anybody, or fewer, as a setting says; then a credential that is sent must be good.
    Setting,
    /// An account with an access token.
    Member,
    /// The operator, or an account for its own organization.
    OperatorOrMember,
    /// An account for its own organization, and nobody else: the operator neither.
    OwnMember,
    /// The operator.
    Operator,
}

impl Access {
    /// The rule of an operation that refuses with `codes` beside what follows from who may call it.
    pub fn refuses(self, codes: &[ErrorCode]) -> Rule {
        Rule { access: self, codes: codes.to_vec() }
    }

    pub(super) const fn codes(self) -> &'static [ErrorCode] {
        match self {
            Self::Public => &[],
            Self::SettingOperator => &[E::OperatorKeyRequired, E::OperatorKeyInvalid],
            Self::Setting => {
                &[E::TokenMissing, E::TokenInvalid, E::TokenExpired, E::TokenRevoked, E::OperatorKeyInvalid]
            }
            Self::Member => &[E::TokenMissing, E::TokenInvalid, E::TokenExpired, E::TokenRevoked],
            Self::OperatorOrMember => {
                &[E::TokenMissing, E::TokenInvalid, E::TokenExpired, E::TokenRevoked, E::OperatorKeyInvalid]
            }
            Self::OwnMember => &[
                E::TokenMissing,
                E::TokenInvalid,
                E::TokenExpired,
                E::TokenRevoked,
                E::OperatorKeyInvalid,
                E::MembersOnly,
                E::OrganizationNotFound,
            ],
            Self::Operator => &[
                E::OperatorKeyRequired,
                E::OperatorKeyInvalid,
                E::TokenInvalid,
                E::TokenExpired,
                E::TokenRevoked,
                E::OperatorOnly,
            ],
        }
    }

    /// One scheme for both credentials: where either is taken and each has a scheme, some generated clients send both.
    pub(super) fn security(self) -> Value {
        match self {
            Self::Public => json!([]),
            Self::SettingOperator | Self::Setting => json!([{}, { "bearer": [] }]),
            Self::Member | Self::OwnMember | Self::OperatorOrMember | Self::Operator => {
                json!([{ "bearer": [] }])
            }
        }
    }

    /// Which credential an operation takes, as its description says it.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Public => "It takes no credential.",
            Self::SettingOperator => "A setting says whether it needs the operator key.",
            Self::Setting => "A setting says whether it needs an access token or the operator key.",
            Self::Member => "It needs an access token.",
            Self::OperatorOrMember => "It needs the operator key, or an access token of the organization.",
            Self::OwnMember => "It needs an access token of the organization.",
            Self::Operator => "It needs the operator key.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_in_the_description_of_an_operation_reads_back() {
        let rule = || Access::OwnMember.refuses(ErrorCode::ALL).and(&VERSIONED);
        let mut operation = json!({ "operationId": "x", "x-rule": rule() });
        assert_eq!(Rule::take(&mut operation), Some(rule()));
        assert_eq!(operation, json!({ "operationId": "x" }));
        assert_eq!(Rule::take(&mut operation), None);
    }
}
