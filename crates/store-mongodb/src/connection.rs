//! The connection as the nouns use it: nothing goes to the server before the schema is what this program needs.

use crate::changes::Follower;
use crate::client::Server;
use crate::engine_error::EngineResult;
use mongodb::bson::Document;
use mongodb::{Cursor, Database};
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::store::invalidation::Invalidation;

/// A server, and whether its schema was found in order. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    server: Server,
    state: Arc<ConnectionState>,
}

/// What all who hold a connection have in common, and what ends with the last of them.
#[derive(Default)]
struct ConnectionState {
    /// Set once the schema is what this program needs.
    ready: OnceLock<()>,
    /// Set where records are kept in memory.
    follower: OnceLock<Follower>,
}

/// A connection that does not keep itself from ending.
pub(crate) struct WeakConnection {
    server: Server,
    state: Weak<ConnectionState>,
}

impl WeakConnection {
    /// The connection, if anybody still holds it.
    pub(crate) fn upgrade(&self) -> Option<Connection> {
        Some(Connection { server: self.server.clone(), state: self.state.upgrade()? })
    }
}

impl Connection {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, state: Arc::default() }
    }

    pub(crate) fn downgrade(&self) -> WeakConnection {
        WeakConnection { server: self.server.clone(), state: Arc::downgrade(&self.state) }
    }

    /// Tells `cache` what other instances change, as long as anybody holds the connection; for the first who asks.
    pub(crate) fn follow_changes(&self, cache: Arc<dyn Invalidation>) {
        self.state.follower.get_or_init(|| Follower::start(self.server.clone(), cache));
    }

    pub(crate) fn stop_following(&self) {
        if let Some(follower) = self.state.follower.get() {
            follower.stop();
        }
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Lets calls through from now on.
    pub(crate) fn set_ready(&self) {
        // It does not matter whether somebody else was first.
        let _ = self.state.ready.set(());
    }

    /// The database of the records.
    pub(crate) const fn database(&self) -> &Database {
        self.server.database()
    }

    /// How long a call may take.
    pub(crate) const fn deadline(&self) -> Duration {
        self.server.deadline()
    }

    /// Carries out a call within the deadline.
    pub(crate) async fn call<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        self.call_within(self.deadline(), call).await
    }

    /// Carries out a call that may take that long.
    pub(crate) async fn call_within<T>(
        &self,
        time: Duration,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        if self.state.ready.get().is_none() {
            return Err(Error::unavailable("MongoDB could not be used since the start").into());
        }
        self.server.within_time(time, call).await
    }

    /// The next of what a cursor gives.
    pub(crate) async fn next<T>(&self, cursor: &mut Cursor<T>) -> EngineResult<Option<T>>
    where
        T: DeserializeOwned + Send + Sync,
    {
        if self.call(cursor.advance()).await? { Ok(Some(cursor.deserialize_current()?)) } else { Ok(None) }
    }

    /// Carries out a command that writes to the database of the records, durably.
    pub(crate) async fn write_command(&self, command: Document) -> EngineResult<()> {
        self.call(self.database().run_command(self.server.durably(command))).await.map(|_| ())
    }
}
