//! THE error table: every refusal the service can utter, with its stable code and its sentence.
//!
//! The problem body, the HTTP status, the responses in the OpenAPI document and `docs/errors.md` are all
//! read from here. What a newcomer gets wrong: a new refusal is a new row, not a new string at the call site.

use std::fmt;
use std::time::Duration;
pub use tenantry_documents::FieldError;

/// The result of everything in this crate that may refuse.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What sort of refusal an error is; the transport turns it into its own status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The request is malformed or breaks a rule (400).
    Invalid,
    /// Nobody, or nobody we believe, is asking (401).
    Unauthenticated,
    /// The caller is known and may not (403).
    Forbidden,
    /// There is no such thing, or the caller may not know of it (404).
    NotFound,
    /// The path exists, the method does not (405).
    MethodNotAllowed,
    /// The request took too long to arrive (408).
    Timeout,
    /// It clashes with what is there (409).
    Conflict,
    /// The `If-Match` of the request names another version (412).
    PreconditionFailed,
    /// The body is larger than allowed (413).
    TooLarge,
    /// The URL is longer than allowed (414).
    UriTooLong,
    /// The body is of a type we do not read (415).
    UnsupportedMediaType,
    /// Well-formed, and impossible to carry out as asked (422).
    Unprocessable,
    /// Too many attempts; the error says when to come back (429).
    TooMany,
    /// The headers are larger than allowed (431).
    HeadersTooLarge,
    /// A defect of ours (500).
    Internal,
    /// Not now; the error says when to come back (503).
    Unavailable,
    /// There is no room for what is to be made (507).
    NoRoom,
}

macro_rules! error_table {
    ($($variant:ident, $code:literal, $kind:ident, $title:literal, $advice:literal;)*) => {
        /// A row of the error table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum ErrorCode { $(#[doc = $title] $variant,)* }

        impl ErrorCode {
            /// Every row, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name clients may match on.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What sort of refusal it is.
            #[must_use]
            pub const fn kind(self) -> Kind {
                match self { $(Self::$variant => Kind::$kind,)* }
            }

            /// The sentence that is the same for every occurrence.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What the caller can do about it.
            #[must_use]
            pub const fn advice(self) -> &'static str {
                match self { $(Self::$variant => $advice,)* }
            }
        }
    };
}

