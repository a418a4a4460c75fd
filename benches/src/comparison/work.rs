//! The kinds of work that are compared, as requests of a system.

use super::api::{Member, document};
use super::system::{OF_A_KIND, ORGANIZATIONS, System};
use crate::client::Request;
use crate::data::STRIDE;

/// A kind of work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Work {
    Create,
    SignIn,
    Organization,
    Read,
    List,
    Insert,
    Update,
}

/// All of them, in the order of the page, with their sections.
pub const WORK: [(Work, &str); 7] = [
    (Work::Read, "read"),
    (Work::List, "list"),
    (Work::Insert, "insert"),
    (Work::Update, "update"),
    (Work::Organization, "organization"),
    (Work::SignIn, "sign_in"),
    (Work::Create, "create"),
];

impl Work {
    /// Whether a password is hashed with each request, which takes so long that few connections keep every core busy.
    pub fn hashes(self) -> bool {
        matches!(self, Self::Create | Self::SignIn)
    }

    /// Gives the request that is sent after so many others; nothing if the system does not do such work.
    pub fn requests<'s>(self, system: &'s System<'_>) -> Option<impl Fn(u32) -> Option<Request> + Sync + 's> {
        let first_new = system.next_organization.get();
        let requests = Requests {
            work: self,
            api: system.definition.api,
            first_new,
            members: &system.members,
            documents: &system.documents,
        };
        requests.get(0)?;
        Some(move |turn| requests.get(turn))
    }
}

struct Requests<'s> {
    work: Work,
    api: &'static dyn super::api::Api,
    first_new: u32,
    members: &'s [Member],
    documents: &'s [(usize, String, String)],
}

impl Requests<'_> {
    fn get(&self, turn: u32) -> Option<Request> {
        let Self { api, members, .. } = self;
        let member = members.get((turn % ORGANIZATIONS) as usize)?;
        match self.work {
            Work::Create => api.create(self.first_new + turn),
            Work::SignIn => api.sign_in(turn % ORGANIZATIONS),
            Work::Organization => api.organization(member),
            Work::Insert => api.insert(member, document(&format!("n{}", turn / OF_A_KIND))),
            Work::Read | Work::List | Work::Update => {
                // Far from the document before.
                let index =
                    (u64::from(turn) * u64::from(STRIDE) % self.documents.len().max(1) as u64) as usize;
                let (owner, id, kind) = self.documents.get(index)?;
                let owner = members.get(*owner)?;
                match self.work {
                    Work::Read => api.read(owner, id),
                    Work::List => api.list(owner, kind),
                    _ => api.update(owner, id, turn),
                }
            }
        }
    }
}
