//! The checker: reads the stored data of the service behind its back, on either engine, and reports what is
//! wrong. It checks the invariants of ARCHITECTURE.md, as far as they are data: no change is left half done,
//! every container has its owner, keys and addresses are held by the records that use them, the log tells the
//! whole story.
//!
//! # Pitfalls
//! After a crash, start the service again before the checker reads. Opening a database recovers it, and that
//! is the service's job.

mod embedded;
mod mongodb;
mod steady;
mod trail;

pub use trail::SINGLE_WRITES;

use super::test_env::StoredData;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};
use tenantry_domain::account::Role;
use tenantry_domain::email::EmailAddress;
use trail::Event;

/// How long the cleanup after a start may take.
const CLEANUP: Duration = Duration::from_secs(10);

/// Everything in tables or collections, as text: the rows of each in an order.
type Dump = BTreeMap<String, Vec<String>>;

/// All that a service keeps, as it was at one moment, in terms that every engine has.
#[derive(Clone)]
pub struct Snapshot {
    /// The records, byte for byte, but for those that change by themselves.
    control: Dump,
    organizations: BTreeMap<String, Value>,
    accounts: BTreeMap<String, Value>,
    sessions: Vec<Value>,
    api_keys: Vec<Value>,
    invitations: Vec<Value>,
    /// In the order in which they finished.
    operations: Vec<Value>,
    /// Every event of the audit trail, by its id; without those that imports have brought along.
    events: BTreeMap<String, Event>,
    /// The chains of the audit trail.
    chains: BTreeSet<String>,
    reserved: BTreeMap<String, String>,
    memberships: BTreeSet<(String, String)>,
    /// By the id of the organization that each says it belongs to.
    containers: BTreeMap<String, Container>,
    /// Containers that belong to nobody.
    strays: Vec<String>,
    /// Faults that the engine itself reports.
    problems: Vec<String>,
}

/// The data of one organization.
#[derive(Clone, Debug, Default, PartialEq)]
struct Container {
    /// All that is in it.
    rows: Dump,
    /// The documents alone.
    documents: BTreeSet<String>,
    /// The faults of the snapshot.
    problems: Vec<String>,
}

impl Snapshot {
    /// Reads it, as it was at one moment. The service may be running.
    #[track_caller]
    pub fn read(kept: &(impl StoredData + ?Sized)) -> Self {
        Self::read_while(kept, &|_| {})
    }

    /// Like [`Self::read`], but calls `meanwhile` twice with the id of each organization: before its
    /// container is read, and once the read has begun. So tests choose what happens meanwhile.
    #[track_caller]
    pub fn read_while(kept: &(impl StoredData + ?Sized), meanwhile: &dyn Fn(&str)) -> Self {
        match kept.database() {
            None => embedded::read(&kept.data_dir(), meanwhile),
            Some(database) => mongodb::read(database, meanwhile),
        }
    }

