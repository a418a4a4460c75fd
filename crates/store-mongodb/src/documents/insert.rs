//! Inserts many documents, each independently.
//!
//! # Pitfalls
//! With a quota the results must be those of inserts one after the other. A document that already exists takes no
//! room, and one that does not fit leaves room for a smaller one after it.

use super::sizes::sizes_of;
use super::write::{append_durably, check_durable, delete_by, number, write_errors};
use crate::collections::command::{Amount, Command};
use crate::collections::handle::CollectionHandle;
use crate::collections::index_cache::IndexCache;
use crate::engine_error::{COLLECTION_UUID_MISMATCH, EngineResult};
use crate::quota::claim::Claims;
use crate::quota::size::Size;
use bson::raw::{RawArrayBuf, cstr};
use bson::{RawDocument, rawdoc};
use mongodb::bson::{Bson, Document, doc};
use std::collections::BTreeSet;
use tenantry_documents::document::StoredDocument;
use tenantry_domain::error::{Error, ErrorCode, Result};

/// Documents and bytes of one command. MongoDB's limits are 100,000 and 48 MB.
const COMMAND_DOCUMENTS: usize = 10_000;
const COMMAND_BYTES: usize = 16 << 20;
/// How often room is looked for while other writes take it.
const MAX_ATTEMPTS: u32 = 100;

/// See [`self`].
pub(super) struct DocumentInserter {
    claims: Claims,
    indexes: IndexCache,
}

impl DocumentInserter {
    pub(super) const fn new(claims: Claims, indexes: IndexCache) -> Self {
        Self { claims, indexes }
    }

    /// Inserts documents; returns the result of each.
    pub(super) async fn insert(
        &self,
        handle: &mut CollectionHandle<'_>,
        documents: &[StoredDocument],
    ) -> EngineResult<Vec<Result<()>>> {
        let (mut outcomes, mut sizes) = (Vec::with_capacity(documents.len()), Vec::new());
        for size in sizes_of(handle, &self.indexes, &documents.iter().collect::<Vec<_>>()).await? {
            sizes.push(size.as_ref().copied().unwrap_or_default());
            outcomes.push(size.err().map(Err));
        }
        let mut open: Vec<usize> = (0..documents.len()).filter(|place| outcomes[*place].is_none()).collect();
        if open.is_empty() {
            return Ok(outcomes.into_iter().flatten().collect());
        }
        let mut fitting = open.clone();
        for _ in 0..MAX_ATTEMPTS {
            let batch: Vec<&StoredDocument> = fitting.iter().map(|place| &documents[*place]).collect();
            match self.claims.begin_change(handle.organization(), sum(&fitting, &sizes)).await? {
                Ok(change) => {
                    change.check()?;
                    let written = match insert_batch(handle, &batch).await {
                        Ok(written) => written,
                        Err(failure) => {
                            // The documents are gone with the collection. After any other error the write may still
                            // take effect.
                            if failure.is_missing_collection() {
                                self.claims.end_change(change, Size::default()).await;
                            }
                            return Err(failure);
                        }
                    };
                    let is_added =
                        |(place, outcome): (&usize, &Result<()>)| outcome.is_ok().then_some(*place);
                    let added: Vec<usize> = fitting.iter().zip(&written).filter_map(is_added).collect();
                    self.claims.end_change(change, sum(&added, &sizes)).await;
                    for (place, outcome) in fitting.drain(..).zip(written) {
                        outcomes[place] = Some(outcome);
                    }
                    open.retain(|place| outcomes[*place].is_none());
                    fitting.clone_from(&open);
                }
                Err(room) => {
                    fitting = fitting_in(room, &open, &sizes);
                    if fitting.is_empty() {
                        refuse(handle, room, &open, documents, &sizes, &mut outcomes).await?;
                        open.clear();
                    }
                }
            }
            if open.is_empty() {
                let missing = || Err(Error::internal("an insert without an outcome"));
                return Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect());
            }
        }
        Err(Error::unavailable("other writes keep taking the room that is left").into())
    }
}

