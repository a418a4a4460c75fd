//! The rule of an operation: who may call it, and every error code it can respond with.
//!
//! It is declared beside the handler, as the extension `x-rule` of its `utoipa::path`:
//! `extensions(("x-rule" = json!(Access::Operator.refuses(&[ErrorCode::NameTaken]).and(&VERSIONED))))`.

use crate::error_codes;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};
use tenantry_domain::ErrorCode;
use tenantry_domain::ErrorCode as E;
use tenantry_domain::permission::Permission;

/// The errors of any operation.
pub(super) const ALWAYS: &[ErrorCode] = &[
    error_codes::INVALID_HEADER,
    error_codes::MALFORMED_REQUEST,
    error_codes::URI_TOO_LONG,
    error_codes::HEADERS_TOO_LARGE,
    E::TooManyRequests,
    E::Internal,
    E::StoreUnavailable,
    E::Overloaded,
];
/// The errors of an operation that reads a body.
pub(super) const BODY: &[ErrorCode] = &[
    E::InvalidInput,
    E::InvalidJson,
    error_codes::REQUEST_TIMEOUT,
    error_codes::BODY_TOO_LARGE,
    error_codes::UNSUPPORTED_MEDIA_TYPE,
];
/// The errors of a change to an organization.
pub const VERSIONED: [ErrorCode; 2] = [E::OperationInProgress, E::VersionMismatch];
/// The errors of an operation that accepts an `Idempotency-Key`.
pub const REPEATABLE: [ErrorCode; 3] =
    [E::IdempotencyInProgress, E::IdempotencyKeyReused, E::TooManyIdempotencyKeys];
/// The errors of a query.
pub const QUERY: [ErrorCode; 4] =
    [E::InvalidInput, E::CollectionNotFound, E::QueryTooSlow, E::DocumentUnreadable];
/// The errors of a change to a document.
pub const DOCUMENT_CHANGE: [ErrorCode; 10] = [
    E::RoleInsufficient,
    E::CollectionNotFound,
    E::DocumentNotFound,
    E::SchemaViolation,
    E::QueryTooSlow,
    E::UniqueViolation,
    E::QuotaExceeded,
    E::VersionMismatch,
    E::DocumentBusy,
    E::DocumentUnreadable,
];

/// Who may call an operation, and its errors beyond those of every operation.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    pub(super) access: Access,
    /// The permission that the caller's role, key or token must have.
    pub(super) permission: Option<Permission>,
    #[serde(serialize_with = "write_codes", deserialize_with = "read_codes")]
    pub(super) codes: Vec<ErrorCode>,
}

impl Rule {
    /// Adds what the operation refuses with, beside what follows from who may call it.
    pub fn refuses(self, codes: &[ErrorCode]) -> Self {
        self.and(codes)
    }

    /// Adds what a group of operations refuses with.
    pub fn and(mut self, codes: &[ErrorCode]) -> Self {
        self.codes.extend_from_slice(codes);
        self
    }

    /// Removes the rule from the description of an operation and returns it.
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
    names
        .iter()
        .map(|name| error_codes::find(name))
        .collect::<Option<_>>()
        .ok_or_else(|| D::Error::custom("a code has no row"))
}

/// Who may call an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Anybody.
    Public,
    /// Anybody, or fewer, as a setting says; an operator key that is sent must be valid.
    SettingOperator,
    /// Anybody, or fewer, as a setting says; a credential that is then sent must be valid.
    Setting,
    /// Anybody; an access token that is sent must be good.
    OptionalMember,
    /// An account with an access token.
    Member,
    /// The operator, a service key, or a caller of the organization: an account, an API key, an exchanged token.
    OperatorOrMember,
    /// A caller of the organization, and nobody else: the operator neither.
    OwnMember,
    /// The operator.
    Operator,
    /// The operator, or a service key.
    OperatorOrService,
    /// The operator, a service key, or an account with an access token.
    OperatorOrAccount,
    /// A service key.
    Service,
}

/// What any credential may be refused with.
const CREDENTIAL: [ErrorCode; 8] = [
    E::TokenMissing,
    E::TokenInvalid,
    E::TokenExpired,
    E::TokenRevoked,
    E::CredentialUnconfirmed,
    E::KeyMalformed,
    E::KeyInvalid,
    E::OperatorKeyInvalid,
];

