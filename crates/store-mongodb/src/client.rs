//! The connection to the server: how it is reached, and the deadline of every call.
//!
//! # Pitfalls
//! The driver waits without a limit on a server that is frozen. So this crate awaits the driver only through
//! [`Server::within`].

use super::engine_error::{EngineResult, describe};
use crate::error::OpenError;
use mongodb::bson::{Document, doc};
use mongodb::options::{
    ClientOptions, DatabaseOptions, ReadConcern, ReadPreference, SelectionCriteria, WriteConcern,
};
use mongodb::{Client, Collection, Database};
use std::fmt;
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::organization::Placement;
use tokio::time::timeout;

/// The most connections, unless the connection string sets `maxPoolSize`.
const POOL_SIZE: u32 = 100;
/// The most bytes of a database's name.
const DATABASE_NAME_MAX_BYTES: usize = 63;

/// How MongoDB is reached. Its `Debug` shows no connection string, which may hold a password.
#[derive(Clone)]
pub struct MongoOptions {
    /// The connection string, `mongodb://..` or `mongodb+srv://..`.
    pub uri: String,
    /// The database of the records, and of containers that are collections.
    pub database: String,
    /// The prefix of the names of databases that are containers; the organization's id follows.
    pub tenant_prefix: String,
    /// Where the data of new organizations goes.
    pub placement: Placement,
    /// The most collections and indexes on the server; `None` for no limit.
    pub max_namespaces: Option<u64>,
    /// Whether an organization goes into the shared placement when the server is full, instead of being refused.
    pub shared_at_capacity: bool,
    /// How long one call may take before it counts as failed.
    pub deadline: Duration,
}

impl MongoOptions {
    /// The default settings for the database `database` at `uri`.
    #[must_use]
    pub fn new(uri: impl Into<String>, database: impl Into<String>) -> Self {
        Self {
            uri: uri.into(),
            database: database.into(),
            tenant_prefix: "tenant_".to_owned(),
            placement: Placement::Collection,
            max_namespaces: None,
            shared_at_capacity: false,
            deadline: Duration::from_secs(5),
        }
    }

    /// Whether the connection string may hold a password.
    fn has_secret(&self) -> bool {
        self.uri.contains('@')
    }
}

impl fmt::Debug for MongoOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MongoOptions")
            .field("database", &self.database)
            .field("tenant_prefix", &self.tenant_prefix)
            .field("placement", &self.placement)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// The database that a connection string names though the records are in `used`. It may name one by which the user is
/// authenticated, as MongoDB's tools read it.
fn other_database(parsed: &ClientOptions, used: &str) -> Option<String> {
    let named = parsed.default_database.as_deref().filter(|named| *named != used)?;
    let source = parsed.credential.as_ref().and_then(|credential| credential.source.as_deref());
    (source != Some(named)).then(|| named.to_owned())
}

/// A server or replica set, and one database there.
#[derive(Debug, Clone)]
pub(super) struct Server {
    database: Database,
    deadline: Duration,
}

impl Server {
    /// Prepares the client; sends nothing yet.
    pub(super) async fn new(options: &MongoOptions) -> Result<Self, OpenError> {
        check_name(&options.database)?;
        check_name(&format!("{}{}", options.tenant_prefix, OrganizationId::from_bytes([0; 12])))?;
        let deadline = options.deadline;
        let refused = |error: &mongodb::error::Error| {
            let cause = if options.has_secret() { "the cause may repeat it" } else { &describe(error) };
            OpenError::InvalidUri { cause: cause.to_owned() }
        };
        // A `mongodb+srv` string is resolved by a name server.
        let parsed = timeout(deadline, ClientOptions::parse(&options.uri).into_future()).await;
        let parsed = parsed.map_err(|_| OpenError::InvalidUri { cause: "no name server replies".into() })?;
        let parsed = parsed.map_err(|error| refused(&error))?;
        if let Some(named) = other_database(&parsed, &options.database) {
            return Err(OpenError::OtherDatabase { named, used: options.database.clone() });
        }
        let client = Client::with_options(usual(parsed, deadline)).map_err(|error| refused(&error))?;
        Ok(Self { database: careful(&client, &options.database, deadline), deadline })
    }

    /// A collection of the database of the records.
    pub(super) fn collection(&self, name: &str) -> Collection<Document> {
        self.database.collection(name)
    }

