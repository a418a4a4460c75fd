//! Lists of organizations: filters, pages, cursors, and those that are due for a purge.

use super::identifier;
use crate::engines::on_every_engine;
use crate::given::{self, at, organization, organization_in};
use std::collections::BTreeSet;
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::operation::OperationArguments;
use tenantry_domain::organization::{Organization, State, Status};
use tenantry_domain::store::{OrganizationCursor, OrganizationQuery};

#[test]
fn organization_list_filters_and_sorts_by_identifier_and_id() {
    on_every_engine(|subject| async move {
        for name in ["b", "a-1", "a", "c", "aa", "a-2"] {
            subject.insert(&organization(&format!("{name} x"))).await;
        }
        for state in [State::Provisioning, State::Deleted, State::Purging] {
            subject.insert(&organization_in(state, &format!("b {state:?}"))).await;
        }
        let suspended = Organization { suspended: true, ..organization("b suspended") };
        subject.insert(&suspended).await;
        let hidden = Organization { suspended: true, ..organization_in(State::Deleted, "b twice") };
        subject.insert(&hidden).await;

        let prefix = |text: &str| Some(text.to_owned());
        let shown = ["a-1-x", "a-2-x", "a-x", "aa-x", "b-provisioning", "b-suspended", "b-x", "c-x"];
        let with_b = ["b-provisioning", "b-suspended", "b-x"];
        let all_b = ["b-deleted", "b-provisioning", "b-purging", "b-suspended", "b-twice", "b-x"];
        let none = OrganizationQuery::default();
        let status = |status| OrganizationQuery { status: Some(status), ..none.clone() };
        let cases: Vec<(OrganizationQuery, &[&str])> = vec![
            (none.clone(), &shown),
            (OrganizationQuery { identifier_prefix: prefix("b"), ..none.clone() }, &with_b),
            (
                OrganizationQuery { identifier_prefix: prefix("b-"), show_deleted: true, ..none.clone() },
                &all_b,
            ),
            (
                OrganizationQuery { identifier_prefix: prefix("a-"), ..none.clone() },
                &["a-1-x", "a-2-x", "a-x"],
            ),
            (OrganizationQuery { identifier_prefix: prefix("a%"), ..none.clone() }, &[]),
            (OrganizationQuery { identifier_prefix: prefix("\u{10ffff}"), ..none.clone() }, &[]),
            (status(Status::Provisioning), &["b-provisioning"]),
            (status(Status::Active), &["a-1-x", "a-2-x", "a-x", "aa-x", "b-x", "c-x"]),
            (status(Status::Suspended), &["b-suspended"]),
            (status(Status::Deleted), &["b-deleted", "b-twice"]),
            (status(Status::Purging), &["b-purging"]),
            (OrganizationQuery { show_deleted: true, ..status(Status::Suspended) }, &["b-suspended"]),
            (OrganizationQuery { identifier_prefix: prefix("b"), ..status(Status::Active) }, &["b-x"]),
        ];
        for (query, expected) in cases {
            assert_eq!(subject.list(&query, 100).await, expected, "{query:?}");
            let first: Vec<_> = expected.iter().take(2).copied().collect();
            assert_eq!(subject.list(&query, 2).await, first, "{query:?}");
            assert_eq!(subject.list(&query, 0).await, [""; 0], "{query:?}");
        }
        for (status, count) in [
            (Status::Provisioning, 1),
            (Status::Active, 6),
            (Status::Suspended, 1),
            (Status::Deleted, 2),
            (Status::Purging, 1),
        ] {
            assert_eq!(subject.store.organizations.count_organizations(status).await.unwrap(), count);
        }
    });
}

#[test]
fn organization_pages_show_each_once_during_inserts() {
    on_every_engine(|subject| async move {
        // Two with one identifier are told apart by their ids.
        let mut expected: Vec<(String, OrganizationId)> = Vec::new();
        for number in 0..10 {
            for _ in 0..2 {
                let record = organization_in(State::Deleted, &format!("Page {number}"));
                subject.insert(&record).await;
                expected.push((record.naming.identifier.as_str().to_owned(), record.id));
            }
        }
        expected.sort();
        for prefix in [None, Some("page-".to_owned())] {
            for status in [None, Some(Status::Deleted)] {
                let mut query = OrganizationQuery {
                    identifier_prefix: prefix.clone(),
                    status,
                    show_deleted: true,
                    after: None,
                };
                let mut seen = Vec::new();
                loop {
                    let page = subject.store.organizations.list_organizations(&query, 3).await.unwrap();
                    let Some(last) = page.last() else { break };
                    query.after =
                        Some(OrganizationCursor { identifier: last.naming.identifier.clone(), id: last.id });
                    seen.extend(page.iter().map(|o| (o.naming.identifier.as_str().to_owned(), o.id)));
                    // Before and after the current position; only a few, or the list would never end.
                    for name in ["Aardvark", "Page 5 a", "Zebra"] {
                        if seen.len() < expected.len() {
                            subject.insert(&organization_in(State::Deleted, name)).await;
                        }
                    }
                }
                let given: BTreeSet<_> = expected.iter().cloned().collect();
                seen.retain(|found| given.contains(found));
                assert_eq!(seen, expected);
            }
        }
    });
}

#[test]
fn organization_cursor_before_prefix_starts_at_prefix() {
    on_every_engine(|subject| async move {
        for name in ["Alpha", "Beta", "Gamma"] {
            subject.insert(&organization(name)).await;
        }
        for (after, expected) in [("alpha", vec!["beta"]), ("beta-2", vec![]), ("gamma", vec![])] {
            let id = OrganizationId::from_bytes([0xff; 12]);
            let query = OrganizationQuery {
                identifier_prefix: Some("be".to_owned()),
                after: Some(OrganizationCursor { identifier: identifier(after), id }),
                ..Default::default()
            };
            assert_eq!(subject.list(&query, 10).await, expected, "after {after}");
        }
    });
}

#[test]
fn organizations_due_for_purge_come_longest_due_first() {
    on_every_engine(|subject| async move {
        let deleted = |name: &str, second| Organization {
            purge_at: Some(at(second)),
            ..organization_in(State::Deleted, name)
        };
        let held = Organization { legal_hold: true, ..deleted("Held", 1) };
        let mut busy = deleted("Busy", 1);
        busy.operation = Some(given::operation(
            "me",
            OperationArguments::Restore { to: given::naming("Busy"), owner_email: None },
        ));
        let purging = Organization { state: State::Purging, ..deleted("Purging", 1) };
        let active = Organization { purge_at: Some(at(1)), ..organization("Active") };
        let kept = Organization { purge_at: None, ..deleted("Kept", 1) };
        for record in [&held, &busy, &purging, &active, &kept] {
            subject.insert(record).await;
        }
        for (name, second) in [("Third", 30), ("First", 10), ("Second", 20)] {
            subject.insert(&deleted(name, second)).await;
        }
        let due = async |now, limit| -> Vec<String> {
            let due = subject.store.organizations.list_organizations_to_purge(now, limit).await.unwrap();
            due.iter().map(|o| o.naming.name.as_str().to_owned()).collect()
        };
        assert_eq!(due(at(9), 10).await, [""; 0]);
        assert_eq!(due(at(10), 10).await, ["First"]);
        assert_eq!(due(at(100), 10).await, ["First", "Second", "Third"]);
        assert_eq!(due(at(100), 2).await, ["First", "Second"]);

        // What was in the way goes away.
        subject.change(&held, |next| next.legal_hold = false).await;
        subject.change(&busy, |next| next.operation = None).await;
        assert_eq!(due(at(9), 10).await.len(), 2);
    });
}