impl Access {
    /// A rule with the errors `codes` in addition to those that follow from who may call the operation.
    pub fn refuses(self, codes: &[ErrorCode]) -> Rule {
        Rule { access: self, permission: None, codes: codes.to_vec() }
    }

    /// The rule of an operation that needs `permission`, which a role of an organization may lack, whichever it is.
    pub fn needs(self, permission: Permission) -> Rule {
        let has_roles = matches!(self, Self::OperatorOrMember | Self::OwnMember);
        let codes = if has_roles { vec![E::RoleInsufficient] } else { Vec::new() };
        Rule { access: self, permission: Some(permission), codes }
    }

    pub(super) fn codes(self) -> Vec<ErrorCode> {
        let (credentials, more): (&[ErrorCode], &[ErrorCode]) = match self {
            Self::Public => (&[], &[]),
            Self::SettingOperator => (
                &[E::CredentialUnconfirmed, E::KeyMalformed, E::KeyInvalid, E::OperatorKeyInvalid],
                &[E::OperatorKeyRequired, E::OperatorOnly],
            ),
            Self::Setting => (&CREDENTIAL, &[]),
            Self::Member => (&CREDENTIAL[..7], &[E::SessionRequired]),
            Self::OperatorOrMember => (&CREDENTIAL, &[E::PermissionMissing]),
            Self::OwnMember => {
                (&CREDENTIAL, &[E::MembersOnly, E::PermissionMissing, E::OrganizationNotFound])
            }
            Self::OptionalMember => (&CREDENTIAL[1..7], &[E::SessionRequired]),
            Self::Operator => (&CREDENTIAL[1..], &[E::OperatorKeyRequired, E::OperatorOnly]),
            Self::OperatorOrService | Self::OperatorOrAccount => {
                (&CREDENTIAL[1..], &[E::OperatorKeyRequired, E::OperatorOnly, E::PermissionMissing])
            }
            Self::Service => (&CREDENTIAL, &[E::ServiceKeyRequired]),
        };
        [credentials, more].concat()
    }

    /// One scheme covers both credentials: with a scheme for each, some generated clients would send both.
    pub(super) fn security(self) -> Value {
        match self {
            Self::Public => json!([]),
            Self::SettingOperator | Self::Setting | Self::OptionalMember => json!([{}, { "bearer": [] }]),
            Self::Member
            | Self::OwnMember
            | Self::OperatorOrMember
            | Self::Operator
            | Self::OperatorOrService
            | Self::OperatorOrAccount
            | Self::Service => json!([{ "bearer": [] }]),
        }
    }

    /// The sentence about credentials in the description of an operation.
    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Public => "It takes no credential.",
            Self::SettingOperator => "A setting says whether it needs the operator key.",
            Self::Setting => "A setting says whether it needs an access token or the operator key.",
            Self::OptionalMember => "It takes the access token of a person who signed in, and needs none.",
            Self::Member => "It needs the access token of a person who signed in.",
            Self::OperatorOrMember => {
                "It needs the operator key, a service key, or an access token or API key of the organization."
            }
            Self::OwnMember => {
                "It needs an access token of the organization (of a person, or exchanged), or an API key of it."
            }
            Self::Operator => "It needs the operator key.",
            Self::OperatorOrService => "It needs the operator key, or a service key.",
            Self::OperatorOrAccount => {
                "It needs the operator key, a service key, or, if `SIGNUP` is `open`, the access token of a person who signed in."
            }
            Self::Service => "It needs a service key.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rule_in_the_description_of_an_operation_reads_back() {
        let rule =
            || Access::OwnMember.needs(Permission::DocumentsRead).refuses(ErrorCode::ALL).and(&VERSIONED);
        let mut operation = json!({ "operationId": "x", "x-rule": rule() });
        assert_eq!(Rule::take(&mut operation), Some(rule()));
        assert_eq!(operation, json!({ "operationId": "x" }));
        assert_eq!(Rule::take(&mut operation), None);
    }
}
