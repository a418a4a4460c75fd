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

/// The chain with one more entry.
fn followed_by(mut entries: Vec<AuditEntry>, next: &AuditEvent) -> Vec<AuditEntry> {
    entries.push(AuditEntry::link(next, entries.last()).unwrap());
    entries
}

/// The chain whose entries at `redacted` have lost their text.
fn redacted(mut entries: Vec<AuditEntry>, redacted: std::ops::Range<usize>) -> Vec<AuditEntry> {
    for entry in &mut entries[redacted] {
        *entry = entry.clone().redacted();
    }
    entries
}

#[test]
fn chain_verifies_across_retention_and_redaction() {
    let purge = AuditEvent { action: AuditAction::OrganizationPurged, ..event(6) };
    let refused = AuditOutcome::Failed;
    let undone = AuditEvent { action: AuditAction::OrganizationImported, outcome: refused, ..event(6) };
    for end in [purge, undone] {
        let kept = redacted(followed_by(chain(6), &end), 0..6).split_off(2);
        let verifier = verify(&kept).unwrap();
        assert_eq!((verifier.entries(), verifier.redacted(), verifier.first()), (5, 4, Some(3)));
        assert_eq!(verifier.finish(), Ok(()));
    }
}

#[test]
fn chain_finds_text_that_no_purge_removed() {
    let purged =
        || followed_by(chain(3), &AuditEvent { action: AuditAction::OrganizationPurged, ..event(3) });
    let imported = AuditEvent { action: AuditAction::OrganizationImported, ..event(4) };
    for (entries, fault) in [
        (redacted(chain(3), 0..2), (2, ChainFault::NoPurge)),
        (redacted(followed_by(chain(3), &imported), 0..3), (3, ChainFault::NoPurge)),
        (redacted(purged(), 0..4), (4, ChainFault::NoPurge)),
        (redacted(followed_by(purged(), &imported), 0..4), (4, ChainFault::NoPurge)),
    ] {
        assert_eq!(verify(&entries).unwrap().finish(), Err(fault));
    }
    assert_eq!(verify(&redacted(purged(), 1..2)).unwrap_err(), ChainFault::Erased);
    let installation = AuditEvent { organization_id: None, ..event(0) };
    let entry = AuditEntry::link(&installation, None).unwrap().redacted();
    assert_eq!(ChainVerifier::new(AuditChain::INSTALLATION).check(&entry), Err(ChainFault::Erased));
    let named = AuditEntry { text: None, ..chain(1).remove(0) };
    assert_eq!(verify(&[named]).unwrap_err(), ChainFault::Columns);
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
