//! Inspects a MongoDB for `tenantry doctor` without changing it.

use super::client::{MongoOptions, Server};
use super::containers::capacity;
use super::containers::uuid_support::supports_uuids;
use super::engine_error::EngineResult;
use super::installation;
use super::names::{ACCOUNTS, ORGANIZATIONS, ORGANIZATIONS_BY_STATUS};
use super::record_codec::decode;
use super::schema;
use crate::error::OpenError;
use jiff::{SignedDuration, Timestamp};
use mongodb::bson::{Bson, Document, doc};
use mongodb::options::Hint;
use tenantry_domain::account::Account;
use tenantry_domain::app::operator;
use tenantry_domain::app::signing_keys::SIGNING_KEYS;
use tenantry_domain::clock::Clock;
use tenantry_domain::organization::Status;
use tenantry_domain::restored::RESTORED;
use tenantry_domain::shared_mailbox::{DUPLICATES_MAX, SharedMailbox, mailboxes};
use tenantry_domain::{Error, Result};

/// What is at a connection string.
#[derive(Debug)]
pub struct MongoInspection {
    /// The version of the server.
    pub version: String,
    /// How the servers work together.
    pub topology: Topology,
    /// How far the server's clock is ahead of ours.
    pub clock_ahead: SignedDuration,
    /// The version of the schema; 0 if there is none yet.
    pub schema: i64,
    /// The newest version of the schema that this program knows.
    pub newest_schema: i64,
    /// Whether the server supports commands that carry a UUID.
    pub supports_uuids: bool,
    /// How many collections and indexes the server has.
    pub namespaces: u64,
    /// How many organizations there are of each status that any has.
    pub organizations: Vec<(Status, u64)>,
    /// Old accounts whose addresses are the same mailbox.
    pub shared_mailboxes: Vec<SharedMailbox>,
    /// The hash of the operator key, if one was ever created.
    pub operator_key_hash: Option<Vec<u8>>,
    /// The sealed keys that sign tokens.
    pub signing_keys: Option<Vec<u8>>,
    /// The mark of a restore, if there was one.
    pub restored: Option<Vec<u8>>,
}

/// How servers work together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Topology {
    /// A single server: acknowledged writes are on its disk.
    Standalone,
    /// Servers that each have all data.
    ReplicaSet {
        /// The name of the replica set.
        name: String,
        /// How many servers it has.
        members: usize,
    },
    /// A router in front of several replica sets.
    Sharded,
}

/// Inspects the database that `options` name.
///
/// # Errors
/// The outer one is a sentence for the operator, the inner one `store_unavailable`.
pub async fn inspect_mongodb(
    options: &MongoOptions,
    clock: &dyn Clock,
) -> Result<Result<MongoInspection>, OpenError> {
    let server = Server::new(options).await?;
    Ok(look(&server, clock).await.map_err(Error::from))
}

/// Whether the database that `options` name has records of ours; creates and changes nothing.
///
/// # Errors
/// The outer one is a sentence for the operator, the inner one `store_unavailable`.
pub async fn has_data(options: &MongoOptions) -> Result<Result<bool>, OpenError> {
    let server = Server::new(options).await?;
    Ok(schema::version(&server).await.map(|version| version > 0).map_err(Error::from))
}

async fn look(server: &Server, clock: &dyn Clock) -> EngineResult<MongoInspection> {
    let admin = server.other_database("admin");
    let hello = server.within(admin.run_command(doc! { "hello": 1 })).await?;
    let now = clock.now();
    let build = server.within(admin.run_command(doc! { "buildInfo": 1 })).await?;
    let schema = schema::version(server).await?;
    let theirs = hello.get_datetime("localTime").ok();
    let theirs = theirs.and_then(|at| Timestamp::from_millisecond(at.timestamp_millis()).ok());
    Ok(MongoInspection {
        version: build.get_str("version").unwrap_or("unknown").to_owned(),
        topology: topology(&hello),
        clock_ahead: theirs.map_or(SignedDuration::ZERO, |theirs| theirs.duration_since(now)),
        schema,
        newest_schema: schema::NEWEST_VERSION,
        supports_uuids: supports_uuids(server).await?,
        namespaces: capacity::count_namespaces(server).await?,
        // Without a schema there is no index to count by.
        organizations: if schema > 0 { organizations(server).await? } else { Vec::new() },
        shared_mailboxes: shared_mailboxes(server).await?,
        operator_key_hash: installation::stored_value(server, operator::HASH).await?,
        signing_keys: installation::stored_value(server, SIGNING_KEYS).await?,
        restored: installation::stored_value(server, RESTORED).await?,
    })
}

fn topology(hello: &Document) -> Topology {
    if hello.get_str("msg").is_ok_and(|kind| kind == "isdbgrid") {
        return Topology::Sharded;
    }
    match hello.get_str("setName") {
        Ok(name) => {
            let members = hello.get_array("hosts").map_or(0, Vec::len);
            Topology::ReplicaSet { name: name.to_owned(), members }
        }
        Err(_) => Topology::Standalone,
    }
}

/// Duplicates are few, and read only from the index of addresses.
async fn shared_mailboxes(server: &Server) -> EngineResult<Vec<SharedMailbox>> {
    let collection = server.collection(ACCOUNTS);
    let find = collection
        .find(doc! { "email_key": { "$regex": " " } })
        .sort(doc! { "email_key": 1 })
        .limit(i64::from(DUPLICATES_MAX));
    let duplicates = server
        .within(async {
            let mut cursor = find.await?;
            let mut documents: Vec<Document> = Vec::new();
            while cursor.advance().await? {
                documents.push(cursor.deserialize_current()?);
            }
            Ok(documents)
        })
        .await?;
    let duplicates = duplicates.into_iter().map(decode).collect::<EngineResult<Vec<Account>>>()?;
    let mut shared = Vec::new();
    for (mailbox, duplicates) in mailboxes(duplicates) {
        let holder = server.within(collection.find_one(doc! { "email_key": mailbox })).await?;
        let mut accounts = Vec::from_iter(holder.map(decode::<Account>).transpose()?);
        accounts.extend(duplicates);
        shared.push(SharedMailbox { accounts });
    }
    Ok(shared)
}

/// Counted by the index on the status, without reading the records.
async fn organizations(server: &Server) -> EngineResult<Vec<(Status, u64)>> {
    let mut counts = Vec::new();
    let collection = server.collection(ORGANIZATIONS);
    for status in Status::ALL {
        let count = collection
            .count_documents(doc! { "status": Bson::from(status.as_str()) })
            .hint(Hint::Name(ORGANIZATIONS_BY_STATUS.to_owned()));
        match server.within(count).await? {
            0 => {}
            count => counts.push((status, count)),
        }
    }
    Ok(counts)
}
