//! Projections: a list of paths to include in a document, or of paths to leave out.
//!
//! As in MongoDB's `find`, a path goes through every document of every array; a number in it is a name like
//! any other.
//!
//! # Pitfalls
//! Including `a.b` shows `{}` where `a` is a document without `b`, and drops an `a` that is a plain value;
//! excluding `a.b` leaves such an `a` alone.

use crate::document::{ID_FIELD, Path, PathPart, RESERVED_FIELD, fields, has_field, items};
use crate::limits::PROJECTION_MAX_PATHS;
use bson::raw::{CString, RawArrayBuf, RawBson};
use bson::{Bson, Document, RawArray, RawBsonRef, RawDocument, RawDocumentBuf};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Which fields are shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Projection {
    paths: Vec<Path>,
    mode: ProjectionMode,
    /// Whether the `_id` is shown, unless a path goes into it.
    id: bool,
    tree: ProjectionNode,
}

/// Whether the paths include or exclude.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ProjectionMode {
    Include,
    Exclude,
}

/// The paths as a tree: what is chosen below each name; a leaf is chosen whole.
#[derive(Debug, Clone, Default, PartialEq)]
struct ProjectionNode(BTreeMap<Box<str>, ProjectionNode>);

impl Default for Projection {
    fn default() -> Self {
        Self { paths: Vec::new(), mode: ProjectionMode::Exclude, id: true, tree: ProjectionNode::default() }
    }
}

impl Projection {
    /// Reads `a,b.c`, which includes, or `-a,-b.c`, which excludes. `-_id` goes with both.
    ///
    /// # Errors
    /// The sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut projection = Self::default();
        let mut modes = Vec::new();
        for part in text.split(',') {
            let (path, mode) = match part.strip_prefix('-') {
                Some(path) => (Path::parse(path)?, ProjectionMode::Exclude),
                None => (Path::parse(part)?, ProjectionMode::Include),
            };
            if path.as_str() == ID_FIELD && mode == ProjectionMode::Exclude {
                projection.id = false;
                continue;
            }
            projection.tree.insert(path.parts())?;
            projection.paths.push(path);
            modes.push(mode);
            if projection.paths.len() > PROJECTION_MAX_PATHS {
                return Err(format!("Must have at most {PROJECTION_MAX_PATHS} paths."));
            }
        }
        if let Some(mode) = modes.first() {
            projection.mode = *mode;
        }
        if modes.iter().any(|mode| *mode != projection.mode) {
            return Err("Must either include or exclude; only `-_id` goes with both.".into());
        }
        if !projection.id && projection.paths.iter().any(|path| path.head() == ID_FIELD) {
            return Err("Must not name the `_id` twice.".into());
        }
        Ok(projection)
    }

    /// For MongoDB, with `prefix` (such as `doc.`) before each path.
    #[must_use]
    pub fn to_mongodb(&self, prefix: &str) -> Document {
        let value = Bson::Int32(if self.mode == ProjectionMode::Include { 1 } else { 0 });
        let chosen = self.paths.iter().map(|path| (format!("{prefix}{path}"), value.clone()));
        chosen
            .chain(self.id_for_mongodb(prefix).map(|value| (format!("{prefix}{ID_FIELD}"), value)))
            .collect()
    }

    /// Only at the top level does MongoDB include an `_id` by default, and allow excluding it from an
    /// inclusion.
    fn id_for_mongodb(&self, prefix: &str) -> Option<Bson> {
        let is_top = prefix.is_empty();
        match self.mode {
            _ if self.tree.get(ID_FIELD).is_some() => None,
            ProjectionMode::Include if self.id => (!is_top).then_some(Bson::Int32(1)),
            ProjectionMode::Include => is_top.then_some(Bson::Int32(0)),
            ProjectionMode::Exclude => (!self.id).then_some(Bson::Int32(0)),
        }
    }

    /// The part of `document` to show, usually all of it. The reserved field is never shown.
    #[must_use]
    pub fn apply<'a>(&self, document: &'a RawDocument) -> Cow<'a, RawDocument> {
        if self.is_all() && !has_field(document, RESERVED_FIELD) {
            return Cow::Borrowed(document);
        }
        let mut shown = RawDocumentBuf::new();
        for (name, value) in fields(document) {
            if name == RESERVED_FIELD {
                continue;
            }
            if name == ID_FIELD && self.tree.get(name).is_none() {
                append(&mut shown, name, self.id.then(|| RawBson::from(value)));
            } else {
                append(&mut shown, name, self.field(&self.tree, name, value));
            }
        }
        Cow::Owned(shown)
    }

    /// Whether it leaves out only the reserved field.
    fn is_all(&self) -> bool {
        self.mode == ProjectionMode::Exclude && self.id && self.paths.is_empty()
    }

    fn field(&self, node: &ProjectionNode, name: &str, value: RawBsonRef<'_>) -> Option<RawBson> {
        match (node.get(name), self.mode) {
            (None, ProjectionMode::Include) => None,
            (None, ProjectionMode::Exclude) => Some(RawBson::from(value)),
            (Some(below), mode) if below.0.is_empty() => {
                (mode == ProjectionMode::Include).then(|| RawBson::from(value))
            }
            (Some(below), _) => self.value(below, value),
        }
    }

    fn value(&self, node: &ProjectionNode, value: RawBsonRef<'_>) -> Option<RawBson> {
        match value {
            RawBsonRef::Document(document) => Some(RawBson::Document(self.document(node, document))),
            RawBsonRef::Array(array) => Some(RawBson::Array(self.array(node, array))),
            other => (self.mode == ProjectionMode::Exclude).then(|| RawBson::from(other)),
        }
    }

    fn document(&self, node: &ProjectionNode, document: &RawDocument) -> RawDocumentBuf {
        let mut shown = RawDocumentBuf::new();
        for (name, value) in fields(document) {
            append(&mut shown, name, self.field(node, name, value));
        }
        shown
    }

    fn array(&self, node: &ProjectionNode, array: &RawArray) -> RawArrayBuf {
        let mut shown = RawArrayBuf::new();
        items(array).filter_map(|item| self.value(node, item)).for_each(|item| shown.push(item));
        shown
    }
}