    /// The database of the records.
    pub(super) const fn database(&self) -> &Database {
        &self.database
    }

    /// Another database, with the same read and write concerns.
    pub(super) fn other_database(&self, name: &str) -> Database {
        careful(self.database.client(), name, self.deadline)
    }

    /// Adds to a command that writes the same durability as writes of records have.
    pub(super) fn durably(&self, mut command: Document) -> Document {
        let patience = i64::try_from(self.deadline.as_millis()).unwrap_or(i64::MAX);
        command.insert("writeConcern", doc! { "w": "majority", "j": true, "wtimeout": patience });
        command
    }

    /// That durability, for a transaction.
    pub(super) fn durable(&self) -> WriteConcern {
        durable(self.deadline)
    }

    /// Awaits a call for at most the deadline.
    pub(super) async fn within<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        self.within_time(self.deadline, call).await
    }

    /// Awaits a call that may take longer than the deadline.
    pub(super) async fn within_time<T>(
        &self,
        time: Duration,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        match timeout(time, call.into_future()).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Error::unavailable(format!("no reply from MongoDB within {time:?}")).into()),
        }
    }

    /// How long a call may take.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }
}

/// A database in which acknowledged writes survive, and reads return only acknowledged data.
fn careful(client: &Client, name: &str, deadline: Duration) -> Database {
    let options = DatabaseOptions::builder()
        .read_concern(ReadConcern::majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .write_concern(durable(deadline))
        .build();
    client.database_with_options(name, options)
}

/// On the disks of a majority, so that no failover rolls it back.
fn durable(patience: Duration) -> WriteConcern {
    let mut concern = WriteConcern::majority();
    concern.journal = Some(true);
    // So that the server, too, stops waiting when the caller does.
    concern.w_timeout = Some(patience);
    concern
}

/// Completes the connection string: defaults, and how long a call waits for a server and a connection.
fn usual(mut options: ClientOptions, deadline: Duration) -> ClientOptions {
    options.app_name.get_or_insert_with(|| "tenantry".to_owned());
    options.max_pool_size.get_or_insert(POOL_SIZE);
    options.server_selection_timeout = Some(deadline);
    options.connect_timeout.get_or_insert(deadline);
    options
}

/// MongoDB's own rule, so that a bad name is reported at start and not by the first call.
fn check_name(name: &str) -> Result<(), OpenError> {
    let fits = (1..=DATABASE_NAME_MAX_BYTES).contains(&name.len());
    if fits && !name.contains(|c: char| c.is_control() || "/\\. \"$*<>:|?".contains(c)) {
        return Ok(());
    }
    Err(OpenError::InvalidDatabaseName { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connection_string_error_hides_password() {
        for uri in
            ["mongodb://user:hun@ter2@", "mongo://user:hunter2@host", "mongodb://user:hunter2@host/?w=x&w"]
        {
            let options = MongoOptions::new(uri, "tenantry");
            let refusal = Server::new(&options).await.unwrap_err().to_string();
            assert!(!refusal.contains("ter2"), "{refusal}");
            assert!(!format!("{options:?}").contains("ter2"));
        }
    }

    #[tokio::test]
    async fn connection_string_may_name_no_other_database() {
        let name = |uri: &'static str| async move { Server::new(&MongoOptions::new(uri, "tenantry")).await };
        for uri in [
            "mongodb://host",
            "mongodb://host/?w=1",
            "mongodb://host/tenantry",
            // By which the user is authenticated.
            "mongodb://user:password@host/users",
            "mongodb://user:password@host/users?authSource=users",
        ] {
            assert!(name(uri).await.is_ok(), "{uri}");
        }
        for uri in ["mongodb://host/shop", "mongodb://user:password@host/shop?authSource=admin"] {
            let refusal = name(uri).await.unwrap_err();
            assert!(
                matches!(&refusal, OpenError::OtherDatabase { named, .. } if named == "shop"),
                "{refusal}"
            );
        }
    }

    #[tokio::test]
    async fn database_name_is_checked_at_start() {
        for name in ["", "a b", "a.b", "a$b", "a/b", &"x".repeat(64)] {
            let refusal = Server::new(&MongoOptions::new("mongodb://127.0.0.1", name)).await.unwrap_err();
            assert!(matches!(refusal, OpenError::InvalidDatabaseName { .. }), "{refusal}");
        }
    }
}