    /// Reads it and expects it to be sound. What a crash has left among the containers may stay until the cleanup
    /// comes to it, which works in the background after a start.
    #[track_caller]
    pub fn sound(kept: &(impl StoredData + ?Sized)) -> Self {
        let deadline = Instant::now() + CLEANUP;
        let mut snapshot = Self::read(kept);
        while !snapshot.strays.is_empty() && Instant::now() < deadline {
            #[expect(
                clippy::disallowed_methods,
                reason = "another process is at work, and nothing may be awaited here"
            )]
            std::thread::sleep(Duration::from_millis(20));
            snapshot = Self::read(kept);
        }
        let problems = snapshot.problems();
        assert!(problems.is_empty(), "what is kept is not sound:\n  {}", problems.join("\n  "));
        snapshot
    }

    /// Everything that is wrong.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = self.problems.clone();
        for (id, organization) in &self.organizations {
            let told = |what: String| format!("organization {id}: {what}");
            problems.extend(settled(id, organization).into_iter().map(told));
            problems.extend(self.keys_of(id, organization).into_iter().map(told));
            problems.extend(self.owner_of(id, organization).into_iter().map(told));
            problems.extend(self.container_of(id).into_iter().map(told));
        }
        problems.extend(self.orphans());
        problems.extend(self.trails_of_nobody());
        problems.extend(self.misplaced_accounts());
        problems.extend(self.contradictions());
        problems.extend(self.operations_unlike_events());
        problems.extend(self.records_unlike_events());
        problems
    }

    /// The organization of that name that is in use or suspended.
    pub fn named(&self, name: &str) -> Option<&Value> {
        self.organizations.values().find(|found| found["name"] == name && found["state"] == "active")
    }

    /// The record of that organization, in any state.
    pub fn organization(&self, id: &str) -> Option<&Value> {
        self.organizations.get(id)
    }

    /// All records as text, without those that change by themselves.
    pub fn control_text(&self) -> String {
        self.control.values().flatten().map(|row| format!("{row}\n")).collect()
    }

    /// How many organizations there are, in any state.
    pub fn organizations(&self) -> usize {
        self.organizations.len()
    }

    /// How many accounts there are.
    pub fn accounts(&self) -> usize {
        self.accounts.len()
    }

    /// How many containers there are.
    pub fn containers(&self) -> usize {
        self.containers.len()
    }

    /// The documents of an organization, with all that is in them.
    pub fn documents(&self, id: &str) -> BTreeSet<String> {
        self.containers.get(id).map(|container| container.documents.clone()).unwrap_or_default()
    }

    /// The finished operations of an organization, as `kind state`, in their order.
    pub fn log_of(&self, id: &str) -> Vec<String> {
        let of_it = self.operations.iter().filter(|record| record["organization_id"] == id);
        of_it.map(entry).collect()
    }

    /// Every finished operation, as `kind state`, in their order.
    pub fn log(&self) -> Vec<String> {
        self.operations.iter().map(entry).collect()
    }

    /// All that belongs to an organization, to see whether somebody has touched it.
    pub fn belongings(&self, id: &str) -> Value {
        let members = self.memberships.iter().filter(|(_, organization)| organization == id);
        json!({
            "record": self.organizations.get(id),
            "keys": self.reserved.iter().filter(|(_, holder)| *holder == id).collect::<BTreeMap<_, _>>(),
            "members": members.map(|(account, _)| self.accounts.get(account)).collect::<Vec<_>>(),
            "sessions": self.sessions.iter().filter(|s| s["organization_id"] == id).collect::<Vec<_>>(),
            "log": self.operations.iter().filter(|o| o["organization_id"] == id).collect::<Vec<_>>(),
            "container": self.containers.get(id).map(|container| &container.rows),
        })
    }

    /// Expects `later` to hold the same to the byte.
    #[track_caller]
    pub fn assert_unchanged(&self, later: &Self) {
        assert_eq!(self.control, later.control, "the records have changed");
        assert_eq!(self.containers, later.containers, "containers have changed");
        assert_eq!(self.strays, later.strays, "other files have changed");
    }

    /// A name and the visible name of a container are held by the organization that is called so, and by none
    /// that is deleted.
    fn keys_of(&self, id: &str, organization: &Value) -> Vec<String> {
        let held: BTreeSet<&str> =
            self.reserved.iter().filter(|(_, holder)| *holder == id).map(|(key, _)| key.as_str()).collect();
        let (identifier, namespace) = (text(&organization["identifier"]), text(&organization["namespace"]));
        let (keys, visible) = if organization["state"] == "active" {
            let keys = vec![format!("name:{identifier}"), format!("namespace:{namespace}")];
            (keys, format!("tenant_{}", identifier.replace('-', "_")))
        } else {
            (Vec::new(), format!("deleted_{id}"))
        };
        let wanted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
        let recorded: BTreeSet<&str> =
            organization["reserved"].as_array().unwrap().iter().map(text).collect();
        let mut problems = Vec::new();
        if held != wanted || recorded != wanted {
            problems.push(format!("holds {held:?}, has recorded {recorded:?}, should have {wanted:?}"));
        }
        if namespace != visible {
            problems.push(format!("its container is called {namespace}, should be {visible}"));
        }
        problems
    }

    fn owner_of(&self, id: &str, organization: &Value) -> Vec<String> {
        let owns = |account: &Value| {
            let memberships = account["memberships"].as_array().unwrap();
            memberships.iter().any(|one| one["organization_id"] == id && one["role"] == "owner")
        };
        let owners: BTreeSet<&str> =
            self.accounts.iter().filter(|(_, account)| owns(account)).map(|(id, _)| id.as_str()).collect();
        // A record of an earlier version knows one owner, who is its only member.
        let listed = organization["owners"].as_array().filter(|listed| !listed.is_empty());
        let recorded = listed.map_or_else(
            || BTreeSet::from([text(&organization["owner_id"])]),
            |listed| listed.iter().map(text).collect(),
        );
        let mut problems = Vec::new();
        if owners != recorded || owners.is_empty() {
            problems.push(format!("is owned by {owners:?}, has recorded {recorded:?}"));
        }
        let members = self.memberships.iter().filter(|(_, organization)| organization == id).count();
        let counted = organization["members"].as_u64().unwrap_or(1);
        if members as u64 != counted {
            problems.push(format!("has {members} members, has counted {counted}"));
        }
        problems
    }

    fn container_of(&self, id: &str) -> Vec<String> {
        match self.containers.get(id) {
            None => vec!["its container is gone".to_owned()],
            Some(container) => container.problems.clone(),
        }
    }

    /// Records of an organization or account that does not exist.
    fn orphans(&self) -> Vec<String> {
        let mut problems: Vec<String> =
            self.strays.iter().map(|stray| format!("nobody refers to {stray}")).collect();
        let gone = |id: &str| !self.organizations.contains_key(id);
        problems.extend(
            self.containers.keys().filter(|id| gone(id)).map(|id| format!("container {id} is an orphan")),
        );
        problems.extend(
            self.reserved.iter().filter(|(_, id)| gone(id)).map(|(key, _)| format!("{key} is an orphan")),
        );
        for session in &self.sessions {
            let account = text(&session["account_id"]);
            if gone(text(&session["organization_id"])) || !self.accounts.contains_key(account) {
                problems.push(format!("session {} is an orphan", session["id"]));
            }
        }
        for key in &self.api_keys {
            if key["owner"]["organization"].as_str().is_some_and(gone) {
                problems.push(format!("API key {} is an orphan", key["id"]));
            }
        }
        for invitation in &self.invitations {
            if gone(text(&invitation["organization_id"])) {
                problems.push(format!("invitation {} is an orphan", invitation["id"]));
            }
        }
        problems
    }

    /// A chain is the installation's, that of an organization that there is or was, or one that an import has brought along
    /// into an organization that there is.
    fn trails_of_nobody(&self) -> Vec<String> {
        let carried: BTreeSet<&str> = self.organizations.values().flat_map(carried_trails).collect();
        let of_operations = self.operations.iter().map(|record| text(&record["organization_id"]));
        let known: BTreeSet<&str> = of_operations.chain(["installation"]).collect();
        let is_known =
            |chain: &&String| known.contains(chain.as_str()) || self.organizations.contains_key(*chain);
        let strays = self.chains.iter().filter(|chain| !is_known(chain) && !carried.contains(chain.as_str()));
        let lost = carried.iter().filter(|chain| !self.chains.contains(**chain));
        strays
            .map(|chain| format!("the audit trail {chain} is an orphan"))
            .chain(lost.map(|chain| format!("the audit trail {chain} of an import is gone")))
            .collect()
    }

    /// An account belongs somewhere, or nowhere any more, and holds its address unless all its organizations are
    /// deleted.
    fn misplaced_accounts(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut memberships = BTreeSet::new();
        for (id, account) in &self.accounts {
            let organizations: Vec<&str> = account["memberships"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| text(&one["organization_id"]))
                .collect();
            memberships
                .extend(organizations.iter().map(|organization| (id.clone(), (*organization).to_owned())));
            let live =
                |id: &&str| self.organizations.get(*id).is_some_and(|found| found["state"] == "active");
            let email = EmailAddress::parse_stored(text(&account["email"])).unwrap();
            let is_live = organizations.is_empty() || organizations.iter().any(live);
            let wanted = if is_live { json!(email.key()) } else { Value::Null };
            // An account of before may share its mailbox with another.
            let is_duplicate = is_live
                && email
                    .earlier_keys()
                    .is_some_and(|earlier| account["email_key"] == json!(earlier.duplicate));
            problems.extend(self.roles_of_nobody(id, account));
            if organizations.iter().any(|id| !self.organizations.contains_key(*id)) {
                problems.push(format!("account {id} belongs to what is gone"));
            } else if account["email_key"] != wanted && !is_duplicate {
                problems.push(format!("account {id} holds {}, should hold {wanted}", account["email_key"]));
            }
        }
        if memberships != self.memberships {
            problems.push("the memberships are not those of the accounts".to_owned());
        }
        problems
    }

    /// Roles of an organization's own that the account has there, and that are not there.
    fn roles_of_nobody(&self, id: &str, account: &Value) -> Vec<String> {
        let is_there = |membership: &&Value| {
            let organization = self.organizations.get(text(&membership["organization_id"]));
            let roles = organization.and_then(|found| found["roles"].as_array()).into_iter().flatten();
            roles.map(|role| &role["name"]).any(|name| *name == membership["role"])
        };
        let memberships = account["memberships"].as_array().unwrap().iter();
        memberships
            .filter(|membership| !Role::BUILT_IN_NAMES.contains(&text(&membership["role"])))
            .filter(|membership| !is_there(membership))
            .map(|membership| format!("account {id} has the role {}, which is not there", membership["role"]))
            .collect()
    }

    /// No operation is without its event, but those from before there were events; and no event of an operation is
    /// without it.
    fn operations_unlike_events(&self) -> Vec<String> {
        let of_operations = self.events.iter().filter(|(_, Event { action, .. })| {
            action.starts_with("organization.") && *action != "organization.exported"
                || action.starts_with("member.")
                || action.starts_with("role.")
                || *action == "password.reset"
        });
        let of_operations: BTreeSet<&str> = of_operations.map(|(id, _)| id.as_str()).collect();
        let operations: BTreeSet<&str> = self.operations.iter().map(|record| text(&record["id"])).collect();
        let Some(first) = of_operations.first() else { return Vec::new() };
        let without = operations.iter().filter(|id| *id >= first && !of_operations.contains(*id));
        let without = without.map(|id| format!("operation {id} has no event"));
        without
            .chain(of_operations.difference(&operations).map(|id| format!("event {id} has no operation")))
            .collect()
    }

    /// Where the log of an organization contradicts its record: every committed change must be in it once.
    fn contradictions(&self) -> Vec<String> {
        let mut told: BTreeMap<&str, LoggedState> = BTreeMap::new();
        let mut problems = Vec::new();
        for record in &self.operations {
            let organization = told.entry(text(&record["organization_id"])).or_default();
            if let Err(problem) = organization.go_on(record) {
                problems.push(format!("operation {}: {problem}", record["id"]));
            }
        }
        for (id, record) in &self.organizations {
            told.entry(id).or_default().compare(Some(record), id, &mut problems);
        }
        for (id, last) in told.iter().filter(|(id, _)| !self.organizations.contains_key(**id)) {
            last.compare(None, id, &mut problems);
        }
        problems
    }
}