error_table! {
    // 400
    InvalidInput, "invalid_input", Invalid, "The request has invalid fields.", "Correct each field that `errors` names and send the request again.";
    InvalidJson, "invalid_json", Invalid, "The body is not the JSON object this request takes.", "Send one JSON object in UTF-8, without duplicate keys.";
    InvalidHeader, "invalid_header", Invalid, "A request header has an invalid value.", "Correct the header that `detail` names.";
    MalformedRequest, "malformed_request", Invalid, "What was sent is not an HTTP/1.1 request.", "Correct what `detail` names; the connection is closed.";
    QueryTooSlow, "query_too_slow", Invalid, "The query did not end in the time it may take.", "Make an index for it, or ask for less.";
    ArchiveInvalid, "archive_invalid", Invalid, "The archive is damaged or incomplete.", "Nothing was imported. Export it again, or check how it was copied; `detail` says what is wrong.";
    // 401
    TokenMissing, "token_missing", Unauthenticated, "This request needs an access token.", "Sign in at POST /admin/login and send `Authorization: Bearer <access_token>`.";
    TokenInvalid, "token_invalid", Unauthenticated, "The access token is not valid.", "Sign in again at POST /admin/login.";
    TokenExpired, "token_expired", Unauthenticated, "The access token has expired.", "Get a new one at POST /v1/auth/refresh, or sign in again.";
    TokenRevoked, "token_revoked", Unauthenticated, "The access token is no longer good.", "Its session, account or organization has changed or ended: sign in again.";
    InvalidCredentials, "invalid_credentials", Unauthenticated, "The e-mail or the password is wrong.", "Check both; the answer is the same whichever is wrong.";
    ReauthenticationRequired, "reauthentication_required", Unauthenticated, "This change needs a recent sign-in.", "Sign in again and repeat the request with the new token.";
    RefreshTokenInvalid, "refresh_token_invalid", Unauthenticated, "The refresh token is not valid.", "Sign in again at POST /admin/login.";
    OperatorKeyRequired, "operator_key_required", Unauthenticated, "This request needs the operator key.", "Send `Authorization: Bearer <operator key>`; the service prints at start where the key is kept.";
    OperatorKeyInvalid, "operator_key_invalid", Unauthenticated, "The operator key is not valid.", "Use the key in the file the service names at start.";
    // 403
    NotYourOrganization, "not_your_organization", Forbidden, "That organization is not yours.", "Name the organization the token belongs to.";
    RoleInsufficient, "role_insufficient", Forbidden, "Your role does not allow this.", "Ask an owner or admin of the organization.";
    OperatorOnly, "operator_only", Forbidden, "Only the operator may do this.", "Use the operator key.";
    OrganizationSuspended, "organization_suspended", Forbidden, "The organization is suspended.", "Ask the operator of the service to reactivate it.";
    MembersOnly, "members_only", Forbidden, "An organization's data is for its own people.", "Sign in as a member of the organization: the operator key does not open it.";
    QuotaExceeded, "quota_exceeded", Forbidden, "The organization has as much as it may have.", "Delete something, or have the operator raise the quota; `detail` says which.";
    // 404
    RouteNotFound, "route_not_found", NotFound, "There is nothing at this path.", "The paths are listed at /openapi.json and /docs.";
    OrganizationNotFound, "organization_not_found", NotFound, "There is no such organization.", "Check the name or id.";
    OperationNotFound, "operation_not_found", NotFound, "There is no such operation.", "Check the id; it is in the `Operation-Location` header of the change that began it.";
    CollectionNotFound, "collection_not_found", NotFound, "The organization has no such collection.", "Create it at POST /v1/organizations/{organization}/collections, or check its name.";
    DocumentNotFound, "document_not_found", NotFound, "There is no such document.", "Check the id: text after `~` is JSON, 24 hexadecimal digits are an ObjectId, all else is a string.";
    IndexNotFound, "index_not_found", NotFound, "The collection has no such index.", "Check the name; the list of indexes has it.";
    // 405
    MethodNotAllowed, "method_not_allowed", MethodNotAllowed, "This path does not take that method.", "The methods it takes are in the `Allow` header.";
    // 408
    RequestTimeout, "request_timeout", Timeout, "The request did not arrive in time.", "Send it again over a faster connection.";
    // 409
    NameTaken, "name_taken", Conflict, "An organization with this name exists.", "Names are compared without case, spaces and punctuation: choose another.";
    OrganizationExists, "organization_exists", Conflict, "An organization of this id exists, or something of it is left.", "Import it under a new id (`id=new`), or purge the one that is there first.";
    EmailTaken, "email_taken", Conflict, "This e-mail address is in use.", "Use another address, or sign in with this one.";
    OperationInProgress, "operation_in_progress", Conflict, "The organization is being changed.", "Wait for the running operation to finish and send the request again.";
    OrganizationNotDeleted, "organization_not_deleted", Conflict, "The organization is not deleted.", "Only a deleted organization can be restored or purged.";
    OrganizationNotActive, "organization_not_active", Conflict, "The organization is not in a state that allows this.", "Look at its `status` first.";
    OrganizationNotSuspended, "organization_not_suspended", Conflict, "The organization is not suspended.", "Only a suspended organization can be reactivated.";
    DeleteProtected, "delete_protected", Conflict, "The organization is protected from deletion.", "Set `delete_protection` to false first.";
    LegalHold, "legal_hold", Conflict, "The organization is under a legal hold.", "It is kept until the operator sets `legal_hold` to false.";
    IdempotencyInProgress, "idempotency_in_progress", Conflict, "A request with this Idempotency-Key is still running.", "Wait and send it again to get its answer.";
    CollectionExists, "collection_exists", Conflict, "The organization has a collection of this name.", "Use it, or choose another name.";
    CollectionIsDefault, "collection_is_default", Conflict, "Every organization keeps the collection `documents`.", "Delete what is in it instead.";
    DocumentBusy, "document_busy", Conflict, "Others change the same document all the time.", "Send it again; changes that depend on nothing wait for one another only so long.";
    DocumentExists, "document_exists", Conflict, "There is a document of this `_id`.", "Replace it with PUT, or choose another `_id`.";
    IndexExists, "index_exists", Conflict, "The collection has another index of this name, or one of the same keys.", "Drop that one first, or choose another name.";
    TooManyIndexes, "too_many_indexes", Conflict, "The collection has as many indexes as it may have.", "Drop one that is not used.";
    UniqueViolation, "unique_violation", Conflict, "Another document has the same value in a unique index.", "Change the value; `detail` names the index.";
    // 412
    VersionMismatch, "version_mismatch", PreconditionFailed, "The resource has changed since you read it.", "Read it again and send its new ETag in `If-Match`.";
    // 413
    BodyTooLarge, "body_too_large", TooLarge, "The body is too large.", "Send a smaller one; `detail` says the limit.";
    // 414
    UriTooLong, "uri_too_long", UriTooLong, "The URL is too long.", "The whole head of a request may have 16 KiB: send a long filter in the body, at POST .../query.";
    // 415
    UnsupportedMediaType, "unsupported_media_type", UnsupportedMediaType, "The body is of a type this request does not take.", "Send it as the Content-Type that `detail` names.";
    // 422
    IdempotencyKeyReused, "idempotency_key_reused", Unprocessable, "This Idempotency-Key was used for another request.", "Use a new key for a new request.";
    DocumentUnreadable, "document_unreadable", Unprocessable, "A stored document is not well-formed and cannot be read whole.", "A program has written it so: correct or delete the document that `detail` names.";
    // 429
    TooManyIdempotencyKeys, "too_many_idempotency_keys", TooMany, "You have used as many Idempotency-Keys as an account or network may within 24 hours.", "Wait as long as `Retry-After` says, or send the request without the header: keys that have been answered stay good.";
    TooManyAttempts, "too_many_attempts", TooMany, "Too many attempts.", "Wait as long as `Retry-After` says.";
    // 431
    HeadersTooLarge, "headers_too_large", HeadersTooLarge, "The headers of the request are too large.", "Send fewer or shorter ones: 100 headers, and 16 KiB with the first line, are taken.";
    // 500
    Internal, "internal", Internal, "Something went wrong on our side.", "Report the `request_id` to whoever runs the service.";
    // 507
    CapacityReached, "capacity_reached", NoRoom, "The server bears no more containers of their own.", "Ask for the placement `shared`, or have the operator raise MAX_NAMESPACES or add a server.";
    // 503
    SignInBusy, "sign_in_busy", Unavailable, "Too many sign-ins are waiting.", "Try again after as long as `Retry-After` says.";
    StoreUnavailable, "store_unavailable", Unavailable, "The data cannot be reached or written right now.", "Try again after as long as `Retry-After` says.";
    ImportInterrupted, "import_interrupted", Unavailable, "The import was interrupted, and nothing of it is left.", "Send the whole archive again.";
    Overloaded, "overloaded", Unavailable, "The service did not get to an answer in time.", "Try again after as long as `Retry-After` says.";
}

