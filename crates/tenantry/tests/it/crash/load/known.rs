//! What a worker knows about an organization that it has created, and how that is compared with what is stored.

use super::people::People;
use super::requests::Gain;
use crate::support::checker::Snapshot;
use crate::support::client::Answer;
use crate::support::fixtures::PASSWORD;
use crate::support::process::Server;
use serde_json::Value;
use std::collections::BTreeSet;

/// What a worker knows about an organization that it has created.
#[derive(Clone, Debug, PartialEq)]
pub struct KnownOrganization {
    pub id: String,
    /// The account of its owner.
    pub owner: String,
    pub name: String,
    pub email: String,
    pub password: String,
    pub state: &'static str,
    pub suspended: bool,
    pub protected: bool,
    /// The kinds of its changes, in their order.
    pub log: Vec<String>,
    /// Access tokens of sessions, and whether each is good.
    pub tokens: Vec<(String, bool)>,
    pub people: People,
    pub documents: BTreeSet<String>,
}

impl KnownOrganization {
    pub fn new(name: String, email: String) -> Self {
        Self {
            id: String::new(),
            owner: String::new(),
            name,
            email,
            password: PASSWORD.to_owned(),
            state: "active",
            suspended: false,
            protected: false,
            log: vec!["create succeeded".to_owned()],
            tokens: Vec::new(),
            people: People::default(),
            documents: BTreeSet::new(),
        }
    }

    /// After a change of that kind that went well.
    pub fn after(&self, kind: &str) -> Self {
        let mut next = self.clone();
        next.log.push(format!("{kind} succeeded"));
        next
    }

    /// After a change that is no operation, with that event.
    pub fn with_event(&self, action: &'static str) -> Self {
        let mut next = self.clone();
        *next.people.events.entry(action).or_default() += 1;
        next
    }

    /// With a new password, which leaves the session of `kept` alone, and no link.
    pub fn with_password(mut self, password: String, kept: Option<&str>) -> Self {
        self.password = password;
        for (token, good) in &mut self.tokens {
            *good = *good && Some(token.as_str()) == kept;
        }
        self.people.link = None;
        self
    }

    /// Nothing is left that opens it but API keys.
    pub fn end_tokens(&mut self) {
        self.tokens.iter_mut().chain(&mut self.people.issued).for_each(|(_, good)| *good = false);
    }

    /// The newest token of a session that is good.
    pub fn token(&self) -> Option<String> {
        self.tokens.iter().rev().find(|(_, good)| *good).map(|(token, _)| token.clone())
    }

    pub fn path(&self) -> String {
        format!("/v1/organizations/{}", self.id)
    }

    /// With what the answer to a request gives to whom has sent it.
    pub fn with_gain(mut self, gain: Gain, answer: &Answer) -> Self {
        let text = |name: &str| answer.json()[name].as_str().unwrap().to_owned();
        match gain {
            Gain::Nothing => {}
            Gain::Ids => (self.id, self.owner) = (text("id"), text("admin_id")),
            Gain::Session => self.tokens.push((text("access_token"), true)),
            Gain::Issued => self.people.issued.push((text("access_token"), true)),
            Gain::Link => self.people.link = Some(Some(text("token"))),
            Gain::Key(name) => {
                let key = self.people.keys.get_mut(&name).unwrap();
                (key.id, key.text) = (Some(text("id")), Some(text("key")));
            }
            Gain::Invitation(email) => {
                let invitation = self.people.invitations.get_mut(&email).unwrap();
                *invitation = Some((text("id"), text("token")));
            }
        }
        self
    }

    /// The ids of what was made without an answer.
    pub fn find_ids(&mut self, found: &Snapshot) {
        if let Some(record) = found.organization(&self.id) {
            record["owner_id"].as_str().unwrap().clone_into(&mut self.owner);
        }
        let ids = found.key_ids(&self.id);
        for (name, key) in &mut self.people.keys {
            key.id = ids.get(name).cloned();
        }
    }

    /// Whether the other is the same, as far as it is stored.
    pub fn is_like(&self, other: &Self) -> bool {
        (&self.log, self.shape()) == (&other.log, other.shape())
    }

    /// Whether this is what the data directory holds.
    pub fn is(&self, found: &Snapshot) -> bool {
        found.log_of(&self.id) == self.log && found.people_of(&self.id) == self.shape()
    }

    fn shape(&self) -> Value {
        self.people.shape(self.state)
    }

    /// Expects the data directory and the service to agree.
    pub async fn check(&self, found: &Snapshot, server: &Server) {
        assert_eq!(found.log_of(&self.id), self.log, "{self:?}");
        assert_eq!(found.documents(&self.id), self.documents, "{self:?}");
        assert_eq!(found.people_of(&self.id), self.shape(), "{self:?}");
        let record = found.organization(&self.id);
        assert_eq!(record.is_some(), self.state != "gone", "{self:?}");
        if let Some(record) = record {
            assert_eq!(record["name"], self.name, "{self:?}");
            assert_eq!(record["state"], self.state, "{self:?}");
            assert_eq!(record["suspended"], self.suspended, "{self:?}");
            assert_eq!(record["delete_protection"], self.protected, "{self:?}");
        }
        let is_usable = self.state == "active" && !self.suspended;
        let keys = self.people.keys.values().filter_map(|key| key.text.clone());
        let keys = keys.map(|text| (text, is_usable));
        let ended = self.people.ended_keys.iter().map(|text| (text.clone(), false));
        let tokens = self.tokens.iter().chain(&self.people.issued).cloned();
        for (token, good) in tokens.chain(keys).chain(ended) {
            let answer = server.client().with_token(&token).get(&self.path()).await;
            assert_eq!(answer.status.is_success(), good, "{answer}: {self:?}");
        }
    }
}
