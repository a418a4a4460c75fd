//! The error table: every refusal of the domain, with its stable code and its sentence.
//!
//! A transport reads its status and its documentation from here, and adds rows for what it alone refuses. A
//! new refusal is a new row, not a new string at the call site.

#[cfg(test)]
mod tests;

use crate::rate_limit::RateLimit;
use std::fmt;
use std::time::Duration;
pub use tenantry_documents::FieldError;
use tenantry_documents::schema::Violations;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of refusal an error is; a transport turns it into its own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request breaks a rule.
    Invalid,
    /// The caller has no valid credential.
    Unauthenticated,
    /// The caller is known but lacks the right.
    Forbidden,
    /// It does not exist, or the caller may not know of it.
    NotFound,
    /// It conflicts with the current state.
    Conflict,
    /// The caller expects another version.
    Stale,
    /// Well-formed, but impossible to execute.
    Unprocessable,
    /// Too many attempts; the error says when to come back.
    RateLimited,
    /// A defect of ours.
    Internal,
    /// Not now; the error says when to come back.
    Unavailable,
    /// There is no room for a new container.
    NoCapacity,
}

/// A row of a table of errors.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ErrorRow {
    /// The stable name clients may match on.
    pub code: &'static str,
    /// What sort of refusal it is.
    pub kind: ErrorKind,
    /// The sentence that is the same for every occurrence.
    pub title: &'static str,
    /// What the caller can do about it, over any transport.
    pub advice: &'static str,
}

/// A refusal, by its row. The type is open: a transport has rows of its own for refusals that only it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(&'static ErrorRow);

impl ErrorCode {
    /// The refusal of that row.
    #[must_use]
    pub const fn new(row: &'static ErrorRow) -> Self {
        Self(row)
    }

    /// The stable name clients may match on.
    #[must_use]
    pub const fn code(self) -> &'static str {
        self.0.code
    }

    /// What sort of refusal it is.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        self.0.kind
    }

    /// The sentence that is the same for every occurrence.
    #[must_use]
    pub const fn title(self) -> &'static str {
        self.0.title
    }

    /// What the caller can do about it, over any transport.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        self.0.advice
    }
}

macro_rules! error_table {
    ($($variant:ident, $code:literal, $kind:ident, $title:literal, $advice:literal;)*) => {
        #[expect(non_upper_case_globals, reason = "rows are used like the variants of an enumeration, also in patterns")]
        impl ErrorCode {
            $(#[doc = $title] pub const $variant: Self =
                Self(&ErrorRow { code: $code, kind: ErrorKind::$kind, title: $title, advice: $advice });)*

            /// Every row of this table, in its order.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
        }
    };
}