fn append(document: &mut RawDocumentBuf, name: &str, value: Option<RawBson>) {
    // A name that was read from BSON has no NUL.
    if let (Some(value), Ok(name)) = (value, CString::try_from(name)) {
        document.append(name, value);
    }
}

impl ProjectionNode {
    fn get(&self, name: &str) -> Option<&Self> {
        self.0.get(name)
    }

    fn insert(&mut self, parts: &[PathPart]) -> Result<(), String> {
        const COLLISION: &str = "A path is named twice, or is part of another: name each path once.";
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        let node = match self.0.entry(part.name.clone()) {
            Entry::Occupied(node) if rest.is_empty() || node.get().0.is_empty() => {
                return Err(COLLISION.into());
            }
            Entry::Occupied(node) => node.into_mut(),
            Entry::Vacant(place) => place.insert(Self::default()),
        };
        node.insert(rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bson::{doc, rawdoc};

    #[test]
    fn projection_shows_included_or_non_excluded_fields() {
        let document = rawdoc! {
            "_id": 1,
            "_tenantry": { "revision": 7 },
            "a": [{ "b": 1, "c": 2 }, 3, [{ "b": 4 }, 5]],
            "d": { "b": { "c": 6 } },
            "e": 7,
        };
        for (text, shown) in [
            ("e", rawdoc! { "_id": 1, "e": 7 }),
            ("e,-_id", rawdoc! { "e": 7 }),
            ("a.b,e.x", rawdoc! { "_id": 1, "a": [{ "b": 1 }, [{ "b": 4 }]] }),
            ("d.b.x,d.y", rawdoc! { "_id": 1, "d": { "b": {} } }),
            ("a.0", rawdoc! { "_id": 1, "a": [{}, [{}]] }),
            ("-a,-d.b.c", rawdoc! { "_id": 1, "d": { "b": {} }, "e": 7 }),
            ("-a.b,-d,-e.x", rawdoc! { "_id": 1, "a": [{ "c": 2 }, 3, [{}, 5]], "e": 7 }),
            ("-_id,-a,-d", rawdoc! { "e": 7 }),
            ("_id", rawdoc! { "_id": 1 }),
        ] {
            assert_eq!(*Projection::parse(text).unwrap().apply(&document), *shown, "{text}");
        }
        let all = Projection::default().apply(&document);
        assert!(all.get("_tenantry").unwrap().is_none() && all.get("a").unwrap().is_some());
        assert_eq!(*Projection::default().apply(&all), *all);
    }

    #[test]
    fn projection_renders_to_mongodb_under_prefix() {
        for (text, plain, prefixed) in [
            ("a", doc! { "a": 1 }, doc! { "doc.a": 1, "doc._id": 1 }),
            ("a,-_id", doc! { "a": 1, "_id": 0 }, doc! { "doc.a": 1 }),
            ("-a", doc! { "a": 0 }, doc! { "doc.a": 0 }),
            ("-_id", doc! { "_id": 0 }, doc! { "doc._id": 0 }),
        ] {
            let projection = Projection::parse(text).unwrap();
            assert_eq!(
                (projection.to_mongodb(""), projection.to_mongodb("doc.")),
                (plain, prefixed),
                "{text}"
            );
        }
    }

    #[test]
    fn projection_parse_rejects_invalid_texts() {
        for text in [
            "",
            "a,-b",
            "a,a",
            "a,a.b",
            "a.b,a",
            "-a,-a.b",
            "a..b",
            "$a",
            "a.$",
            "_tenantry",
            "_tenantry.x",
            "-_id,_id",
            "-_id,-_id.x",
        ] {
            assert!(Projection::parse(text).is_err(), "{text}");
        }
        let many: Vec<_> = (0..=PROJECTION_MAX_PATHS).map(|number| format!("a{number}")).collect();
        assert!(Projection::parse(&many.join(",")).is_err());
    }
}
