//! Ids of the documents that one request inserts, made of the request, so that a repeated request finds them.

use crate::collection::CollectionName;
use crate::idempotency::IdempotencyKey;
use crate::ids::OrganizationId;
use aws_lc_rs::hmac;
use bson::oid::ObjectId;
use tenantry_documents::document::DocumentId;

/// The `_id` of that line of that request.
pub(super) fn derive_line_id(
    key: &[u8; 32],
    organization: OrganizationId,
    collection: &CollectionName,
    request: &IdempotencyKey,
    line: u64,
) -> DocumentId {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    context.update(b"line\0");
    context.update(organization.as_bytes());
    context.update(&request.0);
    context.update(&line.to_be_bytes());
    context.update(collection.as_str().as_bytes());
    let mut id = [0; 12];
    id.copy_from_slice(&context.sign().as_ref()[..12]);
    ObjectId::from_bytes(id).into()
}