fn entry(record: &Value) -> String {
    format!("{} {}", text(&record["kind"]), text(&record["state"]))
}

/// The state of an organization after the part of the log that was read.
#[derive(Default, Clone, Copy, PartialEq, Debug)]
struct LoggedState {
    /// Nothing before its create and after its purge.
    state: Option<&'static str>,
    suspended: bool,
}

impl LoggedState {
    fn go_on(&mut self, record: &Value) -> Result<(), String> {
        let kind = text(&record["kind"]);
        let needed: &[Option<&str>] = match kind {
            "create" | "import" => &[None],
            "restore" | "purge" => &[Some("deleted")],
            // A legal hold may also come over one that is deleted, and an account that removes itself leaves it.
            "update" => &[Some("active"), Some("deleted")],
            "remove_member" if record["actor"]["id"] == record["member"]["account_id"] => {
                &[Some("active"), Some("deleted")]
            }
            _ => &[Some("active")],
        };
        if !needed.contains(&self.state) {
            return Err(format!("{kind} of one that is {self:?}"));
        }
        if record["finished_at"].is_null() || record["state"] == "running" {
            return Err(format!("{kind} is in the log and not finished"));
        }
        if record["state"] != "succeeded" {
            return Ok(());
        }
        match kind {
            "create" | "import" | "restore" => self.state = Some("active"),
            "delete" => self.state = Some("deleted"),
            "purge" => *self = Self::default(),
            "suspend" | "reactivate" if self.suspended == (kind == "suspend") => {
                return Err(format!("{kind} happened twice"));
            }
            "suspend" | "reactivate" => self.suspended = !self.suspended,
            _ => {}
        }
        Ok(())
    }

