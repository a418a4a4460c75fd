//! Which collections an organization has, and what is in them.

use super::command::{Amount, Command};
use super::handle::CollectionHandle;
use crate::MongoDb;
use crate::document::object_id;
use crate::documents::layout::number;
use crate::engine_error::EngineResult;
use crate::quota::size::Size;
use bson::{RawDocument, RawDocumentBuf};
use mongodb::bson::{Document, doc};
use std::collections::HashMap;
use std::time::Duration;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::organization::{ContainerId, Organization, Placement};
use tenantry_domain::store::CollectionInfo;

/// How long it may take to look at every document of a collection.
const COUNTING: Duration = Duration::from_secs(3600);

impl MongoDb {
    /// The collections of an organization, in the order of their names.
    pub(crate) async fn collection_names_of(
        &self,
        organization: &Organization,
    ) -> EngineResult<Vec<CollectionName>> {
        let mut names = match organization.placement {
            Placement::Collection => {
                let further = self.extra_collections_now(organization.id).await?;
                let found = further.into_iter().map(|further| (further.name, further.id));
                self.remember(organization, found.collect())
            }
            Placement::Database => {
                let found = self.in_database(organization.id).await?;
                self.remember(organization, found)
            }
            Placement::Shared => self.shared_names(organization).await?,
        };
        names.push(CollectionName::default());
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// What an organization has that no caller can name.
    pub(super) async fn unnamed_collections_of(
        &self,
        organization: &Organization,
    ) -> EngineResult<Vec<String>> {
        let mut names: Vec<String> = match organization.placement {
            Placement::Collection => self
                .extra_collections_now(organization.id)
                .await?
                .into_iter()
                .map(|further| further.name)
                .collect(),
            Placement::Database => {
                self.in_database(organization.id).await?.into_iter().map(|(name, _)| name).collect()
            }
            Placement::Shared => self.names_in(organization).await?,
        };
        names.retain(|name| CollectionName::parse(name).is_err());
        names.sort();
        Ok(names)
    }

    /// What `found` is called, but for what no caller can name; and which ones these are, for later.
    fn remember(
        &self,
        organization: &Organization,
        found: Vec<(String, ContainerId)>,
    ) -> Vec<CollectionName> {
        let named = found.into_iter().filter_map(|(name, id)| Some((CollectionName::parse(&name).ok()?, id)));
        let remember = |(name, id): (CollectionName, _)| {
            self.cache_uuid(organization, &name, id);
            name
        };
        named.map(remember).collect()
    }

    /// What the server says that it keeps.
    pub(super) async fn plain_info(&self, at: &mut CollectionHandle<'_>) -> EngineResult<CollectionInfo> {
        let stages = [
            doc! { "$collStats": { "storageStats": {} } },
            // Those that are still being made do not count.
            doc! { "$project": {
                "documents": "$storageStats.count", "bytes": "$storageStats.size",
                "indexes": { "$subtract": [
                    "$storageStats.nindexes", { "$size": { "$ifNull": ["$storageStats.indexBuilds", []] } },
                ] },
            } },
        ];
        // These are no documents, and so know no read concern.
        let stats = Command::new("aggregate", &doc! { "pipeline": &stages[..], "cursor": {} })?;
        let deadline = self.connection.server().deadline();
        let (shards, _) =
            self.read_at(at, &stats, Amount::ALL, deadline, |shard| Ok(shard.to_owned())).await?;
        let sum = |field| shards.iter().map(|shard| count(shard, field)).sum::<u64>();
        let most = |field| shards.iter().map(|shard| count(shard, field)).max().unwrap_or(0);
        let (first_documents, first_bytes) = self.size_of_first(at).await?;
        Ok(CollectionInfo {
            name: at.name.clone(),
            documents: sum("documents").saturating_sub(first_documents),
            bytes: sum("bytes").saturating_sub(first_bytes),
            indexes: u32::try_from(most("indexes").saturating_sub(1)).unwrap_or(u32::MAX),
        })
    }

    /// Documents and bytes of a collection, counted one by one.
    pub(crate) async fn measure_collection(
        &self,
        organization: &Organization,
        name: &CollectionName,
    ) -> EngineResult<Size> {
        let mut at = match self.resolve_collection(organization, name).await {
            Err(failure) if super::is_missing(&failure) => return Ok(Size::default()),
            at => at?,
        };
        let sum = doc! { "_id": null, "documents": { "$sum": 1 }, "bytes": { "$sum": at.form.bytes() } };
        let stages = [doc! { "$match": at.form.scoped(Document::new()) }, doc! { "$group": sum }];
        let sums = match self.sums(&mut at, &stages).await {
            Err(failure) if super::is_missing(&failure) => return Ok(Size::default()),
            sums => sums?,
        };
        Ok(sums.first().map(|sum| size(sum)).unwrap_or_default())
    }

    /// Of these collections of a share.
    pub(super) async fn shared_info(
        &self,
        organization: &Organization,
        names: Vec<CollectionName>,
    ) -> EngineResult<Vec<CollectionInfo>> {
        let shares = self.shares(organization).await?;
        let listed: Vec<_> =
            names.into_iter().filter_map(|name| shares.get(&name).map(|share| (name, share))).collect();
        let keys: Vec<&str> = listed.iter().map(|(_, share)| share.key.as_str()).collect();
        let any = CollectionName::default();
        let mut at = self.locate_all_shared(organization, &any);
        let of_these = doc! {
            "org_id": object_id(organization.id.as_bytes()), "collection": { "$in": keys },
        };
        let sum =
            doc! { "_id": "$collection", "documents": { "$sum": 1 }, "bytes": { "$sum": at.form.bytes() } };
        let sums = self.sums(&mut at, &[doc! { "$match": of_these }, doc! { "$group": sum }]).await?;
        let sums: HashMap<&str, Size> =
            sums.iter().filter_map(|sum| Some((sum.get_str("_id").ok()?, size(sum)))).collect();
        let info = |(name, share): (CollectionName, &super::SharedCollection)| {
            let size = sums.get(share.key.as_str()).copied().unwrap_or_default();
            CollectionInfo {
                name,
                documents: size.documents.unsigned_abs(),
                bytes: size.bytes.unsigned_abs(),
                indexes: u32::try_from(share.serving().count()).unwrap_or(u32::MAX),
            }
        };
        Ok(listed.into_iter().map(info).collect())
    }

    async fn sums(
        &self,
        at: &mut CollectionHandle<'_>,
        stages: &[Document],
    ) -> EngineResult<Vec<RawDocumentBuf>> {
        let command = Command::pipeline(stages)?;
        let read = |sum: &RawDocument| Ok(sum.to_owned());
        Ok(self.read_at(at, &command, Amount::ALL, COUNTING, read).await?.0)
    }
}

fn size(sum: &RawDocument) -> Size {
    let signed = |field| i64::try_from(count(sum, field)).unwrap_or(i64::MAX);
    Size { documents: signed("documents"), bytes: signed("bytes"), index_bytes: 0 }
}

fn count(document: &RawDocument, field: &str) -> u64 {
    document.get(field).ok().flatten().and_then(number).unwrap_or(0)
}
