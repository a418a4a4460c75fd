//! What single writes change, each with its event in it: keys, invitations, links, passwords and exchanges. After a kill
//! there is all of one of them, or nothing.

use super::known::KnownOrganization;
use super::requests::{Gain, PendingRequest, Sender, request, sign_in};
use crate::support::checker::SINGLE_WRITES;
use crate::support::fixtures::PASSWORD;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What a worker's service key allows.
pub const BACKEND: [&str; 2] = ["tokens:issue", "organizations:read"];

/// A key of an organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadedKey {
    pub generation: u32,
    /// Unless the answer was cut off.
    pub id: Option<String>,
    pub text: Option<String>,
}

/// What single writes have made of an organization.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct People {
    /// By their names.
    pub keys: BTreeMap<String, LoadedKey>,
    /// The texts of keys that are rotated or revoked.
    pub ended_keys: Vec<String>,
    /// By their addresses: the id and the token, unless the answer was cut off.
    pub invitations: BTreeMap<String, Option<(String, String)>>,
    /// The owner's link for a new password, if there is one, and its token, unless the answer was cut off.
    pub link: Option<Option<String>>,
    /// Tokens that the service key was exchanged for, and whether each is good.
    pub issued: Vec<(String, bool)>,
    /// How often each of [`SINGLE_WRITES`] stands in the trail.
    pub events: BTreeMap<&'static str, usize>,
}

impl People {
    /// What a delete leaves: neither keys nor invitations.
    pub fn end(&mut self) {
        let keys = std::mem::take(&mut self.keys);
        self.ended_keys.extend(keys.into_values().filter_map(|key| key.text));
        self.invitations.clear();
    }

    /// As [`crate::support::checker::Snapshot::people_of`] shows it.
    pub fn shape(&self, state: &str) -> Value {
        let generations: BTreeMap<&String, u32> =
            self.keys.iter().map(|(name, key)| (name, key.generation)).collect();
        let count = |action: &&'static str| (*action, self.events.get(action).copied().unwrap_or_default());
        let events: BTreeMap<&str, usize> = SINGLE_WRITES.iter().map(count).collect();
        json!({
            "keys": generations,
            "invitations": self.invitations.keys().collect::<Vec<_>>(),
            // With the organization goes the account of its owner.
            "links": usize::from(self.link.is_some() && state != "gone"),
            "events": events,
        })
    }
}

/// A new password by the session's own account.
pub fn change_password(known: &KnownOrganization, password: String) -> PendingRequest {
    let Some(token) = known.token() else { return sign_in(known) };
    let body = json!({ "current_password": known.password, "new_password": password });
    let next = known.with_event("password.changed").with_password(password, Some(&token));
    request(next, Method::POST, "/v1/me/password".to_owned(), Some(body)).by(Sender::Token(token))
}

pub fn make_link(known: &KnownOrganization) -> PendingRequest {
    let mut next = known.with_event("password.reset_issued");
    next.people.link = Some(None);
    let path = format!("{}/members/{}/password-reset", known.path(), known.owner);
    request(next, Method::POST, path, Some(json!({}))).for_gain(Gain::Link)
}

pub fn use_link(known: &KnownOrganization, password: String) -> PendingRequest {
    let Some(Some(token)) = known.people.link.clone() else { return make_link(known) };
    let body = json!({ "token": token, "new_password": password });
    let next = known.with_event("password.changed").with_password(password, None);
    request(next, Method::POST, "/v1/auth/reset-password".to_owned(), Some(body)).by(Sender::Nobody)
}

pub fn make_key(known: &KnownOrganization, name: &str) -> PendingRequest {
    // Who makes a key has signed in not long ago.
    let Some(token) = known.token() else { return sign_in(known) };
    let mut next = known.with_event("key.created");
    next.people.keys.insert(name.to_owned(), LoadedKey::default());
    let body = json!({ "name": name, "permissions": ["organizations:read"] });
    request(next, Method::POST, format!("{}/keys", known.path()), Some(body))
        .by(Sender::Token(token))
        .for_gain(Gain::Key(name.to_owned()))
}

