//! The connection that all other files use: it sends nothing to the server before the schema is up to date.

use crate::changes::Follower;
use crate::client::Server;
use crate::engine_error::EngineResult;
use mongodb::bson::Document;
use mongodb::{Cursor, Database};
use serde::de::DeserializeOwned;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tenantry_domain::Error;
use tenantry_domain::store::StoreCall;
use tenantry_domain::store::invalidation::Invalidation;

/// A server, and whether its schema is known to be up to date. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Connection {
    server: Server,
    state: Arc<ConnectionState>,
}

/// The state that all clones of a connection share; it ends with the last of them.
#[derive(Default)]
struct ConnectionState {
    /// Set once the schema is up to date.
    ready: OnceLock<()>,
    /// Set if records are cached.
    follower: OnceLock<Follower>,
}

/// A connection that does not keep the shared state alive.
pub(crate) struct WeakConnection {
    server: Server,
    state: Weak<ConnectionState>,
}

impl WeakConnection {
    /// The connection, if a clone of it still exists.
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

    /// Invalidates `cache` when other instances write, while the connection exists. Only the first call has an
    /// effect.
    pub(crate) fn follow_changes(&self, cache: Arc<dyn Invalidation>) {
        self.state.follower.get_or_init(|| Follower::start(self.server.clone(), cache));
    }

    pub(crate) fn stop_following(&self) {
        if let Some(follower) = self.state.follower.get() {
            follower.stop();
        }
    }

    /// Whether the primary may be so new that its majority reads lack acknowledged writes.
    pub(crate) fn may_lag(&self) -> bool {
        self.state.follower.get().is_some_and(Follower::may_lag)
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Allows calls from now on.
    pub(crate) fn set_ready(&self) {
        // Another task may have been first.
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

    /// Runs a call within the deadline.
    pub(crate) async fn call<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        self.call_within(self.deadline(), call).await
    }

    /// Runs a call for records within the deadline.
    pub(crate) async fn call_for_records<T>(
        &self,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        StoreCall::RecordCommand.measure(self.run(self.deadline(), call)).await
    }

    /// Runs a call that may take `time`.
    pub(crate) async fn call_within<T>(
        &self,
        time: Duration,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        StoreCall::ContainerCommand.measure(self.run(time, call)).await
    }

    /// Moves a cursor on; whether there is a further item. Not a call of its own: nearly always the item has arrived.
    pub(crate) async fn advance<T>(&self, cursor: &mut Cursor<T>) -> EngineResult<bool> {
        self.run(self.deadline(), cursor.advance()).await
    }

    async fn run<T>(
        &self,
        time: Duration,
        call: impl IntoFuture<Output = mongodb::error::Result<T>>,
    ) -> EngineResult<T> {
        if self.state.ready.get().is_none() {
            return Err(Error::unavailable("MongoDB has not been usable since the start").into());
        }
        self.server.within_time(time, call).await
    }

    /// The next item of a cursor.
    pub(crate) async fn next<T>(&self, cursor: &mut Cursor<T>) -> EngineResult<Option<T>>
    where
        T: DeserializeOwned + Send + Sync,
    {
        if self.advance(cursor).await? { Ok(Some(cursor.deserialize_current()?)) } else { Ok(None) }
    }

    /// Runs a command that writes to the database of the records, durably.
    pub(crate) async fn write_command(&self, command: Document) -> EngineResult<()> {
        self.call(self.database().run_command(self.server.durably(command))).await.map(|_| ())
    }
}