/// Refuses documents that do not fit. One that already exists gets that error, as it would with room.
async fn refuse(
    handle: &mut CollectionHandle<'_>,
    room: Size,
    open: &[usize],
    documents: &[StoredDocument],
    sizes: &[Size],
    outcomes: &mut [Option<Result<()>>],
) -> EngineResult<()> {
    let layout = handle.layout().clone();
    let ids: Vec<_> = open.iter().filter_map(|place| documents[*place].id()).collect();
    let any: Vec<Document> = ids.iter().map(|id| layout.of_id(id)).collect();
    // Only their ids: otherwise a short request could read all that the collection holds.
    let find = doc! { "filter": { "$or": any }, "projection": { "_id": 1 }, "batchSize": 1000 };
    let find = Command::reading("find", find)?;
    let read = |document: &RawDocument| Ok(layout.id_alone(document)?.map(|id| id.key()));
    let (there, _) = handle.read(&find, Amount::ALL, handle.connection().deadline(), read).await?;
    let there: BTreeSet<Vec<u8>> = there.into_iter().flatten().collect();
    for place in open {
        let document = &documents[*place];
        let exists = document.id().is_some_and(|id| there.contains(&id.key()));
        let refusal = room.refuses(sizes[*place], &handle.organization().quota);
        outcomes[*place] = Some(Err(match (exists, refusal) {
            (false, Some(refusal)) => refusal,
            (true, _) => ErrorCode::DocumentExists.into(),
            (false, None) => ErrorCode::QuotaExceeded.into(),
        }));
    }
    Ok(())
}

async fn insert_batch(
    handle: &mut CollectionHandle<'_>,
    documents: &[&StoredDocument],
) -> EngineResult<Vec<Result<()>>> {
    let mut outcomes = Vec::with_capacity(documents.len());
    let mut rest = documents;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |document: &&&StoredDocument| {
            bytes += document.body.as_bytes().len();
            bytes <= COMMAND_BYTES
        };
        let count = rest.iter().take(COMMAND_DOCUMENTS).take_while(fits).count().max(1);
        let (now, later) = rest.split_at(count);
        outcomes.extend(insert_command(handle, now).await?);
        rest = later;
    }
    Ok(outcomes)
}

async fn insert_command(
    handle: &mut CollectionHandle<'_>,
    documents: &[&StoredDocument],
) -> EngineResult<Vec<Result<()>>> {
    let mut outcomes: Vec<Result<()>> = documents.iter().map(|_| Ok(())).collect();
    let mut open: Vec<usize> = (0..documents.len()).collect();
    while !open.is_empty() {
        let mut wrapped = RawArrayBuf::new();
        for place in &open {
            wrapped.push(handle.layout().encode(documents[*place])?);
        }
        let mut rest = rawdoc! {};
        rest.append(cstr!("documents"), wrapped);
        rest.append(cstr!("ordered"), false);
        append_durably(handle, &mut rest)?;
        let answer = handle.run(&Command::raw("insert", rest)).await?;
        check_durable(&answer)?;
        let late = elsewhere(&answer);
        for (place, error) in write_errors(handle, &answer) {
            if !late.contains(&place) {
                outcomes[open[place]] = Err(error);
            }
        }
        if !handle.is_current().await? {
            return rollback_insert(handle, documents).await;
        }
        open = late.into_iter().map(|place| open[place]).collect();
    }
    Ok(outcomes)
}

/// Removes documents that were written into a collection that was dropped meanwhile.
async fn rollback_insert(
    handle: &mut CollectionHandle<'_>,
    documents: &[&StoredDocument],
) -> EngineResult<Vec<Result<()>>> {
    let ids = documents.iter().filter_map(|document| document.id());
    let filters: Vec<Document> = ids.map(|id| handle.layout().of_id(&id)).collect();
    let _ = delete_by(handle, &filters).await?;
    Err(Error::from(ErrorCode::CollectionNotFound).into())
}

/// The indexes of documents that were not written because the collection moved during the command. (If it had moved
/// before, nothing was written, and the command was sent to its new location.)
fn elsewhere(answer: &Document) -> Vec<usize> {
    let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    let elsewhere = errors.filter(|error| matches!(error.get_i32("code"), Ok(COLLECTION_UUID_MISMATCH)));
    elsewhere.filter_map(|error| usize::try_from(number(error, "index")).ok()).collect()
}

/// The indexes of those that fit, one after the other.
fn fitting_in(room: Size, open: &[usize], sizes: &[Size]) -> Vec<usize> {
    let mut left = room;
    let fits = |place: &&usize| {
        let size = sizes[**place];
        let fits = left.fits(size);
        if fits {
            left = left.plus(size.negative());
        }
        fits
    };
    open.iter().filter(fits).copied().collect()
}

fn sum(places: &[usize], sizes: &[Size]) -> Size {
    places.iter().fold(Size::default(), |sum, place| sum.plus(sizes[*place]))
}
