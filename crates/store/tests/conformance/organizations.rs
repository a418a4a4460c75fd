//! What a store owes the records of organizations, and the operations in them.

mod list;
mod takeover;

use crate::engines::{Subject, in_parallel, on_every_engine};
use crate::given::{self, Next, organization, organization_in, refusal};
use std::sync::Arc;
use std::time::Duration;
use tenantry_domain::error::{ErrorCode, Result};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::name::Identifier;
use tenantry_domain::operation::OperationArguments;
use tenantry_domain::organization::{ContainerId, Organization, ReservedKey, State, Status};
use tenantry_domain::store::InsertOutcome::{Exists, New};
use tenantry_domain::store::OrganizationQuery;
use tenantry_domain::store::UpdateOutcome::{Done, Stale};

/// How long a test may take on a busy machine, while the clock of a server goes on by itself.
const MARGIN: Duration = Duration::from_secs(6);

impl Subject {
    async fn insert(&self, organization: &Organization) -> Organization {
        assert_eq!(self.store.organizations.insert_organization(organization).await.unwrap(), New);
        organization.clone()
    }

    /// Saves the next version, changed so.
    async fn change(&self, record: &Organization, change: impl FnOnce(&mut Organization)) -> Organization {
        let mut next = record.next();
        change(&mut next);
        assert_eq!(self.store.organizations.update_organization(&next).await.unwrap(), Done);
        next
    }

    async fn get(&self, id: OrganizationId) -> Option<Organization> {
        let recent = self.store.organizations.get_recent_organization(id).await.unwrap();
        let now = self.store.organizations.get_organization(id).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(Arc::unwrap_or_clone)
    }

    async fn find(&self, identifier: &Identifier) -> Option<OrganizationId> {
        let recent = self.store.organizations.find_recent_organization(identifier).await.unwrap();
        let now = self.store.organizations.find_organization(identifier).await.unwrap();
        assert_eq!(recent, now, "who has changed it sees that at once");
        now.map(|found| found.id)
    }

    async fn list(&self, query: &OrganizationQuery, limit: u32) -> Vec<String> {
        let found = self.store.organizations.list_organizations(query, limit).await.unwrap();
        found.iter().map(|o| o.naming.identifier.as_str().to_owned()).collect()
    }

    async fn claim(&self, owner: &str, limit: u32) -> Vec<Organization> {
        let claimed = self.store.organizations.claim_operations(owner, limit).await.unwrap();
        claimed.iter().map(|record| Organization::clone(record)).collect()
    }
}

fn identifier(text: &str) -> Identifier {
    Identifier::parse(text).unwrap()
}

#[test]
fn organization_round_trips() {
    on_every_engine(|subject| async move {
        let mut records = vec![organization("Plain")];
        for (number, arguments) in given::every_arguments().into_iter().enumerate() {
            let mut record = organization_in(State::Deleted, &format!("株式会社 {number} & Søns"));
            record.operation = Some(given::operation("me", arguments));
            record.suspended = true;
            record.delete_protection = true;
            record.legal_hold = true;
            record.token_epoch = u32::MAX;
            record.version = 1 << 53;
            record.container = Some(ContainerId([0xc0; 16]));
            records.push(record);
        }
        for record in records {
            subject.insert(&record).await;
            for _ in 0..2 {
                assert_eq!(subject.get(record.id).await, Some(record.clone()));
            }
        }
    });
}

#[test]
fn organization_that_never_existed_is_not_found() {
    on_every_engine(|subject| async move {
        assert_eq!(subject.get(organization("X-Ray").id).await, None);
        assert_eq!(subject.find(&identifier("x-ray")).await, None);
        let operation = given::operation("me", OperationArguments::Suspend).id;
        let found = subject.store.organizations.find_organization_of_operation(operation).await;
        assert_eq!(found.unwrap(), None);
        let gone = organization("Gone").next();
        assert_eq!(subject.store.organizations.update_organization(&gone).await.unwrap(), Stale);
        assert_eq!(subject.get(gone.id).await, None);
        assert_eq!(subject.find(&gone.naming.identifier).await, None, "and nothing is reserved for it");
        subject.insert(&organization("Gone")).await;
    });
}

#[test]
fn organization_insert_of_existing_id_changes_nothing() {
    on_every_engine(|subject| async move {
        let first = subject.insert(&organization("First")).await;
        let again = Organization { id: first.id, ..organization("Second") };
        for record in [&first, &again] {
            let inserted = subject.store.organizations.insert_organization(record).await;
            assert_eq!(inserted.unwrap(), Exists);
        }
        assert_eq!(subject.get(first.id).await, Some(first));
        subject.insert(&organization("Second")).await;
    });
}

