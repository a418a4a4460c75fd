//! Roles, members, API keys and audit trails: the order, the bounds and the references of their lines.

use super::*;
use crate::account::{Account, Membership, Role};
use crate::actor::Actor;
use crate::api_key::{ApiKey, ApiKeyHash, ApiKeyOwner};
use crate::audit::{AuditAction, AuditChain, AuditEntry, AuditEvent, AuditOutcome};
use crate::ids::{ApiKeyId, AuditEventId};
use crate::limits::{ARCHIVE_TRAILS_MAX, MEMBERS_MAX, ORGANIZATION_KEYS_MAX, OWNERS_MAX, ROLES_MAX};
use crate::permission::{Permission, PermissionSet};
use crate::role::{OwnRole, RoleDescription, RoleName};
use std::collections::BTreeMap;

const OWN: OrganizationId = OrganizationId::from_bytes([1; 12]);

fn role(name: &str) -> ArchivedRole {
    ArchivedRole::from(&OwnRole {
        name: RoleName::parse(name).unwrap(),
        description: RoleDescription::parse("Reads").unwrap(),
        permissions: PermissionSet::new(&[Permission::DocumentsRead]),
        created_at: Timestamp::UNIX_EPOCH,
        modified_at: Timestamp::UNIX_EPOCH,
        made_at_version: 1,
        version: 1,
    })
}

/// A member with the id of that number.
fn member(number: u32, role: &str) -> ArchivedMember {
    let mut id = [9; 12];
    id[..4].copy_from_slice(&number.to_be_bytes());
    let email = EmailAddress::parse(&format!("m{number}@acme.example")).unwrap();
    let hash = PasswordHash(HASH.into());
    let account = Account::new(AccountId::from_bytes(id), email, hash.clone(), Timestamp::UNIX_EPOCH);
    let membership = Membership::new(OWN, role.parse().unwrap(), 0, Timestamp::UNIX_EPOCH);
    ArchivedMember::of(&account, &membership, (role == "member").then_some(hash))
}

fn api_key(number: u8) -> ArchivedApiKey {
    ArchivedApiKey::from(&ApiKey {
        id: ApiKeyId::from_bytes([number; 12]),
        owner: ApiKeyOwner::Organization(OWN),
        name: "report".into(),
        hash: ApiKeyHash::from_bytes([5; 32]),
        unconfirmed: None,
        generation: 3,
        replaced: None,
        permissions: PermissionSet::new(&[Permission::DocumentsRead]),
        organizations: None,
        maker: None,
        created_at: Timestamp::UNIX_EPOCH,
        expires_at: None,
        last_used_at: None,
        version: 1,
    })
}

fn entries(chain: OrganizationId, count: u8) -> Vec<AuditEntry> {
    trail(chain, &vec![AuditAction::KeyCreated; usize::from(count)])
}

fn trail(chain: OrganizationId, actions: &[AuditAction]) -> Vec<AuditEntry> {
    let mut entries: Vec<AuditEntry> = Vec::new();
    for (number, action) in (1..).zip(actions) {
        let event = AuditEvent {
            id: AuditEventId::from_bytes([number; 12]),
            organization_id: Some(chain),
            at: Timestamp::UNIX_EPOCH,
            action: *action,
            actor: Actor::Operator,
            subject: None,
            target: None,
            address: None,
            request_id: None,
            outcome: AuditOutcome::Succeeded,
            code: None,
            count: None,
            details: BTreeMap::new(),
        };
        entries.push(AuditEntry::link(&event, entries.last()).unwrap());
    }
    entries
}

/// What comes between the organization and the end.
#[derive(Default)]
struct Parts {
    roles: Vec<ArchivedRole>,
    members: Vec<ArchivedMember>,
    keys: Vec<ArchivedApiKey>,
    trails: Vec<Vec<AuditEntry>>,
}

impl Parts {
    fn all() -> Self {
        let purged = [AuditAction::KeyCreated, AuditAction::OrganizationPurged];
        let mut redacted = trail(OrganizationId::from_bytes([7; 12]), &purged);
        redacted[0] = redacted[0].clone().redacted();
        Self {
            roles: vec![role("billing"), role("reader")],
            members: vec![member(1, "billing"), member(2, "owner"), member(3, "member")],
            keys: vec![api_key(1), api_key(2)],
            trails: vec![redacted, entries(OWN, 3)],
        }
    }

