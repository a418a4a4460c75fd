//! The plan as values in, values out.

mod accounts;
mod containers;
mod lifecycle;

use super::*;
use crate::adopt::layout::Isolation;
use crate::adopt::rules::AdoptRules;
use crate::transfer::Side;
use bson::doc;
use bson::oid::ObjectId;
use jiff::Timestamp;
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::account::Role;
use tenantry_domain::ids::Entropy;
use tenantry_domain::organization::State;
use tenantry_store_mongodb::{MongoOptions, SourceCollection};

const HASH: &str = "$2b$04$DyRuQqfSZWDAXv1Wce7yqe2BDNdNX2h8xMssTOyvbUiMwfaCrip0q";

/// A plan needs no ids.
struct NoEntropy;

impl Entropy for NoEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
}

fn options(rules: AdoptRules) -> AdoptOptions {
    let mongodb = MongoOptions::new("mongodb://127.0.0.1", "old");
    AdoptOptions {
        source: mongodb.clone(),
        target: Side::MongoDb(mongodb),
        in_place: false,
        rules,
        tenant_prefix: "tenant_".to_owned(),
        document_max_bytes: 1 << 20,
        retention: Duration::from_secs(3600),
        watch: Duration::from_secs(1),
        now: Timestamp::from_second(1_800_000_000).unwrap(),
        entropy: Arc::new(NoEntropy),
    }
}

fn number(byte: u8) -> ObjectId {
    ObjectId::from_bytes([byte; 12])
}

fn layout(organizations: Vec<Document>, accounts: Vec<Document>, collections: &[&str]) -> Layout {
    let mut collections: Vec<_> = collections
        .iter()
        .map(|name| SourceCollection {
            name: (*name).to_owned(),
            id: None,
            is_plain: true,
            options: Vec::new(),
        })
        .collect();
    collections.sort_by(|one, other| one.name.cmp(&other.name));
    let field = |name: &str| crate::adopt::layout::Field::named(name);
    Layout {
        registry: "organizations".to_owned(),
        accounts: "admins".to_owned(),
        organization_records: organizations,
        account_records: accounts,
        isolation: Isolation::Collections,
        name: field("name"),
        container: Some(field("collection")),
        admin: Some(field("admin_id")),
        address: field("email"),
        hash: Some(field("hash")),
        organization: Some(field("org_id")),
        collections,
        databases: Vec::new(),
        database_collections: BTreeMap::new(),
    }
}

fn account(byte: u8, email: &str, organization: u8) -> Document {
    doc! { "_id": number(byte), "email": email, "hash": HASH, "org_id": number(organization) }
}

fn kinds(plan: &Plan) -> Vec<(ConflictKind, Vec<String>)> {
    plan.conflicts.iter().map(|conflict| (conflict.kind, conflict.records.clone())).collect()
}

#[test]
fn member_that_the_organization_names_is_its_owner() {
    let organization =
        doc! { "_id": number(1), "name": "Acme", "admin_id": number(12), "collection": "org_acme" };
    let mut viewer = account(13, "c@x.test", 1);
    viewer.insert("role", "Viewer");
    let accounts = vec![account(11, "a@x.test", 1), account(12, "b@x.test", 1), viewer];
    let layout = layout(vec![organization], accounts, &["org_acme", "org_acme.orders", "org_acmes", "logs"]);
    let plan = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&plan), [(ConflictKind::CollectionWithoutOrganization, vec!["org_acmes".to_owned()])]);
    let [planned] = &plan.organizations[..] else { panic!("{}", plan.organizations.len()) };
    assert_eq!((planned.record.owner_id.as_bytes(), planned.record.members), (&[12; 12], 3));
    let roles: Vec<Role> = plan.accounts.iter().map(|account| account.memberships[0].role).collect();
    assert_eq!(roles, [Role::Admin, Role::Owner, Role::Viewer]);
    let stored: Vec<(&str, &str)> =
        planned.stored.iter().map(|stored| (stored.name.as_str(), stored.target.as_str())).collect();
    assert_eq!(stored, [("org_acme", "documents"), ("org_acme.orders", "orders")]);
    assert!(plan.notes[0].contains("logs"), "{:?}", plan.notes);
}

#[test]
fn names_and_addresses_that_are_one_here_are_conflicts() {
    let organization = |byte: u8, name: &str| {
        doc! { "_id": number(byte), "name": name, "collection": format!("org_{byte}") }
    };
    let organizations =
        vec![organization(1, "Acme Corp"), organization(2, "ACME-corp!"), organization(3, "Other")];
    let accounts = vec![
        account(11, "a@bücher.test", 1),
        account(12, "A@xn--bcher-kva.test", 2),
        account(13, "other@x.test", 3),
    ];
    let layout = layout(organizations, accounts, &[]);
    let of = |bytes: [u8; 2]| bytes.map(|byte| number(byte).to_hex()).to_vec();
    let found = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    assert_eq!(
        kinds(&found),
        [(ConflictKind::DuplicateName, of([1, 2])), (ConflictKind::DuplicateAddress, of([11, 12]))]
    );
    assert!(found.conflicts[0].detail.contains("`acme-corp`"), "{}", found.conflicts[0].detail);

    let rules = AdoptRules {
        rename: [(number(2).to_hex(), "Acme West".to_owned())].into(),
        address: [(number(12).to_hex(), "west@x.test".to_owned())].into(),
        ..AdoptRules::default()
    };
    let solved = plan("old", &layout, &options(rules)).unwrap();
    assert_eq!(kinds(&solved), []);
    assert_eq!(solved.organizations[1].record.naming.namespace, "tenant_acme_west");
    // What is left out takes its account along.
    let rules = AdoptRules { skip: [number(2).to_hex()].into(), ..AdoptRules::default() };
    let skipped = plan("old", &layout, &options(rules)).unwrap();
    assert_eq!((kinds(&skipped), skipped.organizations.len(), skipped.accounts.len()), (vec![], 2, 2));
}