#[test]
fn organization_reserved_key_of_another_is_refused() {
    on_every_engine(|subject| async move {
        let holder = subject.insert(&organization("Acme Corp")).await;
        let other = subject.insert(&organization("Other")).await;
        let organizations = &subject.store.organizations;

        // Each key alone refuses, also after one that is free.
        for taken in &holder.reserved {
            let mut late = organization("Late");
            late.reserved.push(taken.clone());
            assert_eq!(refusal(organizations.insert_organization(&late).await), ErrorCode::NameTaken);
            assert_eq!(subject.get(late.id).await, None);

            let mut renamed = other.next();
            renamed.naming = given::naming("Late");
            renamed.reserved.extend(renamed.naming.reserved());
            renamed.reserved.push(taken.clone());
            assert_eq!(refusal(organizations.update_organization(&renamed).await), ErrorCode::NameTaken);
            assert_eq!(subject.get(other.id).await, Some(other.clone()));
        }
        assert_eq!(subject.find(&identifier("late")).await, None);
        subject.insert(&organization("Late")).await;
    });
}

#[test]
fn organization_reserved_key_is_free_after_release() {
    on_every_engine(|subject| async move {
        let first = subject.insert(&organization("Acme")).await;
        let renamed = subject
            .change(&first, |next| {
                next.naming = given::naming("Zenith");
                next.reserved.extend(next.naming.reserved());
            })
            .await;
        let twin = organization("Acme");
        let organizations = &subject.store.organizations;
        assert_eq!(refusal(organizations.insert_organization(&twin).await), ErrorCode::NameTaken);

        subject.change(&renamed, |next| next.reserved = next.naming.reserved()).await;
        let twin = subject.insert(&twin).await;
        assert_eq!(organizations.delete_organization(twin.id, twin.version).await.unwrap(), Done);
        subject.insert(&organization("Acme")).await;
    });
}

#[test]
fn organization_reserved_key_is_taken_once_in_parallel() {
    on_every_engine(|subject| async move {
        let key = ReservedKey::namespace("wanted");
        let outcomes: Vec<(OrganizationId, Result<_>)> = in_parallel(50, |number| {
            let (subject, key) = (subject.clone(), key.clone());
            async move {
                let mut record = organization(&format!("Racer {number}"));
                record.reserved.push(key);
                (record.id, subject.store.organizations.insert_organization(&record).await)
            }
        })
        .await;
        let mut winners = 0;
        for (number, (id, outcome)) in outcomes.into_iter().enumerate() {
            let racer = identifier(&format!("racer-{number}"));
            match outcome {
                Ok(inserted) => {
                    assert_eq!(inserted, New);
                    winners += 1;
                    assert_eq!(subject.find(&racer).await, Some(id));
                }
                Err(error) => {
                    assert_eq!(error.code(), ErrorCode::NameTaken);
                    assert_eq!(subject.get(id).await, None);
                    subject.insert(&organization(&format!("Racer {number}"))).await;
                }
            }
        }
        assert_eq!(winners, 1);
    });
}

#[test]
fn organization_version_is_updated_once_in_parallel() {
    on_every_engine(|subject| async move {
        let record = subject.insert(&organization("Acme")).await;
        let outcomes = in_parallel(50, |number| {
            let (subject, mut next) = (subject.clone(), record.next());
            async move {
                next.token_epoch = u32::try_from(number).unwrap();
                (next.token_epoch, subject.store.organizations.update_organization(&next).await.unwrap())
            }
        })
        .await;
        let done: Vec<u32> =
            outcomes.iter().filter(|(_, written)| *written == Done).map(|(e, _)| *e).collect();
        assert_eq!(done.len(), 1);
        let stored = subject.get(record.id).await.unwrap();
        assert_eq!((stored.version, stored.token_epoch), (2, done[0]));
    });
}

#[test]
fn organization_update_of_other_version_is_stale() {
    on_every_engine(|subject| async move {
        let record = Organization { version: 5, ..organization("Acme") };
        subject.insert(&record).await;
        for version in [0, 1, 4, 5, 7] {
            let mut wrong = Organization { version, suspended: true, ..record.clone() };
            wrong.reserved.push(ReservedKey::namespace("wanted"));
            let written = subject.store.organizations.update_organization(&wrong).await;
            assert_eq!(written.unwrap(), Stale, "version {version}");
            assert_eq!(subject.get(record.id).await, Some(record.clone()));
        }
        let mut holder = organization("Holder");
        holder.reserved.push(ReservedKey::namespace("wanted"));
        subject.insert(&holder).await;
    });
}