/// A refusal: a row of the table and what is particular to this occurrence.
#[derive(Debug, Clone)]
pub struct Error {
    code: ErrorCode,
    detail: Option<String>,
    fields: Vec<FieldError>,
    retry_after: Option<Duration>,
    max_age: Option<Duration>,
    remaining: Option<u32>,
    cause: Option<String>,
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
            remaining: None,
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

    /// A defect or a surprise: `cause` goes to the log, never to the caller.
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

    /// A query that did not end in its time.
    #[must_use]
    pub fn query_timed_out() -> Self {
        Self::new(ErrorCode::QueryTooSlow)
            .detail("The query did not end within QUERY_TIMEOUT: make an index for it, or ask for less.")
    }

    /// The same with the field at `from` where the request has it, at `to`.
    #[must_use]
    pub fn moved(mut self, from: &str, to: &str) -> Self {
        for field in self.fields.iter_mut().filter(|field| field.pointer == from) {
            to.clone_into(&mut field.pointer);
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
    pub const fn remaining(mut self, attempts: Option<u32>) -> Self {
        self.remaining = attempts;
        self
    }

    /// The row of the table.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        self.code
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
    pub const fn attempts_left(&self) -> Option<u32> {
        self.remaining
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn error_codes_are_snake_case_and_unique() {
        let mut seen = BTreeSet::new();
        for row in ErrorCode::ALL {
            assert!(row.code().chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", row.code());
            assert!(seen.insert(row.code()), "{} stands twice", row.code());
            assert!(row.title().ends_with('.') && row.advice().ends_with('.'), "{}", row.code());
        }
    }

    #[test]
    fn error_cause_never_reaches_the_sentence() {
        let error = Error::internal("secret path");
        assert!(!error.sentence().contains("secret path"));
        assert_eq!(error.cause(), Some("secret path"));
    }
}
