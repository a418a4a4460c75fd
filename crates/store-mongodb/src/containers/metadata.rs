//! A container's metadata document: which organization it belongs to, and when it was created.

use crate::record_codec::{moment, object_id};
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use tenantry_domain::ids::OrganizationId;

/// The version of the layout of containers, for programs that read them directly.
const SCHEMA_VERSION: &str = "1.0";

pub(crate) fn metadata(id: OrganizationId, created_at: Timestamp) -> Document {
    doc! {
        "_id": object_id(id.as_bytes()),
        "metadata": { "created_at": moment(created_at), "schema_version": SCHEMA_VERSION },
    }
}