    fn compare(self, record: Option<&Value>, id: &str, problems: &mut Vec<String>) {
        let state = record.map(|record| text(&record["state"]));
        let suspended = record.is_some_and(|record| record["suspended"] == true);
        if state != self.state || suspended != self.suspended {
            problems.push(format!("organization {id} is {state:?} ({suspended}), its log says {self:?}"));
        }
    }
}

/// Writes documents into an organization's container, as an application does; what a snapshot shows of them.
pub fn put_documents(kept: &(impl StoredData + ?Sized), id: &str, count: u32) -> BTreeSet<String> {
    match kept.database() {
        None => embedded::put_documents(&kept.data_dir(), id, count),
        Some(database) => mongodb::put_documents(database, id, count),
    }
}

/// Operations that are still under way. Asks a running service's database and disturbs nothing.
pub fn running_operations(kept: &(impl StoredData + ?Sized)) -> usize {
    match kept.database() {
        None => embedded::running_operations(&kept.data_dir()),
        Some(database) => mongodb::running_operations(database),
    }
}

/// A settled organization has no operation, and its moments fit its state.
fn settled(id: &str, organization: &Value) -> Vec<String> {
    let mut problems = Vec::new();
    if !organization["operation"].is_null() {
        problems.push(format!("an operation is left over: {}", organization["operation"]));
    }
    let moments = (organization["deleted_at"].is_null(), organization["purge_at"].is_null());
    match (text(&organization["state"]), moments) {
        ("active", (true, true)) | ("deleted", (false, false)) => {}
        (state, _) => problems.push(format!("is {state} with moments that do not fit")),
    }
    if organization["id"] != id {
        problems.push(format!("its record says that it is {}", organization["id"]));
    }
    problems
}

/// The names of the audit trails that the import of an organization has brought along.
fn carried_trails(organization: &Value) -> impl Iterator<Item = &str> {
    let trails = organization["trails"].as_array().into_iter().flatten();
    trails.map(|trail| text(&trail["kept_as"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}
