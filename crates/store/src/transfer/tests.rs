//! What a transfer copies is compared: a target that differs is noticed, and one of an earlier try is brought up to date.

use super::side::OpenSide;
use super::{Side, TransferError, compare_all, copy, execute_step};
use crate::EmbeddedOptions;
use crate::test_records::{moment, organization};
use jiff::Timestamp;
use std::sync::Arc;
use tempfile::TempDir;
use tenantry_documents::schema::{SchemaAction, SchemaDefinition, SchemaLevel};
use tenantry_domain::clock::Clock;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::Organization;

struct Standing;

impl Clock for Standing {
    fn now(&self) -> Timestamp {
        moment(0)
    }
}

async fn side() -> (TempDir, OpenSide) {
    let directory = TempDir::new().unwrap();
    let side = Side::Embedded(EmbeddedOptions::new(directory.path(), Arc::new(Standing)));
    (directory, OpenSide::open(&side).await.unwrap())
}

fn name(text: &str) -> CollectionName {
    CollectionName::parse(text).unwrap()
}

fn definition(schema: &str, level: SchemaLevel, action: SchemaAction) -> SchemaDefinition {
    SchemaDefinition { schema: schema.into(), level, action }
}

impl OpenSide {
    async fn set(&self, organization: &Organization, collection: &str, schema: Option<&SchemaDefinition>) {
        let collection = name(collection);
        let _ = self.ports.collections.set_schema(organization, &collection, schema, None).await.unwrap();
    }

    async fn schema(&self, organization: &Organization, collection: &str) -> Option<SchemaDefinition> {
        let schema = self.ports.collections.get_schema(organization, &name(collection)).await.unwrap();
        schema.as_deref().cloned()
    }
}

/// An organization with the collections `documents`, `notes` and `orders`.
async fn home(side: &OpenSide) -> Organization {
    let made = copy::make_container(side, &organization(), None).await.unwrap();
    let _ = side.ports.organizations.insert_organization(&made).await.unwrap();
    for collection in ["notes", "orders"] {
        let _ = side.ports.collections.insert_collection(&made, &name(collection)).await.unwrap();
    }
    made
}

#[tokio::test]
async fn schema_that_differs_at_the_target_is_noticed() {
    use SchemaAction::{Error, Warn};
    use SchemaLevel::{Moderate, Strict};
    let ((_source, source), (_target, target)) = (side().await, side().await);
    let acme = home(&source).await;
    source.set(&acme, "orders", Some(&definition(r#"{"required":["a"]}"#, Moderate, Warn))).await;
    source.set(&acme, "documents", Some(&definition("true", Strict, Error))).await;
    execute_step(&source, &target, &[], &mut |_| {}).await.unwrap();
    let orders = source.schema(&acme, "orders").await;
    assert_eq!(target.schema(&acme, "orders").await, orders);

    let compared = async || compare_all(&source, &target, std::slice::from_ref(&acme), &mut |_| {}).await;
    for other in [
        Some(definition(r#"{"required":["a"]}"#, Strict, Warn)),
        Some(definition(r#"{"required":["a"]}"#, Moderate, Error)),
        Some(definition(r#"{"required":["b"]}"#, Moderate, Warn)),
        None,
    ] {
        target.set(&acme, "orders", other.as_ref()).await;
        match compared().await {
            Err(TransferError::Differs { what }) => {
                assert_eq!(what, format!("the schemas of the collections of {}", acme.id));
            }
            compared => panic!("{other:?}: {compared:?}"),
        }
        target.set(&acme, "orders", orders.as_ref()).await;
        compared().await.unwrap();
    }
    // The same schemas, one of them at another collection.
    target.set(&acme, "orders", None).await;
    target.set(&acme, "notes", orders.as_ref()).await;
    assert!(matches!(compared().await, Err(TransferError::Differs { .. })));
    source.engine.close().await;
    target.engine.close().await;
}

#[tokio::test]
async fn schema_of_an_earlier_try_is_replaced_or_removed() {
    let ((_source, source), (_target, target)) = (side().await, side().await);
    let acme = home(&source).await;
    let old = definition(r#"{"title":"old"}"#, SchemaLevel::Strict, SchemaAction::Error);
    for collection in ["documents", "notes", "orders"] {
        source.set(&acme, collection, Some(&old)).await;
    }
    let all = [acme.clone()];
    copy::organizations(&source, &target, &all, &mut |_| {}).await.unwrap();
    // The source has been used in between.
    let new = definition(r#"{"title":"new"}"#, SchemaLevel::Moderate, SchemaAction::Warn);
    source.set(&acme, "documents", None).await;
    source.set(&acme, "notes", Some(&new)).await;
    assert!(source.ports.collections.delete_collection(&acme, &name("orders")).await.unwrap());
    copy::organizations(&source, &target, &all, &mut |_| {}).await.unwrap();
    assert_eq!(target.schema(&acme, "documents").await, None);
    assert_eq!(target.schema(&acme, "notes").await, Some(new));
    assert_eq!(target.schema(&acme, "orders").await, None);
    source.engine.close().await;
    target.engine.close().await;
}
