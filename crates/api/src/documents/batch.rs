//! Batches: operations on several documents of an organization, all carried out or none.

mod body;
mod results;

use crate::auth::RequireTenant;
use crate::conditional::Unconditional;
use crate::extract::DocumentBody;
use crate::http::Http;
use crate::idempotency::{self, IdempotencyHeader, IdempotentRequest, Replay, Scope, ShortBody};
use crate::openapi::{Access, DOCUMENT_CHANGE, REPEATABLE};
use crate::problem::ApiError;
use crate::responses::json_text;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use body::BatchRequest;
use results::{BatchResponse, expanded, short, whole};
use std::sync::Arc;
use tenantry_domain::app::documents::KeyedBatch;
use tenantry_domain::app::tenant::{TenantAccess, Write};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::limits::INLINE_MAX_BYTES;
use tenantry_domain::offload;
use tenantry_domain::permission::Permission;
use tenantry_domain::{ErrorCode, Result};

/// Change several documents at once.
///
/// Up to 1,000 operations on documents of one or more collections, in their order: all are carried out, or none. A refusal
/// names the operation by its JSON pointer. On MongoDB, more than one operation needs a replica set.
#[utoipa::path(post, path = "/v1/organizations/{organization}/batch",
    operation_id = "runBatch", tag = "Documents",
    params(RequireTenant<Write>, IdempotencyHeader),
    request_body = BatchRequest,
    responses((status = 200, description = "All operations were carried out.", body = BatchResponse)),
    extensions(("x-rule" = json!(Access::OwnMember.needs(Permission::DocumentsWrite).refuses(&DOCUMENT_CHANGE)
        .and(&REPEATABLE).and(&[ErrorCode::DocumentExists, ErrorCode::BatchesUnsupported,
            ErrorCode::IdempotencyOutcomeUnknown])))))]
pub async fn run_batch(
    State(http): State<Arc<Http>>,
    RequireTenant(tenant): RequireTenant<Write>,
    Unconditional: Unconditional,
    key: IdempotencyHeader,
    body: DocumentBody,
) -> Result<Response, ApiError> {
    let name = tenant.scope();
    let scope = Scope { name: &name, holder: Some(http.app.idempotency.key_holder_of_member(&tenant)) };
    let request = IdempotentRequest { route: "POST batch", body: &body.0 };
    let replay = Replay::Expanded({
        let (body, max_bytes) = (body.clone(), http.app.policy().document_max_bytes);
        Box::new(move |made: OrganizationId, stored: &[u8]| expanded(&body, max_bytes, made, stored))
    });
    let (work, access, sent) = (Arc::clone(&http), tenant.clone(), body.clone());
    idempotency::once_keyed(&http, key, scope, request, replay, move |keyed| async move {
        let keyed = keyed.map(|keyed| KeyedBatch { made: keyed.id, is_again: keyed.is_again });
        carry_out(&work, &access, sent, keyed).await
    })
    .await
}

async fn carry_out(
    http: &Http,
    tenant: &TenantAccess<Write>,
    body: DocumentBody,
    keyed: Option<KeyedBatch>,
) -> Result<Response, ApiError> {
    let (bytes, max_bytes) = (body.0.len(), http.app.policy().document_max_bytes);
    let operations = offload::by_filter_size(bytes, move || body::read(&body, max_bytes)).await??;
    let results = http.app.documents.run_batch(tenant, operations, keyed).await?;
    // A result is shorter than most operations.
    let written = offload::by_size(bytes.min(INLINE_MAX_BYTES + 1), move || {
        let mut response = json_text(StatusCode::OK, whole(&results));
        if let Some(short) = short(&results) {
            response.extensions_mut().insert(ShortBody(short));
        }
        response
    });
    Ok(written.await?)
}
