//! What an organization may have: exact, however many write.

use super::{LONG, Revision, StoredDocument, code, filter, ids, index, name, numbered, query, stored};
use crate::engines::{in_every_placement, in_parallel};
use crate::given;
use bson::rawdoc;
use std::slice::from_ref;
use std::time::{Duration, Instant};
use tenantry_documents::document::order::Direction;
use tenantry_documents::document::{EntryBudget, IndexKeys, KeyFormat, key};
use tenantry_documents::fuel::Fuel;
use tenantry_documents::index::Index;
use tenantry_domain::error::ErrorCode;
use tenantry_domain::organization::{Organization, Quota, QuotaLimit};
use tenantry_domain::store::{InsertOutcome, UpdateOutcome};

/// How old the bytes of index entries may be.
const PATIENCE: Duration = Duration::from_secs(60);

fn of_documents(documents: u64) -> Quota {
    Quota { documents: QuotaLimit::new(documents).ok(), ..Quota::default() }
}

#[test]
fn usage_counts_documents_bytes_and_collections() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.add_collection(&acme, "orders").await;
        subject.fill(&acme, "orders", numbered(0, 3)).await;
        subject.fill(&acme, "documents", numbered(0, 2)).await;
        let usage = subject.store.collections.get_usage(&acme).await.unwrap();
        let bytes: u64 = numbered(0, 3).iter().chain(&numbered(0, 2)).map(StoredDocument::bytes).sum();
        assert_eq!((usage.documents, usage.bytes, usage.collections), (5, bytes, 2));
    });
}

#[test]
fn document_quota_is_never_exceeded_by_parallel_inserts() {
    in_every_placement(|subject| async move {
        let acme = subject.home_with("Acme", of_documents(250)).await;
        subject.add_collection(&acme, "orders").await;
        let (asked, acme_too) = (subject.clone(), acme.clone());
        let outcomes = in_parallel(100, move |writer| {
            let (subject, acme) = (asked.clone(), acme_too.clone());
            async move {
                let first = i32::try_from(writer).unwrap() * 100;
                let collection = if writer % 2 == 0 { "documents" } else { "orders" };
                subject.insert_into(&acme, collection, numbered(first, 5)).await
            }
        })
        .await;
        let (mut inserted, mut refused) = (0, 0);
        for outcome in outcomes.concat() {
            match outcome {
                "" => inserted += 1,
                "quota_exceeded" => refused += 1,
                other => panic!("{other}"),
            }
        }
        assert_eq!((inserted, refused), (250, 250));
        assert_eq!(subject.store.collections.get_usage(&acme).await.unwrap().documents, 250);
    });
}

#[test]
fn delete_frees_room_in_document_quota() {
    in_every_placement(|subject| async move {
        let acme = subject.home_with("Acme", of_documents(10)).await;
        subject.fill(&acme, "documents", numbered(0, 10)).await;
        assert_eq!(subject.insert_into(&acme, "documents", numbered(10, 1)).await, ["quota_exceeded"]);
        let documents = &subject.store.documents;
        let collection = name("documents");
        let _ = documents.delete_document(&acme, &collection, &super::id(3), None).await.unwrap();
        assert_eq!(subject.insert_into(&acme, "documents", numbered(10, 2)).await, ["", "quota_exceeded"]);
        let removed =
            documents.delete_matching(&acme, &collection, &filter(r#"{"n":{"$lt":5}}"#), LONG).await;
        assert_eq!(removed.unwrap().documents, 4);
        let outcomes = subject.insert_into(&acme, "documents", numbered(20, 6)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_empty()).count(), 4, "{outcomes:?}");
    });
}

#[test]
fn byte_quota_always_allows_updates_that_do_not_grow() {
    in_every_placement(|subject| async move {
        let text = |length: usize| stored(rawdoc! { "_id": 1, "text": "x".repeat(length) });
        let most = text(1000).bytes();
        let acme =
            subject.home_with("Acme", Quota { bytes: QuotaLimit::new(most).ok(), ..Quota::default() }).await;
        assert_eq!(subject.insert_into(&acme, "documents", vec![text(1001)]).await, ["quota_exceeded"]);
        assert_eq!(subject.insert_into(&acme, "documents", vec![text(900)]).await, [""]);
        let documents = &subject.store.documents;
        let collection = name("documents");
        for (length, fits) in [(1000, true), (1001, false), (10, true), (1000, true)] {
            let before = subject.document(&acme, "documents", &super::id(1)).await.unwrap().revision;
            let next = StoredDocument { revision: before.next(), ..text(length) };
            let written = documents.update_document(&acme, &collection, next, before).await;
            match fits {
                true => assert_eq!(written.unwrap(), UpdateOutcome::Done, "{length}"),
                false => assert_eq!(code(written), ErrorCode::QuotaExceeded, "{length}"),
            }
        }
        // The operator has lowered it since.
        let less =
            Organization { quota: Quota { bytes: QuotaLimit::new(10).ok(), ..Quota::default() }, ..acme };
        let before = subject.document(&less, "documents", &super::id(1)).await.unwrap().revision;
        let smaller = StoredDocument { revision: Revision(before.0 + 1), ..text(500) };
        assert_eq!(
            documents.update_document(&less, &collection, smaller, before).await.unwrap(),
            UpdateOutcome::Done
        );
        assert_eq!(subject.insert_into(&less, "documents", numbered(7, 1)).await, ["quota_exceeded"]);
        let removed = documents.delete_matching(&less, &collection, &filter("{}"), LONG).await.unwrap();
        assert_eq!(removed.documents, 1);
    });
}

#[test]
fn quota_set_later_counts_existing_documents() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        subject.fill(&acme, "documents", numbered(0, 8)).await;
        let limited = Organization { quota: of_documents(10), ..acme };
        let outcomes = subject.insert_into(&limited, "documents", numbered(100, 5)).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_empty()).count(), 2, "{outcomes:?}");
        assert_eq!(subject.store.collections.get_usage(&limited).await.unwrap().documents, 10);
    });
}

