//! Schemas of collections: they are kept as they are, and end with their collection.

use super::collections::rename;
use super::{code, name};
use crate::engines::in_every_placement;
use std::sync::Arc;
use tenantry_documents::schema::{SchemaAction, SchemaDefinition, SchemaLevel};
use tenantry_domain::error::ErrorCode;
use tenantry_domain::store::{InsertOutcome, SchemaChange};

fn definition(schema: &str) -> SchemaDefinition {
    SchemaDefinition { schema: schema.into(), level: SchemaLevel::Moderate, action: SchemaAction::Warn }
}

#[test]
fn schema_is_set_replaced_and_removed() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        let collections = &subject.store.collections;
        subject.add_collection(&acme, "orders").await;
        let (first, second) = (definition(r##"{"type":"object","$ref":"#/$defs/é.ü"}"##), definition("{}"));
        for collection in [name("documents"), name("orders")] {
            let get = async || collections.get_schema(&acme, &collection).await.unwrap();
            let recent = async || collections.get_recent_schema(&acme, &collection).await.unwrap();
            let set = async |schema, expected| {
                collections.set_schema(&acme, &collection, schema, expected).await.unwrap()
            };
            assert_eq!((get().await, recent().await), (None, None));
            assert_eq!(set(None, None).await, SchemaChange::Done { was_there: false });
            assert_eq!(set(Some(&first), Some(&second)).await, SchemaChange::Stale);
            assert_eq!(get().await, None);
            assert_eq!(set(Some(&first), None).await, SchemaChange::Done { was_there: false });
            assert_eq!(
                (get().await, recent().await),
                (Some(Arc::new(first.clone())), Some(Arc::new(first.clone())))
            );
            assert_eq!(set(Some(&second), Some(&second)).await, SchemaChange::Stale);
            assert_eq!(set(None, Some(&second)).await, SchemaChange::Stale);
            assert_eq!(set(Some(&second), Some(&first)).await, SchemaChange::Done { was_there: true });
            let strict = SchemaDefinition { level: SchemaLevel::Strict, ..second.clone() };
            assert_eq!(set(Some(&strict), None).await, SchemaChange::Done { was_there: true });
            assert_eq!(
                (get().await, recent().await),
                (Some(Arc::new(strict.clone())), Some(Arc::new(strict.clone())))
            );
            assert_eq!(collections.get_schema(&other, &name("documents")).await.unwrap(), None);
            assert_eq!(set(None, Some(&strict)).await, SchemaChange::Done { was_there: true });
            assert_eq!((get().await, recent().await), (None, None));
        }
        let none = name("none");
        for refused in [
            collections.get_schema(&acme, &none).await.map(drop),
            collections.get_recent_schema(&acme, &none).await.map(drop),
            collections.set_schema(&acme, &none, Some(&first), None).await.map(|_| ()),
        ] {
            assert_eq!(code(refused), ErrorCode::CollectionNotFound);
        }
    });
}

#[test]
fn schema_ends_with_its_collection() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let (collections, orders) = (&subject.store.collections, name("orders"));
        for round in 0..3 {
            assert_eq!(collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::New);
            assert_eq!(collections.get_schema(&acme, &orders).await.unwrap(), None, "{round}");
            assert_eq!(collections.get_recent_schema(&acme, &orders).await.unwrap(), None, "{round}");
            let schema = definition("{}");
            let set = collections.set_schema(&acme, &orders, Some(&schema), None).await.unwrap();
            assert_eq!(set, SchemaChange::Done { was_there: false });
            assert!(collections.delete_collection(&acme, &orders).await.unwrap());
            assert_eq!(code(collections.get_schema(&acme, &orders).await), ErrorCode::CollectionNotFound);
        }
    });
}

#[test]
fn schema_follows_renamed_organization() {
    in_every_placement(|subject| async move {
        let acme = subject.home("Acme").await;
        let collections = &subject.store.collections;
        subject.add_collection(&acme, "orders").await;
        let schema = definition(r#"{"title":"kept"}"#);
        for collection in [name("documents"), name("orders")] {
            let _ = collections.set_schema(&acme, &collection, Some(&schema), None).await.unwrap();
        }
        let renamed = rename(&subject, &acme, "Beta").await;
        for collection in [name("documents"), name("orders")] {
            let kept = collections.get_schema(&renamed, &collection).await.unwrap();
            assert_eq!(kept.as_deref(), Some(&schema));
        }
    });
}
