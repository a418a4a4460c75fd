//! Old databases, with addresses that are now the same mailbox.

use crate::MongoDb;
use crate::names::{ACCOUNTS, INSTALLATION, VERSION_ID};
use crate::record_codec::encode;
use crate::tests::{Fixture, samples};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Document, doc};
use tokio::task::JoinSet;

fn account(number: u8, email: &str) -> Document {
    let mut account = encode(&samples::account()).unwrap();
    account.insert("_id", ObjectId::from_bytes([number; 12]));
    account.insert("email", email);
    account.insert("email_key", email.to_lowercase());
    account.insert("version", 7_i64);
    account
}

/// Also after a kill in the middle, which leaves some accounts changed and the version unchanged.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mailbox_upgrade_by_parallel_instances_keeps_duplicates() {
    let fixture = Fixture::new().await;
    drop(fixture.open().await);
    let before = doc! { "$set": { "version": 2_i64 } };
    fixture.collection(INSTALLATION).update_one(doc! { "_id": VERSION_ID }, before.clone()).await.unwrap();
    let accounts = fixture.collection(ACCOUNTS);
    accounts
        .insert_many([
            account(1, "Ada@Example.com"),
            account(2, "ada@bücher.test"),
            account(3, "ada@xn--bcher-kva.test"),
            account(4, "eve@ｂücher.test"),
        ])
        .await
        .unwrap();
    for round in 0..2 {
        let starts: JoinSet<_> = (0..4)
            .map(|_| {
                let options = fixture.options.clone();
                async move { MongoDb::open(&options).await.map(|_| ()) }
            })
            .collect();
        for outcome in starts.join_all().await {
            outcome.unwrap();
        }
        let mut keys = Vec::new();
        for number in 1..=4 {
            let id = ObjectId::from_bytes([number; 12]);
            let found = accounts.find_one(doc! { "_id": id }).await.unwrap().unwrap();
            let key = found.get_str("email_key").unwrap().to_owned();
            keys.push((key, found.get_i64("version").unwrap()));
        }
        let expected = [
            ("ada@example.com", 7),
            ("ada@xn--bcher-kva.test ada@bücher.test", 8),
            ("ada@xn--bcher-kva.test", 7),
            ("eve@xn--bcher-kva.test", 8),
        ];
        let keys: Vec<_> = keys.iter().map(|(key, version)| (key.as_str(), *version)).collect();
        assert_eq!(keys, expected, "round {round}");
        fixture
            .collection(INSTALLATION)
            .update_one(doc! { "_id": VERSION_ID }, before.clone())
            .await
            .unwrap();
    }
    fixture.remove().await;
}
