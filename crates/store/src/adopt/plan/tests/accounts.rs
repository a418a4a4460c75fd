//! Which accounts are adopted, where they belong, and with which role.

use super::*;

/// An account that names its organization by that.
fn named(byte: u8, email: &str, organization: &str) -> Document {
    doc! { "_id": number(byte), "email": email, "hash": HASH, "org_id": organization }
}

fn organization(byte: u8, name: &str, also: Document) -> Document {
    let mut record = doc! { "_id": number(byte), "name": name, "collection": format!("org_{byte}") };
    record.extend(also);
    record
}

fn hex(byte: u8) -> String {
    number(byte).to_hex()
}

/// The organization and the role of each account, by the first bytes of their ids.
fn memberships(plan: &Plan) -> Vec<(u8, Vec<(u8, &str)>)> {
    let of = |account: &'_ Account| account.id.as_bytes()[0];
    let accounts = plan.accounts.iter();
    accounts
        .map(|account| {
            let each = account.memberships.iter();
            (of(account), each.map(|each| (each.organization_id.as_bytes()[0], each.role.as_str())).collect())
        })
        .collect()
}

/// The account of a deleted organization does not become one of the live one that is called the same.
#[test]
fn name_of_two_organizations_does_not_decide() {
    let organizations = vec![
        organization(1, "Acme", doc! { "is_deleted": true, "admin_id": number(11) }),
        organization(2, "Acme", doc! { "admin_id": number(12) }),
    ];
    for swapped in [false, true] {
        let mut organizations = organizations.clone();
        if swapped {
            organizations.reverse();
        }
        let accounts = vec![named(11, "alice@x.test", "Acme"), named(12, "bob@x.test", "Acme")];
        let layout = layout(organizations, accounts, &[]);
        let both = plan("old", &layout, &options(AdoptRules::default())).unwrap();
        assert_eq!(kinds(&both), []);
        assert_eq!(memberships(&both), [(11, vec![(1, "owner")]), (12, vec![(2, "owner")])]);
        // Nor if the deleted one is left out.
        let rules = AdoptRules { skip: [hex(1)].into(), ..AdoptRules::default() };
        let live = plan("old", &layout, &options(rules)).unwrap();
        assert_eq!(kinds(&live), []);
        assert_eq!(memberships(&live), [(12, vec![(2, "owner")])]);
    }
}

#[test]
fn ambiguous_name_is_a_conflict_with_a_way_out() {
    let organizations = vec![
        organization(1, "Acme", doc! { "is_deleted": true }),
        organization(2, "Acme", doc! {}),
        organization(3, "Other", doc! {}),
    ];
    let accounts = vec![
        named(11, "alice@x.test", "Acme"),
        named(12, "bob@x.test", "Acme"),
        named(13, "carol@x.test", "Other"),
    ];
    let layout = layout(organizations, accounts, &[]);
    let found = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&found), [(ConflictKind::OrganizationAmbiguous, vec![hex(11), hex(12)])]);
    let detail = &found.conflicts[0].detail;
    assert!(detail.contains("\"Acme\"") && detail.contains(&hex(1)) && detail.contains(&hex(2)), "{detail}");
    assert_eq!(memberships(&found), [(13, vec![(3, "owner")])]);

    let member = [(hex(11), hex(1)), (hex(12), hex(2))].into();
    let solved = plan("old", &layout, &options(AdoptRules { member, ..AdoptRules::default() })).unwrap();
    assert_eq!(kinds(&solved), []);
    let expected = [(11, vec![(1, "owner")]), (12, vec![(2, "owner")]), (13, vec![(3, "owner")])];
    assert_eq!(memberships(&solved), expected);
    for (account, organization) in [(99, 1), (11, 99)] {
        let member = [(hex(account), hex(organization))].into();
        let refused = plan("old", &layout, &options(AdoptRules { member, ..AdoptRules::default() }));
        assert!(matches!(refused, Err(AdoptError::UnknownRecord { id }) if id == hex(99)));
    }
}

#[test]
fn account_that_is_not_in_use_is_left_out() {
    for mark in [
        doc! { "is_active": false },
        doc! { "isActive": 0 },
        doc! { "is_deleted": true },
        doc! { "deleted_at": bson::DateTime::from_millis(1_700_000_000_000) },
        doc! { "status": "disabled" },
        doc! { "disabled": true },
        doc! { "account_status": "Blocked" },
    ] {
        let mut disabled = account(12, "mallory@x.test", 1);
        disabled.extend(mark.clone());
        let records = vec![account(11, "a@x.test", 1), disabled.clone()];
        let layout_of_two = layout(vec![organization(1, "Acme", doc! {})], records, &[]);
        let two = plan("old", &layout_of_two, &options(AdoptRules::default())).unwrap();
        assert_eq!((kinds(&two), memberships(&two)), (vec![], vec![(11, vec![(1, "owner")])]), "{mark}");
        let field = mark.keys().next().unwrap();
        assert!(
            two.notes.iter().any(|note| note.contains(&hex(12)) && note.contains(field)),
            "{:?}",
            two.notes
        );
        // The organization names it, and has no other.
        let record = organization(1, "Acme", doc! { "admin_id": number(12) });
        let alone = layout(vec![record], vec![disabled], &[]);
        let alone = plan("old", &alone, &options(AdoptRules::default())).unwrap();
        assert_eq!(kinds(&alone), [(ConflictKind::OrganizationWithoutAccount, vec![hex(1)])], "{mark}");
        assert!(alone.conflicts[0].detail.contains("suspended or deleted"), "{}", alone.conflicts[0].detail);
        assert_eq!(memberships(&alone), []);
    }
}

