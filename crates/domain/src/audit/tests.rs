//! Events, and the chain that links them.

use super::chain::{ChainFault, ChainVerifier};
use super::*;
use crate::ids::Entropy;

struct Numbered;

impl Entropy for Numbered {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(9);
    }
}

fn organization() -> OrganizationId {
    OrganizationId::from_bytes([1; 12])
}

fn event(number: i64) -> AuditEvent {
    let at = Timestamp::from_second(1_800_000_000 + number).unwrap();
    AuditEvent {
        id: AuditEventId::new(at, &Numbered),
        organization_id: Some(organization()),
        at,
        action: AuditAction::KeyCreated,
        actor: Actor::Operator,
        subject: Some("user-1".to_owned()),
        target: Some(AuditTarget::ApiKey(ApiKeyId::from_bytes([2; 12]))),
        address: Some("192.0.2.1".to_owned()),
        request_id: None,
        outcome: AuditOutcome::Succeeded,
        code: None,
        count: None,
        details: BTreeMap::new(),
    }
    .detail("name", Some("backend"))
}

fn chain(length: i64) -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    for number in 0..length {
        entries.push(AuditEntry::link(&event(number), entries.last()).unwrap());
    }
    entries
}

fn verify(entries: &[AuditEntry]) -> Result<ChainVerifier, ChainFault> {
    let mut verifier = ChainVerifier::new(organization().into());
    for entry in entries {
        verifier.check(entry)?;
    }
    Ok(verifier)
}

#[test]
fn event_text_reads_back_as_the_event() {
    let text = event(0).to_text().unwrap();
    assert_eq!(AuditEvent::parse(&text).unwrap(), event(0).clone_with_id(&text));
}

impl AuditEvent {
    /// The same event with the id in `text`: ids of one moment differ.
    fn clone_with_id(&self, text: &str) -> Self {
        Self { id: Self::parse(text).unwrap().id, ..self.clone() }
    }
}

#[test]
fn chain_of_untouched_entries_verifies() {
    let entries = chain(5);
    let verifier = verify(&entries).unwrap();
    assert_eq!(verifier.head().unwrap().hash, entries[4].hash);
    assert_eq!((verifier.entries(), verifier.redacted(), verifier.first()), (5, 0, Some(1)));
}

#[test]
fn chain_verifies_across_retention_and_redaction() {
    let entries = chain(6);
    let kept: Vec<AuditEntry> = entries.into_iter().skip(2).map(AuditEntry::redacted).collect();
    let verifier = verify(&kept).unwrap();
    assert_eq!((verifier.entries(), verifier.redacted(), verifier.first()), (4, 4, Some(3)));
}

#[test]
fn chain_finds_every_changed_byte_of_a_text() {
    let entries = chain(2);
    let text = entries[0].text.clone().unwrap();
    for index in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[index] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let first = AuditEntry { text: Some(changed), ..entries[0].clone() };
        assert_eq!(verify(&[first, entries[1].clone()]).unwrap_err(), ChainFault::Text, "byte {index}");
    }
}

#[test]
fn chain_finds_changes_of_every_field() {
    let entries = chain(3);
    let (entry, rest) = (&entries[0], &entries[1..]);
    let changed = [
        AuditEntry { sequence: 7, ..entry.clone() },
        AuditEntry { id: AuditEventId::from_bytes([7; 12]), ..entry.clone() },
        AuditEntry { at: Timestamp::from_second(1).unwrap(), ..entry.clone() },
        AuditEntry { action: AuditAction::KeyRevoked, ..entry.clone() },
        AuditEntry { action: AuditAction::of_stored("key.createe"), ..entry.clone() },
        AuditEntry { actor: Some("system".to_owned()), ..entry.clone() },
        AuditEntry { digest: [7; 32], ..entry.clone() },
        AuditEntry { previous: [7; 32], ..entry.clone() },
        AuditEntry { hash: [7; 32], ..entry.clone() },
        AuditEntry { chain: AuditChain::INSTALLATION, ..entry.clone() },
    ];
    for first in changed {
        for redacted in [false, true] {
            let first = if redacted { first.clone().redacted() } else { first.clone() };
            let is_same = first == entry.clone().redacted();
            let all: Vec<AuditEntry> = std::iter::once(first).chain(rest.to_vec()).collect();
            assert_eq!(verify(&all).is_ok(), is_same, "{:?}", all[0]);
        }
    }
}

#[test]
fn chain_finds_missing_swapped_and_repeated_entries() {
    let entries = chain(4);
    for order in [&[0, 2, 3][..], &[0, 2, 1, 3], &[0, 1, 1, 2]] {
        let picked: Vec<AuditEntry> = order.iter().map(|index| entries[*index].clone()).collect();
        assert_eq!(verify(&picked).unwrap_err(), ChainFault::Link, "{order:?}");
    }
}

#[test]
fn action_names_are_unique_and_parse() {
    for action in AuditAction::ALL {
        assert_eq!(AuditAction::parse(action.as_str()), Some(*action));
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
}

#[test]
fn audit_page_lists_every_action() {
    let page = include_str!("../../../../docs/guides/audit.md");
    for action in AuditAction::ALL {
        let row = format!("| `{}` | {} |", action.as_str(), action.meaning());
        assert!(page.contains(&row), "docs/guides/audit.md lacks: {row}");
    }
}
