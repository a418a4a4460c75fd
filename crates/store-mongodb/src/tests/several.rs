//! Several instances beside each other: who goes on after whom, and what one that slept must never touch.

use super::{Fixture, samples};
use mongodb::Collection;
use mongodb::bson::{Document, doc};
use std::time::Duration;
use tenantry_documents::schema::{SchemaAction, SchemaDefinition, SchemaLevel};
use tenantry_domain::ErrorCode;
use tenantry_domain::clock::after;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::idempotency::{IdempotencyClaim, IdempotencyKey, IdempotencyRecord, KeyHolder};
use tenantry_domain::name::OrganizationName;
use tenantry_domain::operation::OperationArguments;
use tenantry_domain::organization::{Naming, Organization, Placement};
use tenantry_domain::rate_limit::{RateLimit, RateLimitDecision, RateLimitKey};
use tenantry_domain::store::CleanupReport;
use tenantry_domain::store::{InsertOutcome, NewContainer, SchemaChange, Store, UpdateOutcome};
use tokio::task::JoinSet;

fn new_container(organization: &Organization, fence: u32) -> NewContainer {
    NewContainer {
        organization_id: organization.id,
        fence,
        namespace: organization.naming.namespace.clone(),
        placement: organization.placement,
        created_at: samples::NOW,
    }
}

impl Fixture {
    /// What an organization is called that is called so.
    fn naming(&self, name: &str) -> Naming {
        Naming::new(OrganizationName::parse(name).unwrap(), &self.options.tenant_prefix)
    }

    /// An organization of that number that is called so, without a container.
    fn without_container(&self, number: u8, name: &str) -> Organization {
        let naming = self.naming(name);
        Organization { reserved: naming.reserved(), naming, ..samples::organization(number) }
    }

    /// The same with its record, and a container of one document.
    async fn organization(&self, store: &Store, number: u8, name: &str) -> Organization {
        let organization = self.without_container(number, name);
        let container = store.containers.create_container(&new_container(&organization, 1)).await.unwrap();
        let organization = Organization { container, ..organization };
        let inserted = store.organizations.insert_organization(&organization).await.unwrap();
        assert_eq!(inserted, InsertOutcome::New);
        self.collection(&organization.naming.namespace).insert_one(document(number)).await.unwrap();
        organization
    }

    /// The same organization under another name, as a rename leaves its record.
    fn renamed(&self, organization: &Organization, name: &str) -> Organization {
        let naming = self.naming(name);
        Organization { reserved: naming.reserved(), naming, ..organization.successor(samples::NOW) }
    }

    /// The collection of the organization that is called so.
    fn tenant(&self, name: &str) -> Collection<Document> {
        self.collection(&self.naming(name).namespace)
    }

    /// What is in it, in the order of `_id`.
    async fn contents(&self, name: &str) -> Vec<Document> {
        let mut cursor = self.tenant(name).find(doc! {}).sort(doc! { "_id": 1 }).await.unwrap();
        let mut documents = Vec::new();
        while cursor.advance().await.unwrap() {
            documents.push(cursor.deserialize_current().unwrap());
        }
        documents
    }

    /// The collections of organizations, with the usual prefix.
    async fn collections(&self) -> Vec<String> {
        let names = self.database().list_collection_names().await.unwrap();
        let names = names.iter().map(|name| name.replace(&self.options.tenant_prefix, "tenant_"));
        let ours = |name: &String| ["tenant_", "building_", "deleted_"].iter().any(|p| name.starts_with(p));
        let mut names: Vec<_> = names.filter(ours).collect();
        names.sort();
        names
    }
}

fn document(number: u8) -> Document {
    doc! { "_id": "of", "number": i32::from(number) }
}

