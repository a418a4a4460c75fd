//! Commands that write documents, and the errors that the server returns for them.

use crate::collections::command::Command;
use crate::collections::handle::CollectionHandle;
use crate::engine_error::{EngineError, EngineResult, NOT_INDEXABLE, PRIMARY_INDEX, duplicate_in};
use bson::raw::RawArrayBuf;
use bson::{RawDocumentBuf, rawdoc};
use mongodb::bson::{Bson, Document};
use tenantry_domain::{Error, ErrorCode};

/// "DocumentValidationFailure".
const DOCUMENT_VALIDATION_FAILURE: i32 = 121;
/// "DollarPrefixedFieldName".
const DOLLAR_PREFIXED_FIELD_NAME: i32 = 52;
/// "Can't extract geo keys".
const CANNOT_EXTRACT_GEO_KEYS: i32 = 16755;
/// "BSONObjectTooLarge".
const BSON_OBJECT_TOO_LARGE: i32 = 10334;

/// Removes at most one document for each of these filters; returns how many were removed.
pub(super) async fn delete_by(handle: &mut CollectionHandle<'_>, filters: &[Document]) -> EngineResult<u64> {
    let raw = filters.iter().map(RawDocumentBuf::try_from).collect::<Result<Vec<_>, _>>();
    delete_by_raw(handle, raw.map_err(Error::internal)?).await
}

pub(super) async fn delete_by_raw(
    handle: &mut CollectionHandle<'_>,
    filters: Vec<RawDocumentBuf>,
) -> EngineResult<u64> {
    let mut deletes = RawArrayBuf::new();
    for filter in filters {
        deletes.push(rawdoc! { "q": filter, "limit": 1 });
    }
    let mut rest = rawdoc! { "deletes": deletes, "ordered": false };
    append_durably(handle, &mut rest)?;
    let answer = handle.run(&Command::raw("delete", rest)).await?;
    if let Some((_, error)) = write_errors(handle, &answer).into_iter().next() {
        return Err(error.into());
    }
    check_durable(&answer)?;
    Ok(number(&answer, "n"))
}

/// Makes a write durable.
pub(super) fn append_durably(
    handle: &CollectionHandle<'_>,
    command: &mut RawDocumentBuf,
) -> EngineResult<()> {
    let durably = handle.connection().server().durably(Document::new());
    let durably = RawDocumentBuf::try_from(&durably).map_err(Error::internal)?;
    for (name, value) in durably.iter().map_while(Result::ok) {
        command.append(name, value);
    }
    Ok(())
}

/// The documents that the server did not write: the index of each in the command, and the error.
pub(super) fn write_errors(handle: &CollectionHandle<'_>, answer: &Document) -> Vec<(usize, Error)> {
    let errors = answer.get_array("writeErrors").into_iter().flatten().filter_map(Bson::as_document);
    errors
        .map(|error| (usize::try_from(number(error, "index")).unwrap_or(0), write_error(handle, error)))
        .collect()
}

fn write_error(handle: &CollectionHandle<'_>, error: &Document) -> Error {
    let code = error.get_i32("code").unwrap_or(0);
    let message = error.get_str("errmsg").unwrap_or_default();
    if let Some(index) = duplicate_in(code, message) {
        return duplicate(handle, index);
    }
    match code {
        _ if NOT_INDEXABLE.contains(&code) => {
            let detail = "An index of the collection cannot take this document: two of the paths go through different \
                          arrays, or a number is both a position and a name.";
            Error::invalid_field("", detail)
        }
        DOCUMENT_VALIDATION_FAILURE => Error::invalid_field(
            "",
            "The document violates a validation rule that the collection has in MongoDB.",
        ),
        DOLLAR_PREFIXED_FIELD_NAME => Error::invalid_field(
            "",
            "The stored document has a field name that begins with `$`, so MongoDB does not update it. Delete it.",
        ),
        CANNOT_EXTRACT_GEO_KEYS => {
            Error::invalid_field("", "A geospatial index of the collection cannot take this document.")
        }
        BSON_OBJECT_TOO_LARGE => Error::invalid_field("", "The document is larger than MongoDB allows."),
        _ => EngineError::ServerError { code, message: message.to_owned() }.into(),
    }
}

/// The error for a value that another document already has.
fn duplicate(handle: &CollectionHandle<'_>, index: &str) -> Error {
    if index == PRIMARY_INDEX {
        return ErrorCode::DocumentExists.into();
    }
    let own = handle.name_of_index(index);
    let detail = format!("Another document has the same value in the unique index `{own}`.");
    Error::from(ErrorCode::UniqueViolation).detail(detail)
}

/// Refuses to report a write as done if it may be lost.
pub(super) fn check_durable(answer: &Document) -> EngineResult<()> {
    match answer.get_document("writeConcernError") {
        Ok(error) => Err(Error::unavailable(format!("a write may be lost: {error}")).into()),
        Err(_) => Ok(()),
    }
}

pub(super) fn number(document: &Document, field: &str) -> u64 {
    let value =
        document.get(field).and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)));
    value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0)
}