error_table! {
    InvalidInput, "invalid_input", Invalid, "The request has invalid fields.", "Correct each field that `errors` names and send the request again.";
    InvalidJson, "invalid_json", Invalid, "The body is not the JSON object this request takes.", "Send one JSON object in UTF-8, without duplicate keys.";
    SchemaViolation, "schema_violation", Invalid, "The document violates the schema of its collection.", "Correct each value that `errors` names, or have the schema changed.";
    QueryTooSlow, "query_too_slow", Invalid, "The query did not end in the time it may take.", "Make an index for it, or ask for less.";
    ArchiveInvalid, "archive_invalid", Invalid, "The archive is damaged or incomplete.", "Nothing was imported. Export it again, or check how it was copied; `detail` says what is wrong.";
    TokenMissing, "token_missing", Unauthenticated, "This request needs an access token.", "Sign in first.";
    TokenInvalid, "token_invalid", Unauthenticated, "The access token is not valid.", "Sign in again.";
    TokenExpired, "token_expired", Unauthenticated, "The access token has expired.", "Get a new one with the refresh token, or sign in again.";
    TokenRevoked, "token_revoked", Unauthenticated, "The access token is no longer valid.", "Its session, account or organization has changed or ended: sign in again.";
    CredentialUnconfirmed, "credential_unconfirmed", Unauthenticated, "The credential is from before the installation was restored from a backup.", "Sign in again, or get a new key or link. The operator can confirm those from before with `tenantry restore confirm`.";
    InvalidCredentials, "invalid_credentials", Unauthenticated, "The e-mail or the password is wrong.", "Check both; the answer is the same whichever is wrong.";
    ReauthenticationRequired, "reauthentication_required", Unauthenticated, "This change needs a recent sign-in.", "Sign in again and repeat the request with the new token.";
    RefreshTokenInvalid, "refresh_token_invalid", Unauthenticated, "The refresh token is not valid.", "Sign in again.";
    OperatorKeyRequired, "operator_key_required", Unauthenticated, "This request needs the operator key.", "Use the operator key; the service prints at start where it is kept.";
    KeyMalformed, "key_malformed", Unauthenticated, "The key is mistyped.", "Copy it again, whole: its checksum does not match.";
    KeyInvalid, "key_invalid", Unauthenticated, "The key is not valid.", "It was revoked, rotated or has expired, or its maker or organization has changed: have a new one made.";
    OperatorKeyInvalid, "operator_key_invalid", Unauthenticated, "The operator key is not valid.", "Use the key in the file the service names at start.";
    NotYourOrganization, "not_your_organization", Forbidden, "That organization is not yours.", "Name the organization the token belongs to.";
    RoleInsufficient, "role_insufficient", Forbidden, "Your role does not allow this.", "Ask an owner or admin of the organization.";
    PermissionMissing, "permission_missing", Forbidden, "The key or token does not have the permission.", "Use one that has it; `detail` names it.";
    SessionRequired, "session_required", Forbidden, "This request needs the token of a person who signed in.", "Sign in here: a key, an exchanged token or the token of an identity provider is not enough.";
    ServiceKeyRequired, "service_key_required", Forbidden, "This request needs a service key.", "Have the operator make one; it needs `tokens:issue` to be exchanged, and `tokens:introspect` to ask about tokens.";
    ExchangeDisabled, "exchange_disabled", Forbidden, "This installation exchanges no keys for tokens.", "Its operator has set EXCHANGE to off.";
    OperatorOnly, "operator_only", Forbidden, "Only the operator may do this.", "Use the operator key.";
    OrganizationSuspended, "organization_suspended", Forbidden, "The organization is suspended.", "Ask the operator of the service to reactivate it.";
    MembersOnly, "members_only", Forbidden, "An organization's data is for its own people and programs.", "Sign in as a member of the organization, or exchange a service key for a token of it: neither the operator key nor a service key opens it.";
    InvitationForAnother, "invitation_for_another", Forbidden, "The invitation is for another address.", "Sign in with the account of the address that was invited, or ask for an invitation to yours.";
    EmailNotVerified, "email_not_verified", Forbidden, "Nobody has proven the address of the account.", "Prove it first: the account, or the operator for it, gets a link for that. Then accept the invitation.";
    LinkForAnother, "link_for_another", Forbidden, "The link is for another account.", "Sign in with the account that the link was made for.";
    QuotaExceeded, "quota_exceeded", Forbidden, "The organization has reached its quota.", "Delete something, or have the operator raise the quota.";
    OrganizationNotFound, "organization_not_found", NotFound, "No organization has that name or id.", "Check the spelling; the operator can list the organizations.";
    OperationNotFound, "operation_not_found", NotFound, "No operation has that id.", "Check the id; the response to the change that began the operation names it.";
    IdentityNotFound, "identity_not_found", NotFound, "The account has no such identity.", "Check the id against the list of the account's identities.";
    CollectionNotFound, "collection_not_found", NotFound, "The organization has no such collection.", "Create it, or check its name.";
    DocumentNotFound, "document_not_found", NotFound, "No document of the collection has that `_id`.", "Check the id, and whether it is text, a number or an ObjectId.";
    KeyNotFound, "key_not_found", NotFound, "No key has that id.", "Check the id against the list of keys.";
    SigningKeyNotFound, "signing_key_not_found", NotFound, "No signing key has that id.", "Check the id against the list of signing keys.";
    IndexNotFound, "index_not_found", NotFound, "The collection has no such index.", "Check the name against the list of indexes.";
    SchemaNotFound, "schema_not_found", NotFound, "The collection has no schema.", "Set one, if documents should be checked.";
    InvitationNotFound, "invitation_not_found", NotFound, "The organization has no such invitation.", "Check the id against the list of invitations: one that was used is gone.";
    InvitationInvalid, "invitation_invalid", NotFound, "The invitation is no longer valid.", "It was used, renewed or revoked, or has expired: ask for another one.";
    SessionNotFound, "session_not_found", NotFound, "The account has no such session.", "Check the id against the list of sessions: one that has ended is gone.";
    ResetInvalid, "reset_invalid", NotFound, "The link for a new password is no longer valid.", "It was used, has expired, or the account has changed since: ask the operator for another one.";
    LinkNotFound, "link_not_found", NotFound, "The account has no such link.", "Check its kind against the list of links: one that was used or has expired is gone.";
    LinkInvalid, "link_invalid", NotFound, "The link is no longer valid.", "It was used, replaced or revoked, has expired, or the account has changed since: ask for another one.";
    MemberNotFound, "member_not_found", NotFound, "The organization has no such member.", "Check the id against the list of members.";
    RoleNotFound, "role_not_found", NotFound, "The organization has no such role of its own.", "Check its name against the list of the organization's roles; those that every organization has stay as they are.";
    NameTaken, "name_taken", Conflict, "An organization with this name exists.", "Names are compared without case, spaces and punctuation: choose another.";
    OrganizationExists, "organization_exists", Conflict, "An organization of this id exists, or something of it is left.", "Import it under a new id, or purge the existing one first.";
    EmailTaken, "email_taken", Conflict, "This e-mail address is in use.", "Use another address, or sign in with this one.";
    AccountExists, "account_exists", Conflict, "The invited address has an account already.", "Sign in and accept then, or send the password of that account.";
    EmailAlreadyVerified, "email_already_verified", Conflict, "The address of the account is proven already.", "There is nothing to do.";
    MailNotConfigured, "mail_not_configured", Conflict, "This installation sends no mail.", "Ask its operator: they make such a link by hand, or set SMTP_URL.";
    AlreadyMember, "already_member", Conflict, "The account is a member of the organization.", "Change its role instead.";
    InvitationExists, "invitation_exists", Conflict, "The address is invited already.", "Renew that invitation, or revoke it first.";
    TooManyInvitations, "too_many_invitations", Conflict, "The organization has reached its limit of invitations.", "Revoke some that nobody will use.";
    IdentityTaken, "identity_taken", Conflict, "Another account is linked to that identity.", "Sign in with that account, or end its link first.";
    TooManyIdentities, "too_many_identities", Conflict, "The account has reached its limit of identities.", "End a link that nobody needs.";
    TooManyOrganizations, "too_many_organizations", Conflict, "The account has reached its limit of organizations.", "Leave one of them first.";
    LastOwner, "last_owner", Conflict, "The account is the last owner of the organization.", "Make another member an owner first, or delete the organization.";
    TooManyMembers, "too_many_members", Conflict, "The organization has reached its limit of members or of owners.", "Remove a member, or make an admin of an owner, first.";
    RoleExists, "role_exists", Conflict, "The organization has a role of this name.", "Change that one, or choose another name.";
    RoleInUse, "role_in_use", Conflict, "Members have the role.", "Give them another role first: the list of members says who has which.";
    TooManyRoles, "too_many_roles", Conflict, "The organization has reached its limit of roles of its own.", "Delete one that nobody has.";
    OperationInProgress, "operation_in_progress", Conflict, "The organization is being changed.", "Wait for the running operation to finish and send the request again.";
    OrganizationNotDeleted, "organization_not_deleted", Conflict, "The organization is not deleted.", "Only a deleted organization can be restored or purged.";
    OrganizationNotActive, "organization_not_active", Conflict, "The organization is not in a state that allows this.", "Check its `status` first.";
    OrganizationNotSuspended, "organization_not_suspended", Conflict, "The organization is not suspended.", "Only a suspended organization can be reactivated.";
    DeleteProtected, "delete_protected", Conflict, "The organization is protected from deletion.", "Set `delete_protection` to false first.";
    LegalHold, "legal_hold", Conflict, "The organization is under a legal hold.", "It is kept until the operator sets `legal_hold` to false.";
    IdempotencyInProgress, "idempotency_in_progress", Conflict, "A request with this idempotency key is still running.", "Wait, then send it again to get its response.";
    IdempotencyOutcomeUnknown, "idempotency_outcome_unknown", Conflict, "An earlier try of this request, which ended without a response, may have been carried out.", "Read what it changes. If it has to be sent again, use a new key.";
    CollectionExists, "collection_exists", Conflict, "The organization has a collection of this name.", "Use it, or choose another name.";
    CollectionIsDefault, "collection_is_default", Conflict, "Every organization keeps the collection `documents`.", "Delete its documents instead.";
    BatchesUnsupported, "batches_unsupported", Conflict, "This MongoDB is a standalone server, which has no transactions.", "Send the operations one by one, each as a batch or a request of its own; or have the operator run MongoDB as a replica set, for which one server is enough.";
    CompactionUnsupported, "compaction_unsupported", Conflict, "The organization's data is in the same files as that of others.", "There is nothing to do: MongoDB uses the space of deleted documents for later writes.";
    DocumentBusy, "document_busy", Conflict, "Others change the same document all the time.", "Send it again; changes without a precondition wait for one another for a limited time only.";
    DocumentExists, "document_exists", Conflict, "There is a document of this `_id`.", "Replace it, or choose another `_id`.";
    IndexExists, "index_exists", Conflict, "The collection has another index of this name, or one of the same keys.", "Drop that one first, or choose another name.";
    TooManyIndexes, "too_many_indexes", Conflict, "The collection has reached its limit of indexes.", "Drop one that is not used.";
    TooManyKeys, "too_many_keys", Conflict, "The limit of keys is reached.", "Revoke one that is not used.";
    SigningKeysFixed, "signing_keys_fixed", Conflict, "The keys that sign tokens do not rotate here.", "A secret of the settings signs them: replace that, with an overlap if you want.";
    SigningKeyUnready, "signing_key_unready", Conflict, "The next signing key has not been published for a day.", "Those who check tokens may not know it yet: wait, or retire the key that signs, if it has leaked.";
    UniqueViolation, "unique_violation", Conflict, "Another document has the same value in a unique index.", "Change the value; `detail` names the index.";
    VersionMismatch, "version_mismatch", Stale, "The resource has changed since you read it.", "Read it again and repeat the change with its new version.";
    IdempotencyKeyReused, "idempotency_key_reused", Unprocessable, "This idempotency key was used for another request.", "Use a new key for a new request.";
    DocumentUnreadable, "document_unreadable", Unprocessable, "A stored document is not well-formed and cannot be read whole.", "Another program wrote it: correct or delete the document that `detail` names.";
    TooManyIdempotencyKeys, "too_many_idempotency_keys", RateLimited, "The limit of idempotency keys within 24 hours, of an account or a network, is reached.", "Wait, or send the request without a key: keys that already have a response stay valid.";
    TooManyAttempts, "too_many_attempts", RateLimited, "Too many attempts.", "Wait, then try again.";
    TooManyRequests, "too_many_requests", RateLimited, "Too many requests.", "Wait, then send fewer at a time.";
    TooManyMails, "too_many_mails", RateLimited, "The mail limit is reached.", "Wait, then try again.";
    Internal, "internal", Internal, "Something went wrong on our side.", "Report it to the operator of the service.";
    CapacityReached, "capacity_reached", NoCapacity, "The server has no room for another container.", "Ask for the placement `shared`, or have the operator raise MAX_NAMESPACES or add a server.";
    SignInBusy, "sign_in_busy", Unavailable, "Too many sign-ins are waiting.", "Try again in a moment.";
    StoreUnavailable, "store_unavailable", Unavailable, "The data cannot be reached or written right now.", "Try again in a moment.";
    ImportInterrupted, "import_interrupted", Unavailable, "The import was interrupted, and nothing of it is left.", "Send the whole archive again.";
    Overloaded, "overloaded", Unavailable, "The service did not get to an answer in time.", "Try again in a moment.";
}