#[test]
fn quota_lifted_and_set_again_counts_documents_added_between() {
    in_every_placement(|subject| async move {
        let set = async |organization: &Organization, quota| {
            let next = Organization { quota, ..organization.successor(given::START) };
            let written = subject.store.organizations.update_organization(&next).await.unwrap();
            assert_eq!(written, UpdateOutcome::Done);
            next
        };
        let limited = set(&subject.home("Acme").await, of_documents(10)).await;
        subject.fill(&limited, "documents", numbered(0, 5)).await;
        let free = set(&limited, Quota::default()).await;
        subject.fill(&free, "documents", numbered(100, 20)).await;
        let limited = set(&free, of_documents(10)).await;
        assert_eq!(subject.insert_into(&limited, "documents", numbered(200, 1)).await, ["quota_exceeded"]);
        // What fits into the count is counted once: another change of the record changes nothing about that.
        let raised = set(&limited, of_documents(26)).await;
        let outcomes = subject.insert_into(&raised, "documents", numbered(200, 2)).await;
        assert_eq!(outcomes, ["", "quota_exceeded"]);
    });
}

fn of_index_bytes(index_bytes: u64) -> Quota {
    Quota { index_bytes: QuotaLimit::new(index_bytes).ok(), ..Quota::default() }
}

/// Bytes of the entries of these documents in these indexes.
fn index_bytes(indexes: &[Index], documents: &[StoredDocument]) -> u64 {
    let of = |index: &Index, document: &StoredDocument| {
        let mut budget = EntryBudget::unbounded();
        let keys =
            IndexKeys::of(index, KeyFormat::Whole, &document.body, &mut budget, &Fuel::unlimited()).unwrap();
        let id = document.body.get("_id").unwrap().unwrap();
        keys.bytes(key::encode(&[(id, Direction::Ascending)]).len())
    };
    indexes.iter().flat_map(|index| documents.iter().map(move |document| of(index, document))).sum()
}

fn tagged(id: i32, tags: i32) -> StoredDocument {
    let tags: bson::raw::RawArrayBuf = (0..tags).collect();
    stored(rawdoc! { "_id": id, "tags": tags, "text": "x".repeat(2000) })
}

