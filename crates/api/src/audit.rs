//! The audit trail: of one organization, and of the installation.

use super::auth::{RequireCaller, RequireOperatorOrService};
use super::conditional::hash;
use super::cursor::Cursor;
use super::extract::QueryFields;
use super::fields::Fields;
use super::http::Http;
use super::openapi::Access;
use super::path_params::OrganizationPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::{ActorResponse, json};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use tenantry_domain::app::audit::{AuditAccess, AuditFilter};
use tenantry_domain::app::auth::OrganizationRef;
use tenantry_domain::audit::{AuditAction, AuditChain, AuditEntry, AuditTarget};
use tenantry_domain::ids::{AuditEventId, OrganizationId};
use tenantry_domain::page::PageLimit;
use tenantry_domain::permission::Permission;
use tenantry_domain::{Error, ErrorCode, Result};
use utoipa::ToSchema;

/// The media type of an exported chain.
const NDJSON: &str = "application/x-ndjson";

/// An event of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
pub struct AuditEventResponse {
    /// 24 hex digits; of an operation, the operation's.
    #[schema(value_type = String)]
    pub id: AuditEventId,
    /// Its place in its chain, from 1 on.
    pub sequence: u64,
    /// Whose trail it is in; null means the installation's.
    #[schema(required = true, value_type = Option<String>)]
    pub organization_id: Option<OrganizationId>,
    /// When it happened, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What happened; the page "Audit trail" lists all actions.
    #[schema(example = "key.created")]
    pub action: &'static str,
    /// Who did it; null after a purge, and if the event is unreadable.
    #[schema(required = true)]
    pub actor: Option<ActorResponse>,
    /// The backend's own id of the user it acted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub subject: Option<String>,
    /// What it was done to, if not to the organization itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = AuditTargetResponse)]
    pub target: Option<AuditTargetResponse>,
    /// Where the request came from: an address, or for counted events a network.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String, example = "192.0.2.1")]
    pub address: Option<String>,
    /// The id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub request_id: Option<String>,
    /// `succeeded`, `failed` or `denied`; null after a purge.
    #[schema(required = true)]
    pub outcome: Option<&'static str>,
    /// The error code of what failed or was denied.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = String)]
    pub code: Option<String>,
    /// How often it happened in its minute, for counted events.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, value_type = u64)]
    pub count: Option<u64>,
    /// What else there is to know, such as a role or permissions.
    pub details: BTreeMap<String, String>,
    /// The SHA-256 of the entry, which the next one names: 64 hex digits.
    pub hash: String,
    /// Whether a purge has removed all but this.
    pub redacted: bool,
}

/// What an action was done to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditTarget)]
pub struct AuditTargetResponse {
    /// `account`, `session`, `api_key` or `invitation`.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// 24 hex digits.
    pub id: String,
}

impl From<AuditTarget> for AuditTargetResponse {
    fn from(target: AuditTarget) -> Self {
        let (kind, id) = match target {
            AuditTarget::Account(id) => ("account", id.to_string()),
            AuditTarget::Session(id) => ("session", id.to_string()),
            AuditTarget::ApiKey(id) => ("api_key", id.to_string()),
            AuditTarget::Invitation(id) => ("invitation", id.to_string()),
        };
        Self { kind, id }
    }
}

impl AuditEventResponse {
    /// A text that is unreadable, because somebody has changed it, does not hide the other events: verifying the chain
    /// tells of it.
    fn new(entry: &AuditEntry) -> Self {
        let event = entry.event().unwrap_or_else(|error| {
            tracing::error!(chain = %entry.chain, sequence = entry.sequence, %error, "an audit event is unreadable");
            None
        });
        let redacted = entry.text.is_none();
        let base = Self {
            id: entry.id,
            sequence: entry.sequence,
            organization_id: entry.chain.0,
            at: entry.at,
            action: entry.action.as_str(),
            actor: None,
            subject: None,
            target: None,
            address: None,
            request_id: None,
            outcome: None,
            code: None,
            count: None,
            details: BTreeMap::new(),
            hash: entry.head().hash_text(),
            redacted,
        };
        let Some(event) = event else { return base };
        Self {
            actor: Some(event.actor.into()),
            subject: event.subject,
            target: event.target.map(AuditTargetResponse::from),
            address: event.address,
            request_id: event.request_id,
            outcome: Some(event.outcome.as_str()),
            code: event.code,
            count: event.count,
            details: event.details,
            ..base
        }
    }
}

/// A page of the audit trail.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditPage {
    /// The newest first.
    pub items: Vec<AuditEventResponse>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

/// A signed statement of where a chain ends.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Checkpoint)]
pub struct CheckpointResponse {
    /// The statement: a compact JWS, signed with Ed25519. Keep it where nobody who can write to the database can.
    pub checkpoint: String,
    /// Whose chain: the id of an organization, or `installation`.
    pub chain: String,
    /// The number of the last entry.
    pub sequence: u64,
    /// Its hash: 64 hex digits.
    pub hash: String,
    /// When it was signed, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The public key that checks the signature (RFC 8037).
    #[schema(value_type = BTreeMap<String, String>)]
    pub key: serde_json::Value,
}

