//! An organization and its documents, as its admin reaches them; or the documents of a route without sign-in.

use crate::client::{Connection, Request};
use crate::data::documents::{id, kind, lines, named, spread};
use crate::data::organizations::PASSWORD;
use crate::server::Server;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::net::SocketAddr;

/// Documents that are sent with one request, when they are sent in bulk.
pub const BULK: u32 = 5_000;
/// Requests of one sort, which are sent again and again.
const REQUESTS: u32 = 2_000;

/// An organization with one collection of documents, and its admin's token.
#[derive(Clone)]
pub struct Tenant {
    /// Where the server listens.
    pub address: SocketAddr,
    /// The organization's id, or its identifier.
    pub id: String,
    token: Option<String>,
}

impl Tenant {
    /// The admin of the organization of that number.
    pub fn sign_in(server: &Server, number: u32) -> Result<Self> {
        Self::sign_in_as(server, &format!("admin{number}@example.com"), None)
    }

    /// The account with that address, in that organization or in the one it was last in.
    pub fn sign_in_as(server: &Server, email: &str, organization: Option<&str>) -> Result<Self> {
        let mut login = json!({ "email": email, "password": PASSWORD });
        if let Some(organization) = organization {
            login["organization"] = json!(organization);
        }
        let mut connection = Connection::open(server.address)?;
        let grant = connection.call(&Request::json("POST", "/admin/login", None, &login))?;
        let grant: Value = serde_json::from_slice(grant)?;
        let text = |field: &str| grant[field].as_str().map(str::to_owned).context("a sign-in without it");
        Ok(Self { address: server.address, id: text("org_id")?, token: Some(text("access_token")?) })
    }

    /// The same data, with another credential.
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..self.clone() }
    }

    /// A request for a key that reads documents.
    pub fn new_key(&self) -> Request {
        let body = json!({ "name": "bench", "permissions": ["documents:read"] });
        Request::json("POST", &format!("/v1/organizations/{}/keys", self.id), self.token(), &body)
    }

    /// A request for the first `limit` members.
    pub fn members(&self, limit: u32) -> Request {
        Request::get_by(&format!("/v1/organizations/{}/members?limit={limit}", self.id), self.token())
    }

    /// This tenant's documents on a server without organizations.
    pub fn on(&self, bare: &Server) -> Self {
        Self { address: bare.address, token: None, ..self.clone() }
    }

    fn path(&self) -> String {
        format!("/v1/organizations/{}/collections/documents", self.id)
    }

    fn document(&self, number: u32) -> String {
        format!("{}/documents/{}", self.path(), id(number))
    }

    fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// A request for the organization's record, by its admin.
    pub fn organization(&self) -> Request {
        Request::get_by(&format!("/v1/organizations/{}", self.id), self.token())
    }

    /// Indexes what lists are asked by.
    pub fn index(&self) -> Result<()> {
        let path = format!("{}/indexes", self.path());
        let request = Request::json("POST", &path, self.token(), &json!({ "keys": "kind" }));
        Connection::open(self.address)?.call(&request)?;
        Ok(())
    }

    /// Inserts the first `count` documents, with their ids.
    pub fn fill(&self, count: u32) -> Result<()> {
        let mut connection = Connection::open(self.address)?;
        for first in (0..count).step_by(BULK as usize) {
            let size = BULK.min(count - first);
            self.insert_all(&mut connection, &lines(first, size, named), size)?;
        }
        Ok(())
    }

    /// Inserts the documents in `lines`, of which there are `count`.
    pub fn insert_all(&self, connection: &mut Connection, lines: &str, count: u32) -> Result<()> {
        let path = format!("{}/documents", self.path());
        let length = lines.len() as u64;
        let request = Request::begin("POST", &path, self.token(), "application/x-ndjson", length);
        let mut response = Vec::new();
        connection.exchange(&request, lines.as_bytes(), &mut response)?;
        let response = String::from_utf8(response)?;
        let totals = response.lines().last().unwrap_or_default();
        let inserted = &serde_json::from_str::<Value>(totals)?["inserted"];
        ensure!(*inserted == count, "{inserted} of {count} documents were inserted: {totals}");
        Ok(())
    }

    /// Gets of single documents, of the first `documents`.
    pub fn reads(&self, documents: u32) -> Vec<Request> {
        let read = |number| Request::get_by(&self.document(number), self.token());
        numbers(documents).map(read).collect()
    }

    /// Merge patches of single documents, of the first `documents`.
    pub fn patches(&self, documents: u32) -> Vec<Request> {
        let patch = json!({ "pages": 13 });
        let patch = |number| Request::json("PATCH", &self.document(number), self.token(), &patch);
        numbers(documents).map(patch).collect()
    }

    /// An update of the document of that number by operators.
    pub fn update(&self, number: u32, update: &Value) -> Request {
        let path = format!("{}/update", self.document(number));
        Request::json("POST", &path, self.token(), &json!({ "update": update }))
    }

    /// Lists of the first `limit` documents of a kind, of the first `documents`.
    pub fn lists(&self, documents: u32, limit: u32) -> Vec<Request> {
        let list = |number| {
            let filter = format!("%7B%22kind%22%3A%22{}%22%7D", kind(number));
            let path = format!("{}/documents?filter={filter}&limit={limit}", self.path());
            Request::get_by(&path, self.token())
        };
        numbers(documents).map(list).collect()
    }

    /// A list of the first `limit` documents.
    pub fn list(&self, limit: u32) -> Request {
        Request::get_by(&format!("{}/documents?limit={limit}", self.path()), self.token())
    }

    /// A query for what matches.
    pub fn query(&self, filter: &Value) -> Request {
        Request::json("POST", &format!("{}/query", self.path()), self.token(), &json!({ "filter": filter }))
    }

    /// A request with a body, for what is at `rest` of the collection.
    pub fn of_collection(&self, method: &str, rest: &str, body: &Value) -> Request {
        Request::json(method, &format!("{}{rest}", self.path()), self.token(), body)
    }

    /// A batch.
    pub fn batch(&self, body: &Value) -> Request {
        Request::json("POST", &format!("/v1/organizations/{}/batch", self.id), self.token(), body)
    }

    /// Inserts of the documents in `lines`.
    pub fn inserts(&self, lines: &str) -> Vec<Request> {
        let path = format!("{}/documents", self.path());
        let insert = |line| Request::whole("POST", &path, self.token(), "application/json", line);
        lines.lines().map(insert).collect()
    }
}

/// Of the documents that requests of one sort are for.
fn numbers(documents: u32) -> impl Iterator<Item = u32> {
    (0..REQUESTS).map(move |turn| spread(turn, documents))
}
