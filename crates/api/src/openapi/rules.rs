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
    rule("getServiceInfo", Access::Public, &[]),
    rule("getHealth", Access::Public, &[]),
    rule("getLiveness", Access::Public, &[]),
    rule("getReadiness", Access::Public, &[]),
    rule("getMetrics", Access::SettingOperator, &[E::RouteNotFound]),
    rule("getSigningKeys", Access::Public, &[]),
    rule("explainProblem", Access::Public, &[E::RouteNotFound]),
    rule(
        "registerOrganization",
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
    rule("findOrganization", Access::Setting, &[E::InvalidInput, E::OrganizationNotFound]),
    rule(
        "signIn",
        Access::Public,
        &[E::InvalidCredentials, E::OrganizationSuspended, E::TooManyAttempts, HASHING],
    ),
    rule(
        "updateOwnOrganization",
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
        "deleteOwnOrganization",
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
    rule("refreshTokens", Access::Public, &[E::RefreshTokenInvalid]),
    rule("signOut", Access::Member, &[]),
    rule("listOrganizations", Access::Operator, &[E::InvalidInput]),
    rule(
        "createOrganization",
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
    rule("getOrganization", Access::OperatorOrMember, &[E::OrganizationNotFound]),
    rule(
        "patchOrganization",
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
        "deleteOrganization",
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
        "restoreOrganization",
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
        "suspendOrganization",
        Access::Operator,
        &[E::OrganizationNotFound, E::OrganizationNotActive, VERSIONED[0], VERSIONED[1], VERSIONED[2]],
    ),
    rule(
        "reactivateOrganization",
        Access::Operator,
        &[E::OrganizationNotFound, E::OrganizationNotSuspended, VERSIONED[0], VERSIONED[1], VERSIONED[2]],
    ),
    rule(
        "setOwnerPassword",
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
        "purgeOrganization",
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
        "exportOrganization",
        Access::OperatorOrMember,
        &[E::RoleInsufficient, E::OrganizationNotFound, E::OrganizationNotActive],
    ),
    rule(
        "importOrganization",
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
    rule("listCollections", Access::OwnMember, &[E::InvalidInput]),
    rule(
        "createCollection",
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
    rule("getCollection", Access::OwnMember, &[E::InvalidHeader, E::CollectionNotFound]),
    rule(
        "deleteCollection",
        Access::OwnMember,
        &[
            E::InvalidHeader,
            E::RoleInsufficient,
            E::CollectionNotFound,
            E::CollectionIsDefault,
            E::VersionMismatch,
        ],
    ),
    rule("getUsage", Access::OwnMember, &[]),
    rule("listIndexes", Access::OwnMember, &[E::CollectionNotFound]),
    rule(
        "createIndex",
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
    rule("getIndex", Access::OwnMember, &[E::InvalidHeader, E::CollectionNotFound, E::IndexNotFound]),
    rule(
        "deleteIndex",
        Access::OwnMember,
        &[E::InvalidHeader, E::RoleInsufficient, E::CollectionNotFound, E::IndexNotFound, E::VersionMismatch],
    ),
    rule("listDocuments", Access::OwnMember, &QUERY),
    rule("queryDocuments", Access::OwnMember, &QUERY),
    rule("countDocuments", Access::OwnMember, &QUERY),
    rule("countMatchingDocuments", Access::OwnMember, &QUERY),
    rule(
        "insertDocument",
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
        "insertDocuments",
        Access::OwnMember,
        &[E::RoleInsufficient, E::CollectionNotFound, E::DocumentUnreadable],
    ),
    rule(
        "deleteDocuments",
        Access::OwnMember,
        &[E::InvalidInput, E::RoleInsufficient, E::CollectionNotFound, E::QueryTooSlow],
    ),
    rule(
        "deleteMatchingDocuments",
        Access::OwnMember,
        &[E::InvalidInput, E::RoleInsufficient, E::CollectionNotFound, E::QueryTooSlow],
    ),
    rule(
        "getDocument",
        Access::OwnMember,
        &[E::InvalidHeader, E::CollectionNotFound, E::DocumentNotFound, E::DocumentUnreadable],
    ),
    rule("replaceDocument", Access::OwnMember, &CHANGE_OF_DOCUMENT),
    rule("patchDocument", Access::OwnMember, &CHANGE_OF_DOCUMENT),
    rule(
        "deleteDocument",
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
    rule("listOperations", Access::Operator, &[E::InvalidInput, E::OrganizationNotFound]),
    rule("getOperation", Access::OperatorOrMember, &[E::OperationNotFound]),
];