/// The most characters of what a caller has sent that a sentence repeats.
const QUOTED_MAX_CHARS: usize = 100;

/// What a caller has sent, quoted for a sentence, and shortened if it is long. Never for a secret.
#[must_use]
pub fn quoted(sent: &str) -> String {
    match sent.char_indices().nth(QUOTED_MAX_CHARS) {
        Some((end, _)) => format!("`{}…`", &sent[..end]),
        None => format!("`{sent}`"),
    }
}

/// A refusal: a row of the table and the details of this occurrence.
#[derive(Debug, Clone)]
pub struct Error {
    code: ErrorCode,
    detail: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    max_age: Option<Duration>,
    /// Boxed: few errors have it, and every result has room for an error.
    rate: Option<Box<Rate>>,
    cause: Option<String>,
}

/// What a limit of a rate says.
#[derive(Debug, Clone, Default)]
struct Rate {
    /// Attempts left at once, if they are counted.
    remaining: Option<u32>,
    /// The limit that refuses the request, with its name for clients.
    limit: Option<(&'static str, RateLimit)>,
}

impl Error {
    /// An occurrence of `code` with nothing to add.
    #[must_use]
    pub const fn new(code: ErrorCode) -> Self {
        Self {
            code,
            detail: None,
            fields: Vec::new(),
            retry_after: None,
            max_age: None,
            rate: None,
            cause: None,
        }
    }