/// The other instance has cached the UUID of the collection that was dropped, and that it had no schema.
#[tokio::test]
async fn schema_is_found_after_another_instance_remade_its_collection() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    let acme = fixture.organization(&first, 1, "Acme").await;
    let orders = CollectionName::parse("orders").unwrap();
    let create = async || {
        assert_eq!(first.collections.insert_collection(&acme, &orders).await.unwrap(), InsertOutcome::New);
    };
    create().await;
    assert_eq!(second.collections.get_recent_schema(&acme, &orders).await.unwrap(), None);
    assert!(first.collections.delete_collection(&acme, &orders).await.unwrap());
    create().await;
    let schema =
        SchemaDefinition { schema: "{}".into(), level: SchemaLevel::Strict, action: SchemaAction::Error };
    let set =
        async |store: &Store, schema: Option<&SchemaDefinition>, expected: Option<&SchemaDefinition>| {
            store.collections.set_schema(&acme, &orders, schema, expected).await.unwrap()
        };
    let get = async || second.collections.get_schema(&acme, &orders).await.unwrap();
    assert_eq!(set(&first, Some(&schema), None).await, SchemaChange::Done { was_there: false });
    assert_eq!(get().await.as_deref(), Some(&schema));
    // What it has read before is good for as long as a change waits.
    let other = SchemaDefinition { schema: "true".into(), ..schema.clone() };
    assert_eq!(set(&first, Some(&other), Some(&schema)).await, SchemaChange::Done { was_there: true });
    tokio::time::sleep(first.collections.schema_delay()).await;
    let recent = second.collections.get_recent_schema(&acme, &orders).await.unwrap();
    assert_eq!(recent.as_deref(), Some(&other));

    // A program drops the collection and makes another one of the name: it has none, and the record is gone.
    let name = format!("{}.orders", acme.naming.namespace);
    fixture.database().collection::<Document>(&name).drop().await.unwrap();
    fixture.database().create_collection(&name).await.unwrap();
    assert_eq!(get().await, None);
    assert_eq!(fixture.collection("collection_schemas").count_documents(doc! {}).await.unwrap(), 0);

    assert_eq!(set(&second, Some(&schema), None).await, SchemaChange::Done { was_there: false });
    first.containers.drop_container(&acme).await.unwrap();
    assert_eq!(fixture.collection("collection_schemas").count_documents(doc! {}).await.unwrap(), 0);
    fixture.remove().await;
}

#[tokio::test]
async fn operation_takeover_waits_for_lease_by_server_clock() {
    let fixture = Fixture::new().await;
    let (first, second) = (fixture.open_store().await, fixture.open_store().await);
    let busy = samples::busy(1, "first", OperationArguments::Delete);
    assert_eq!(first.organizations.insert_organization(&busy).await.unwrap(), InsertOutcome::New);
    let organizations = fixture.collection("organizations");
    let lease = organizations.find_one(doc! {}).await.unwrap().unwrap();
    let server = fixture.database().run_command(doc! { "hello": 1 }).await.unwrap();
    let left = lease.get_datetime("lease_until").unwrap().timestamp_millis()
        - server.get_datetime("localTime").unwrap().timestamp_millis();
    assert!((5_000..=10_000).contains(&left), "{left} ms of a lease of 10 s");

    assert!(second.organizations.claim_operations("second", 10).await.unwrap().is_empty());
    let now = doc! { "$currentDate": { "lease_until": true } };
    organizations.update_one(doc! {}, now).await.unwrap();
    let claimed = second.organizations.claim_operations("second", 10).await.unwrap();
    let operation = claimed[0].operation.as_deref().unwrap();
    assert_eq!((operation.owner.as_str(), operation.fence, claimed[0].version), ("second", 4, 2));
    assert!(first.organizations.claim_operations("first", 10).await.unwrap().is_empty());

    let late = first.organizations.update_organization(&busy.successor(samples::NOW)).await.unwrap();
    assert_eq!(late, UpdateOutcome::Stale);
    fixture.remove().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rate_limit_counts_attempts_across_instances() {
    let fixture = Fixture::new().await;
    let instances = [fixture.open_store().await, fixture.open_store().await];
    let limit = RateLimit { burst: 20, period: Duration::from_secs(60) };
    let mut attempts = JoinSet::new();
    for number in 0..200 {
        let rate_limits = instances[number % 2].rate_limits.clone();
        attempts.spawn(async move {
            rate_limits.acquire(&RateLimitKey::new("test", &[]), limit, samples::NOW).await.unwrap()
        });
    }
    let taken = attempts.join_all().await;
    assert_eq!(taken.iter().filter(|taken| matches!(taken, RateLimitDecision::Allowed { .. })).count(), 20);
    fixture.remove().await;
}

#[tokio::test]
async fn idempotency_new_keys_count_across_instances() {
    let fixture = Fixture::new().await;
    let stores = [fixture.open_store().await, fixture.open_store().await];
    let of = |key: u8| IdempotencyRecord {
        key: IdempotencyKey([key; 32]),
        fingerprint: [1; 32],
        holder: Some(KeyHolder::new("account", "one", 5)),
        organization_id: samples::organization(key).id,
        lease_until: after(samples::NOW, Duration::from_secs(15)),
        expires_at: after(samples::NOW, Duration::from_secs(3600)),
        answer: None,
    };
    let mut claims = JoinSet::new();
    for key in 0..40 {
        let (requests, record) = (stores[usize::from(key) % 2].idempotency_keys.clone(), of(key));
        claims.spawn(async move { requests.claim_key(&record, samples::NOW).await });
    }
    let claims = claims.join_all().await;
    let granted = claims.iter().filter(|claim| matches!(claim, Ok(IdempotencyClaim::Granted(_)))).count();
    assert!(granted <= 5, "{claims:?}");
    assert_eq!(fixture.collection("requests").count_documents(doc! {}).await.unwrap(), granted as u64);
    fixture.remove().await;
}

#[tokio::test]
async fn container_starts_with_its_metadata_document() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.without_container(1, "Acme");
    store.containers.create_container(&new_container(&acme, 1)).await.unwrap();
    let first = fixture.contents("Acme").await;
    assert_eq!(first.len(), 1);
    let metadata = first[0].get_document("metadata").unwrap();
    assert_eq!(metadata.get_str("schema_version").unwrap(), "1.0");
    assert_eq!(
        metadata.get_datetime("created_at").unwrap().timestamp_millis(),
        samples::NOW.as_millisecond()
    );
    assert_eq!(fixture.collections().await, ["tenant_acme"]);
    fixture.remove().await;
}