    fn written(self) -> Vec<u8> {
        let mut out = Vec::new();
        let manifest = Manifest::new(Timestamp::UNIX_EPOCH);
        let mut writer = ArchiveWriter::begin(manifest, organization(), &mut out).unwrap();
        self.roles.into_iter().for_each(|role| writer.role(role, &mut out).unwrap());
        self.members.into_iter().for_each(|member| writer.member(member, &mut out).unwrap());
        self.keys.into_iter().for_each(|key| writer.api_key(key, &mut out).unwrap());
        writer.collection(collection("documents", &[]), &mut out).unwrap();
        writer.end_collection(&mut out).unwrap();
        for trail in self.trails {
            let chain = trail[0].chain;
            trail.into_iter().for_each(|entry| writer.audit_entry(chain, entry, &mut out).unwrap());
            writer.end_trail(&mut out).unwrap();
        }
        writer.end(Vec::new(), &mut out).unwrap();
        out
    }
}

#[test]
fn people_keys_and_trails_round_trip() {
    let archive = Parts::all().written();
    let items = read(&archive).unwrap();
    let Parts { roles, members, keys, trails } = Parts::all();
    let mut found = Parts::default();
    let mut chain: Option<AuditChain> = None;
    for item in &items {
        match item {
            ArchiveItem::Role(role) => found.roles.push(role.clone()),
            ArchiveItem::Member(member) => found.members.push(member.clone()),
            ArchiveItem::ApiKey(key) => found.keys.push(key.clone()),
            ArchiveItem::AuditTrail(trail) => {
                chain = Some(trail.chain);
                found.trails.push(Vec::new());
            }
            ArchiveItem::AuditEntry(entry) => {
                assert_eq!(Some(entry.chain), chain);
                found.trails.last_mut().unwrap().push((**entry).clone());
            }
            _ => {}
        }
    }
    assert_eq!((found.roles, found.members, found.keys, found.trails), (roles, members, keys, trails));
    let end = verify(&archive).unwrap();
    assert_eq!((end.roles, end.members, end.api_keys, end.audit_entries), (2, 3, 2, 5));
}

