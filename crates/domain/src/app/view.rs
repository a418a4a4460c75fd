//! An organization as responses show it, and the version that a conditional change names.

use crate::account::Account;
use crate::email::EmailAddress;
use crate::error::Result;
use crate::organization::{Location, Organization};
use crate::store::{self, Store};
use std::sync::Arc;

/// An organization as responses show it.
#[derive(Debug, Clone)]
pub struct OrganizationView {
    /// The record.
    pub organization: Arc<Organization>,
    /// The account that is shown as its admin; missing only during a purge.
    pub admin: Option<Arc<Account>>,
    /// Where its data is.
    pub location: Location,
}

impl OrganizationView {
    /// The address of its admin.
    #[must_use]
    pub fn admin_email(&self) -> Option<&EmailAddress> {
        self.admin.as_ref().map(|admin| &admin.email)
    }

    /// Changes with everything that responses show.
    #[must_use]
    pub fn tag(&self) -> EntityTag {
        EntityTag {
            organization: self.organization.version,
            admin: self.admin.as_ref().map_or(0, |admin| admin.version),
        }
    }
}

/// The versions that a change accepts; any version if the caller names none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Precondition(pub Option<Vec<EntityTag>>);

impl Precondition {
    pub(super) fn allows(&self, tag: EntityTag) -> bool {
        self.0.as_ref().is_none_or(|tags| tags.contains(&tag))
    }
}

/// The version of an organization as responses show it: its own record's, and its admin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntityTag {
    /// The version of the organization's record.
    pub organization: u64,
    /// The version of its admin's record.
    pub admin: u64,
}

/// Joins organizations with the other records that their responses show.
#[derive(Clone)]
pub(super) struct Views {
    accounts: Arc<dyn store::Accounts>,
    containers: Arc<dyn store::Containers>,
}

impl Views {
    pub(super) fn new(store: &Store) -> Self {
        Self { accounts: store.accounts.clone(), containers: store.containers.clone() }
    }

    /// The view of `organization`, with a recent record of its admin.
    pub(super) async fn view(&self, organization: Arc<Organization>) -> Result<OrganizationView> {
        let admin = self.accounts.get_recent_account(organization.admin_id()).await?;
        Ok(self.view_with(organization, admin))
    }

    pub(super) fn view_with(
        &self,
        organization: Arc<Organization>,
        admin: Option<Arc<Account>>,
    ) -> OrganizationView {
        let location = self.containers.locate(&organization);
        OrganizationView { organization, admin, location }
    }
}
