//! Recognizes how another program has laid its organizations and accounts out: in which collections, in which fields.
//!
//! Names are hints; where the records themselves show what a field is (it names a collection that exists, or holds the
//! id of an account), they decide.

use super::lifecycle::{is_absent, is_of_lifecycle};
use super::report::{AdoptError, RecognizedField, RecognizedLayout};
use super::role_fields::is_of_role;
use super::rules::AdoptRules;
use super::values::{hash, id, text};
use bson::{Bson, Document};
use std::collections::{BTreeMap, BTreeSet};
use tenantry_store_mongodb::{SourceCollection, SourceDatabase};

/// Names of the collection of organizations, the likeliest first.
const REGISTRIES: [&str; 6] =
    ["organizations", "org_registry", "organisations", "orgs", "tenants", "companies"];
/// Names of the collection of accounts.
const ACCOUNTS: [&str; 7] =
    ["admin_users", "admin_accounts", "admins", "accounts", "users", "admin", "org_admins"];
const NAME: [&str; 5] = ["organization_name", "name", "org_name", "display_name", "title"];
const COLLECTION: [&str; 6] = [
    "tenant_collection",
    "collection_name",
    "org_collection",
    "collection",
    "tenant_collection_name",
    "organization_collection",
];
const DATABASE: [&str; 6] =
    ["database_name", "db_name", "tenant_database", "tenant_db", "database", "org_database"];
const ADDRESS: [&str; 4] = ["email", "admin_email", "email_address", "username"];
const HASH: [&str; 6] =
    ["password_hash", "hashed_password", "password", "hash", "passwordHash", "admin_password"];
const ADMIN: [&str; 6] = ["admin_id", "admin_user_id", "owner_id", "admin", "admin_ref", "created_by"];
const ORGANIZATION: [&str; 6] =
    ["organization_id", "org_id", "organization", "organization_name", "org_name", "tenant_id"];
/// Records of a collection that are looked at to see what it is.
const SAMPLE: u32 = 100;
/// Collections with other names that are looked at, at most.
const SAMPLED_COLLECTIONS: usize = 200;

/// Which field has something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    /// In how many records it has it.
    count: usize,
}

#[cfg(test)]
impl Field {
    pub(super) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), count: 0 }
    }
}

/// Where the data of the organizations is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Isolation {
    /// A collection for each, in this database.
    Collections,
    /// A database for each.
    Databases,
}

/// What was recognized, and the records.
pub(super) struct Layout {
    pub(super) registry: String,
    pub(super) accounts: String,
    pub(super) organization_records: Vec<Document>,
    pub(super) account_records: Vec<Document>,
    pub(super) isolation: Isolation,
    pub(super) name: Field,
    /// Names the collection or database of an organization.
    pub(super) container: Option<Field>,
    /// Names the account of an organization.
    pub(super) admin: Option<Field>,
    pub(super) address: Field,
    pub(super) hash: Option<Field>,
    /// Names the organization of an account, by its id or its name.
    pub(super) organization: Option<Field>,
    /// The collections of the database, without the two of the records.
    pub(super) collections: Vec<SourceCollection>,
    /// The other databases of the server.
    pub(super) databases: Vec<String>,
    /// The collections of those that organizations have.
    pub(super) database_collections: BTreeMap<String, Vec<SourceCollection>>,
}