#[test]
fn people_lines_match_documentation() {
    let text = String::from_utf8(Parts::all().written()).unwrap();
    let line = |number: usize| text.lines().nth(number - 1).unwrap();
    assert_eq!(
        line(3),
        concat!(
            r#"{"role":{"name":"billing","description":"Reads","permissions":["documents:read"],"#,
            r#""created_at":"1970-01-01T00:00:00Z","modified_at":"1970-01-01T00:00:00Z"}}"#
        )
    );
    assert_eq!(
        line(5),
        concat!(
            r#"{"member":{"id":"000000010909090909090909","email":"m1@acme.example","role":"billing","#,
            r#""since":"1970-01-01T00:00:00Z"}}"#
        )
    );
    assert!(line(7).ends_with(&format!("\"password_hash\":\"{HASH}\"}}}}")), "{}", line(7));
    let key = concat!(
        r#"{"api_key":{"id":"010101010101010101010101","name":"report","hash":"0505050505050505050505050505050505050505050505"#,
        r#"050505050505050505","permissions":["documents:read"],"created_at":"1970-01-01T00:00:00Z"}}"#
    );
    assert_eq!(line(8), key);
    assert_eq!(line(12), r#"{"audit_trail":{"chain":"070707070707070707070707"}}"#);
    // A purge has taken its text and its actor.
    assert!(line(13).starts_with(r#"{"audit_entry":{"sequence":1,"id":"010101010101010101010101","at":"#));
    assert!(!line(13).contains("actor") && line(14).contains(r#""actor":"operator","text":"{\"id\":"#));
    assert!(
        line(15)
            .starts_with(r#"{"audit_trail_end":{"chain":"070707070707070707070707","entries":2,"last":2,"#)
    );
    assert!(
        line(21)
            .starts_with(r#"{"end":{"roles":2,"members":3,"api_keys":2,"audit_entries":5,"collections":1,"#)
    );
}

#[test]
fn people_archive_with_lines_missing_or_swapped_is_rejected() {
    let archive = Parts::all().written();
    let all: Vec<&[u8]> = archive.split_inclusive(|byte| *byte == b'\n').collect();
    for at in 0..all.len() {
        refused(&[&all[..at], &all[at + 1..]].concat().concat());
        if at > 0 {
            let mut swapped = all.clone();
            swapped.swap(at - 1, at);
            refused(&swapped.concat());
        }
    }
}

#[test]
fn people_line_error_names_line_and_field() {
    let text = String::from_utf8(Parts::all().written()).unwrap();
    for (from, to, expected) in [
        (
            r#""name":"billing""#,
            r#""name":"owner""#,
            "Line 3 of the archive: The member `/role/name`: Is a role",
        ),
        (r#""name":"billing""#, r#""name":"zeta""#, "Line 4 of the archive: `name`: roles come in the order"),
        (
            r#""permissions":["documents:read"]"#,
            r#""permissions":["documents:read","moon:walk"]"#,
            "Line 3 of the archive: `permissions` has \"moon:walk\"",
        ),
        (
            r#""permissions":["documents:read"]"#,
            r#""permissions":["owners:write"]"#,
            "Line 3 of the archive: `permissions` has \"owners:write\"",
        ),
        (
            r#""permissions":["documents:read"]"#,
            r#""permissions":[]"#,
            "Line 3 of the archive: `permissions` is empty",
        ),
        (r#""description":"Reads""#, r#""description":"a\tb""#, "Line 3 of the archive: `description`: Must"),
        (
            r#""role":"billing""#,
            r#""role":"nobody""#,
            "Line 5 of the archive: `role`: the archive has no role `nobody`",
        ),
        (
            r#""role":"billing""#,
            r#""role":"billing","verified":true"#,
            "Line 5 of the archive: The member `/member/verified`: unknown field `verified`",
        ),
        (
            r#""id":"000000010909"#,
            r#""id":"000000030909"#,
            "Line 6 of the archive: `id`: members come in the order",
        ),
        ("m1@acme.example", "m1", "Line 5 of the archive: The member `/member/email`: "),
        (
            r#""id":"000000010909090909090909""#,
            r#""id":"020202020202020202020202""#,
            "Line 5 of the archive: `id`: members come in the order of their ids, each once, without the owner",
        ),
        (r#""name":"report""#, r#""name":" ""#, "Line 8 of the archive: `name`: Must have 1 to 100"),
        (
            r#""hash":"05"#,
            r#""hash":"5"#,
            "Line 8 of the archive: The member `/api_key/hash`: Must be 64 hexadecimal digits.",
        ),
        (r#""api_key":{"id":"01"#, r#""api_key":{"id":"09"#, "Line 9 of the archive: `id`: API keys come"),
        (
            r#"{"audit_trail":{"chain":"07"#,
            r#"{"audit_trail":{"chain":"08"#,
            "Line 13 of the archive: The audit trail was changed: its hash",
        ),
        (
            r#"{"audit_trail":{"chain":"070707070707070707070707""#,
            r#"{"audit_trail":{"chain":"installation""#,
            "Line 12 of the archive: `chain`",
        ),
        (
            r#""action":"key.created""#,
            r#""action":"key.moved""#,
            "Line 13 of the archive: The member `/audit_entry/action`: Must be one of `organization.created`",
        ),
        (
            r#""action":"key.created""#,
            r#""action":"key.revoked""#,
            "Line 13 of the archive: The audit trail was changed: its hash",
        ),
        (r#"\"operator\""#, r#"\"system\""#, "Line 14 of the archive: The audit trail was changed: its text"),
        (r#""entries":2,"#, r#""entries":3,"#, "Line 15 of the archive: Chain, count, number or hash"),
        (r#""end":{"roles":2"#, r#""end":{"roles":1"#, "Line 21 of the archive: Counts or checksum"),
        (
            r#""version":2"#,
            r#""version":1"#,
            "Line 3 of the archive: Is of a kind that version 1 does not have",
        ),
        (
            r#""version":2"#,
            r#""version":3"#,
            "Line 1 of the archive: This service reads only the versions 1 to 2",
        ),
    ] {
        assert!(text.contains(from), "{from} is not in it");
        let sentence = refused(text.replacen(from, to, 1).as_bytes());
        assert!(sentence.starts_with(expected), "{sentence}\nand not {expected}");
        assert!(!sentence.contains("argon2"), "{sentence}");
    }
}

#[test]
fn people_sections_come_in_one_order() {
    let text = String::from_utf8(Parts::all().written()).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    // A role behind members, a member behind keys, a key behind trails.
    for (from, to) in [(3, 6), (6, 8), (8, 19)] {
        let mut moved = lines.clone();
        let line = moved.remove(from);
        moved.insert(to, line);
        let sentence = refused(moved.concat().as_bytes());
        assert!(sentence.contains("Comes "), "{from} {to}: {sentence}");
    }
    // A whole collection behind the trails, and a trail within a collection.
    let mut moved = lines.clone();
    let collection: Vec<_> = moved.drain(9..11).collect();
    moved.splice(18..18, collection);
    assert!(refused(moved.concat().as_bytes()).contains("Comes too late"));
    let mut moved = lines;
    let line = moved.remove(11);
    moved.insert(10, line);
    assert!(refused(moved.concat().as_bytes()).contains("Comes before the collection has ended"));
}

#[test]
fn people_of_an_archive_are_bounded() {
    let roles = (0..=ROLES_MAX).map(|n| role(&format!("r{n:02}"))).collect();
    let members = (0..MEMBERS_MAX).map(|n| member(n, "viewer")).collect();
    let owners = (0..OWNERS_MAX as u32).map(|n| member(n, "owner")).collect();
    let keys = (0..=ORGANIZATION_KEYS_MAX).map(|n| api_key(u8::try_from(n).unwrap())).collect();
    let trails = (0..=ARCHIVE_TRAILS_MAX).map(|_| entries(OWN, 1)).collect();
    for (parts, expected) in [
        (Parts { roles, ..Parts::default() }, "at most 32 roles"),
        (Parts { members, ..Parts::default() }, "at most 100000 members"),
        (Parts { members: owners, ..Parts::default() }, "`role`: an organization has at most 100 owners"),
        (Parts { keys, ..Parts::default() }, "at most 100 API keys"),
        (Parts { trails, ..Parts::default() }, "at most 8 audit trails"),
    ] {
        assert!(refused(&parts.written()).contains(expected), "{expected}");
    }
    let mut long = entries(OWN, 1);
    long[0].text = Some("x".repeat((64 << 10) + 1));
    let parts = Parts { trails: vec![long], ..Parts::default() };
    assert!(refused(&parts.written()).contains("`text`: an event has at most 65536 bytes"));
    let mut named = entries(OWN, 1);
    named[0].text = None;
    let parts = Parts { trails: vec![named], ..Parts::default() };
    assert!(refused(&parts.written()).contains("`actor`: an entry without its text has none"));
}

/// An archive of version 1 has neither the counts nor the lines; its owner always has a hash.
#[test]
fn archive_of_version_1_is_read() {
    let text = String::from_utf8(whole()).unwrap().replacen("\"version\":2", "\"version\":1", 1);
    let (before, end) = text.split_at(text.find("{\"end\"").unwrap());
    let end = end.replacen("\"roles\":0,\"members\":0,\"api_keys\":0,\"audit_entries\":0,", "", 1);
    let (sum, was) = (
        digest(before.lines()),
        digest(String::from_utf8(whole()).unwrap().lines().filter(|l| !l.starts_with("{\"end\""))),
    );
    let end = end.replacen(&was, &sum, 1);
    let archive = format!("{before}{end}");
    assert_eq!(read(archive.as_bytes()).unwrap().len(), read(&whole()).unwrap().len());
    verify(archive.as_bytes()).unwrap();
    let hash = format!(",\"password_hash\":\"{HASH}\"");
    assert!(archive.contains(&hash));
    let without = archive.replacen(&hash, "", 1);
    assert_eq!(refused(without.as_bytes()), "Line 2 of the archive: The owner has no `password_hash`.");
    // Since version 2 it may be missing.
    let without = String::from_utf8(whole()).unwrap().replacen(&hash, "", 1);
    assert!(refused(without.as_bytes()).contains("Counts or checksum"));
}

/// The owner of the organization's line counts.
#[test]
fn role_of_members_may_be_any_that_is_there() {
    for built_in in Role::BUILT_IN {
        let members = vec![member(1, built_in.as_str())];
        assert!(read(&Parts { members, ..Parts::default() }.written()).is_ok(), "{built_in:?}");
    }
}
