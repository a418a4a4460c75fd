//! Whether an answered write is on the disk: asked of each system whose settings could say otherwise.

use super::api::document;
use super::system::System;
use crate::client::Connection;
use crate::runtime::block_on;
use anyhow::{Context, Result, ensure};
use bson::{Document, doc};
use mongodb::Client;
use serde_json::Value;

/// `synchronous=FULL`, as SQLite numbers it.
const FULL: i64 = 2;

/// Fails if the system acknowledges writes that a power failure takes back.
pub fn check(system: &System<'_>, mongodb: &str) -> Result<()> {
    if let Some(database) = system.definition.database {
        return write_concern(system, mongodb, database);
    }
    if system.name() == "PocketBase" {
        let response: Value = serde_json::from_slice(Connection::open(system.address)?.get("/durability")?)?;
        ensure!(response["synchronous"] == FULL, "PocketBase is not durable: {response}");
    }
    // The service and `benches/peers/better-auth/serve.mjs` set it when they open a file.
    Ok(())
}

/// What the server's own record says of an insert.
fn write_concern(system: &System<'_>, mongodb: &str, database: &str) -> Result<()> {
    let member = system.members.first().context("no organization")?;
    let insert = system.definition.api.insert(member, document("durable")).context("no inserts")?;
    block_on(async {
        let client = Client::with_uri_str(mongodb).await?;
        let database = client.database(database);
        database.run_command(doc! { "profile": 2 }).await?;
        let inserted = Connection::open(system.address).and_then(|mut open| open.call(&insert).map(drop));
        database.run_command(doc! { "profile": 0 }).await?;
        inserted?;
        let profile = database.collection::<Document>("system.profile");
        let found =
            profile.find_one(doc! { "op": "insert", "writeConcern.w": "majority", "writeConcern.j": true });
        ensure!(found.await?.is_some(), "{} does not insert with w: majority, j: true", system.name());
        profile.drop().await?;
        client.shutdown().await;
        Ok(())
    })
}
