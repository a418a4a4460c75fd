//! Applies an update to a document, path by path.
//!
//! # Pitfalls
//! All memory that an update takes must follow from the size of the result, which is checked on the way
//! ([`Applier::count`]): a short update can write the same long value to each item of a long array.

use super::operator::{Leaf, UpdateOperator};
use super::tree::{FieldsNode, Node, ValuesNode};
use super::values::{least_bytes, type_name};
use super::{Update, UpdateContext, paths};
use crate::error::{Error, Result};
use crate::filter::{Filter, MatchedPosition};
use crate::fuel;
use crate::limits::ARRAY_MAX_PADDING;
use bson::{Bson, Document, RawDocumentBuf};
use std::borrow::Cow;
use std::cell::Cell;

/// What remains of a value after an operator.
#[derive(PartialEq, Eq)]
pub enum Presence {
    Stays,
    Goes,
}

/// An update at work on one document.
pub struct Applier<'a> {
    update: &'a Update,
    pub(super) context: UpdateContext<'a>,
    /// Whether it makes a new document.
    pub(super) inserts: bool,
    /// The values at the sources of `$rename`; `None` for one that is missing.
    pub(super) renamed: Vec<Option<Bson>>,
    /// The fewest bytes of the new document so far.
    bytes: Cell<usize>,
    /// How many timestamps it has made.
    pub(super) timestamps: Cell<u32>,
}

impl<'a> Applier<'a> {
    pub const fn new(update: &'a Update, context: UpdateContext<'a>, inserts: bool) -> Self {
        let (bytes, timestamps) = (Cell::new(0), Cell::new(0));
        Self { update, context, inserts, renamed: Vec::new(), bytes, timestamps }
    }

    /// The document after the update.
    pub fn run(mut self, document: Document) -> Result<Document> {
        let mut root = Bson::Document(document);
        let sources = self.update.sources.iter();
        self.renamed = sources.map(|names| self.source(&root, names)).collect::<Result<_>>()?;
        // MongoDB refuses it even if the value is the same.
        if !self.inserts && self.update.renamed_to_id.iter().any(|&source| self.renamed[source].is_some()) {
            let pointer = self.update.id_pointer.as_deref().unwrap_or(&self.update.pointer);
            return Err(Error::invalid_field(pointer, "The `_id` of a document cannot change."));
        }
        self.node(&self.update.root, &mut root, false)?;
        let Bson::Document(mut document) = root else {
            return Err(Error::internal("an update that replaces the document"));
        };
        for (names, value) in self.update.sources.iter().zip(&self.renamed) {
            if value.is_some() {
                remove(&mut document, names);
            }
        }
        Ok(document)
    }

    /// The value that a `$rename` moves; `None` if there is none.
    fn source(&self, document: &Bson, names: &[Box<str>]) -> Result<Option<Bson>> {
        let refuse = |detail: String| {
            let path = names.join(".").replace('~', "~0").replace('/', "~1");
            Error::invalid_field(format!("{}/$rename/{path}", self.update.pointer), detail)
        };
        let (mut value, mut in_array) = (document, false);
        for name in names {
            self.context.fuel.spend(fuel::FIELD)?;
            let next = match (value, paths::position(name)) {
                (Bson::Document(inner), _) => inner.get(&**name),
                (Bson::Array(items), Some(position)) => {
                    in_array = true;
                    items.get(position)
                }
                (other, _) => {
                    let detail = format!("The path leads to `{name}` in {}.", type_name(other));
                    return Err(refuse(detail));
                }
            };
            let Some(next) = next else { return Ok(None) };
            value = next;
        }
        if in_array {
            return Err(refuse("`$rename` does not go through an array.".into()));
        }
        self.context.fuel.spend(least_bytes(value) as u64)?;
        Ok(Some(value.clone()))
    }

    fn node(&self, node: &Node, value: &mut Bson, in_array: bool) -> Result<Presence> {
        match node {
            Node::Leaf(leaf) => return self.leaf(leaf, value, in_array),
            Node::Fields(node) => self.fields(node, value, in_array)?,
            Node::Values(node) => self.values(node, value)?,
        }
        Ok(Presence::Stays)
    }