/// A process that slept through a rename touches no organization that has the names now.
#[tokio::test]
async fn late_rename_touches_no_other_organization() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let asleep = fixture.organization(&store, 1, "Acme").await;
    // While it sleeps: the rename is finished by another, and the name is given to another.
    store.containers.rename_container(&asleep, &fixture.naming("Zenith").namespace).await.unwrap();
    let awake = fixture.renamed(&asleep, "Zenith");
    assert_eq!(store.organizations.update_organization(&awake).await.unwrap(), UpdateOutcome::Done);
    let other = fixture.organization(&store, 2, "Acme").await;

    // It wakes in the middle of the same rename, of a delete, and of a purge of what it knows.
    store.containers.rename_container(&asleep, &fixture.naming("Zenith").namespace).await.unwrap();
    let elsewhere = store.containers.rename_container(&asleep, "deleted_acme").await.unwrap_err();
    assert_eq!(elsewhere.code(), ErrorCode::StoreUnavailable);
    assert_eq!(store.containers.count_documents(&asleep).await.unwrap(), 1, "its own, wherever it is");
    assert_eq!(fixture.collections().await, ["tenant_acme", "tenant_zenith"]);
    store.containers.drop_container(&asleep).await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_acme"]);
    assert_eq!(fixture.contents("Acme").await[0], document(2));
    assert_eq!(store.containers.count_documents(&other).await.unwrap(), 1);
    fixture.remove().await;
}

/// A process that slept through a rename moves the container away; recovery and cleanup move it back.
#[tokio::test]
async fn container_moved_by_late_rename_is_returned() {
    let fixture = Fixture::new().await;
    let engine = fixture.open().await;
    let store = engine.store();
    let acme = fixture.organization(&store, 1, "Acme").await;
    // It has the same name and identity as before its rename and the reverse: nothing tells that this is late.
    let late = async || {
        let elsewhere = fixture.naming("Zenith").namespace;
        store.containers.rename_container(&acme, &elsewhere).await.unwrap();
        assert_eq!(fixture.collections().await, ["tenant_zenith"]);
    };
    late().await;
    store.containers.settle_container(&acme).await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_acme"]);
    store.containers.settle_container(&acme).await.unwrap();
    late().await;
    engine.tidy().await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_acme"]);
    // Or the process that moves it next finds it, if it has not been overtaken itself.
    late().await;
    store.containers.rename_container(&acme, &fixture.naming("Third").namespace).await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_third"]);
    assert_eq!(store.containers.count_documents(&acme).await.unwrap(), 1);
    fixture.remove().await;
}

#[tokio::test]
async fn create_taken_over_removes_remains_of_earlier_attempts() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.without_container(1, "Acme");
    for fence in [1, 2] {
        let name = format!("building_{}_{fence}", acme.id);
        fixture.database().create_collection(&name).await.unwrap();
    }
    store.containers.create_container(&new_container(&acme, 3)).await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_acme"]);
    fixture.remove().await;
}