impl Layout {
    /// What the report shows.
    pub(super) fn recognized(&self) -> RecognizedLayout {
        let (data, container) = match self.isolation {
            Isolation::Collections => ("a collection for each organization", "organization: collection"),
            Isolation::Databases => ("a database for each organization", "organization: database"),
        };
        let (organizations, accounts) = (&self.organization_records, &self.account_records);
        let of = |role, field: Option<&Field>, records: &[Document]| {
            let (field, of) = (field?, records.len());
            Some(RecognizedField { role, field: field.name.clone(), count: field.count, of })
        };
        let single = [
            of("organization: name", Some(&self.name), organizations),
            of(container, self.container.as_ref(), organizations),
            of("organization: account", self.admin.as_ref(), organizations),
            of("account: address", Some(&self.address), accounts),
            of("account: password hash", self.hash.as_ref(), accounts),
            of("account: organization", self.organization.as_ref(), accounts),
        ];
        let several = [
            ("organization: status", organizations, is_of_lifecycle as fn(&str) -> bool),
            ("account: status", accounts, is_of_lifecycle),
            ("account: role", accounts, is_of_role),
        ];
        let several = several.into_iter().flat_map(|(role, records, is_of)| {
            said(records, is_of).into_iter().filter_map(move |field| of(role, Some(&field), records))
        });
        RecognizedLayout {
            registry: self.registry.clone(),
            accounts: self.accounts.clone(),
            data,
            fields: single.into_iter().flatten().chain(several).collect(),
        }
    }
}

/// The fields of these names that say something.
fn said(records: &[Document], is_of: impl Fn(&str) -> bool) -> Vec<Field> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records {
        for (name, _) in record.iter().filter(|(name, value)| is_of(name) && !is_absent(value)) {
            *counts.entry(name).or_default() += 1;
        }
    }
    counts.into_iter().map(|(name, count)| Field { name: name.to_owned(), count }).collect()
}

/// Recognizes the layout; reads all records of organizations and accounts.
pub(super) async fn recognize(
    source: &SourceDatabase,
    rules: &AdoptRules,
    mut collections: Vec<SourceCollection>,
) -> Result<Layout, AdoptError> {
    let registry = find_registry(source, rules, &collections).await?;
    let accounts = find_accounts(source, rules, &collections, &registry).await?;
    collections.retain(|collection| collection.name != registry && collection.name != accounts);
    let mut databases = source.database_names().await?;
    databases.retain(|name| name != source.name());
    let organization_records = source.records(&registry, None).await?;
    let account_records = source.records(&accounts, None).await?;
    let unrecognized = |collection: &str, what: &'static str| AdoptError::Unrecognized {
        what: format!("no field of `{collection}` holds {what}"),
    };
    let name = known(&organization_records, &NAME, |value| text(value).is_some())
        .ok_or_else(|| unrecognized(&registry, "the name of an organization"))?;
    let address = known(&account_records, &ADDRESS, is_address)
        .or_else(|| any(&account_records, &[], is_address))
        .ok_or_else(|| unrecognized(&accounts, "an e-mail address"))?;
    let (isolation, container) = find_container(&organization_records, &collections, &databases);
    // Of those that it names, some may not exist.
    let container = container.and_then(|field| {
        known(&organization_records, &[field.name.as_str()], |value| text(value).is_some())
    });
    let account_ids = ids(&account_records);
    let organization_ids = ids(&organization_records);
    let names: BTreeSet<&str> =
        organization_records.iter().filter_map(|record| text(record.get(&name.name)?)).collect();
    let names_account = |value: &Bson| id(value).is_some_and(|id| account_ids.contains(&id));
    let names_organization = |value: &Bson| {
        id(value).is_some_and(|id| organization_ids.contains(&id))
            || text(value).is_some_and(|text| names.contains(text))
    };
    let admin = any(&organization_records, &ADMIN, names_account);
    let organization = any(&account_records, &ORGANIZATION, names_organization);
    let hash = known(&account_records, &HASH, |value| hash(value).is_some())
        .or_else(|| any(&account_records, &[], is_hash));
    let mut database_collections = BTreeMap::new();
    if let (Isolation::Databases, Some(field)) = (isolation, &container) {
        for record in &organization_records {
            let database = record
                .get(&field.name)
                .and_then(text)
                .filter(|name| databases.iter().any(|each| each == name));
            if let Some(database) = database
                && !database_collections.contains_key(database)
            {
                database_collections.insert(database.to_owned(), source.collections(database).await?);
            }
        }
    }
    Ok(Layout {
        database_collections,
        registry,
        accounts,
        isolation,
        name,
        container,
        admin,
        address,
        hash,
        organization,
        organization_records,
        account_records,
        collections,
        databases,
    })
}

