//! Batches: all steps or none, in every placement of a server that has transactions.

use super::{LONG, Revision, StoredDocument, index, name, stored};
use crate::engines::{Subject, in_parallel, with_transactions};
use bson::rawdoc;
use std::sync::Arc;
use tenantry_documents::document::DocumentId;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::organization::Organization;
use tenantry_domain::store::{BatchChange, BatchStep, InsertOutcome};

const ROUNDS: i32 = 50;

fn document(id: i32, n: i32, revision: u64) -> StoredDocument {
    StoredDocument { body: rawdoc! { "_id": id, "n": n }, revision: Revision(revision) }
}

fn id(number: i32) -> DocumentId {
    DocumentId::new(&number.into()).unwrap()
}

fn step(operation: usize, collection: &str, change: BatchChange) -> BatchStep {
    BatchStep { operation, collection: name(collection), change }
}

fn insert(document: StoredDocument) -> BatchChange {
    BatchChange::Insert { document, was_missing: false }
}

fn replace(before: StoredDocument, after: StoredDocument) -> BatchChange {
    BatchChange::Replace { before, after }
}

fn check(number: i32, revision: Option<u64>) -> BatchChange {
    BatchChange::Check { id: id(number), revision: revision.map(Revision) }
}

async fn write(subject: &Subject, organization: &Organization, steps: Vec<BatchStep>) -> Result<()> {
    subject.store.documents.write_batch(organization, steps, LONG).await
}

/// The numbers `n` of the documents with the ids from 0 to 4, where they exist.
async fn state(subject: &Subject, organization: &Organization) -> Vec<Option<i32>> {
    let mut found = Vec::new();
    for collection in ["documents", "orders"] {
        for number in 0..5 {
            let document = subject.document(organization, collection, &id(number)).await;
            found.push(document.map(|document| document.body.get_i32("n").unwrap()));
        }
    }
    found
}

#[test]
fn batch_is_written_whole_or_not_at_all() {
    with_transactions(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        let unique = index("n", true);
        let made = subject.store.collections.insert_index(&acme, &name("orders"), &unique).await.unwrap();
        assert_eq!(made, InsertOutcome::New);
        subject.fill(&acme, "documents", vec![document(0, 0, 1), document(1, 1, 1)]).await;
        subject.fill(&acme, "orders", vec![document(0, 10, 1), document(1, 11, 1)]).await;
        let good = || {
            vec![
                step(0, "documents", check(1, Some(1))),
                step(1, "orders", check(4, None)),
                step(2, "documents", insert(document(2, 2, 5))),
                step(3, "orders", replace(document(0, 10, 1), document(0, 20, 5))),
                step(4, "documents", replace(document(2, 2, 5), document(2, 3, 5))),
                step(5, "documents", BatchChange::Delete { before: document(0, 0, 1) }),
                step(6, "documents", insert(document(0, 9, 5))),
            ]
        };
        let before = state(&subject, &acme).await;
        let was_missing = BatchChange::Insert { document: document(1, 5, 5), was_missing: true };
        for (bad, code) in [
            (step(7, "documents", check(3, Some(1))), ErrorCode::DocumentBusy),
            (step(7, "orders", check(1, None)), ErrorCode::DocumentBusy),
            (step(7, "orders", check(1, Some(2))), ErrorCode::DocumentBusy),
            (step(7, "orders", replace(document(1, 11, 2), document(1, 12, 5))), ErrorCode::DocumentBusy),
            (step(7, "orders", BatchChange::Delete { before: document(3, 1, 1) }), ErrorCode::DocumentBusy),
            (step(7, "documents", was_missing), ErrorCode::DocumentBusy),
            (step(7, "documents", insert(document(1, 5, 5))), ErrorCode::DocumentExists),
            (step(7, "orders", insert(document(3, 20, 5))), ErrorCode::UniqueViolation),
            (step(7, "orders", replace(document(1, 11, 1), document(1, 20, 5))), ErrorCode::UniqueViolation),
            (step(7, "missing", insert(document(1, 1, 5))), ErrorCode::CollectionNotFound),
        ] {
            let what = format!("{bad:?}");
            let refused = write(&subject, &acme, [good(), vec![bad]].concat()).await.unwrap_err();
            assert_eq!(refused.code(), code, "{what}");
            if code != ErrorCode::DocumentBusy {
                assert_eq!(refused.fields()[0].pointer, "/operations/7", "{what}");
            }
            assert_eq!(state(&subject, &acme).await, before, "{what}");
        }
        write(&subject, &acme, good()).await.unwrap();
        let expected = [Some(9), Some(1), Some(3), None, None, Some(20), Some(11), None, None, None];
        assert_eq!(state(&subject, &acme).await, expected);
        // A check changes nothing that anybody sees.
        let checked = subject.document(&acme, "documents", &id(1)).await.unwrap();
        assert_eq!(checked, document(1, 1, 1));
    });
}

