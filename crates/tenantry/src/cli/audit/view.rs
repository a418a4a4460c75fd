//! Events as text for people.

use crate::cli::org::view::{align, utc};
use jiff::Timestamp;
use serde::Deserialize;
use std::collections::BTreeMap;

/// An event, as far as it is shown.
#[derive(Deserialize)]
pub struct Event {
    at: Timestamp,
    action: String,
    actor: Option<Named>,
    subject: Option<String>,
    target: Option<Named>,
    address: Option<String>,
    outcome: Option<String>,
    code: Option<String>,
    count: Option<u64>,
    details: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
}

impl Named {
    fn text(&self) -> String {
        match &self.id {
            Some(id) => format!("{}:{id}", self.kind),
            None => self.kind.clone(),
        }
    }
}

/// A table with a line for each.
pub fn table(events: &[Event]) -> String {
    if events.is_empty() {
        return "No events.".to_owned();
    }
    let headings = ["TIME", "ACTION", "OUTCOME", "ACTOR", "TARGET", "ADDRESS", "DETAILS"].map(str::to_owned);
    let rows: Vec<_> = std::iter::once(headings).chain(events.iter().map(row)).collect();
    align(&rows)
}

fn row(event: &Event) -> [String; 7] {
    let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    let outcome = match (&event.outcome, &event.code) {
        (Some(outcome), Some(code)) => format!("{outcome} ({code})"),
        (Some(outcome), None) => outcome.clone(),
        (None, _) => "redacted".to_owned(),
    };
    let actor = event.actor.as_ref().map(|actor| match &event.subject {
        Some(subject) => format!("{} for {subject}", actor.text()),
        None => actor.text(),
    });
    let mut details: Vec<String> =
        event.details.iter().map(|(name, value)| format!("{name}={value}")).collect();
    details.extend(event.count.map(|count| format!("count={count}")));
    [
        utc(event.at),
        event.action.clone(),
        outcome,
        or_none(actor),
        or_none(event.target.as_ref().map(Named::text)),
        or_none(event.address.clone()),
        or_none((!details.is_empty()).then(|| details.join(" "))),
    ]
}
