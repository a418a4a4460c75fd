//! Exports and imports of organizations in the v1 API, as streams.
//!
//! # Pitfalls
//! An export that fails halfway has already been answered with 200. Its stream is then cut off, and its reader can
//! tell from the missing end line.

use super::auth::{RequireCaller, RequireOperator};
use super::content_coding::{CodingFault, decoded};
use super::extract::{QueryFields, media_type, not_taken};
use super::http::Http;
use super::line_clock::{LineClock, PieceArrival, too_slow};
use super::openapi::Access;
use super::organizations::answer;
use super::path_params::OrganizationPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{OperationResponse, OrganizationResponse, with_location};
use crate::error_codes;
use crate::paced_stream::ReadPace;
use axum::body::{Body, BodyDataStream};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::app::archives::source::ArchiveStream;
use tenantry_domain::app::archives::{Export, Import, ImportedId};
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::email::EmailAddress;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::name::OrganizationName;
use tenantry_domain::organization::{Organization, Placement};
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode};

/// The media type of an archive.
const NDJSON: &str = "application/x-ndjson";
/// The route whose response waits until the whole body has arrived.
pub const IMPORT: &str = "/v1/organizations/import";

request_fields! {
    /// What the archive holds.
    pub struct ExportQuery in query {
        /// `true` (the default) for an archive with the audit trail, `false` for one without.
        pub audit: Option<bool> = optional(parse_switch),
    }
}

fn parse_switch(text: &str) -> Result<bool, &'static str> {
    text.parse().map_err(|_| "Must be true or false.")
}

/// Export an organization.
///
/// Its settings, its members, roles and API keys (as hashes), all its data, and its audit trail. The operator exports any
/// organization, also a deleted one by its id; an owner exports their own.
///
/// The archive is NDJSON and ends with a line `{"end":..}`; an archive without that line is incomplete, and
/// importing it is refused. It is no snapshot: each document is whole, and what changes during the export may
/// or may not be in it. To the operator, it contains the password hashes of accounts that belong to this organization
/// alone; to an owner, no hash but their own.
#[utoipa::path(get, path = "/v1/organizations/{organization}/export", operation_id = "exportOrganization",
    tag = "Organizations",
    params(OrganizationPath, ExportQuery),
    responses((status = 200, description = "The archive, while it is written.", body = String,
        content_type = "application/x-ndjson")),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::OrganizationsExport).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::RoleInsufficient, ErrorCode::OrganizationNotFound,
        ErrorCode::OrganizationNotActive
    ])))))]
pub async fn export_organization(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
    connection: Connection,
) -> Result<Response, ApiError> {
    let right = http.app.exporter.allow_export(&caller, &OrganizationRef::parse(&which)?).await?;
    let ExportQuery { audit } = query.parse(ExportQuery::from_fields)?;
    let right = if audit == Some(false) { right.without_audit() } else { right };
    let file_name = file_name(right.organization());
    let mut watch = ExportWatch::new(right.organization().id, connection, http.settings.export_pause_timeout);
    let mut export = http.app.exporter.export_organization(right);
    // Every refusal happens before the head of the response is sent.
    let begin = export.next().await.inspect_err(|_| watch.is_over = true)?.unwrap_or_default();
    let sending = Some(ExportBody { export, watch });
    let chunks = stream::once(async { Ok(begin) }).chain(stream::unfold(sending, next_chunk));
    let mut response = Body::from_stream(chunks).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{file_name}\""));
    headers.insert(header::CONTENT_DISPOSITION, disposition.map_err(Error::internal)?);
    Ok(response)
}

/// An identifier contains only characters that are valid in a file name and in a header.
fn file_name(organization: &Organization) -> String {
    format!("{}.ndjson", organization.naming.identifier)
}

/// The response body of an export.
struct ExportBody {
    export: Export,
    watch: ExportWatch,
}

async fn next_chunk(sending: Option<ExportBody>) -> Option<(Result<Vec<u8>, Error>, Option<ExportBody>)> {
    let mut sending = sending?;
    match sending.export.next().await {
        Ok(Some(chunk)) => Some((Ok(chunk), Some(sending))),
        Ok(None) => {
            sending.watch.is_over = true;
            None
        }
        Err(error) => {
            let organization = sending.watch.organization;
            tracing::warn!(%organization, %error, "an export was cut off");
            sending.watch.is_over = true;
            Some((Err(error), None))
        }
    }
}

/// How long the connection of a request waits for its client; `None` if there is no connection.
pub struct Connection(Option<ReadPace>);

impl<S: Sync> FromRequestParts<S> for Connection {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get().cloned()))
    }
}

/// Gives the reader of an export its own timeout, and logs why the export ended before its end line.
struct ExportWatch {
    organization: OrganizationId,
    connection: Connection,
    limit: Duration,
    /// Whether the end needs no further log line.
    is_over: bool,
}

impl ExportWatch {
    fn new(organization: OrganizationId, connection: Connection, limit: Duration) -> Self {
        if let Some(patience) = &connection.0 {
            patience.set(limit);
        }
        Self { organization, connection, limit, is_over: false }
    }
}

