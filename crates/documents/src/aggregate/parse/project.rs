//! `$project` and `$addFields`.

use super::PipelineParser;
use crate::aggregate::syntax::{Expression, ProjectItem, ProjectMode, ProjectNode, StageKind};
use crate::document::order::compare;
use crate::document::{ID_FIELD, Json, JsonMembers, Path, is_reference, is_wrapper};
use bson::raw::RawBson;

/// What the members of a `$project` have asked for, beside the `_id`.
#[derive(Default)]
struct Wishes {
    includes: bool,
    excludes: bool,
    computes: bool,
}

impl PipelineParser {
    pub(super) fn project(&mut self, json: Json<'_>) -> Option<StageKind> {
        let members = self.object(json)?;
        if members.is_empty() {
            self.refuse("Must name at least one field.");
            return None;
        }
        let (mut node, mut wishes) = (ProjectNode::default(), Wishes::default());
        self.project_fields(members, &[], &mut node, &mut wishes);
        let keeps_id = match node.fields.iter().find(|(name, _)| **name == *ID_FIELD) {
            Some((_, ProjectItem::Exclude)) => Some(false),
            Some((_, ProjectItem::Include)) => Some(true),
            _ => None,
        };
        if wishes.excludes && (wishes.includes || wishes.computes) {
            self.refuse("Must either include or exclude fields; only `\"_id\": 0` goes with both.");
            return None;
        }
        let only_excludes_id = !wishes.includes && !wishes.computes && keeps_id == Some(false);
        let mode =
            if wishes.excludes || only_excludes_id { ProjectMode::Exclude } else { ProjectMode::Include };
        if mode == ProjectMode::Exclude && keeps_id == Some(true) {
            // It stays as it is.
            node.fields.retain(|(name, _)| **name != *ID_FIELD);
        }
        Some(StageKind::Project(node, mode))
    }

    pub(super) fn add_fields(&mut self, json: Json<'_>) -> Option<ProjectNode> {
        let members = self.object(json)?;
        if members.is_empty() {
            self.refuse("Must name at least one field.");
            return None;
        }
        let mut node = ProjectNode::default();
        self.added_fields(members, &[], &mut node);
        Some(node)
    }

    fn project_fields(
        &mut self,
        members: JsonMembers<'_>,
        above: &[&str],
        node: &mut ProjectNode,
        wishes: &mut Wishes,
    ) {
        self.each(members, |parser, name, json| {
            let Some(path) = parser.target(name, above) else { return };
            let parts: Vec<&str> = path.parts().iter().map(|part| &*part.name).collect();
            let is_id = above.is_empty() && name == ID_FIELD;
            if is_nested(&json) {
                if let Json::Object(members) = json {
                    parser.nested(members, |parser, members| {
                        let whole: Vec<&str> = above.iter().copied().chain(parts.iter().copied()).collect();
                        parser.project_fields(members, &whole, node, wishes);
                    });
                }
                return;
            }
            let item = match parser.flag(&json) {
                Some(true) => {
                    wishes.includes |= !is_id;
                    Some(ProjectItem::Include)
                }
                Some(false) => {
                    wishes.excludes |= !is_id;
                    Some(ProjectItem::Exclude)
                }
                None => {
                    wishes.computes = true;
                    parser.expression(json).map(ProjectItem::Compute)
                }
            };
            let whole: Vec<&str> = above.iter().copied().chain(parts).collect();
            parser.place(node, &whole, item);
        });
    }

    fn added_fields(&mut self, members: JsonMembers<'_>, above: &[&str], node: &mut ProjectNode) {
        self.each(members, |parser, name, json| {
            let Some(path) = parser.target(name, above) else { return };
            let parts = path.parts().iter().map(|part| &*part.name);
            let whole: Vec<&str> = above.iter().copied().chain(parts).collect();
            if is_nested(&json) {
                if let Json::Object(members) = json {
                    parser.nested(members, |parser, members| parser.added_fields(members, &whole, node));
                }
                return;
            }
            let item = parser.expression(json).map(ProjectItem::Compute);
            parser.place(node, &whole, item);
        });
    }

    /// The path of a field, below the parts `above`.
    fn target(&mut self, name: &str, above: &[&str]) -> Option<Path> {
        let parse = if above.is_empty() { Path::parse } else { Path::parse_relative };
        let path = self.reader.problems.check("", parse(name))?;
        if !above.is_empty() && path.parts().len() > 1 {
            self.refuse("Must not contain `.`: within an object, write a further object.");
            return None;
        }
        // Each part is a level of the document.
        let levels = self.levels + path.parts().len();
        self.stage_levels = self.stage_levels.max(levels);
        self.count().then_some(path)
    }

    fn nested<'a>(&mut self, members: JsonMembers<'a>, read: impl FnOnce(&mut Self, JsonMembers<'a>)) {
        if members.is_empty() {
            self.refuse("Must not be an empty object; write {\"$literal\": {}}.");
            return;
        }
        self.deeper(|parser| {
            read(parser, members);
            Some(())
        });
    }

    /// Whether a value of `$project` includes or excludes; `None` if it is an expression.
    fn flag(&mut self, json: &Json<'_>) -> Option<bool> {
        match json {
            Json::Bool(flag) => Some(*flag),
            Json::Number(_) => self.is_not_zero(json.clone()),
            Json::Object(members) if members.len() == 1 && members[0].0.starts_with("$number") => {
                self.is_not_zero(json.clone())
            }
            _ => None,
        }
    }

    fn is_not_zero(&mut self, json: Json<'_>) -> Option<bool> {
        let Some(Expression::Literal(number)) = self.literal(json) else { return None };
        Some(compare(number.as_raw_bson_ref(), RawBson::Int32(0).as_raw_bson_ref()).is_ne())
    }

    /// Puts a field into the tree; refuses a path that is part of another.
    fn place(&mut self, mut node: &mut ProjectNode, path: &[&str], item: Option<ProjectItem>) {
        let Some(item) = item else { return };
        let computes = matches!(item, ProjectItem::Compute(_));
        let Some((last, above)) = path.split_last() else { return };
        for part in above {
            node.computes |= computes;
            let place = match node.fields.iter().position(|(own, _)| **own == **part) {
                Some(place) => place,
                None => {
                    node.fields.push(((*part).into(), ProjectItem::Nested(ProjectNode::default())));
                    node.fields.len() - 1
                }
            };
            match &mut node.fields[place].1 {
                ProjectItem::Nested(below) => node = below,
                _ => {
                    return self.refuse("A path is named twice, or is part of another: name each path once.");
                }
            }
        }
        node.computes |= computes;
        if node.fields.iter().any(|(own, _)| **own == **last) {
            return self.refuse("A path is named twice, or is part of another: name each path once.");
        }
        node.fields.push(((*last).into(), item));
    }
}

/// Whether a value is an object of further fields: neither an operator nor a value of Extended JSON.
fn is_nested(json: &Json<'_>) -> bool {
    let Json::Object(members) = json else { return false };
    !members.iter().any(|(name, _)| is_wrapper(name))
        && !is_reference(members)
        && members.first().is_none_or(|(name, _)| !name.starts_with('$'))
}
