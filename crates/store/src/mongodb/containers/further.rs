//! The further collections of a container that is a collection: `tenant_<identifier>.<name>` beside
//! `tenant_<identifier>`.
//!
//! Programs make them as they like, so no record has their UUIDs: they are found by name. What a newcomer gets
//! wrong: a name is only ever ours for the time that its reservation lasts, and this process may have been asleep
//! since it began. So a list is only used if the organization's record is afterwards still what it was before;
//! and each collection is then touched by the UUID that the list had.

use super::look::{Place, identity_of};
use crate::mongodb::MongoDb;
use crate::mongodb::document::{integer, object_id};
use crate::mongodb::failure::{Attempt, Failure};
use mongodb::bson::doc;
use tenantry_domain::Error;
use tenantry_domain::organization::{ContainerId, Organization};

/// A further collection, as it was found.
pub(in crate::mongodb) struct Further {
    /// Its name after that of the container and a dot.
    pub(in crate::mongodb) name: String,
    id: ContainerId,
}

impl MongoDb {
    /// Brings the further collections along to the container's next name.
    pub(super) async fn move_further(
        &self,
        organization: &Organization,
        from: &str,
        to: &str,
    ) -> Attempt<()> {
        for further in self.further_of(organization, from).await? {
            let (from, to) = (format!("{from}.{}", further.name), format!("{to}.{}", further.name));
            match self.rename(&from, &to, further.id).await {
                Ok(()) => {}
                // Somebody else has moved or dropped it meanwhile.
                Err(Failure::Elsewhere { actual }) if actual.as_ref().is_none_or(|actual| *actual == to) => {}
                Err(Failure::NamespaceExists) => {
                    tracing::error!(collection = to, "a collection is in the way that is none of ours");
                    return Err(Error::unavailable(format!("the collection {to} is in the way")).into());
                }
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// How many documents are in them.
    pub(super) async fn count_further(&self, organization: &Organization, namespace: &str) -> Attempt<u64> {
        let (mut documents, listed) = (0, self.listed(namespace).await?);
        for further in &listed {
            let name = format!("{namespace}.{}", further.name);
            let place = Place { database: self.server.database(), namespace: &name, id: Some(further.id) };
            match self.count_at(place, None).await {
                Ok(count) => documents += count,
                // It moves on, or is gone.
                Err(Failure::Elsewhere { .. }) => return Err(Failure::Elsewhere { actual: None }),
                Err(failure) => return Err(failure),
            }
        }
        // What was counted under a name that has changed hands is another's.
        if !listed.is_empty() {
            self.still_is(organization).await?;
        }
        Ok(documents)
    }

    /// Removes them.
    pub(super) async fn drop_further(&self, organization: &Organization, namespace: &str) -> Attempt<()> {
        for further in self.further_of(organization, namespace).await? {
            match self.drop_at(&format!("{namespace}.{}", further.name), further.id).await {
                Ok(()) | Err(Failure::Elsewhere { actual: None }) => {}
                Err(failure) => return Err(failure),
            }
        }
        Ok(())
    }

    /// The further collections under a name that the organization holds.
    pub(in crate::mongodb) async fn further_of(
        &self,
        organization: &Organization,
        namespace: &str,
    ) -> Attempt<Vec<Further>> {
        let listed = self.listed(namespace).await?;
        if !listed.is_empty() {
            self.still_is(organization).await?;
        }
        Ok(listed)
    }

    async fn listed(&self, namespace: &str) -> Attempt<Vec<Further>> {
        let prefix = format!("{namespace}.");
        // Between the name with a dot and the name with what comes after a dot there is nothing else.
        let names = doc! { "name": { "$gt": &prefix, "$lt": format!("{namespace}/") }, "type": "collection" };
        let mut found = self.call(self.server.database().list_collections().filter(names)).await?;
        let mut listed = Vec::new();
        while self.call(found.advance()).await? {
            let collection = found.deserialize_current()?;
            if let (Some(name), Some(id)) = (collection.name.strip_prefix(&prefix), identity_of(&collection))
            {
                listed.push(Further { name: name.to_owned(), id });
            }
        }
        listed.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(listed)
    }

    /// Refuses to go on for an organization that has been changed since it was read.
    pub(super) async fn still_is(&self, organization: &Organization) -> Attempt<()> {
        let same =
            doc! { "_id": object_id(organization.id.as_bytes()), "version": integer(organization.version) };
        let find = self.organizations.find_one(same).projection(doc! { "_id": 1 });
        match self.call(find).await? {
            Some(_) => Ok(()),
            None => Err(Error::unavailable("others work on the same organization").into()),
        }
    }
}
