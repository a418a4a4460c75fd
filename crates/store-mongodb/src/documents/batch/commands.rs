//! The steps of a batch as commands: steps that follow one another in one collection are one command.

use super::placeholders::PlaceholderPaths;
use crate::collections::command::Command;
use crate::collections::handle::CollectionHandle;
use crate::documents::layout::DocumentLayout;
use crate::engine_error::EngineResult;
use bson::raw::{RawArrayBuf, cstr};
use bson::{RawDocumentBuf, rawdoc};
use mongodb::bson::Document;
use mongodb::bson::oid::ObjectId;
use std::collections::BTreeMap;
use tenantry_documents::document::{DocumentId, StoredDocument};
use tenantry_domain::Error;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::error::Result;
use tenantry_domain::store::{BatchChange, BatchStep};

/// About how many bytes of documents one command has.
const COMMAND_BYTES: usize = 8 << 20;

/// The collections of a batch.
#[derive(Default)]
pub(super) struct BatchCollections<'a>(BTreeMap<CollectionName, CollectionHandle<'a>>);

impl<'a> BatchCollections<'a> {
    pub(super) fn add(&mut self, name: &CollectionName, handle: CollectionHandle<'a>) {
        self.0.insert(name.clone(), handle);
    }

    pub(super) fn handles(&mut self) -> impl Iterator<Item = &mut CollectionHandle<'a>> {
        self.0.values_mut()
    }

    /// Whether a step checks that there is no document of an `_id` that nobody can use.
    pub(super) fn is_void(&self, step: &BatchStep) -> bool {
        match &step.change {
            BatchChange::Check { id, revision: None } => {
                self.0.get(&step.collection).is_some_and(|handle| handle.layout().is_own(id))
            }
            _ => false,
        }
    }

    pub(super) fn handle(&mut self, name: &CollectionName) -> Result<&mut CollectionHandle<'a>> {
        self.0.get_mut(name).ok_or_else(|| Error::internal("a step in a collection that was not found"))
    }
}

/// What the steps of a command have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CommandKind {
    /// Documents must have their revisions.
    CheckPresent,
    /// Documents must not exist.
    CheckMissing,
    Insert,
    Replace,
    Delete,
}

impl CommandKind {
    const fn of(step: &BatchStep) -> Self {
        match &step.change {
            BatchChange::Check { revision: Some(_), .. } => Self::CheckPresent,
            BatchChange::Check { revision: None, .. } => Self::CheckMissing,
            BatchChange::Insert { .. } => Self::Insert,
            BatchChange::Replace { .. } => Self::Replace,
            BatchChange::Delete { .. } => Self::Delete,
        }
    }

    const fn is_check(self) -> bool {
        matches!(self, Self::CheckPresent | Self::CheckMissing)
    }
}

/// Steps that one command does.
pub(super) struct StepGroup<'a> {
    pub(super) kind: CommandKind,
    pub(super) collection: &'a CollectionName,
    pub(super) steps: Vec<&'a BatchStep>,
}

/// The groups in which steps are done. Checks are about documents that no other step is about, so they go first. The other
/// steps of one collection keep their order, on which it depends whether a value is unique; collections come one after the
/// other, so that a batch that changes from one to the other all the time is not a command for each step.
pub(super) fn groups<'a>(steps: impl Iterator<Item = &'a BatchStep>) -> Vec<StepGroup<'a>> {
    let (mut checks, mut writes): (Vec<&BatchStep>, Vec<&BatchStep>) =
        steps.partition(|step| CommandKind::of(step).is_check());
    checks.sort_by_key(|step| (&step.collection, CommandKind::of(step)));
    let mut first = BTreeMap::new();
    for step in &writes {
        first.entry(&step.collection).or_insert(step.operation);
    }
    writes.sort_by_key(|step| first.get(&step.collection));
    let mut groups: Vec<StepGroup<'_>> = Vec::new();
    let mut bytes = 0;
    for step in checks.into_iter().chain(writes) {
        let kind = CommandKind::of(step);
        let own = written(step).map_or(0, |document| document.body.as_bytes().len());
        bytes += own;
        match groups.last_mut() {
            Some(last)
                if last.kind == kind && *last.collection == step.collection && bytes <= COMMAND_BYTES =>
            {
                last.steps.push(step);
            }
            _ => {
                bytes = own;
                groups.push(StepGroup { kind, collection: &step.collection, steps: vec![step] });
            }
        }
    }
    groups
}

