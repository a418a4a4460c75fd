//! Which state organizations have.

use super::*;
use std::collections::BTreeSet;

const AT: i64 = 1_700_000_000;

fn layout_with(mark: &Document) -> Layout {
    let mut organization = doc! { "_id": number(1), "name": "Acme" };
    organization.extend(mark.clone());
    layout(vec![organization], vec![account(11, "a@x.test", 1)], &[])
}

#[test]
fn state_follows_the_marks_of_the_record() {
    let at = bson::DateTime::from_millis(AT * 1000);
    let (active, suspended, deleted) =
        ((State::Active, false), (State::Active, true), (State::Deleted, false));
    for (mark, expected) in [
        (doc! {}, active),
        (doc! { "is_deleted": false, "deleted_at": null, "suspended": 0, "disabled_at": "" }, active),
        (doc! { "is_active": true, "enabled": 1, "status": "Active", "active": "yes" }, active),
        // What programs write for "never".
        (doc! { "deleted_at": 0 }, active),
        (doc! { "deleted_at": "0001-01-01T00:00:00Z" }, active),
        (doc! { "is_active": false }, suspended),
        (doc! { "is_active": 0 }, suspended),
        (doc! { "isActive": "false" }, suspended),
        (doc! { "enabled": false }, suspended),
        (doc! { "disabled": true }, suspended),
        (doc! { "suspended": true }, suspended),
        (doc! { "is_suspended": true }, suspended),
        (doc! { "suspendedAt": at }, suspended),
        (doc! { "status": "Inactive" }, suspended),
        (doc! { "status": "blocked" }, suspended),
        (doc! { "status": false }, suspended),
        (doc! { "is_deleted": true }, deleted),
        (doc! { "is_deleted": 1 }, deleted),
        (doc! { "is_deleted": "true" }, deleted),
        (doc! { "is_deleted": at }, deleted),
        (doc! { "deleted_at": at }, deleted),
        (doc! { "deleted_at": AT }, deleted),
        (doc! { "deleted_at": AT as f64 }, deleted),
        (doc! { "deleted_at": true }, deleted),
        (doc! { "status": "pending_deletion" }, deleted),
        (doc! { "status": "Pending deletion" }, deleted),
        (doc! { "status": "trashed" }, deleted),
        (doc! { "status": "deleted", "is_active": false }, deleted),
        (doc! { "status": "active", "deleted_at": at, "is_active": true }, deleted),
    ] {
        let plan = plan("old", &layout_with(&mark), &options(AdoptRules::default())).unwrap();
        assert_eq!(kinds(&plan), [], "{mark}");
        let record = &plan.organizations[0].record;
        assert_eq!((record.state, record.suspended), expected, "{mark}");
        let is_deleted = record.state == State::Deleted;
        assert_eq!(record.purge_at.is_some(), is_deleted, "{mark}");
        assert_eq!(record.reserved.is_empty(), is_deleted, "{mark}");
        assert_eq!(plan.accounts[0].email_key.is_none(), is_deleted, "{mark}");
        if mark.contains_key("deleted_at") && is_deleted && mark.get_bool("deleted_at").is_err() {
            assert_eq!(record.deleted_at, Some(Timestamp::from_second(AT).unwrap()), "{mark}");
        }
    }
}

#[test]
fn state_that_is_unknown_is_a_conflict() {
    for (mark, value) in [
        (doc! { "status": "cancelled" }, "cancelled"),
        (doc! { "status": 2 }, "2"),
        (doc! { "state": "CA" }, "CA"),
        (doc! { "is_deleted": "maybe" }, "maybe"),
        (doc! { "deleted_at": "yesterday" }, "yesterday"),
        (doc! { "is_active": 7 }, "7"),
    ] {
        let layout = layout_with(&mark);
        let found = plan("old", &layout, &options(AdoptRules::default())).unwrap();
        assert_eq!(kinds(&found), [(ConflictKind::StatusUnknown, vec![number(1).to_hex()])], "{mark}");
        assert!(found.conflicts[0].detail.contains(value), "{}", found.conflicts[0].detail);
        for (word, state, suspended) in [
            ("active", State::Active, false),
            ("suspended", State::Active, true),
            ("deleted", State::Deleted, false),
        ] {
            let status = [(value.to_owned(), word.to_owned())].into();
            let solved = plan("old", &layout, &options(AdoptRules { status, ..AdoptRules::default() }));
            let solved = solved.unwrap();
            assert_eq!(kinds(&solved), [], "{mark}");
            let record = &solved.organizations[0].record;
            assert_eq!((record.state, record.suspended), (state, suspended), "{mark} {word}");
        }
    }
}

#[test]
fn recognized_fields_show_status_and_role() {
    let mut layout = layout_with(&doc! { "is_deleted": false, "isActive": true, "deleted_at": null });
    layout.account_records[0].extend(doc! { "role": "admin", "disabled": false });
    let fields: BTreeSet<(&str, String, usize)> =
        layout.recognized().fields.into_iter().map(|field| (field.role, field.field, field.count)).collect();
    for (role, field) in [
        ("organization: status", "is_deleted"),
        ("organization: status", "isActive"),
        ("account: status", "disabled"),
        ("account: role", "role"),
    ] {
        assert!(fields.contains(&(role, field.to_owned(), 1)), "{field}: {fields:?}");
    }
    assert!(!fields.iter().any(|(_, field, _)| field == "deleted_at"), "{fields:?}");
}
