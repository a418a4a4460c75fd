//! The requests that change an organization as operations, and what each makes of it.

use super::known::KnownOrganization;
use crate::support::fixtures::credentials;
use reqwest::Method;
use serde_json::{Value, json};

/// Who sends a request.
pub enum Sender {
    Operator,
    Nobody,
    Token(String),
    /// The worker's service key.
    Backend,
}

/// What an answer gives to whom has asked.
pub enum Gain {
    Nothing,
    /// Of the organization and its owner.
    Ids,
    Session,
    Issued,
    Link,
    /// Of that name.
    Key(String),
    /// For that address.
    Invitation(String),
}

/// A request that was sent, and what the organization is if it was carried out.
pub struct PendingRequest {
    pub next: KnownOrganization,
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    pub sender: Sender,
    pub gain: Gain,
}

/// A request of the operator that gives nothing.
pub fn request(next: KnownOrganization, method: Method, path: String, body: Option<Value>) -> PendingRequest {
    PendingRequest { next, method, path, body, sender: Sender::Operator, gain: Gain::Nothing }
}

impl PendingRequest {
    pub fn by(self, sender: Sender) -> Self {
        Self { sender, ..self }
    }

    pub fn for_gain(self, gain: Gain) -> Self {
        Self { gain, ..self }
    }
}

fn operate(
    known: &KnownOrganization,
    kind: &str,
    change: impl FnOnce(&mut KnownOrganization),
) -> PendingRequest {
    let mut next = known.after(kind);
    change(&mut next);
    request(next, Method::POST, format!("{}/{kind}", known.path()), None)
}

pub fn suspend(known: &KnownOrganization) -> PendingRequest {
    operate(known, "suspend", |next| {
        next.suspended = true;
        next.end_tokens();
    })
}

pub fn reactivate(known: &KnownOrganization) -> PendingRequest {
    operate(known, "reactivate", |next| next.suspended = false)
}

pub fn restore(known: &KnownOrganization) -> PendingRequest {
    operate(known, "restore", |next| next.state = "active")
}

pub fn purge(known: &KnownOrganization) -> PendingRequest {
    operate(known, "purge", |next| {
        next.state = "gone";
        next.suspended = false;
        next.documents.clear();
    })
}

pub fn delete(known: &KnownOrganization) -> PendingRequest {
    let mut next = known.after("delete");
    next.state = "deleted";
    next.end_tokens();
    next.people.end();
    request(next, Method::DELETE, known.path(), None)
}

pub fn protect(known: &KnownOrganization) -> PendingRequest {
    let mut next = known.after("update");
    next.protected = !known.protected;
    let body = json!({ "delete_protection": next.protected });
    request(next, Method::PATCH, known.path(), Some(body))
}

pub fn rename(known: &KnownOrganization, name: String) -> PendingRequest {
    let mut next = known.after("rename");
    next.name = name;
    let body = json!({ "organization_name": next.name });
    request(next, Method::PATCH, known.path(), Some(body))
}

pub fn sign_in(known: &KnownOrganization) -> PendingRequest {
    let body = credentials(&known.email, &known.password);
    request(known.clone(), Method::POST, "/admin/login".to_owned(), Some(body))
        .by(Sender::Nobody)
        .for_gain(Gain::Session)
}

/// A new password by the classic call, which is an operation.
pub fn change_credentials(known: &KnownOrganization, password: String) -> PendingRequest {
    let Some(token) = known.token() else { return sign_in(known) };
    let body = json!({ "organization_name": known.name, "password": password });
    let next = known.after("rename").with_password(password, Some(&token));
    request(next, Method::PUT, "/org/update".to_owned(), Some(body)).by(Sender::Token(token))
}
