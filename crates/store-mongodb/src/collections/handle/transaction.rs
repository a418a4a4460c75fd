//! Commands that are a part of a transaction.
//!
//! # Pitfalls
//! After any error the server has ended the transaction, or it has to be ended: nothing may be sent again within it. So
//! a collection that has moved is followed before the next try of the whole transaction, not here.

use super::CollectionHandle;
use crate::collections::command::Command;
use crate::engine_error::EngineResult;
use mongodb::ClientSession;
use mongodb::bson::Document;

impl CollectionHandle<'_> {
    /// Runs a command that returns one document as a part of the transaction of `session`. The outer error is a server
    /// that did not reply in time; the server ends the command soon after, so that nobody waits for its locks.
    pub(crate) async fn run_in_transaction(
        &self,
        session: &mut ClientSession,
        command: &Command,
    ) -> EngineResult<mongodb::error::Result<Document>> {
        let command = command.timed(&self.location, self.connection().deadline())?;
        let run = self.location.database.run_raw_command(command).session(session);
        self.connection().call(async { Ok(run.await) }).await
    }
}
