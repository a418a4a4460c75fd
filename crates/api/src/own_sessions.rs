//! The sessions of the signed-in account: where it is signed in, and ending that.

use super::auth::RequireAccount;
use super::cursor::Cursor;
use super::extract::QueryFields;
use super::http::Http;
use super::openapi::Access;
use super::path_params::SessionPath;
use super::problem::ApiError;
use super::request_fields::request_fields;
use super::responses::json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use std::sync::Arc;
use tenantry_domain::ErrorCode;
use tenantry_domain::app::sessions::OwnSession;
use tenantry_domain::ids::{OrganizationId, SessionId};
use tenantry_domain::page::PageLimit;
use utoipa::ToSchema;

/// A session of the signed-in account.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionResponse<'a> {
    /// 24 hex digits; the `sid` of its access tokens.
    #[schema(value_type = String)]
    pub id: SessionId,
    /// The organization it is signed in to: 24 hex digits.
    #[schema(value_type = String)]
    pub organization_id: OrganizationId,
    /// The name of that organization.
    #[schema(example = "Tech Innovations Corp")]
    pub organization_name: &'a str,
    /// When the password was given, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub signed_in_at: Timestamp,
    /// When its refresh token was last exchanged, RFC 3339 in UTC; null if never.
    #[schema(required = true, value_type = Option<String>, format = DateTime)]
    pub last_refreshed_at: Option<Timestamp>,
    /// When it ends unless its refresh token is exchanged before, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub idle_expires_at: Timestamp,
    /// When it ends in any case, RFC 3339 in UTC.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Whether it is the session of the token that this request came with.
    pub current: bool,
}

impl<'a> From<&'a OwnSession> for SessionResponse<'a> {
    fn from(own: &'a OwnSession) -> Self {
        let session = &own.session;
        Self {
            id: session.id,
            organization_id: session.organization_id,
            organization_name: own.organization.naming.name.as_str(),
            signed_in_at: session.signed_in_at,
            last_refreshed_at: session.used.as_ref().map(|used| used.used_at),
            idle_expires_at: session.idle_expires_at,
            expires_at: session.expires_at,
            current: own.is_current,
        }
    }
}

/// A slice of the list of one's sessions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SessionPage)]
pub struct SessionPage<'a> {
    /// In the order in which they began.
    pub items: Vec<SessionResponse<'a>>,
    /// Pass it as `cursor` for the next page; null on the last.
    #[schema(required = true)]
    pub next_cursor: Option<String>,
}

request_fields! {
    /// Which of one's sessions to list.
    pub struct SessionListQuery in query {
        /// Items of a page, 1 to 200; 50 by default.
        pub limit: PageLimit = numeric(PageLimit::parse) or default,
        /// `next_cursor` of the page before.
        pub cursor: Option<SessionId> = optional(|text| Cursor::parse(text)?.own_session()),
    }
}

/// List the sessions of the signed-in account.
///
/// Those that have not ended, in all its organizations, a page at a time.
#[utoipa::path(get, path = "/v1/me/sessions", operation_id = "listSessions", tag = "Sign-in",
    params(SessionListQuery),
    responses((status = 200, description = "A page of sessions.", body = SessionPage<'static>)),
    extensions(("x-rule" = json!(Access::Member.refuses(&[ErrorCode::InvalidInput])))))]
pub async fn list_sessions(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let SessionListQuery { limit, cursor } = query.parse(SessionListQuery::from_fields)?;
    let page = http.app.sessions.list_own_sessions(&member, cursor, limit).await?;
    let body = SessionPage {
        items: page.items.iter().map(SessionResponse::from).collect(),
        next_cursor: page.next.map(|id| Cursor::of_own_session(id).to_string()),
    };
    Ok(json(StatusCode::OK, &body))
}

/// End a session of the signed-in account.
///
/// Its access and refresh tokens are refused from now on. It may be the session of this request.
#[utoipa::path(delete, path = "/v1/me/sessions/{session}", operation_id = "endSession", tag = "Sign-in",
    params(SessionPath),
    responses((status = 204, description = "The session has ended.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[ErrorCode::SessionNotFound])))))]
pub async fn end_session(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    SessionPath(session): SessionPath,
) -> Result<Response, ApiError> {
    http.app.sessions.end_own_session(&member, session).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

request_fields! {
    /// Which of one's sessions to end.
    pub struct EndSessionsQuery in query {
        /// `true` keeps the session of this request.
        pub keep_current: bool = flag or default,
    }
}

/// End all sessions of the signed-in account.
///
/// In all its organizations, at once: all their access and refresh tokens are refused from now on. The session of this
/// request ends, too, unless `keep_current` is `true`.
#[utoipa::path(delete, path = "/v1/me/sessions", operation_id = "endSessions", tag = "Sign-in",
    params(EndSessionsQuery),
    responses((status = 204, description = "The sessions have ended.")),
    extensions(("x-rule" = json!(Access::Member.refuses(&[ErrorCode::InvalidInput])))))]
pub async fn end_sessions(
    State(http): State<Arc<Http>>,
    RequireAccount(member): RequireAccount,
    QueryFields(query): QueryFields,
) -> Result<Response, ApiError> {
    let EndSessionsQuery { keep_current } = query.parse(EndSessionsQuery::from_fields)?;
    http.app.sessions.end_own_sessions(&member, keep_current).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