/// The name and the id of a key whose id is known.
fn some_key(known: &KnownOrganization) -> Option<(String, String)> {
    let mut keys = known.people.keys.iter();
    keys.find_map(|(name, key)| Some((name.clone(), key.id.clone()?)))
}

pub fn rotate_key(known: &KnownOrganization) -> PendingRequest {
    let Some(token) = known.token() else { return sign_in(known) };
    let Some((name, id)) = some_key(known) else { return make_key(known, "key to be rotated") };
    let mut next = known.with_event("key.rotated");
    let key = next.people.keys.get_mut(&name).unwrap();
    key.generation += 1;
    next.people.ended_keys.extend(key.text.take());
    request(next, Method::POST, format!("{}/keys/{id}/rotate", known.path()), Some(json!({})))
        .by(Sender::Token(token))
        .for_gain(Gain::Key(name))
}

pub fn revoke_key(known: &KnownOrganization) -> PendingRequest {
    let Some((name, id)) = some_key(known) else { return make_key(known, "key to be revoked") };
    let mut next = known.with_event("key.revoked");
    let key = next.people.keys.remove(&name).unwrap();
    next.people.ended_keys.extend(key.text);
    request(next, Method::DELETE, format!("{}/keys/{id}", known.path()), None)
}

pub fn invite(known: &KnownOrganization, email: &str) -> PendingRequest {
    let mut next = known.with_event("invitation.created");
    next.people.invitations.insert(email.to_owned(), None);
    let body = json!({ "email": email, "role": "viewer" });
    request(next, Method::POST, format!("{}/invitations", known.path()), Some(body))
        .for_gain(Gain::Invitation(email.to_owned()))
}

/// The address, the id and the token of an invitation whose token is known.
fn some_invitation(known: &KnownOrganization) -> Option<(String, String, String)> {
    let mut invitations = known.people.invitations.iter();
    invitations.find_map(|(email, made)| made.clone().map(|(id, token)| (email.clone(), id, token)))
}

/// The address to invite where there is no invitation to do something with.
fn next_guest(known: &KnownOrganization) -> String {
    let made = known.people.events.get("invitation.created").copied().unwrap_or_default();
    format!("guest-{made}@{}.example", known.id)
}

pub fn renew_invitation(known: &KnownOrganization) -> PendingRequest {
    let Some((email, id, _)) = some_invitation(known) else { return invite(known, &next_guest(known)) };
    let mut next = known.with_event("invitation.renewed");
    // The token of before is no good any more.
    next.people.invitations.insert(email.clone(), None);
    let path = format!("{}/invitations/{id}/renew", known.path());
    request(next, Method::POST, path, Some(json!({}))).for_gain(Gain::Invitation(email))
}

pub fn revoke_invitation(known: &KnownOrganization) -> PendingRequest {
    let Some((email, id, _)) = some_invitation(known) else { return invite(known, &next_guest(known)) };
    let mut next = known.with_event("invitation.revoked");
    next.people.invitations.remove(&email);
    request(next, Method::DELETE, format!("{}/invitations/{id}", known.path()), None)
}

/// Somebody new joins.
pub fn accept_invitation(known: &KnownOrganization) -> PendingRequest {
    let Some((email, _, token)) = some_invitation(known) else { return invite(known, &next_guest(known)) };
    let mut next = known.after("add_member");
    next.people.invitations.remove(&email);
    let body = json!({ "token": token, "password": PASSWORD });
    request(next, Method::POST, "/v1/invitations/accept".to_owned(), Some(body)).by(Sender::Nobody)
}

pub fn exchange(known: &KnownOrganization) -> PendingRequest {
    let next = known.with_event("token.issued");
    let body = json!({ "permissions": ["organizations:read"], "expires_in": 3600 });
    request(next, Method::POST, format!("{}/tokens", known.path()), Some(body))
        .by(Sender::Backend)
        .for_gain(Gain::Issued)
}
