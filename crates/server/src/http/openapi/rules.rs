//! THE table of operations: who may call each one, and every error code it can answer.

use super::Access;
use tenantry_domain::ErrorCode;
use tenantry_domain::ErrorCode as E;

/// Who may call an operation, and what it may answer beside what every operation may.
pub struct Rule {
    pub operation: &'static str,
    pub access: Access,
    pub codes: &'static [ErrorCode],
}

/// What any operation may answer.
pub const ALWAYS: &[ErrorCode] = &[
    E::InvalidHeader,
    E::MalformedRequest,
    E::UriTooLong,
    E::HeadersTooLarge,
    E::Internal,
    E::StoreUnavailable,
    E::Overloaded,
];
/// What an operation that reads a body may answer.
pub const BODY: &[ErrorCode] =
    &[E::InvalidInput, E::InvalidJson, E::RequestTimeout, E::BodyTooLarge, E::UnsupportedMediaType];
/// What an operation that hashes passwords on its way may answer.
const HASHING: ErrorCode = E::SignInBusy;
/// What a change of an organization may answer.
const VERSIONED: [ErrorCode; 3] = [E::InvalidHeader, E::OperationInProgress, E::VersionMismatch];

/// What an operation may answer that an `Idempotency-Key` goes with.
const REPEATABLE: [ErrorCode; 4] =
    [E::InvalidHeader, E::IdempotencyInProgress, E::IdempotencyKeyReused, E::TooManyIdempotencyKeys];
/// What a query of documents may answer.
const QUERY: [ErrorCode; 4] =
    [E::InvalidInput, E::CollectionNotFound, E::QueryTooSlow, E::DocumentUnreadable];
/// What a change of a document may answer.
const CHANGE_OF_DOCUMENT: [ErrorCode; 9] = [
    E::InvalidHeader,
    E::RoleInsufficient,
    E::CollectionNotFound,
    E::DocumentNotFound,
    E::UniqueViolation,
    E::QuotaExceeded,
    E::VersionMismatch,
    E::DocumentBusy,
    E::DocumentUnreadable,
];

const fn rule(operation: &'static str, access: Access, codes: &'static [ErrorCode]) -> Rule {
    Rule { operation, access, codes }
}