#[test]
fn account_of_unknown_status_is_a_conflict() {
    let mut pending = account(12, "b@x.test", 1);
    pending.extend(doc! { "status": "invited" });
    let records = vec![account(11, "a@x.test", 1), pending];
    let layout = layout(vec![organization(1, "Acme", doc! {})], records, &[]);
    let found = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&found), [(ConflictKind::StatusUnknown, vec![hex(12)])]);
    for (status, accounts) in [("active", 2), ("suspended", 1), ("deleted", 1)] {
        let status = [("invited".to_owned(), status.to_owned())].into();
        let solved = plan("old", &layout, &options(AdoptRules { status, ..AdoptRules::default() })).unwrap();
        assert_eq!((kinds(&solved), solved.accounts.len()), (vec![], accounts));
    }
}

#[test]
fn role_that_is_unknown_becomes_the_least() {
    for (mark, role, is_noted) in [
        (doc! {}, "admin", false),
        (doc! { "role": null }, "admin", false),
        (doc! { "role": " Admin" }, "admin", false),
        (doc! { "role": "Member" }, "member", false),
        (doc! { "roles": ["viewer"] }, "viewer", false),
        (doc! { "is_admin": true }, "admin", false),
        (doc! { "role": "user" }, "viewer", true),
        (doc! { "role": "readonly" }, "viewer", true),
        (doc! { "role": "superadmin" }, "viewer", true),
        (doc! { "role": 1 }, "viewer", true),
        (doc! { "roles": ["admin", "user"] }, "viewer", true),
        (doc! { "isAdmin": false }, "viewer", true),
        (doc! { "role": "admin", "is_admin": false }, "viewer", true),
    ] {
        let mut person = account(12, "b@x.test", 1);
        person.extend(mark.clone());
        let records = vec![account(11, "a@x.test", 1), person];
        let layout = layout(vec![organization(1, "Acme", doc! {})], records, &[]);
        let plan = plan("old", &layout, &options(AdoptRules::default())).unwrap();
        assert_eq!(kinds(&plan), [], "{mark}");
        assert_eq!(memberships(&plan)[1], (12, vec![(1, role)]), "{mark}");
        let note = plan.notes.iter().any(|note| note.contains("becomes `viewer`") && note.contains(&hex(12)));
        assert_eq!(note, is_noted, "{mark}: {:?}", plan.notes);
    }
}

/// Nobody becomes the owner who could only read or write documents.
#[test]
fn owner_is_only_who_was_an_admin() {
    let mut user = account(11, "a@x.test", 1);
    user.insert("role", "superadmin");
    let mut viewer = account(12, "b@x.test", 1);
    viewer.insert("role", "viewer");
    let records = vec![user, viewer];
    let without = layout(vec![organization(1, "Acme", doc! {})], records.clone(), &[]);
    let refused = plan("old", &without, &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&refused), [(ConflictKind::OrganizationWithoutAccount, vec![hex(1)])]);
    assert!(refused.conflicts[0].detail.contains("\"superadmin\""), "{}", refused.conflicts[0].detail);
    let role = [("superadmin".to_owned(), "owner".to_owned())].into();
    let solved = plan("old", &without, &options(AdoptRules { role, ..AdoptRules::default() })).unwrap();
    assert_eq!(kinds(&solved), []);
    assert_eq!(memberships(&solved), [(11, vec![(1, "owner")]), (12, vec![(1, "viewer")])]);
    // The organization itself says who it is.
    let record = organization(1, "Acme", doc! { "admin_id": number(11) });
    let named = plan("old", &layout(vec![record], records, &[]), &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&named), []);
    assert_eq!(memberships(&named), [(11, vec![(1, "owner")]), (12, vec![(1, "viewer")])]);
}

#[test]
fn ids_that_are_one_here_are_conflicts() {
    let mut twin = organization(1, "Twin", doc! {});
    twin.insert("_id", hex(1));
    let mut double = account(11, "b@x.test", 1);
    double.insert("_id", hex(11));
    let records = vec![account(11, "a@x.test", 1), double];
    let layout = layout(vec![organization(1, "Acme", doc! {}), twin], records, &[]);
    let plan = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    assert_eq!(
        kinds(&plan),
        [
            (ConflictKind::SharedCollection, vec![hex(1), hex(1)]),
            (ConflictKind::IdRefused, vec![hex(1)]),
            (ConflictKind::IdRefused, vec![hex(11)])
        ]
    );
}