/// A process that slept through a create leaves a collection behind that blocks no later name.
#[tokio::test]
async fn late_create_leftovers_block_nothing() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.organization(&store, 1, "Acme").await;
    store.containers.rename_container(&acme, &fixture.naming("Zenith").namespace).await.unwrap();
    let acme_now = fixture.renamed(&acme, "Zenith");
    assert_eq!(store.organizations.update_organization(&acme_now).await.unwrap(), UpdateOutcome::Done);
    // It wakes and makes the container that its organization has had for long.
    store.containers.create_container(&new_container(&acme, 1)).await.unwrap();
    assert_eq!(fixture.collections().await, ["tenant_acme", "tenant_zenith"]);

    let other = fixture.organization(&store, 2, "Acme").await;
    assert_eq!(fixture.contents("Acme").await[0], document(2));
    assert_eq!(store.containers.count_documents(&other).await.unwrap(), 1);
    assert_eq!(store.containers.count_documents(&acme_now).await.unwrap(), 1);

    // The same in the way of a rename.
    let third = fixture.renamed(&other, "Third");
    let asleep = Organization { id: acme.id, naming: third.naming.clone(), ..acme };
    store.containers.create_container(&new_container(&asleep, 1)).await.unwrap();
    store.containers.rename_container(&other, &third.naming.namespace).await.unwrap();
    assert_eq!(fixture.contents("Third").await[0], document(2));
    fixture.remove().await;
}

#[tokio::test]
async fn foreign_collection_is_never_adopted_dropped_or_replaced() {
    let fixture = Fixture::new().await;
    let store = fixture.open_store().await;
    let acme = fixture.organization(&store, 1, "Acme").await;
    let foreign = fixture.tenant("Foreign");
    // Also one without documents: somebody has made it for something.
    for documents in [vec![], vec![doc! { "_id": 1 }], vec![doc! { "_id": 2 }, doc! { "_id": 3 }]] {
        foreign.drop().await.unwrap();
        fixture.database().create_collection(foreign.name()).await.unwrap();
        if !documents.is_empty() {
            foreign.insert_many(&documents).await.unwrap();
        }
        assert!(store.containers.is_foreign(Placement::Collection, foreign.name()).await.unwrap());
        let late = fixture.without_container(9, "Foreign");
        let outcomes = [
            store.containers.create_container(&new_container(&late, 1)).await.map(|_| ()),
            store.containers.rename_container(&acme, foreign.name()).await,
        ];
        for outcome in outcomes {
            assert_eq!(outcome.unwrap_err().code(), ErrorCode::StoreUnavailable);
        }
        assert_eq!(fixture.contents("Foreign").await, documents);
        assert_eq!(store.containers.count_documents(&acme).await.unwrap(), 1);
    }
    for ours in ["Acme", "Nobody's"] {
        let namespace = fixture.naming(ours).namespace;
        assert!(!store.containers.is_foreign(Placement::Collection, &namespace).await.unwrap());
    }
    fixture.remove().await;
}

#[tokio::test]
async fn cleanup_removes_only_unowned_remains() {
    let fixture = Fixture::new().await;
    let engine = fixture.open().await;
    let store = engine.store();
    let acme = fixture.organization(&store, 1, "Acme").await;
    // Being made right now under fence 3, and begun before under fences 1 and 2.
    let owner = Box::new(samples::account());
    let busy = samples::busy(2, "me", OperationArguments::Create { owner });
    assert_eq!(store.organizations.insert_organization(&busy).await.unwrap(), InsertOutcome::New);
    for fence in 1..=3 {
        let name = format!("building_{}_{fence}", busy.id);
        fixture.database().create_collection(&name).await.unwrap();
    }
    // Of organizations that are gone: one empty, one not.
    for (number, name) in [(3, "Empty"), (4, "Full")] {
        let gone = fixture.without_container(number, name);
        store.containers.create_container(&new_container(&gone, 1)).await.unwrap();
    }
    fixture.tenant("Full").insert_one(document(4)).await.unwrap();
    for (number, documents) in [(5, 0), (6, 1)] {
        let gone = Organization { placement: Placement::Database, ..samples::organization(number) };
        store.containers.create_container(&new_container(&gone, 1)).await.unwrap();
        let database = fixture.client.database(&format!("{}{}", fixture.options.tenant_prefix, gone.id));
        for _ in 0..documents {
            database.collection("notes").insert_one(document(number)).await.unwrap();
        }
    }

    let tidied = engine.tidy().await.unwrap();
    assert_eq!(tidied, CleanupReport { removed: 4, quarantined: 2 });
    assert_eq!(engine.tidy().await.unwrap(), CleanupReport { removed: 0, quarantined: 2 });
    let building = format!("building_{}_3", busy.id);
    assert_eq!(fixture.collections().await, [building.as_str(), "tenant_acme", "tenant_full"]);
    assert_eq!(store.containers.count_documents(&acme).await.unwrap(), 1);
    fixture.remove().await;
}