fn ids(records: &[Document]) -> BTreeSet<[u8; 12]> {
    records.iter().filter_map(|record| id(record.get("_id")?)).collect()
}

async fn find_registry(
    source: &SourceDatabase,
    rules: &AdoptRules,
    collections: &[SourceCollection],
) -> Result<String, AdoptError> {
    if let Some(name) = &rules.registry {
        return Ok(name.clone());
    }
    let has_names = |records: &[Document]| {
        known(records, &NAME, |value| text(value).is_some())
            .is_some_and(|field| is_most(field.count, records))
    };
    for name in REGISTRIES.iter().filter(|name| collections.iter().any(|each| each.name == **name)) {
        if has_names(&source.records(name, Some(SAMPLE)).await?) {
            return Ok((*name).to_owned());
        }
    }
    // Under any other name it is known by this: each record names a collection that exists.
    for collection in collections.iter().filter(|each| each.is_plain).take(SAMPLED_COLLECTIONS) {
        let records = source.records(&collection.name, Some(SAMPLE)).await?;
        let container = find_container(&records, collections, &[]).1;
        if has_names(&records) && container.is_some_and(|field| is_most(field.count, &records)) {
            return Ok(collection.name.clone());
        }
    }
    Err(AdoptError::Unrecognized {
        what: format!(
            "no collection of `{}` has organizations: looked for {}, with a field for the name ({})",
            source.name(),
            REGISTRIES.join(", "),
            NAME.join(", ")
        ),
    })
}

async fn find_accounts(
    source: &SourceDatabase,
    rules: &AdoptRules,
    collections: &[SourceCollection],
    registry: &str,
) -> Result<String, AdoptError> {
    if let Some(name) = &rules.accounts {
        return Ok(name.clone());
    }
    let mut found = Vec::new();
    for name in ACCOUNTS.iter().filter(|name| collections.iter().any(|each| each.name == **name)) {
        if *name != registry && has_accounts(&source.records(name, Some(SAMPLE)).await?) {
            found.push((*name).to_owned());
        }
    }
    if found.is_empty() {
        let others = collections.iter().filter(|each| each.is_plain && each.name != registry);
        for collection in others.take(SAMPLED_COLLECTIONS) {
            if has_accounts(&source.records(&collection.name, Some(SAMPLE)).await?) {
                found.push(collection.name.clone());
            }
        }
    }
    match found.as_slice() {
        [only] => Ok(only.clone()),
        [] => Err(AdoptError::Unrecognized {
            what: format!(
                "no collection of `{}` has accounts: looked for {}, with an e-mail address and a password hash",
                source.name(),
                ACCOUNTS.join(", ")
            ),
        }),
        several => Err(AdoptError::Ambiguous { collections: several.join(", ") }),
    }
}

fn has_accounts(records: &[Document]) -> bool {
    let (address, hash) = (any(records, &ADDRESS, is_address), any(records, &HASH, is_hash));
    [address, hash].iter().all(|field| field.as_ref().is_some_and(|field| is_most(field.count, records)))
}