#[test]
fn index_bytes_are_equal_on_every_engine() {
    in_every_placement(|subject| async move {
        for (title, quota) in [("Acme", Quota::default()), ("Other", of_index_bytes(1 << 30))] {
            let acme = subject.home_with(title, quota).await;
            let (indexes, collection) =
                ([index("tags,-text", false), index("text", false)], name("documents"));
            let usage = async |expected: u64| {
                let began = Instant::now();
                loop {
                    let usage = subject.store.collections.get_usage(&acme).await.unwrap();
                    let bytes = usage.index_bytes.expect("there is little to count");
                    // Without a quota it may be as old as a busy machine takes many times to count it.
                    if bytes == expected || quota.index_bytes.is_some() || began.elapsed() > PATIENCE {
                        return assert_eq!(bytes, expected);
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let mut there: Vec<_> = (0..5).map(|id| tagged(id, id)).collect();
            subject.fill(&acme, "documents", there.clone()).await;
            usage(0).await;
            for one in &indexes {
                subject.add_index(&acme, "documents", one).await;
            }
            usage(index_bytes(&indexes, &there)).await;
            subject.fill(&acme, "documents", vec![tagged(7, 9)]).await;
            there.push(tagged(7, 9));
            usage(index_bytes(&indexes, &there)).await;

            let documents = &subject.store.documents;
            let before = subject.document(&acme, "documents", &super::id(2)).await.unwrap().revision;
            let next = StoredDocument { revision: before.next(), ..tagged(2, 30) };
            let written = documents.update_document(&acme, &collection, next, before).await;
            assert_eq!(written.unwrap(), UpdateOutcome::Done);
            there[2] = tagged(2, 30);
            usage(index_bytes(&indexes, &there)).await;
            let deleted = documents.delete_document(&acme, &collection, &super::id(7), None).await;
            assert_eq!(deleted.unwrap(), UpdateOutcome::Done);
            there.pop();
            usage(index_bytes(&indexes, &there)).await;
            let one = filter(r#"{"tags":{"$size":1}}"#);
            let few = documents.delete_matching(&acme, &collection, &one, LONG).await.unwrap();
            assert_eq!(few.documents, 1);
            there.remove(1);
            usage(index_bytes(&indexes, &there)).await;
            assert!(
                subject.store.collections.delete_index(&acme, &collection, &indexes[0].name).await.unwrap()
            );
            usage(index_bytes(&indexes[1..], &there)).await;
            let all = documents.delete_matching(&acme, &collection, &filter("{}"), LONG).await.unwrap();
            assert_eq!(all.documents, 4);
            usage(0).await;
        }
    });
}

#[test]
fn index_quota_refuses_documents_and_indexes_beyond_it() {
    in_every_placement(|subject| async move {
        let (by_tags, by_text) = (index("tags", false), index("text", false));
        let room = index_bytes(from_ref(&by_tags), &[tagged(1, 10), tagged(2, 10)]);
        let acme = subject.home_with("Acme", of_index_bytes(room)).await;
        subject.add_index(&acme, "documents", &by_tags).await;
        let batch = vec![tagged(1, 10), tagged(2, 11), tagged(3, 10)];
        assert_eq!(subject.insert_into(&acme, "documents", batch).await, ["", "quota_exceeded", ""]);
        assert_eq!(subject.insert_into(&acme, "documents", vec![tagged(4, 0)]).await, ["quota_exceeded"]);

        let (documents, collection) = (&subject.store.documents, name("documents"));
        let before = subject.document(&acme, "documents", &super::id(3)).await.unwrap().revision;
        let larger = StoredDocument { revision: before.next(), ..tagged(3, 11) };
        let refused = documents.update_document(&acme, &collection, larger, before).await;
        assert_eq!(code(refused), ErrorCode::QuotaExceeded);
        let smaller = StoredDocument { revision: before.next(), ..tagged(3, 9) };
        let written = documents.update_document(&acme, &collection, smaller, before).await;
        assert_eq!(written.unwrap(), UpdateOutcome::Done, "what shrinks is always made");

        // An index that would take more than is left is refused, and nothing of it stays.
        assert_eq!(code(subject.try_index(&acme, "documents", &by_text).await), ErrorCode::QuotaExceeded);
        let indexes = subject.store.collections.list_indexes(&acme, &collection).await.unwrap();
        assert_eq!(&indexes, from_ref(&by_tags));
        let usage = subject.store.collections.get_usage(&acme).await.unwrap();
        assert_eq!(usage.index_bytes, Some(index_bytes(&[by_tags], &[tagged(1, 10), tagged(3, 9)])));

        let removed = documents.delete_matching(&acme, &collection, &filter(r#"{"_id":1}"#), LONG).await;
        assert_eq!(removed.unwrap().documents, 1);
        assert_eq!(subject.insert_into(&acme, "documents", vec![tagged(5, 10)]).await, [""], "there is room");
    });
}

#[test]
fn document_with_too_many_index_entries_is_refused() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let (one, other) = (index("tags,text", false), index("-tags,text", false));
        subject.add_index(&acme, "documents", &one).await;
        // 15 MB of entries in one index.
        let wide = |id: i32| {
            let tags: bson::raw::RawArrayBuf = (0..1000).collect();
            stored(rawdoc! { "_id": id, "tags": tags, "text": "x".repeat(15_000) })
        };
        assert_eq!(subject.insert_into(&acme, "documents", vec![wide(1)]).await, [""]);
        let refused = subject.try_index(&acme, "documents", &other).await.unwrap_err();
        assert_eq!((refused.code(), &*refused.fields()[0].pointer), (ErrorCode::InvalidInput, "/keys"));
        assert!(refused.fields()[0].detail.contains("16 MiB"), "{refused}");
        let (documents, collection) = (&subject.store.documents, name("documents"));
        let deleted = documents.delete_document(&acme, &collection, &super::id(1), None).await;
        assert_eq!(deleted.unwrap(), UpdateOutcome::Done);
        subject.add_index(&acme, "documents", &other).await;
        let batch = vec![wide(2), tagged(3, 10)];
        assert_eq!(subject.insert_into(&acme, "documents", batch).await, ["invalid_input", ""]);
        let before = subject.document(&acme, "documents", &super::id(3)).await.unwrap().revision;
        let grown = StoredDocument { revision: before.next(), ..wide(3) };
        let refused = documents.update_document(&acme, &collection, grown, before).await;
        assert_eq!(code(refused), ErrorCode::InvalidInput);
    });
}

#[test]
fn restored_index_accepts_document_over_entry_limit() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let (collection, tags) = (name("documents"), index("tags", false));
        let many: bson::raw::RawArrayBuf = (0..60_000).collect();
        subject.fill(&acme, "documents", vec![stored(rawdoc! { "_id": 1, "tags": many })]).await;
        let refused = subject.try_index(&acme, "documents", &tags).await.unwrap_err();
        assert_eq!(refused.code(), ErrorCode::InvalidInput);
        let collections = &subject.store.collections;
        let restored = collections.restore_index(&acme, &collection, &tags).await;
        assert_eq!(restored.unwrap(), InsertOutcome::New);
        let found = subject.found(&acme, "documents", &query(r#"{"tags":59999}"#, "", 10)).await;
        assert_eq!(ids(&found), [1]);
        let deleted = subject.store.documents.delete_document(&acme, &collection, &super::id(1), None).await;
        assert_eq!(deleted.unwrap(), UpdateOutcome::Done);
    });
}

#[test]
fn index_over_long_values_keeps_order_and_uniqueness() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let text = |last: &str| format!("{}{last}", "x".repeat(3000));
        let long = |id: i32, last: &str| stored(rawdoc! { "_id": id, "text": text(last) });
        subject.fill(&acme, "documents", vec![long(1, "c"), long(2, "a")]).await;
        subject.add_index(&acme, "documents", &index("text", true)).await;
        let batch = vec![long(3, "b"), long(4, "a"), stored(rawdoc! { "_id": 5, "text": "w" })];
        assert_eq!(subject.insert_into(&acme, "documents", batch).await, ["", "unique_violation", ""]);
        let found = async |json: String, sort: &str| {
            let mut found = ids(&subject.found(&acme, "documents", &query(&json, sort, 10)).await);
            if sort.is_empty() {
                found.sort_unstable();
            }
            found
        };
        let is = |operator: &str, last: &str| format!(r#"{{"text":{{"{operator}":"{}"}}}}"#, text(last));
        assert_eq!(found("{}".into(), "text").await, [5, 2, 3, 1]);
        assert_eq!(found("{}".into(), "-text").await, [1, 3, 2, 5]);
        assert_eq!(subject.pages(&acme, "documents", &query("{}", "text", 1)).await, [[5], [2], [3], [1]]);
        assert_eq!(found(is("$eq", "b"), "").await, [3]);
        assert_eq!(found(is("$gt", "a"), "").await, [1, 3]);
        assert_eq!(found(is("$lte", "b"), "").await, [2, 3, 5]);
        assert_eq!(found(is("$lt", "a"), "text").await, [5]);
        let list = format!(r#"{{"text":{{"$in":["{}","w","{}"]}}}}"#, text("c"), text("none"));
        assert_eq!(found(list.clone(), "").await, [1, 5]);
        assert_eq!(subject.count_of(&acme, "documents", &list).await, 2);
        let (documents, collection) = (&subject.store.documents, name("documents"));
        let removed = documents.delete_matching(&acme, &collection, &filter(&is("$gte", "b")), LONG).await;
        assert_eq!(removed.unwrap().documents, 2);
        assert_eq!(subject.insert_into(&acme, "documents", vec![long(6, "c")]).await, [""]);
    });
}
