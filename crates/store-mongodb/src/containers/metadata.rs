//! The document that a container begins with: it tells whose container it is, and when it was made.

use crate::record_codec::{moment, object_id};
use jiff::Timestamp;
use mongodb::bson::{Document, doc};
use tenantry_domain::ids::OrganizationId;

/// The form of containers, as far as it concerns those who read them with their own programs.
const SCHEMA_VERSION: &str = "1.0";

pub(crate) fn metadata(id: OrganizationId, created_at: Timestamp) -> Document {
    doc! {
        "_id": object_id(id.as_bytes()),
        "metadata": { "created_at": moment(created_at), "schema_version": SCHEMA_VERSION },
    }
}
