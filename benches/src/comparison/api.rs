//! The same work in the words of each system.
//!
//! An organization has one account; a document has a title, an owner, tags, pages and a kind, and its kind is indexed.

use crate::client::Request;
use anyhow::{Context, Result};
use serde_json::{Value, json};

/// The password of every account.
pub const PASSWORD: &str = "correct horse battery staple";

/// Who asks: the account of an organization, signed in.
#[derive(Clone, Default)]
pub struct Member {
    pub organization: String,
    pub token: String,
}

/// Where in its responses a system says something, as JSON pointers.
pub struct Pointers {
    /// The id of the organization, after it was created.
    pub organization: &'static str,
    /// The token, after a sign-in.
    pub token: &'static str,
    /// The id of a document, after it was inserted.
    pub document: &'static str,
}

/// A system's requests. What it does not have is `None`.
pub trait Api: Sync {
    /// Answered once it serves.
    fn health(&self) -> &'static str;

    fn pointers(&self) -> Pointers;

    /// Makes an account and its organization.
    fn create(&self, number: u32) -> Option<Request>;

    /// Signs that account in.
    fn sign_in(&self, number: u32) -> Option<Request>;

    /// What is asked for once for each organization before it has documents.
    fn prepare(&self, _member: &Member) -> Option<Request> {
        None
    }

    /// The record of the member's organization.
    fn organization(&self, member: &Member) -> Option<Request>;

    /// Inserts that document.
    fn insert(&self, member: &Member, document: Value) -> Option<Request>;

    /// The document of that id.
    fn read(&self, member: &Member, id: &str) -> Option<Request>;

    /// All documents of that kind, at most 100.
    fn list(&self, member: &Member, kind: &str) -> Option<Request>;

    /// Sets the pages of that document.
    fn update(&self, member: &Member, id: &str, pages: u32) -> Option<Request>;
}

/// The address of the account of that number.
pub fn email(number: u32) -> String {
    format!("admin{number}@example.com")
}

/// The name of the organization of that number.
pub fn name(number: u32) -> String {
    format!("Organization {number}")
}

/// A document of that kind.
pub fn document(kind: &str) -> Value {
    json!({
        "title": "Quarterly report", "owner": "finance", "tags": ["2026", "draft"], "pages": 12, "kind": kind,
    })
}

/// `path`, with a query of one parameter that is JSON.
pub fn with_query(path: &str, parameter: &str, value: &Value, rest: &str) -> String {
    let mut encoded = String::new();
    for byte in value.to_string().bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => encoded.push(char::from(byte)),
            _ => encoded += &format!("%{byte:02X}"),
        }
    }
    format!("{path}?{parameter}={encoded}{rest}")
}

/// The text at `pointer` in a response.
pub fn text(response: &[u8], pointer: &str) -> Result<String> {
    let response: Value = serde_json::from_slice(response)?;
    let text = response.pointer(pointer).and_then(Value::as_str);
    Ok(text.with_context(|| format!("nothing at {pointer} of {response}"))?.to_owned())
}
