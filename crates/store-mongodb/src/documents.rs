//! Documents of an organization: one by its `_id`, and the way to the rest.
//!
//! A change of one document is one conditional update on its revision, announced before to whoever counts for the
//! quota. What a newcomer gets wrong: documents are never decoded. They may be nested so deep that a reader by recursion
//! needs more stack than there is; here they stay bytes.

mod checked;
mod find;
mod index_entries;
mod insert;
pub(super) mod layout;
mod remove;

pub(super) use index_entries::{EntryCounter, EntrySum};

use super::MongoDb;
use super::collections::{Amount, CollectionHandle, Command};
use super::engine_error::{EngineError, EngineResult, NOT_INDEXABLE, duplicate_in};
use super::quota::size::Size;
use async_trait::async_trait;
use bson::raw::{RawArrayBuf, cstr};
use bson::{RawDocumentBuf, rawdoc};
use mongodb::bson::{Bson, Document, doc};
use std::time::Duration;
use tenantry_documents::document::{DocumentId, Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::query::{Counted, DeleteResult, DocumentQuery, QueryPage};
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::{Error, ErrorCode, Result};
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{Documents, UpdateOutcome};

/// "DocumentValidationFailure".
const BREAKS_A_VALIDATOR: i32 = 121;
/// "DollarPrefixedFieldName".
const DOLLAR_NAME: i32 = 52;
/// "Can't extract geo keys".
const NO_PLACE: i32 = 16755;
/// "BSONObjectTooLarge".
const TOO_LARGE: i32 = 10334;
/// How often a document is deleted anew that others change meanwhile.
const ROUNDS: u32 = 16;

#[async_trait]
impl Documents for MongoDb {
    async fn insert_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        documents: Vec<StoredDocument>,
    ) -> Result<Vec<Result<()>>> {
        let mut at = self.resolve_collection(organization, collection).await?;
        Ok(self.insert_at(&mut at, &documents).await?)
    }

    async fn get_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
    ) -> Result<Option<StoredDocument>> {
        let mut at = self.resolve_collection(organization, collection).await?;
        let form = at.form.clone();
        let mut find = doc! { "filter": form.of_id(id), "limit": 1, "singleBatch": true };
        if at.share.is_some() {
            // The planner need not ponder which of the indexes it is.
            find.insert("hint", doc! { "_id": 1 });
        }
        let find = Command::reading("find", find)?;
        let read = |document: &bson::RawDocument| form.unwrap(document);
        let (mut found, _) =
            self.read_at(&mut at, &find, Amount::ALL, self.connection.server().deadline(), read).await?;
        Ok(found.pop())
    }

    async fn update_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        document: StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let mut at = self.resolve_collection(organization, collection).await?;
        let id = document.id().ok_or_else(|| Error::internal("a document without an _id"))?;
        // Without a quota nobody counts, and so nobody need know how large it was.
        let Some((size, change)) = self.begin_update(&mut at, &id, &document, expected).await? else {
            return Ok(UpdateOutcome::Stale);
        };
        change.check()?;
        let written = self.update_at(&mut at, &id, &document, expected).await;
        let is_settled = |error: &Error| error.code() != ErrorCode::StoreUnavailable;
        match &written {
            Ok(UpdateOutcome::Done) => self.end_change(change, size).await,
            Ok(UpdateOutcome::Stale) => self.end_change(change, Size::default()).await,
            Err(error) if is_settled(error) => self.end_change(change, Size::default()).await,
            // It may have happened; the count finds out.
            Err(_) => {}
        }
        written
    }

    async fn delete_document(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> Result<UpdateOutcome> {
        let mut at = self.resolve_collection(organization, collection).await?;
        Ok(self.delete_at(&mut at, id, expected).await?)
    }

    async fn find_documents(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        query: &DocumentQuery,
    ) -> Result<QueryPage> {
        let mut at = self.resolve_collection(organization, collection).await?;
        self.find_at(&mut at, query).await.map_err(EngineError::of_question)
    }

    async fn count_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<Counted> {
        let mut at = self.resolve_collection(organization, collection).await?;
        self.count_matching_at(&mut at, filter, time).await.map_err(EngineError::of_question)
    }

    async fn delete_matching(
        &self,
        organization: &Organization,
        collection: &CollectionName,
        filter: &Filter,
        time: Duration,
    ) -> Result<DeleteResult> {
        let mut at = self.resolve_collection(organization, collection).await?;
        self.delete_matching_at(&mut at, filter, time).await.map_err(EngineError::of_question)
    }
}

