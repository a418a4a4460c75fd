//! The connection as the nouns use it: nothing goes to the server before the schema is what this program needs.

use crate::client::Server;
use crate::engine_error::EngineResult;
use mongodb::Database;
use mongodb::bson::Document;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tenantry_domain::Error;

/// A server, and whether its schema was found in order. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    server: Server,
    /// Set once the schema is what this program needs.
    ready: Arc<OnceLock<()>>,
}

impl Connection {
    pub(crate) fn new(server: Server) -> Self {
        Self { server, ready: Arc::default() }
    }

    pub(crate) const fn server(&self) -> &Server {
        &self.server
    }

    /// Lets calls through from now on.
    pub(crate) fn set_ready(&self) {
        // It does not matter whether somebody else was first.
        let _ = self.ready.set(());
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
        if self.ready.get().is_none() {
            return Err(Error::unavailable("MongoDB could not be used since the start").into());
        }
        self.server.within_time(time, call).await
    }

    /// Carries out a command that writes to the database of the records, durably.
    pub(crate) async fn write_command(&self, command: Document) -> EngineResult<()> {
        self.call(self.database().run_command(self.server.durably(command))).await.map(|_| ())
    }
}