    /// The changes of fields, in their order.
    fn children<'n>(&self, node: &'n FieldsNode) -> Result<Vec<(Cow<'n, str>, Cow<'n, Node>)>> {
        let position = match (&node.matched, self.context.position) {
            (None, _) => None,
            (Some(_), MatchedPosition::At(position)) => Some(position),
            (Some(matched), MatchedPosition::Unknown) => {
                let detail = "`$` needs a filter that finds a value of an array, and the document by it.";
                return Err(refusal(matched, detail));
            }
            (Some(matched), MatchedPosition::Several) => {
                let detail = "`$` is not clear: conditions of the filter match different positions. Put them into \
                    one `$elemMatch`, or use `arrayFilters`.";
                return Err(refusal(matched, detail));
            }
        };
        let conflict = || match &node.matched {
            Some(matched) => refusal(matched, "Another path of the update conflicts with this one."),
            None => Error::internal("a conflict without a position"),
        };
        node.with_matched(position).ok_or_else(conflict)
    }

    fn fields(&self, node: &FieldsNode, value: &mut Bson, in_array: bool) -> Result<()> {
        for (name, child) in self.children(node)? {
            self.context.fuel.spend(fuel::FIELD)?;
            match &mut *value {
                Bson::Document(document) => self.field(document, &name, &child, in_array)?,
                Bson::Array(items) => self.item(items, &name, &child)?,
                other => self.beyond(&child, &name, type_name(other))?,
            }
        }
        Ok(())
    }

    fn field(&self, document: &mut Document, name: &str, child: &Node, in_array: bool) -> Result<()> {
        let Some(value) = document.get_mut(name) else {
            if let Some(value) = self.create(child, in_array)? {
                document.insert(name, value);
            }
            return Ok(());
        };
        if self.node(child, value, in_array)? == Presence::Goes {
            // All that come after it move.
            self.context.fuel.spend(fuel::FIELD * document.len() as u64)?;
            document.remove(name);
        }
        Ok(())
    }

    fn item(&self, items: &mut Vec<Bson>, name: &str, child: &Node) -> Result<()> {
        if paths::is_padded(name) {
            return Err(refusal(child, "A position in an array must not have zeros before it."));
        }
        let Some(position) = paths::position(name) else { return self.beyond(child, name, "an array") };
        if let Some(value) = items.get_mut(position) {
            if self.node(child, value, true)? == Presence::Goes {
                *value = Bson::Null;
            }
            return Ok(());
        }
        if let Some(value) = self.create(child, true)? {
            let padding = position - items.len();
            if position > ARRAY_MAX_PADDING {
                let detail = format!("The position is beyond {ARRAY_MAX_PADDING}.");
                return Err(refusal(child, &detail));
            }
            self.count(child.first_leaf(), padding * 3)?;
            items.resize(position, Bson::Null);
            items.push(value);
        }
        Ok(())
    }

    /// What `node` makes where nothing is; `None` if it leaves it so.
    fn create(&self, node: &Node, in_array: bool) -> Result<Option<Bson>> {
        match node {
            Node::Leaf(leaf) => self.new_value(leaf, in_array),
            Node::Values(_) => Err(refusal(
                node,
                "`$[]` and `$[name]` need an array, and the path has none in the document.",
            )),
            Node::Fields(fields) => {
                let mut made: Option<Document> = None;
                for (name, child) in self.children(fields)? {
                    self.context.fuel.spend(fuel::FIELD)?;
                    if let Some(value) = self.create(&child, in_array)? {
                        made.get_or_insert_default().insert(name, value);
                    }
                }
                Ok(made.map(Bson::Document))
            }
        }
    }

    /// Refuses `node` below a value that has no fields, unless it would not create anything there anyway.
    fn beyond(&self, node: &Node, name: &str, above: &str) -> Result<()> {
        match node {
            Node::Leaf(leaf) => match &leaf.operator {
                UpdateOperator::Unset | UpdateOperator::RenameSource => Ok(()),
                UpdateOperator::Rename(source) if self.renamed[*source].is_none() => Ok(()),
                _ if leaf.only_on_insert && !self.inserts => Ok(()),
                _ => {
                    let detail = format!("The path leads to `{name}` in {above}, which cannot have it.");
                    Err(Error::invalid_field(&*leaf.pointer, detail))
                }
            },
            Node::Values(_) => Err(refusal(
                node,
                "`$[]` and `$[name]` need an array, and the path has none in the document.",
            )),
            Node::Fields(fields) => {
                self.children(fields)?.iter().try_for_each(|(_, child)| self.beyond(child, name, above))
            }
        }
    }

    fn values(&self, node: &ValuesNode, value: &mut Bson) -> Result<()> {
        let Bson::Array(items) = value else {
            let (_, child) = node.children.first().ok_or_else(|| Error::internal("no change of an array"))?;
            let detail = format!("`$[]` and `$[name]` need an array, and the value is {}.", type_name(value));
            return Err(refusal(child, &detail));
        };
        // Which change applies to which item is decided before any is made.
        let mut changes: Vec<Vec<&Node>> = vec![Vec::new(); items.len()];
        for (name, child) in &node.children {
            for (item, changes) in items.iter().zip(&mut changes) {
                self.context.fuel.spend(fuel::VALUE)?;
                if name.is_empty() || self.meets(name, item)? {
                    changes.push(child);
                }
            }
        }
        for (item, changes) in items.iter_mut().zip(changes) {
            let Some((first, more)) = changes.split_first() else { continue };
            let mut change = Cow::Borrowed(*first);
            for other in more {
                self.context.fuel.spend(fuel::FIELD * self.update.paths as u64)?;
                let merged = change.merge(other);
                let detail =
                    "Another path of the update conflicts with this one, on the same value of the array.";
                change = Cow::Owned(merged.ok_or_else(|| refusal(other, detail))?);
            }
            if self.node(&change, item, true)? == Presence::Goes {
                *item = Bson::Null;
            }
        }
        Ok(())
    }

    /// Whether an item of an array meets the filter `name`.
    fn meets(&self, name: &str, item: &Bson) -> Result<bool> {
        let filter = self.update.filters.get(name);
        let filter = filter.ok_or_else(|| Error::internal("an array filter without a name"))?;
        self.matches(filter, name, item)
    }

    /// Whether `filter` matches a document with `value` as the field `name`.
    pub fn matches(&self, filter: &Filter, name: &str, value: &Bson) -> Result<bool> {
        self.context.fuel.spend(least_bytes(value) as u64)?;
        let mut holder = Document::new();
        holder.insert(name, value.clone());
        let raw = RawDocumentBuf::try_from(&holder).map_err(Error::internal)?;
        Ok(filter.evaluate(&raw, self.context.fuel)?)
    }

    /// Counts bytes that the new document is going to have, and refuses it as soon as these are too many.
    pub fn count(&self, leaf: Option<&Leaf>, bytes: usize) -> Result<()> {
        self.context.fuel.spend(bytes as u64)?;
        let all = self.bytes.get() + bytes;
        self.bytes.set(all);
        if all <= self.context.max_bytes {
            return Ok(());
        }
        let pointer = leaf.map_or(&*self.update.pointer, |leaf| &leaf.pointer);
        let detail = format!("The document would be more than {} bytes as BSON.", self.context.max_bytes);
        Err(Error::invalid_field(pointer, detail))
    }

    /// What the work may cost.
    pub const fn fuel(&self) -> &fuel::Fuel<'_> {
        self.context.fuel
    }
}

fn refusal(node: &Node, detail: &str) -> Error {
    match node.first_leaf() {
        Some(leaf) => Error::invalid_field(&*leaf.pointer, detail),
        None => Error::internal(detail),
    }
}

/// Removes the field at that path, which goes through objects alone.
fn remove(document: &mut Document, names: &[Box<str>]) {
    match names {
        [] => {}
        [last] => {
            document.remove(&**last);
        }
        [first, rest @ ..] => {
            if let Some(Bson::Document(inner)) = document.get_mut(&**first) {
                remove(inner, rest);
            }
        }
    }
}