/// The document that a step writes.
const fn written(step: &BatchStep) -> Option<&StoredDocument> {
    match &step.change {
        BatchChange::Insert { document, .. } | BatchChange::Replace { after: document, .. } => Some(document),
        BatchChange::Check { .. } | BatchChange::Delete { .. } => None,
    }
}

impl StepGroup<'_> {
    /// The commands, in their order. `mark` is new in each transaction; `paths` are for placeholders.
    pub(super) fn commands(
        &self,
        layout: &DocumentLayout,
        mark: ObjectId,
        paths: &PlaceholderPaths,
    ) -> EngineResult<Vec<Command>> {
        Ok(match self.kind {
            CommandKind::CheckPresent => vec![self.marks(layout, mark)?],
            CommandKind::CheckMissing => self.placeholders(layout, paths)?,
            CommandKind::Insert => {
                let mut documents = RawArrayBuf::new();
                for document in self.steps.iter().filter_map(|step| written(step)) {
                    documents.push(layout.encode(document)?);
                }
                vec![Command::raw("insert", rawdoc! { "documents": documents, "ordered": true })]
            }
            CommandKind::Replace => vec![self.replacements(layout)?],
            CommandKind::Delete => vec![self.deletions(layout)?],
        })
    }

    fn marks(&self, layout: &DocumentLayout, mark: ObjectId) -> EngineResult<Command> {
        let mut updates = RawArrayBuf::new();
        for step in &self.steps {
            if let BatchChange::Check { id, revision: Some(revision) } = &step.change {
                let query = raw(&layout.of_version(id, *revision))?;
                updates.push(rawdoc! { "q": query, "u": raw(&layout.mark(*revision, mark))? });
            }
        }
        // The document does not change, so it may be whatever it is.
        Ok(Command::raw(
            "update",
            rawdoc! { "updates": updates, "ordered": true, "bypassDocumentValidation": true },
        ))
    }

    fn placeholders(&self, layout: &DocumentLayout, paths: &PlaceholderPaths) -> EngineResult<Vec<Command>> {
        let (mut documents, mut deletes) = (RawArrayBuf::new(), RawArrayBuf::new());
        for step in &self.steps {
            if let BatchChange::Check { id, .. } = &step.change {
                let (placeholder, query) = layout.placeholder(id, paths.fields(ObjectId::new()));
                documents.push(raw(&placeholder)?);
                deletes.push(rawdoc! { "q": raw(&query)?, "limit": 1 });
            }
        }
        let insert = rawdoc! { "documents": documents, "ordered": true, "bypassDocumentValidation": true };
        let delete = rawdoc! { "deletes": deletes, "ordered": true };
        Ok(vec![Command::raw("insert", insert), Command::raw("delete", delete)])
    }

    fn replacements(&self, layout: &DocumentLayout) -> EngineResult<Command> {
        let mut updates = RawArrayBuf::new();
        for step in &self.steps {
            if let BatchChange::Replace { before, after } = &step.change {
                let mut update = rawdoc! { "q": raw(&layout.of_version(&id_of(before)?, before.revision))? };
                update.append(cstr!("u"), layout.replacement(after)?);
                updates.push(update);
            }
        }
        Ok(Command::raw("update", rawdoc! { "updates": updates, "ordered": true }))
    }

    fn deletions(&self, layout: &DocumentLayout) -> EngineResult<Command> {
        let mut deletes = RawArrayBuf::new();
        for step in &self.steps {
            if let BatchChange::Delete { before } = &step.change {
                let query = raw(&layout.of_version(&id_of(before)?, before.revision))?;
                deletes.push(rawdoc! { "q": query, "limit": 1 });
            }
        }
        Ok(Command::raw("delete", rawdoc! { "deletes": deletes, "ordered": true }))
    }
}

fn id_of(document: &StoredDocument) -> Result<DocumentId> {
    document.id().ok_or_else(|| Error::internal("a document without an _id"))
}

fn raw(document: &Document) -> Result<RawDocumentBuf> {
    RawDocumentBuf::try_from(document).map_err(Error::internal)
}