/// Every operation of the service.
pub const RULES: &[Rule] = &[
    rule("root", Access::Public, &[]),
    rule("health", Access::Public, &[]),
    rule("livez", Access::Public, &[]),
    rule("readyz", Access::Public, &[]),
    rule("metrics", Access::SettingOperator, &[E::RouteNotFound]),
    rule("jwks", Access::Public, &[]),
    rule("problem", Access::Public, &[E::RouteNotFound]),
    rule(
        "create",
        Access::SettingOperator,
        &[
            E::NameTaken,
            E::EmailTaken,
            E::CapacityReached,
            // It was made, and purged before the answer.
            E::OrganizationNotFound,
            E::TooManyAttempts,
            HASHING,
            E::InvalidHeader,
            E::IdempotencyInProgress,
            E::IdempotencyKeyReused,
            E::TooManyIdempotencyKeys,
        ],
    ),
    rule("get", Access::Setting, &[E::InvalidInput, E::OrganizationNotFound]),
    rule(
        "login",
        Access::Public,
        &[E::InvalidCredentials, E::OrganizationSuspended, E::TooManyAttempts, HASHING],
    ),
    rule(
        "update",
        Access::Member,
        &[
            E::InvalidCredentials,
            E::ReauthenticationRequired,
            E::NotYourOrganization,
            E::RoleInsufficient,
            E::OrganizationNotFound,
            E::NameTaken,
            E::EmailTaken,
            E::OrganizationNotActive,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
            E::TooManyAttempts,
            HASHING,
        ],
    ),
    rule(
        "delete",
        Access::Member,
        &[
            E::NotYourOrganization,
            E::RoleInsufficient,
            E::OrganizationNotFound,
            E::DeleteProtected,
            E::LegalHold,
            E::OrganizationNotActive,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule("refresh", Access::Public, &[E::RefreshTokenInvalid]),
    rule("logout", Access::Member, &[]),
    rule("list_organizations", Access::Operator, &[E::InvalidInput]),
    rule(
        "create_organization",
        Access::Operator,
        &[
            E::NameTaken,
            E::EmailTaken,
            E::CapacityReached,
            E::OrganizationNotFound,
            HASHING,
            E::InvalidHeader,
            E::IdempotencyInProgress,
            E::IdempotencyKeyReused,
        ],
    ),
    rule("get_organization", Access::OperatorOrMember, &[E::OrganizationNotFound]),
    rule(
        "change_organization",
        Access::OperatorOrMember,
        &[
            E::RoleInsufficient,
            E::OperatorOnly,
            E::OrganizationNotFound,
            E::NameTaken,
            E::OrganizationNotActive,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule(
        "delete_organization",
        Access::OperatorOrMember,
        &[
            E::InvalidInput,
            E::RoleInsufficient,
            E::OrganizationNotFound,
            E::DeleteProtected,
            E::LegalHold,
            E::OrganizationNotActive,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule(
        "restore_organization",
        Access::Operator,
        &[
            E::OrganizationNotFound,
            E::OrganizationNotDeleted,
            E::NameTaken,
            E::EmailTaken,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule(
        "suspend_organization",
        Access::Operator,
        &[E::OrganizationNotFound, E::OrganizationNotActive, VERSIONED[0], VERSIONED[1], VERSIONED[2]],
    ),
    rule(
        "reactivate_organization",
        Access::Operator,
        &[E::OrganizationNotFound, E::OrganizationNotSuspended, VERSIONED[0], VERSIONED[1], VERSIONED[2]],
    ),
    rule(
        "set_owner_password",
        Access::Operator,
        &[
            E::OrganizationNotFound,
            E::OrganizationNotActive,
            HASHING,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule(
        "purge_organization",
        Access::Operator,
        &[
            E::OrganizationNotFound,
            E::OrganizationNotDeleted,
            E::LegalHold,
            VERSIONED[0],
            VERSIONED[1],
            VERSIONED[2],
        ],
    ),
    rule(
        "export_organization",
        Access::OperatorOrMember,
        &[E::RoleInsufficient, E::OrganizationNotFound, E::OrganizationNotActive],
    ),
    rule(
        "import_organization",
        Access::Operator,
        &[
            E::ArchiveInvalid,
            E::OrganizationExists,
            E::NameTaken,
            E::EmailTaken,
            E::UniqueViolation,
            E::CapacityReached,
            E::ImportInterrupted,
            // It was made, and purged before the answer.
            E::OrganizationNotFound,
        ],
    ),
    rule("list_collections", Access::OwnMember, &[E::InvalidInput]),
    rule(
        "create_collection",
        Access::OwnMember,
        &[
            E::RoleInsufficient,
            E::CollectionExists,
            E::QuotaExceeded,
            E::CapacityReached,
            REPEATABLE[0],
            REPEATABLE[1],
            REPEATABLE[2],
            REPEATABLE[3],
        ],
    ),
    rule("get_collection", Access::OwnMember, &[E::InvalidHeader, E::CollectionNotFound]),
    rule(
        "delete_collection",
        Access::OwnMember,
        &[
            E::InvalidHeader,
            E::RoleInsufficient,
            E::CollectionNotFound,
            E::CollectionIsDefault,
            E::VersionMismatch,
        ],
    ),
    rule("get_usage", Access::OwnMember, &[]),
    rule("list_indexes", Access::OwnMember, &[E::CollectionNotFound]),
    rule(
        "create_index",
        Access::OwnMember,
        &[
            E::RoleInsufficient,
            E::CollectionNotFound,
            E::IndexExists,
            E::UniqueViolation,
            E::TooManyIndexes,
            E::QuotaExceeded,
            E::CapacityReached,
        ],
    ),
    rule("get_index", Access::OwnMember, &[E::InvalidHeader, E::CollectionNotFound, E::IndexNotFound]),
    rule(
        "delete_index",
        Access::OwnMember,
        &[E::InvalidHeader, E::RoleInsufficient, E::CollectionNotFound, E::IndexNotFound, E::VersionMismatch],
    ),
    rule("list_documents", Access::OwnMember, &QUERY),
    rule("query_documents", Access::OwnMember, &QUERY),
    rule("count_documents", Access::OwnMember, &QUERY),
    rule("count_matching_documents", Access::OwnMember, &QUERY),
    rule(
        "insert_documents",
        Access::OwnMember,
        &[
            E::RoleInsufficient,
            E::CollectionNotFound,
            E::DocumentExists,
            E::UniqueViolation,
            E::QuotaExceeded,
            E::DocumentUnreadable,
            REPEATABLE[0],
            REPEATABLE[1],
            REPEATABLE[2],
            REPEATABLE[3],
        ],
    ),
    rule(
        "delete_documents",
        Access::OwnMember,
        &[E::InvalidInput, E::RoleInsufficient, E::CollectionNotFound, E::QueryTooSlow],
    ),
    rule(
        "delete_matching_documents",
        Access::OwnMember,
        &[E::InvalidInput, E::RoleInsufficient, E::CollectionNotFound, E::QueryTooSlow],
    ),
    rule(
        "get_document",
        Access::OwnMember,
        &[E::InvalidHeader, E::CollectionNotFound, E::DocumentNotFound, E::DocumentUnreadable],
    ),
    rule("replace_document", Access::OwnMember, &CHANGE_OF_DOCUMENT),
    rule("patch_document", Access::OwnMember, &CHANGE_OF_DOCUMENT),
    rule(
        "delete_document",
        Access::OwnMember,
        &[
            E::InvalidHeader,
            E::RoleInsufficient,
            E::CollectionNotFound,
            E::DocumentNotFound,
            E::VersionMismatch,
            E::DocumentUnreadable,
        ],
    ),
    rule("list_operations", Access::Operator, &[E::InvalidInput, E::OrganizationNotFound]),
    rule("get_operation", Access::OperatorOrMember, &[E::OperationNotFound]),
];