impl Drop for ExportWatch {
    fn drop(&mut self) {
        let patience = self.connection.0.as_ref();
        if let Some(patience) = patience {
            patience.reset();
        }
        if self.is_over {
            return;
        }
        let organization = self.organization;
        if patience.is_some_and(ReadPace::has_run_out) {
            let seconds = self.limit.as_secs();
            tracing::warn!(
                %organization,
                seconds,
                "an export was cut off: its reader took nothing for as long as EXPORT_PAUSE_TIMEOUT says"
            );
        } else {
            tracing::warn!(%organization, "an export was cut off: its reader hung up, or the service is stopping");
        }
    }
}

request_fields! {
    /// Overrides of what the archive says.
    pub struct ImportQuery in query {
        /// Another name, if the one in the archive is taken.
        pub organization_name: Option<OrganizationName> = optional(OrganizationName::parse),
        /// `keep` (the default) keeps the id from the archive; `new` assigns another one.
        pub id: ImportedId = optional(parse_id) or default,
        /// Where its data goes, if not where the settings say: `database`, `collection` or `shared`.
        pub placement: Option<Placement> = optional(str::parse),
        /// Another address for its owner, if the old one is taken.
        pub owner_email: Option<EmailAddress> = optional(EmailAddress::parse),
    }
}

/// Import an organization from an archive.
///
/// Its settings, its people and all its data. The organization appears at once, when the whole archive has
/// arrived and is valid. If anything goes wrong, nothing of it is left.
///
/// An account that is there is never changed: a member whose address has one is invited. API keys open nothing before an
/// admin has confirmed them.
#[utoipa::path(post, path = "/v1/organizations/import", operation_id = "importOrganization", tag = "Organizations",
    params(ImportQuery),
    request_body(content = String, content_type = "application/x-ndjson", description = "The archive."),
    responses(
        (status = 201, description = "The organization.", body = OrganizationResponse<'static>),
        (status = 202, description = "Another instance has taken it over; `Location` says where to watch.",
            body = OperationResponse)),
    extensions(("x-rule" = json!(Access::Operator.refuses(&[
        // `organization_not_found`: it was created, and purged before the response.
        ErrorCode::ArchiveInvalid, ErrorCode::OrganizationExists, ErrorCode::NameTaken, ErrorCode::EmailTaken,
        ErrorCode::UniqueViolation, ErrorCode::CapacityReached, ErrorCode::ImportInterrupted,
        ErrorCode::OrganizationNotFound
    ])))))]
pub async fn import_organization(
    State(http): State<Arc<Http>>,
    RequireOperator(operator): RequireOperator,
    QueryFields(query): QueryFields,
    request: Request,
) -> Result<Response, ApiError> {
    let query = query.parse(ImportQuery::from_fields)?;
    require_ndjson(request.headers())?;
    let (head, body) = request.into_parts();
    let archive = chunks(decoded(&head.headers, body)?, http.settings.request_timeout);
    let import = Import {
        name: query.organization_name,
        id: query.id,
        placement: query.placement,
        owner_email: query.owner_email,
    };
    let imported = http.app.importer.import_organization(&operator, import, archive).await;
    // A body has no members here: what the domain names by a member of one is a parameter.
    let outcome = imported.map_err(|error| error.moved("/placement", "?placement"))?;
    let response = answer(StatusCode::CREATED, &outcome);
    let location = format!("/v1/organizations/{}", outcome.record().organization_id);
    let is_made = response.status() == StatusCode::CREATED;
    Ok(if is_made { with_location(response, &location) } else { response })
}

fn parse_id(text: &str) -> Result<ImportedId, &'static str> {
    match text {
        "keep" => Ok(ImportedId::Keep),
        "new" => Ok(ImportedId::New),
        _ => Err("Must be keep or new."),
    }
}

fn require_ndjson(headers: &HeaderMap) -> Result<(), Error> {
    if media_type(headers) == NDJSON {
        return Ok(());
    }
    let detail = format!("The body must be an archive: send `Content-Type: {NDJSON}`.");
    Err(not_taken(&media_type(headers), "an archive", &detail))
}

/// A body as it arrives. The whole may take any time, but no pause and no single line may take longer than
/// `patience`.
fn chunks(body: Body, patience: Duration) -> ArchiveStream {
    let next = move |arriving: Option<(BodyDataStream, LineClock)>| async move {
        let (mut body, mut clock) = arriving?;
        let error = match clock.next(&mut body, patience).await {
            PieceArrival::Piece(Some(Ok(bytes))) => {
                clock.pass(&bytes);
                return Some((Ok(Vec::from(bytes)), Some((body, clock))));
            }
            PieceArrival::Piece(None) => return None,
            PieceArrival::Piece(Some(Err(error))) => match CodingFault::behind(&error) {
                Some(fault) => fault.refusal(ErrorCode::ArchiveInvalid),
                None => Error::new(ErrorCode::ImportInterrupted).detail("The archive did not arrive whole."),
            },
            PieceArrival::Nothing => error_codes::REQUEST_TIMEOUT.into(),
            PieceArrival::TooSlow => too_slow(patience),
        };
        Some((Err(error), None))
    };
    stream::unfold(Some((body.into_data_stream(), LineClock::new(patience))), next).boxed()
}