/// Each writes what the other has checked. Nothing in this process keeps them apart.
#[test]
fn batches_that_check_what_the_other_writes_conflict() {
    with_transactions(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        for round in 0..ROUNDS {
            let (one, other) = (2 * round, 2 * round + 1);
            let new = |number| BatchChange::Insert { document: document(number, 1, 5), was_missing: true };
            let absent = [
                vec![step(0, "documents", check(one, None)), step(1, "documents", new(other))],
                vec![step(0, "documents", check(other, None)), step(1, "documents", new(one))],
            ];
            assert_eq!(at_once(&subject, &acme, absent).await, 1, "{round}");

            subject.fill(&acme, "orders", vec![document(one, 1, 1), document(other, 1, 1)]).await;
            let change = |number| replace(document(number, 1, 1), document(number, 2, 5));
            let present = [
                vec![step(0, "orders", check(one, Some(1))), step(1, "orders", change(other))],
                vec![step(0, "orders", check(other, Some(1))), step(1, "orders", change(one))],
            ];
            assert_eq!(at_once(&subject, &acme, present).await, 1, "{round}");
        }
    });
}

/// Writes both at once; how many were written. The other one met what it had not expected.
async fn at_once(subject: &Arc<Subject>, acme: &Organization, batches: [Vec<BatchStep>; 2]) -> usize {
    let (subject, acme, batches) = (subject.clone(), acme.clone(), Arc::new(batches));
    let outcomes = in_parallel(2, move |number| {
        let (subject, acme, batches) = (subject.clone(), acme.clone(), batches.clone());
        async move { write(&subject, &acme, batches[number].clone()).await }
    });
    let mut written = 0;
    for outcome in outcomes.await {
        match outcome {
            Ok(()) => written += 1,
            Err(error) => assert_eq!(error.code(), ErrorCode::DocumentBusy, "{error}"),
        }
    }
    written
}

/// A check conflicts with a single write, and neither is lost.
#[test]
fn batch_check_holds_against_single_inserts() {
    with_transactions(|subject| async move {
        let acme = subject.home("Acme").await;
        for round in 0..ROUNDS {
            let (batch_subject, batch_acme) = (subject.clone(), acme.clone());
            let (checked, written) = (2 * round, 2 * round + 1);
            let steps = vec![
                step(0, "documents", check(checked, None)),
                step(1, "documents", insert(stored(rawdoc! { "_id": written, "n": 1 }))),
            ];
            let batch = tokio::spawn(async move { write(&batch_subject, &batch_acme, steps).await.is_ok() });
            let inserted = subject.insert_into(&acme, "documents", vec![document(checked, 1, 1)]).await;
            assert_eq!(inserted, [""], "the insert is never refused");
            let carried_out = batch.await.unwrap();
            let there = subject.document(&acme, "documents", &id(written)).await.is_some();
            assert_eq!(carried_out, there, "{round}");
        }
    });
}