impl MongoDb {
    /// Announces an update, and by how much it changes what there is; none if there is no such document.
    async fn begin_update(
        &self,
        at: &mut CollectionHandle<'_>,
        id: &DocumentId,
        document: &StoredDocument,
        expected: Revision,
    ) -> Result<Option<(Size, super::quota::Change)>> {
        let organization = at.organization;
        let mut size = Size::default();
        let new = self.sizes_of(at, &[document]).await?.pop().unwrap_or_else(|| Ok(Size::default()))?;
        if super::quota::limits::is_limited(organization) {
            let filter = at.form.of_version(id, expected);
            let Some(trace) = self.traces(at, filter, 1, None).await?.0.pop() else { return Ok(None) };
            size = new.plus(trace.size().negative());
        }
        let claim = size.growth();
        match self.begin_change(organization, claim).await? {
            Ok(change) => Ok(Some((size, change))),
            Err(room) => Err(room.refuses(claim).unwrap_or_else(|| ErrorCode::QuotaExceeded.into())),
        }
    }

    async fn update_at(
        &self,
        at: &mut CollectionHandle<'_>,
        id: &DocumentId,
        document: &StoredDocument,
        expected: Revision,
    ) -> Result<UpdateOutcome> {
        let filter = at.form.of_version(id, expected);
        let mut update = rawdoc! {};
        update.append(cstr!("q"), RawDocumentBuf::try_from(&filter).map_err(Error::internal)?);
        update.append(cstr!("u"), at.form.wrap(document)?);
        let mut updates = RawArrayBuf::new();
        updates.push(update);
        let mut rest = rawdoc! {};
        rest.append(cstr!("updates"), updates);
        append_durably(self, &mut rest)?;
        let answer = self.command_at(at, &Command::raw("update", rest)).await?;
        if let Some(error) = write_errors(at, &answer).into_iter().next() {
            return Err(error.1);
        }
        check_durable(&answer)?;
        Ok(if number(&answer, "n") == 0 { UpdateOutcome::Stale } else { UpdateOutcome::Done })
    }

    async fn delete_at(
        &self,
        at: &mut CollectionHandle<'_>,
        id: &DocumentId,
        expected: Option<Revision>,
    ) -> EngineResult<UpdateOutcome> {
        let filter = match expected {
            Some(expected) => at.form.of_version(id, expected),
            None => at.form.of_id(id),
        };
        let change = self.begin_removal(at.organization).await?;
        if !change.is_counted() {
            let deleted = self.delete_by(at, &[filter]).await?;
            return Ok(super::records::update_outcome(deleted));
        }
        for _ in 0..ROUNDS {
            let Some(trace) = self.traces(at, filter.clone(), 1, None).await?.0.pop() else {
                self.end_change(change, Size::default()).await;
                return Ok(UpdateOutcome::Stale);
            };
            change.check()?;
            // Of that size: another revision may have another.
            if self.delete_by(at, &[at.form.of_trace(&trace, &filter)]).await? > 0 {
                self.end_change(change, trace.size().negative()).await;
                return Ok(UpdateOutcome::Done);
            }
        }
        Err(Error::unavailable("others change the same document all the time").into())
    }

