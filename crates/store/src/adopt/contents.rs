//! Reads every document of the source once, and checks that the service can keep it.

use super::plan::{OrganizationCollection, PlannedOrganization};
use super::report::{AdoptError, AdoptProgress, Conflict, ConflictKind};
use super::values::shown;
use bson::{Bson, Document, RawDocument};
use futures_util::TryStreamExt;
use tenantry_documents::document::{DocumentId, ID_FIELD, NewDocument};
use tenantry_domain::limits::INDEXES_MAX;
use tenantry_store_mongodb::{SourceDatabase, is_marker};

/// Refused documents of a collection that are named; the others are counted.
const NAMED: usize = 3;

/// What the checks of all organizations have found.
#[derive(Default)]
pub(super) struct Checks {
    pub(super) conflicts: Vec<Conflict>,
    pub(super) notes: Vec<String>,
}

/// Checks all documents, and counts them; a document that only says when a collection was created is remembered as its
/// marker.
pub(super) async fn check(
    source: &SourceDatabase,
    planned: &mut [PlannedOrganization],
    document_max_bytes: usize,
    tell: &mut (dyn FnMut(AdoptProgress) + Send),
) -> Result<Checks, AdoptError> {
    let mut checks = Checks::default();
    let of = planned.len() as u64;
    for (done, organization) in (1..).zip(planned) {
        let own_id = DocumentId::of_object_id(*organization.record.id.as_bytes());
        for stored in &mut organization.stored {
            let mut scan = CollectionScan::new(own_id.clone(), document_max_bytes);
            let mut pages = source.documents(&stored.database, &stored.name);
            while let Some(page) = pages.try_next().await? {
                page.iter().for_each(|document| scan.add(document, stored.is_container));
                tokio::task::yield_now().await;
            }
            drop(pages);
            scan.finish(&mut organization.documents, &mut organization.bytes, stored, &mut checks);
            checks.notes.extend(note_of_options(stored));
            check_indexes(source, stored, &mut checks).await?;
        }
        tell(AdoptProgress::Checked { organizations: done, of });
    }
    Ok(checks)
}

/// A validator, a collation or a bound would be missed by who relied on it.
fn note_of_options(stored: &OrganizationCollection) -> Option<String> {
    (!stored.options.is_empty()).then(|| {
        format!(
            "{}: the options of the collection are not copied (in place they stay, and hold for the service too): {}",
            stored.path(),
            stored.options.join(", ")
        )
    })
}

async fn check_indexes(
    source: &SourceDatabase,
    stored: &OrganizationCollection,
    checks: &mut Checks,
) -> Result<(), AdoptError> {
    let indexes = source.indexes(&stored.database, &stored.name).await?;
    if !indexes.others.is_empty() {
        checks.notes.push(format!(
            "{}: indexes of kinds that the service does not have are not copied (in place they stay, and serve only your \
             own programs): {}",
            stored.path(),
            indexes.others.join(", ")
        ));
    }
    if indexes.known.len() > INDEXES_MAX as usize {
        checks.conflicts.push(Conflict::new(
            ConflictKind::CollectionRefused,
            [stored.path()],
            format!("It has {} indexes; at most {INDEXES_MAX} are allowed.", indexes.known.len()),
        ));
    }
    Ok(())
}

/// What is known of a collection while it is read.
struct CollectionScan {
    own_id: DocumentId,
    document_max_bytes: usize,
    documents: u64,
    bytes: u64,
    markers: Vec<Document>,
    marker_bytes: u64,
    refused: Vec<String>,
    refusals: u64,
    reason: String,
}

impl CollectionScan {
    const fn new(own_id: DocumentId, document_max_bytes: usize) -> Self {
        Self {
            own_id,
            document_max_bytes,
            documents: 0,
            bytes: 0,
            markers: Vec::new(),
            marker_bytes: 0,
            refused: Vec::new(),
            refusals: 0,
            reason: String::new(),
        }
    }

    fn add(&mut self, document: &RawDocument, is_container: bool) {
        let bytes = document.as_bytes().len() as u64;
        self.documents += 1;
        self.bytes += bytes;
        if is_container && is_marker(document) && self.markers.len() < 2 {
            self.marker_bytes = bytes;
            self.markers.extend(Document::try_from(document).ok());
            return;
        }
        if let Some(reason) = self.reason_against(document) {
            self.refusals += 1;
            if self.refused.len() < NAMED {
                let id = document.get(ID_FIELD).ok().flatten().and_then(|id| Bson::try_from(id).ok());
                self.refused.push(shown(id.as_ref()));
                self.reason = reason;
            }
        }
    }

    fn reason_against(&self, document: &RawDocument) -> Option<String> {
        if document.get(ID_FIELD).ok().flatten().is_none() {
            return Some("Has no `_id`.".to_owned());
        }
        if DocumentId::of(document).is_some_and(|id| id == self.own_id) {
            return Some("Its `_id` is that of the organization, which is reserved.".to_owned());
        }
        let error = NewDocument::from_bson(document.as_bytes().to_vec(), self.document_max_bytes).err()?;
        let error = tenantry_domain::Error::from(error);
        let field = error.fields().first();
        Some(field.map_or_else(
            || error.sentence(),
            |field| format!("{} {}", field.pointer, field.detail).trim().to_owned(),
        ))
    }

    fn finish(
        mut self,
        documents: &mut u64,
        bytes: &mut u64,
        stored: &mut OrganizationCollection,
        checks: &mut Checks,
    ) {
        // If there are several, they are documents like others.
        if self.markers.len() == 1 {
            stored.marker = self.markers.pop();
            self.documents -= 1;
            self.bytes -= self.marker_bytes;
        }
        *documents += self.documents;
        *bytes += self.bytes;
        if self.refusals > 0 {
            let more = if self.refusals > NAMED as u64 {
                format!(" ({} documents in all)", self.refusals)
            } else {
                String::new()
            };
            let records = self.refused.into_iter().map(|id| format!("{} {id}", stored.path()));
            let detail = format!("{}{more}", self.reason);
            checks.conflicts.push(Conflict::new(ConflictKind::DocumentRefused, records, detail));
        }
    }
}