request_fields! {
    /// Which events to list.
    pub struct AuditListQuery in query {
        /// Only events of this action, such as `key.created`.
        pub action: Option<AuditAction> = optional(|text| AuditAction::parse(text)
            .ok_or_else(|| "Is no action of the audit trail; the page \"Audit trail\" lists them.".to_owned())),
        /// Only events of this actor: `operator`, `system`, `anonymous`, `account:ID` or `api_key:ID`.
        pub actor: Option<String> = optional(parse_actor),
        /// Only events of this time or later, RFC 3339.
        pub since: Option<Timestamp> = optional(parse_time),
        /// Only events before this time, RFC 3339.
        pub until: Option<Timestamp> = optional(parse_time),
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<(AuditEventId, String)> = optional(|text| Cursor::parse(text)?.audit_event()),
    }
}

fn parse_time(text: &str) -> Result<Timestamp, String> {
    text.parse().map_err(|_| "Must be a time as in RFC 3339, such as `2027-01-31T12:00:00Z`.".to_owned())
}

fn parse_actor(text: &str) -> Result<String, String> {
    let is_id = |id: &str| id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_actor = match text.split_once(':') {
        Some(("account" | "api_key", id)) => is_id(id),
        Some(_) => false,
        None => matches!(text, "operator" | "system" | "anonymous"),
    };
    if is_actor {
        return Ok(text.to_ascii_lowercase());
    }
    Err("Must be `operator`, `system`, `anonymous`, `account:ID` or `api_key:ID`.".to_owned())
}

/// List the events of an organization.
///
/// Who did what, the newest first: sign-ins, changes of people, keys and settings, exchanges, exports, and what was denied.
/// For owners, admins, keys with `audit:read`, and the operator, who also reads the trail of an organization that is gone,
/// by its id. Everything that was acknowledged before is in it. Reads and writes of documents are not.
#[utoipa::path(get, path = "/v1/organizations/{organization}/audit", operation_id = "listAuditEvents", tag = "Audit",
    params(OrganizationPath, AuditListQuery),
    responses((status = 200, description = "A page of events.", body = AuditPage)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient
    ])))))]
pub async fn list_audit_events(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let access = http.app.audit.allow_read(&caller, &OrganizationRef::parse(&which)?).await?;
    list(&http, access, query).await
}

/// List the events of the installation.
///
/// What concerns no single organization: service keys, and failed sign-ins with unknown addresses. For the operator, and for
/// a service key with `audit:read` that is not limited to some organizations.
#[utoipa::path(get, path = "/v1/audit", operation_id = "listInstallationAuditEvents", tag = "Audit",
    params(AuditListQuery),
    responses((status = 200, description = "A page of events.", body = AuditPage)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput
    ])))))]
pub async fn list_installation_audit_events(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let access = http.app.audit.allow_read_installation(&caller)?;
    list(&http, access, query).await
}

async fn list(http: &Http, access: AuditAccess, query: Fields) -> Result<Response, ApiError> {
    let query = query.parse(AuditListQuery::from_fields)?;
    let AuditListQuery { action, actor, since, until, limit, cursor } = query;
    let list = name_of_list(&access, action, actor.as_deref(), since, until);
    let before =
        cursor.map(|(id, of)| if of == list { Ok(id) } else { Err(of_another_list()) }).transpose()?;
    let filter = AuditFilter { action, actor, since, until };
    let page = http.app.audit.list_events(&access, filter, before, limit).await?;
    let body = AuditPage {
        items: page.items.iter().map(AuditEventResponse::new).collect(),
        next_cursor: page.next.map(|id| Cursor::of_audit_event(id, &list).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

/// The name of a list in its cursors: a hash of whose it is, and of its filters.
fn name_of_list(
    access: &AuditAccess,
    action: Option<AuditAction>,
    actor: Option<&str>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
) -> String {
    let action = action.map(AuditAction::as_str);
    hash(format!("{} {action:?} {actor:?} {since:?} {until:?}", access.chain()).as_bytes())
}

fn of_another_list() -> Error {
    let rule =
        "Is a cursor of another list: send it with the path and the filters of the page that it came with.";
    Error::invalid_field("?cursor", rule)
}

request_fields! {
    /// Which chain to export.
    pub struct AuditChainQuery in query {
        /// A trail that an import has brought along, instead of the organization's own: the name that the event
        /// `organization.imported` gives it, 24 hex digits.
        pub trail: Option<AuditChain> = optional(parse_trail),
    }
}

fn parse_trail(text: &str) -> Result<AuditChain, String> {
    let trail: Option<OrganizationId> = text.parse().ok();
    trail.map(AuditChain::from).ok_or_else(|| "Must be 24 hex digits.".to_owned())
}

/// Export the chain of an organization.
///
/// NDJSON, one entry a line in the order of the chain: `sequence`, `id`, `at`, `action`, `actor`, `text` (the event as it was
/// written and hashed; null after a purge), `digest`, `previous` and `hash`. `tenantry audit verify` checks it.
#[utoipa::path(get, path = "/v1/organizations/{organization}/audit/chain", operation_id = "exportAuditChain",
    tag = "Audit",
    params(OrganizationPath, AuditChainQuery),
    responses((status = 200, description = "The chain, while it is read.", body = String,
        content_type = "application/x-ndjson")),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient
    ])))))]
