//! Single inserts that go together: how many commands the server gets, and the outcome of each insert.

use super::Fixture;
use super::claims::start;
use super::fixture::{LONG, name};
use futures_util::future::join_all;
use mongodb::bson::{RawDocumentBuf, doc, rawdoc};
use std::collections::BTreeSet;
use tenantry_documents::document::{Revision, StoredDocument};
use tenantry_documents::filter::Filter;
use tenantry_documents::index::Index;
use tenantry_documents::query::DocumentQuery;
use tenantry_documents::sort::Sort;
use tenantry_domain::organization::{Organization, Placement, Quota, QuotaLimit};
use tenantry_domain::store::Store;

const INSERTS: i32 = 300;
/// Two that the server holds, and then all others in two: a command takes 256. On a slow machine the hold may end before
/// all of them wait.
const MOST_COMMANDS: i64 = 10;

impl Fixture {
    /// How many commands that insert the server has had.
    async fn insert_commands(&self) -> i64 {
        let status = self.admin(doc! { "serverStatus": 1 }).await;
        let commands = status.get_document("metrics").unwrap().get_document("commands").unwrap();
        commands.get_document("insert").unwrap().get_i64("total").unwrap()
    }

    /// The server holds the next two inserts for a while.
    async fn hold_inserts(&self) {
        let data = doc! { "failCommands": ["insert"], "blockConnection": true, "blockTimeMS": 700, "appName": "tenantry" };
        self.admin(doc! { "configureFailPoint": "failCommand", "mode": { "times": 2 }, "data": data }).await;
    }
}

fn stored(body: RawDocumentBuf) -> StoredDocument {
    StoredDocument { body, revision: Revision(7) }
}

/// The outcome of each document, inserted alone and at the same time as the others, as a code or `""`; and the sentences
/// of those that were refused.
async fn insert_at_once(
    store: &Store,
    organization: &Organization,
    documents: Vec<StoredDocument>,
) -> (Vec<&'static str>, BTreeSet<String>) {
    let collection = name("documents");
    let calls = documents.into_iter().map(|one| {
        let inserting = store.documents.insert_documents(organization, &collection, vec![one]);
        async move { inserting.await.unwrap().pop().unwrap() }
    });
    let outcomes = join_all(calls).await;
    let codes = outcomes.iter().map(|outcome| outcome.as_ref().err().map_or("", |error| error.code().code()));
    let sentences = outcomes.iter().filter_map(|outcome| Some(outcome.as_ref().err()?.to_string()));
    (codes.collect(), sentences.collect())
}

async fn ids(store: &Store, organization: &Organization) -> BTreeSet<i32> {
    let query = DocumentQuery {
        filter: Filter::default(),
        sort: Sort::default(),
        after: None,
        limit: 1000,
        max_bytes: 1 << 20,
        time: LONG,
    };
    let found = store.documents.find_documents(organization, &name("documents"), &query).await.unwrap();
    assert!(!found.more);
    found.documents.iter().map(|document| document.body.get_i32("_id").unwrap()).collect()
}

#[tokio::test]
async fn merged_inserts_send_few_commands_and_keep_outcomes() {
    let (_mongod, fixture, store, _opened) = start().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        for (keys, unique) in [("u", true), ("a,b", false)] {
            let index = Index::parse(None, keys, unique).unwrap();
            let made = store.collections.insert_index(&acme, &name("documents"), &index).await;
            assert!(made.is_ok(), "{placement:?}: {made:?}");
        }
        let there = (0..3).map(|id| stored(rawdoc! { "_id": id, "u": -id })).collect();
        let written = store.documents.insert_documents(&acme, &name("documents"), there).await.unwrap();
        assert!(written.iter().all(Result::is_ok), "{placement:?}: {written:?}");

        let expected = |n: i32| match n {
            0..3 => "document_exists",
            n if n % 50 == 7 => "unique_violation",
            n if n % 50 == 9 => "invalid_input",
            _ => "",
        };
        let document = |n: i32| match expected(n) {
            "unique_violation" => stored(rawdoc! { "_id": n, "u": -1 }),
            "invalid_input" => stored(rawdoc! { "_id": n, "u": n, "a": [1, 2], "b": [3, 4] }),
            _ => stored(rawdoc! { "_id": n, "u": n }),
        };
        fixture.hold_inserts().await;
        let before = fixture.insert_commands().await;
        let (codes, sentences) = insert_at_once(&store, &acme, (0..INSERTS).map(document).collect()).await;
        let sent = fixture.insert_commands().await - before;
        assert!((1..=MOST_COMMANDS).contains(&sent), "{placement:?}: {sent} commands for {INSERTS} inserts");
        assert_eq!(codes, (0..INSERTS).map(expected).collect::<Vec<_>>(), "{placement:?}");
        assert!(sentences.iter().any(|sentence| sentence.contains("`u_1`")), "{sentences:?}");
        let good = (0..INSERTS).filter(|n| expected(*n).is_empty());
        assert_eq!(ids(&store, &acme).await, good.chain(0..3).collect(), "{placement:?}");

        // Of two with one `_id` in the same command, one is inserted.
        fixture.hold_inserts().await;
        let twins = (0..40).map(|n| stored(rawdoc! { "_id": INSERTS + n / 2, "u": INSERTS + n }));
        let (codes, _) = insert_at_once(&store, &acme, twins.collect()).await;
        for twins in codes.chunks(2) {
            assert_eq!(
                BTreeSet::from_iter(twins),
                BTreeSet::from([&"", &"document_exists"]),
                "{placement:?}"
            );
        }
    }
    fixture.remove().await;
}

#[tokio::test]
async fn merged_inserts_fill_a_quota_exactly() {
    const ROOM: usize = 120;
    let (_mongod, fixture, store, _opened) = start().await;
    for (number, placement) in (1..).zip(Placement::ALL) {
        let acme = fixture.home(&store, number, &format!("Acme {number}"), placement).await;
        let quota = Quota { documents: QuotaLimit::new(ROOM as u64).ok(), ..Quota::default() };
        let acme = Organization { quota, ..acme };
        fixture.hold_inserts().await;
        let before = fixture.insert_commands().await;
        let documents = (0..INSERTS).map(|n| stored(rawdoc! { "_id": n }));
        let (codes, _) = insert_at_once(&store, &acme, documents.collect()).await;
        let sent = fixture.insert_commands().await - before;
        assert!((1..=MOST_COMMANDS).contains(&sent), "{placement:?}: {sent} commands");
        let inserted: BTreeSet<i32> =
            (0..).zip(&codes).filter(|(_, code)| code.is_empty()).map(|(n, _)| n).collect();
        assert_eq!(inserted.len(), ROOM, "{placement:?}");
        assert!(codes.iter().all(|code| ["", "quota_exceeded"].contains(code)), "{placement:?}: {codes:?}");
        assert_eq!(ids(&store, &acme).await, inserted, "{placement:?}");
    }
    fixture.remove().await;
}