    /// `invalid_input` with the fields that are wrong.
    #[must_use]
    pub fn invalid(fields: Vec<FieldError>) -> Self {
        Self { fields, ..Self::new(ErrorCode::InvalidInput) }
    }

    /// `invalid_input` with one wrong field.
    #[must_use]
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// A document that violates the schema of its collection, with everything that is wrong with it.
    #[must_use]
    pub fn schema_violation(violations: Violations) -> Self {
        let (total, unnamed) = (violations.total, violations.unnamed());
        let error = Self { fields: violations.named, ..Self::new(ErrorCode::SchemaViolation) };
        if unnamed == 0 {
            return error;
        }
        let named = total - unnamed;
        error.detail(format!(
            "The document violates the schema of its collection in {total} places; `errors` names the first {named}."
        ))
    }

    /// `organization_not_found` for what the caller has sent as the name or id. The sentence depends on nothing else, so an
    /// organization that is hidden from the caller and one that does not exist get the same.
    #[must_use]
    pub fn organization_not_found(sent: &str) -> Self {
        Self::new(ErrorCode::OrganizationNotFound)
            .detail(format!("No organization has the name or id {}. Check the spelling; the operator can list the organizations.", quoted(sent)))
    }

    /// `code`, as whose limit of `limit` of something `whose` has reached, with the row's advice.
    #[must_use]
    pub fn limit_reached(code: ErrorCode, whose: &str, limit: usize, what: &str) -> Self {
        Self::new(code).detail(format!("{whose} has reached its limit of {limit} {what}. {}", code.advice()))
    }

