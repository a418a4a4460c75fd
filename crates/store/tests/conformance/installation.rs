//! What a store owes the values of the installation as a whole.

use crate::engines::{in_parallel, on_every_engine};
use std::collections::BTreeSet;
use tenantry_domain::store::UpdateOutcome;

#[test]
fn installation_value_is_initialized_once() {
    on_every_engine(|subject| async move {
        let installation = &subject.store.installation;
        assert_eq!(installation.get_value("key").await.unwrap(), None);
        assert_eq!(installation.init_value("key", b"first").await.unwrap(), b"first");
        assert_eq!(installation.init_value("key", b"second").await.unwrap(), b"first");
        assert_eq!(installation.get_value("key").await.unwrap().unwrap(), b"first");
        assert_eq!(installation.get_value("Key").await.unwrap(), None);
        assert_eq!(installation.init_value("empty", b"").await.unwrap(), b"");
        assert_eq!(installation.get_value("empty").await.unwrap().unwrap(), b"");
    });
}

#[test]
fn installation_value_can_be_replaced() {
    on_every_engine(|subject| async move {
        let installation = &subject.store.installation;
        for value in [&[0_u8, 255, 10][..], b"", b"third"] {
            installation.put_value("key", value).await.unwrap();
            assert_eq!(installation.get_value("key").await.unwrap().unwrap(), value);
        }
    });
}

#[test]
fn installation_value_is_updated_only_from_what_is_there() {
    on_every_engine(|subject| async move {
        let installation = &subject.store.installation;
        let update = async |expected: Option<&[u8]>, value: &[u8]| {
            installation.update_value("key", expected, value, None).await.unwrap()
        };
        assert_eq!(update(Some(b""), b"x").await, UpdateOutcome::Stale);
        assert_eq!(update(None, b"first").await, UpdateOutcome::Done);
        assert_eq!(update(None, b"x").await, UpdateOutcome::Stale);
        assert_eq!(update(Some(b"firs"), b"x").await, UpdateOutcome::Stale);
        assert_eq!(update(Some(b"first"), b"second").await, UpdateOutcome::Done);
        assert_eq!(update(Some(b"first"), b"x").await, UpdateOutcome::Stale);
        assert_eq!(installation.get_value("key").await.unwrap().unwrap(), b"second");
    });
}

#[test]
fn installation_value_of_parallel_updates_is_of_one() {
    on_every_engine(|subject| async move {
        subject.store.installation.put_value("key", b"start").await.unwrap();
        let outcomes = in_parallel(20, |number| {
            let subject = subject.clone();
            async move {
                let value = number.to_be_bytes();
                subject.store.installation.update_value("key", Some(b"start"), &value, None).await.unwrap()
            }
        })
        .await;
        assert_eq!(outcomes.iter().filter(|outcome| **outcome == UpdateOutcome::Done).count(), 1);
    });
}

#[test]
fn installation_value_is_one_after_parallel_inits() {
    on_every_engine(|subject| async move {
        let values = in_parallel(50, |number| {
            let subject = subject.clone();
            async move { subject.store.installation.init_value("key", &number.to_be_bytes()).await.unwrap() }
        })
        .await;
        assert_eq!(values.into_iter().collect::<BTreeSet<_>>().len(), 1);
    });
}

#[test]
fn store_that_works_is_writable() {
    on_every_engine(|subject| async move {
        for _ in 0..3 {
            subject.store.installation.check_writable().await.unwrap();
        }
    });
}