    /// Removes at most one document by each of these filters; how many it was.
    async fn delete_by(&self, at: &mut CollectionHandle<'_>, filters: &[Document]) -> EngineResult<u64> {
        let raw = filters.iter().map(RawDocumentBuf::try_from).collect::<std::result::Result<Vec<_>, _>>();
        self.delete_by_raw(at, raw.map_err(Error::internal)?).await
    }

    async fn delete_by_raw(
        &self,
        at: &mut CollectionHandle<'_>,
        filters: Vec<RawDocumentBuf>,
    ) -> EngineResult<u64> {
        let mut deletes = RawArrayBuf::new();
        for filter in filters {
            deletes.push(rawdoc! { "q": filter, "limit": 1 });
        }
        let mut rest = rawdoc! { "deletes": deletes, "ordered": false };
        append_durably(self, &mut rest)?;
        let answer = self.command_at(at, &Command::raw("delete", rest)).await?;
        if let Some((_, error)) = write_errors(at, &answer).into_iter().next() {
            return Err(error.into());
        }
        check_durable(&answer)?;
        Ok(number(&answer, "n"))
    }
}

/// Adds what makes a write durable.
fn append_durably(engine: &MongoDb, command: &mut RawDocumentBuf) -> EngineResult<()> {
    let durably = engine.connection.server().durably(Document::new());
    let durably = RawDocumentBuf::try_from(&durably).map_err(Error::internal)?;
    for (name, value) in durably.iter().map_while(std::result::Result::ok) {
        command.append(name, value);
    }
    Ok(())
}

/// What the server did not write, and why: its place among what it was given.
fn write_errors(at: &CollectionHandle<'_>, answer: &Document) -> Vec<(usize, Error)> {
    let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    errors
        .map(|error| (usize::try_from(number(error, "index")).unwrap_or(0), write_error(at, error)))
        .collect()
}

fn write_error(at: &CollectionHandle<'_>, error: &Document) -> Error {
    let code = error.get_i32("code").unwrap_or(0);
    let message = error.get_str("errmsg").unwrap_or_default();
    if let Some(index) = duplicate_in(code, message) {
        return duplicate(at, index);
    }
    match code {
        _ if NOT_INDEXABLE.contains(&code) => {
            let detail = "Has no entry in an index of the collection: two of its paths go through different arrays, or \
                          a number is both a position and a name.";
            Error::invalid_field("", detail)
        }
        BREAKS_A_VALIDATOR => {
            Error::invalid_field("", "Breaks a rule that the collection was given in MongoDB.")
        }
        DOLLAR_NAME => Error::invalid_field(
            "",
            "Has a name that begins with `$`, from a program that wrote it; MongoDB does not change it.",
        ),
        NO_PLACE => {
            Error::invalid_field("", "Has no value that a geospatial index of the collection can take.")
        }
        TOO_LARGE => Error::invalid_field("", "Is larger than MongoDB allows."),
        _ => EngineError::Answered { code, message: message.to_owned() }.into(),
    }
}

/// The refusal of what another document has already.
fn duplicate(at: &CollectionHandle<'_>, index: &str) -> Error {
    if index == super::engine_error::PRIMARY_INDEX {
        return ErrorCode::DocumentExists.into();
    }
    let own = at.share.as_ref().and_then(|share| share.name_of(index)).map_or(index, |name| name.as_str());
    let detail = format!("Another document has the same value in the unique index `{own}`.");
    Error::from(ErrorCode::UniqueViolation).detail(detail)
}

/// Refuses to take a write for done that may be lost.
fn check_durable(answer: &Document) -> EngineResult<()> {
    match answer.get_document("writeConcernError") {
        Ok(error) => Err(Error::unavailable(format!("a write may be lost: {error}")).into()),
        Err(_) => Ok(()),
    }
}

fn number(document: &Document, field: &str) -> u64 {
    let value =
        document.get(field).and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)));
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