    /// A defect or an unexpected failure: `cause` goes to the log, never to the caller.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(ErrorCode::Internal) }
    }

    /// The store cannot be used right now: `cause` goes to the log, never to the caller.
    #[must_use]
    pub fn unavailable(cause: impl fmt::Display) -> Self {
        Self { cause: Some(cause.to_string()), ..Self::new(ErrorCode::StoreUnavailable) }
            .retry_after(Duration::from_secs(1))
    }

    /// A query that exceeded its time limit.
    #[must_use]
    pub fn query_timed_out() -> Self {
        Self::new(ErrorCode::QueryTooSlow)
            .detail("The query did not end within QUERY_TIMEOUT: make an index for it, or ask for less.")
    }

    /// This error with the pointer of the field at `from` changed to `to`, where the request has it.
    #[must_use]
    pub fn moved(mut self, from: &str, to: &str) -> Self {
        for field in self.fields.iter_mut().filter(|field| field.pointer == from) {
            to.clone_into(&mut field.pointer);
        }
        self
    }

    /// This error as that of the part of the request at `pointer`, which leads its fields; if it has none, it is its field.
    #[must_use]
    pub fn below(mut self, pointer: &str) -> Self {
        for field in &mut self.fields {
            field.pointer.insert_str(0, pointer);
        }
        if self.fields.is_empty() {
            let detail = self.sentence();
            self.fields.push(FieldError { pointer: pointer.to_owned(), detail });
        }
        self
    }