/// The field that names collections or databases that exist; or else one with a usual name.
fn find_container(
    records: &[Document],
    collections: &[SourceCollection],
    databases: &[String],
) -> (Isolation, Option<Field>) {
    let collections: BTreeSet<&str> = collections.iter().map(|each| each.name.as_str()).collect();
    let databases: BTreeSet<&str> = databases.iter().map(String::as_str).collect();
    let collection =
        any(records, &COLLECTION, |value| text(value).is_some_and(|name| collections.contains(name)));
    let database = any(records, &DATABASE, |value| text(value).is_some_and(|name| databases.contains(name)));
    let count = |field: &Option<Field>| field.as_ref().map_or(0, |field| field.count);
    if count(&database) > count(&collection) {
        return (Isolation::Databases, database);
    }
    if collection.is_some() {
        return (Isolation::Collections, collection);
    }
    // None exists: the organizations are empty.
    if let Some(field) = known(records, &COLLECTION, |value| text(value).is_some()) {
        return (Isolation::Collections, Some(field));
    }
    match known(records, &DATABASE, |value| text(value).is_some()) {
        Some(field) => (Isolation::Databases, Some(field)),
        None => (Isolation::Collections, None),
    }
}

fn is_address(value: &Bson) -> bool {
    text(value).is_some_and(|text| text.contains('@'))
}

/// In the modular crypt format or the PHC format.
fn is_hash(value: &Bson) -> bool {
    hash(value).is_some_and(|text| text.starts_with('$') && text.len() >= 20)
}

fn is_most(count: usize, records: &[Document]) -> bool {
    count > 0 && count * 2 >= records.len()
}

/// Of fields with usual names, the one that most records have.
fn known(records: &[Document], names: &[&str], accepts: impl Fn(&Bson) -> bool) -> Option<Field> {
    let counts = names.iter().map(|name| {
        let count = records.iter().filter(|record| record.get(name).is_some_and(&accepts)).count();
        Field { name: (*name).to_owned(), count }
    });
    best(counts, names)
}

/// Of all fields, the one that most records have; one with a usual name, if there are several.
fn any(records: &[Document], names: &[&str], accepts: impl Fn(&Bson) -> bool) -> Option<Field> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for record in records {
        for (name, _) in record.iter().filter(|(name, value)| *name != "_id" && accepts(value)) {
            *counts.entry(name).or_default() += 1;
        }
    }
    best(counts.into_iter().map(|(name, count)| Field { name: name.to_owned(), count }), names)
}

fn best(fields: impl Iterator<Item = Field>, names: &[&str]) -> Option<Field> {
    let rank = |field: &Field| names.iter().position(|name| *name == field.name).unwrap_or(names.len());
    fields
        .filter(|field| field.count > 0)
        .max_by(|one, other| one.count.cmp(&other.count).then(rank(other).cmp(&rank(one))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{doc, oid::ObjectId};

    fn collection(name: &str) -> SourceCollection {
        SourceCollection { name: name.to_owned(), id: None, is_plain: true, options: Vec::new() }
    }

    #[test]
    fn container_field_is_the_one_that_names_what_exists() {
        let records = [doc! { "slug": "a", "where": "org_a" }, doc! { "slug": "b", "where": "org_b" }];
        let (isolation, field) = find_container(&records, &[collection("org_a")], &[]);
        assert_eq!((isolation, field.unwrap().name), (Isolation::Collections, "where".to_owned()));
        let (isolation, field) = find_container(&records, &[], &["org_a".to_owned()]);
        assert_eq!((isolation, field.unwrap().name), (Isolation::Databases, "where".to_owned()));
        assert_eq!(find_container(&records, &[], &[]), (Isolation::Collections, None));
    }

    #[test]
    fn usual_name_decides_between_equal_fields() {
        let records = [doc! { "alternate": "a@x.test", "email": "a@x.test" }];
        assert_eq!(any(&records, &ADDRESS, is_address).unwrap().name, "email");
        assert_eq!(known(&records, &ADDRESS, is_address).unwrap().name, "email");
    }

    #[test]
    fn accounts_are_records_with_address_and_hash() {
        let hash = "$2b$12$abcdefghijklmnopqrstuv";
        assert!(has_accounts(&[doc! { "_id": ObjectId::new(), "email": "a@x.test", "secret": hash }]));
        assert!(!has_accounts(&[doc! { "email": "a@x.test", "secret": "x" }]));
        assert!(!has_accounts(&[]));
    }
}