pub async fn export_audit_chain(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let access = http.app.audit.allow_read(&caller, &OrganizationRef::parse(&which)?).await?;
    let AuditChainQuery { trail } = query.parse(AuditChainQuery::from_fields)?;
    let access = trail.map_or(Ok(access.clone()), |trail| access.carried(trail))?;
    export(http, access).await
}

/// Export the chain of the installation.
///
/// As for an organization.
#[utoipa::path(get, path = "/v1/audit/chain", operation_id = "exportInstallationAuditChain", tag = "Audit",
    responses((status = 200, description = "The chain, while it is read.", body = String,
        content_type = "application/x-ndjson")),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput
    ])))))]
pub async fn export_installation_audit_chain(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    query.finish_empty()?;
    let access = http.app.audit.allow_read_installation(&caller)?;
    export(http, access).await
}

/// The chain, page by page. The first page is read before the head of the response is sent.
async fn export(http: Arc<Http>, access: AuditAccess) -> Result<Response, ApiError> {
    let first = http.app.audit.read_chain(&access, 0).await?;
    let pages = stream::unfold(Some((http, access, first)), move |state| async move {
        let (http, access, page) = state?;
        let last = page.last()?.sequence;
        let lines = page.iter().try_fold(Vec::new(), |mut lines, entry| {
            serde_json::to_writer(&mut lines, entry).map_err(Error::internal)?;
            lines.push(b'\n');
            Ok::<_, Error>(lines)
        });
        match http.app.audit.read_chain(&access, last).await {
            Ok(next) if lines.is_ok() => Some((lines, Some((http, access, next)))),
            Ok(_) => Some((lines, None)),
            Err(error) => Some((Err(error), None)),
        }
    });
    let mut response = Body::from_stream(pages).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON));
    Ok(response)
}

/// Sign a checkpoint of the chain of an organization.
///
/// A statement of where the chain ends now. Kept elsewhere, it shows later whether the end of the chain was cut
/// off, or the whole chain computed again.
#[utoipa::path(get, path = "/v1/organizations/{organization}/audit/checkpoint", operation_id = "getAuditCheckpoint",
    tag = "Audit",
    params(OrganizationPath),
    responses((status = 200, description = "The checkpoint.", body = CheckpointResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrMember.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput, ErrorCode::OrganizationNotFound, ErrorCode::RoleInsufficient
    ])))))]
pub async fn get_audit_checkpoint(
    State(http): State<Arc<Http>>,
    RequireCaller(caller): RequireCaller,
    OrganizationPath(which): OrganizationPath,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    query.finish_empty()?;
    let access = http.app.audit.allow_read(&caller, &OrganizationRef::parse(&which)?).await?;
    checkpoint(&http, access).await
}

/// Sign a checkpoint of the chain of the installation.
///
/// As for an organization.
#[utoipa::path(get, path = "/v1/audit/checkpoint", operation_id = "getInstallationAuditCheckpoint", tag = "Audit",
    responses((status = 200, description = "The checkpoint.", body = CheckpointResponse)),
    extensions(("x-rule" = json!(Access::OperatorOrService.needs(Permission::AuditRead).refuses(&[
        ErrorCode::InvalidInput
    ])))))]
pub async fn get_installation_audit_checkpoint(
    State(http): State<Arc<Http>>,
    RequireOperatorOrService(caller): RequireOperatorOrService,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    query.finish_empty()?;
    let access = http.app.audit.allow_read_installation(&caller)?;
    checkpoint(&http, access).await
}

async fn checkpoint(http: &Http, access: AuditAccess) -> Result<Response, ApiError> {
    let signed = http.app.audit.sign_checkpoint(&access).await?;
    let body = CheckpointResponse {
        checkpoint: signed.text,
        chain: signed.chain.to_string(),
        sequence: signed.head.sequence,
        hash: signed.head.hash_text(),
        at: signed.at,
        key: signed.jwk,
    };
    Ok(json(StatusCode::OK, &body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actor_parse_takes_the_texts_of_the_trail_only() {
        let id = "0123456789abcdef01234567";
        for text in ["operator", "system", "anonymous", &format!("account:{id}"), &format!("api_key:{id}")] {
            assert_eq!(parse_actor(text).as_deref(), Ok(text));
        }
        for text in ["", "account", "account:", "account:xyz", "key:1", "operator:1"] {
            assert!(parse_actor(text).is_err(), "{text}");
        }
    }
}