#[test]
fn organization_lookup_by_identifier_finds_only_live_one() {
    on_every_engine(|subject| async move {
        let id = identifier("acme");
        for state in [State::Deleted, State::Purging, State::Provisioning] {
            subject.insert(&organization_in(state, "Acme")).await;
            assert_eq!(subject.find(&id).await, None, "{state:?}");
        }
        // The one that is being made holds the name; it becomes the live one.
        let query = OrganizationQuery { status: Some(Status::Provisioning), ..Default::default() };
        let made = subject.store.organizations.list_organizations(&query, 10).await.unwrap();
        let live = subject.change(&made[0], |next| next.state = State::Active).await;
        assert_eq!(subject.find(&id).await, Some(live.id));
        let suspended = subject.change(&live, |next| next.suspended = true).await;
        assert_eq!(subject.find(&id).await, Some(live.id));
        subject.change(&suspended, |next| next.state = State::Deleted).await;
        assert_eq!(subject.find(&id).await, None);
    });
}

#[test]
fn organization_lookup_by_name_follows_current_holder() {
    on_every_engine(|subject| async move {
        let (acme, zenith) = (identifier("acme"), identifier("zenith"));
        let first = subject.insert(&organization("Acme")).await;
        assert_eq!(subject.find(&acme).await, Some(first.id));
        let first = subject
            .change(&first, |next| {
                next.naming = given::naming("Zenith");
                next.reserved = next.naming.reserved();
            })
            .await;
        assert_eq!(subject.find(&acme).await, None);
        assert_eq!(subject.find(&zenith).await, Some(first.id));
        let second = subject.insert(&organization("Acme")).await;
        assert_eq!(subject.find(&acme).await, Some(second.id));
        assert_eq!(subject.get(second.id).await, Some(second));
    });
}

#[test]
fn organization_lookup_by_operation_works_while_it_runs() {
    on_every_engine(|subject| async move {
        let find = |id| {
            let organizations = subject.store.organizations.clone();
            async move { organizations.find_organization_of_operation(id).await.unwrap().map(|found| found.id) }
        };
        for state in [State::Provisioning, State::Active, State::Deleted, State::Purging] {
            let mut record = organization_in(state, &format!("In {state:?}"));
            let operation = given::operation("me", OperationArguments::Suspend);
            let id = operation.id;
            record.operation = Some(operation);
            subject.insert(&record).await;
            assert_eq!(find(id).await, Some(record.id), "{state:?}");
            subject.change(&record, |next| next.operation = None).await;
            assert_eq!(find(id).await, None, "{state:?}");
        }
    });
}

#[test]
fn organization_delete_requires_current_version() {
    on_every_engine(|subject| async move {
        let first = subject.insert(&organization("Acme")).await;
        let second = subject.change(&first, |_| ()).await;
        let organizations = &subject.store.organizations;
        for version in [0, 1, 3] {
            assert_eq!(organizations.delete_organization(first.id, version).await.unwrap(), Stale);
        }
        assert_eq!(subject.get(first.id).await, Some(second));
        assert_eq!(organizations.delete_organization(first.id, 2).await.unwrap(), Done);
        assert_eq!(subject.get(first.id).await, None);
        assert_eq!(subject.find(&first.naming.identifier).await, None);
        assert_eq!(organizations.delete_organization(first.id, 2).await.unwrap(), Stale);
        subject.insert(&first).await;
    });
}

/// Many readers by id and by name while every record is changed and renamed: no read returns less than was
/// acknowledged before, and a name never leads to an organization that has another one.
#[test]
fn organization_read_is_never_older_than_acknowledged_write() {
    on_every_engine(|subject| async move {
        let record = subject.insert(&organization("Name 0")).await;
        let acknowledged = Arc::new(std::sync::Mutex::new((1, 0)));
        let writer = {
            let (subject, acknowledged) = (subject.clone(), acknowledged.clone());
            let mut record = record.clone();
            tokio::spawn(async move {
                for number in 1..=150 {
                    record = subject
                        .change(&record, |next| {
                            next.naming = given::naming(&format!("Name {number}"));
                            next.reserved = next.naming.reserved();
                        })
                        .await;
                    *acknowledged.lock().unwrap() = (record.version, number);
                }
            })
        };
        let readers = in_parallel(6, |_| {
            let (subject, acknowledged, id) = (subject.clone(), acknowledged.clone(), record.id);
            async move {
                loop {
                    let (version, number) = *acknowledged.lock().unwrap();
                    let organizations = &subject.store.organizations;
                    for read in
                        [organizations.get_recent_organization(id), organizations.get_organization(id)]
                    {
                        assert!(read.await.unwrap().unwrap().version >= version);
                    }
                    let name = identifier(&format!("name-{number}"));
                    let found = subject.store.organizations.find_organization(&name).await.unwrap();
                    assert!(found.is_none_or(|found| found.naming.identifier == name));
                    if number > 0 {
                        let before = identifier(&format!("name-{}", number - 1));
                        assert_eq!(subject.find(&before).await, None, "that name is given up");
                    }
                    if number == 150 {
                        break;
                    }
                    // A read from memory never waits, and the writer needs a thread too.
                    tokio::task::yield_now().await;
                }
            }
        });
        readers.await;
        writer.await.unwrap();
    });
}