    /// Adds a sentence about this occurrence.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds when to come back.
    #[must_use]
    pub const fn retry_after(mut self, wait: Duration) -> Self {
        self.retry_after = Some(wait);
        self
    }

    /// Adds how old a sign-in may be (RFC 9470).
    #[must_use]
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = Some(age);
        self
    }

    /// Adds how many more attempts are allowed at once.
    #[must_use]
    pub fn remaining(mut self, attempts: Option<u32>) -> Self {
        self.rate.get_or_insert_default().remaining = attempts;
        self
    }

    /// Adds the limit that refuses it, with its name for clients.
    #[must_use]
    pub fn limited_by(mut self, name: &'static str, limit: RateLimit) -> Self {
        self.rate.get_or_insert_default().limit = Some((name, limit));
        self
    }

    /// The limit that refuses it, if it is one of a rate.
    #[must_use]
    pub fn limit(&self) -> Option<(&'static str, RateLimit)> {
        self.rate.as_ref()?.limit
    }

    /// The row of the table.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
    }

    /// The sentence about this occurrence, if it has one.
    #[must_use]
    pub fn particulars(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The sentence for the caller: the particular one, else title and advice of the row.
    #[must_use]
    pub fn sentence(&self) -> String {
        match &self.detail {
            Some(detail) => detail.clone(),
            None => format!("{} {}", self.code.title(), self.code.advice()),
        }
    }

    /// The bad fields, if the refusal is about fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        &self.fields
    }

    /// When to come back, if that is known.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        self.retry_after
    }

    /// How old a sign-in may be, for `reauthentication_required`.
    #[must_use]
    pub const fn allowed_age(&self) -> Option<Duration> {
        self.max_age
    }

    /// How many more attempts are allowed at once, where attempts are counted.
    #[must_use]
    pub fn attempts_left(&self) -> Option<u32> {
        self.rate.as_ref()?.remaining
    }

    /// What happened, for the log alone.
    #[must_use]
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}

impl From<tenantry_documents::Error> for Error {
    fn from(error: tenantry_documents::Error) -> Self {
        use tenantry_documents::Error as Refused;
        match error {
            Refused::Invalid(fields) => Self::invalid(fields),
            Refused::InvalidJson(detail) => Self::new(ErrorCode::InvalidJson).detail(detail),
            Refused::TimedOut => Self::query_timed_out(),
            Refused::TooCostly(detail) => Self::new(ErrorCode::QueryTooSlow).detail(detail),
            Refused::Closing => Self::unavailable("the container is being closed"),
            Refused::Internal(cause) => Self::internal(cause),
        }
    }
}

impl From<tenantry_documents::fuel::Interruption> for Error {
    fn from(stopped: tenantry_documents::fuel::Interruption) -> Self {
        tenantry_documents::Error::from(stopped).into()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.code(), self.sentence())?;
        if let Some(cause) = &self.cause {
            write!(f, " ({cause})")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
