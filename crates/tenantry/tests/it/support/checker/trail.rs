//! See [`super`]: what single writes have made, and whether each stands in the audit trail. Such a write carries its event,
//! so there is neither one without the other.

use super::{Snapshot, text};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// What is done to the people and keys of an organization by one write, and in no operation.
pub const SINGLE_WRITES: [&str; 9] = [
    "invitation.created",
    "invitation.renewed",
    "invitation.revoked",
    "key.created",
    "key.rotated",
    "key.revoked",
    "password.changed",
    "password.reset_issued",
    "token.issued",
];

/// The chain of what concerns no single organization.
const INSTALLATION: &str = "installation";
/// For less no invitation is good.
const INVITATION_LIFETIME_MIN: Duration = Duration::from_secs(60);

/// An event of the audit trail.
#[derive(Clone, Debug)]
pub struct Event {
    pub chain: String,
    pub action: String,
    pub at: Timestamp,
    /// Nothing after a purge.
    pub text: Option<Value>,
}

impl Event {
    /// As it was written, in no chain yet.
    pub fn unchained(text: Value) -> Self {
        let chain = text["organization_id"].as_str().unwrap_or(INSTALLATION).to_owned();
        let (action, at) =
            (super::text(&text["action"]).to_owned(), super::text(&text["at"]).parse().unwrap());
        Self { chain, action, at, text: Some(text) }
    }

    /// Whether it says of that record what the action means.
    fn tells(&self, action: &str, id: &Value) -> bool {
        self.action == action && self.text.as_ref().is_some_and(|event| event["target"]["id"] == *id)
    }

    /// Whether it took keys and invitations away with their organization.
    fn ends_all(&self) -> bool {
        ["organization.deleted", "organization.purged"].contains(&self.action.as_str())
            && self.text.as_ref().is_none_or(|event| event["outcome"] == "succeeded")
    }

    fn has_succeeded(&self) -> bool {
        self.text.as_ref().is_some_and(|event| event["outcome"] == "succeeded")
    }
}

/// The events of one chain, in their order.
struct Trail<'a>(Vec<&'a Event>);

impl Trail<'_> {
    /// What is wrong about a record that was made then: it has one event of that action, unless it is from before the
    /// trail, or has come with an import.
    fn fault(&self, action: &str, record: &Value, made: &Value) -> Option<String> {
        let made: Timestamp = text(made).parse().unwrap();
        let begins = self.0.first()?.at;
        let imported = self.0.iter().rev().find(|event| event.action == "organization.imported");
        if made < begins || imported.is_some_and(|import| made <= import.at) {
            return None;
        }
        let told = self.0.iter().filter(|event| event.tells(action, &record["id"])).count();
        (told != 1).then(|| format!("{} of {made} has {told} events {action}", record["id"]))
    }

    /// The targets of events of that action that are not in `there`, and that no later event has ended.
    fn lost<'a>(&'a self, action: &str, ended_by: &str, there: &'a [Value]) -> Vec<(&'a Value, Timestamp)> {
        let made = self.0.iter().filter(|event| event.action == action && event.has_succeeded());
        let targets = made.map(|event| (&event.text.as_ref().unwrap()["target"]["id"], event.at));
        let is_lost = |(id, at): &(&Value, Timestamp)| {
            let is_there = there.iter().any(|record| record["id"] == **id);
            let is_ended =
                self.0.iter().any(|event| event.tells(ended_by, id) || event.ends_all() && event.at >= *at);
            !is_there && !is_ended
        };
        targets.filter(is_lost).collect()
    }
}

impl Snapshot {
    /// What single writes have made of an organization: its keys and how often each was rotated, who is invited, how many
    /// links its members have, and how often each of [`SINGLE_WRITES`] stands in its trail.
    pub fn people_of(&self, id: &str) -> Value {
        let keys = self.api_keys.iter().filter(|key| key["owner"]["organization"] == id);
        let keys: BTreeMap<&str, &Value> = keys.map(|key| (text(&key["name"]), &key["generation"])).collect();
        let invitations = self.invitations.iter().filter(|invitation| invitation["organization_id"] == id);
        let mut invited: Vec<&str> = invitations.map(|invitation| text(&invitation["email"])).collect();
        invited.sort_unstable();
        let members = self.memberships.iter().filter(|(_, organization)| organization == id);
        let links =
            members.map(|(account, _)| self.accounts[account]["links"].as_array().map_or(0, Vec::len));
        let count = |action: &&'static str| {
            let events = self.events.values().filter(|event| event.chain == id && event.action == **action);
            (*action, events.count())
        };
        let events: BTreeMap<&str, usize> = SINGLE_WRITES.iter().map(count).collect();
        json!({ "keys": keys, "invitations": invited, "links": links.sum::<usize>(), "events": events })
    }

    /// The ids of the organization's keys, by their names.
    pub fn key_ids(&self, id: &str) -> BTreeMap<String, String> {
        let keys = self.api_keys.iter().filter(|key| key["owner"]["organization"] == id);
        keys.map(|key| (text(&key["name"]).to_owned(), text(&key["id"]).to_owned())).collect()
    }

    /// Keys, invitations and sessions without the event that made them, and events of keys and invitations that are
    /// nowhere.
    pub(super) fn records_unlike_events(&self) -> Vec<String> {
        let mut trails: BTreeMap<&str, Trail<'_>> = BTreeMap::new();
        for event in self.events.values() {
            trails.entry(&event.chain).or_insert_with(|| Trail(Vec::new())).0.push(event);
        }
        let fault = |chain: &str, action: &str, record: &Value, made: &str| {
            trails.get(chain).and_then(|trail| trail.fault(action, record, &record[made]))
        };
        let mut problems = Vec::new();
        for key in &self.api_keys {
            let chain = key["owner"]["organization"].as_str().unwrap_or(INSTALLATION);
            problems
                .extend(fault(chain, "key.created", key, "created_at").map(|what| format!("API key {what}")));
        }
        for invitation in &self.invitations {
            let chain = text(&invitation["organization_id"]);
            let fault = fault(chain, "invitation.created", invitation, "created_at");
            problems.extend(fault.map(|what| format!("invitation {what}")));
        }
        for session in &self.sessions {
            let chain = text(&session["organization_id"]);
            let fault = fault(chain, "session.started", session, "signed_in_at");
            problems.extend(fault.map(|what| format!("session {what}")));
        }
        for (chain, trail) in &trails {
            let lost = trail.lost("key.created", "key.revoked", &self.api_keys);
            problems.extend(
                lost.iter().map(|(id, _)| format!("{chain}: there is no key {id}, which has an event")),
            );
            problems.extend(self.lost_invitations(trail).map(|lost| format!("{chain}: {lost}")));
        }
        problems
    }

    /// Invitations that have an event and are nowhere, more than people have joined by. Of those that may have expired
    /// nothing is known.
    fn lost_invitations(&self, trail: &Trail<'_>) -> Option<String> {
        let last = self.events.values().map(|event| event.at).max()?;
        let mut lost = trail.lost("invitation.created", "invitation.revoked", &self.invitations);
        lost.retain(|(_, at)| last.duration_since(*at) < INVITATION_LIFETIME_MIN.try_into().unwrap());
        let joined = trail.0.iter().filter(|event| event.action == "member.added" && event.has_succeeded());
        let joined = joined.count();
        (lost.len() > joined)
            .then(|| format!("of the invitations {lost:?}, which have events, {joined} were used"))
    }
}
