//! The documents that an aggregate reads: what an engine does of it.
//!
//! The first `$match` and the `$sort` after it are the engine's, which may use an index for them. Where the order matters
//! and the request gives none, it is that of the `_id`, so that every engine computes the same.

use super::syntax::{Expression, ProjectItem, ProjectMode, ProjectNode, Stage, StageKind};
use crate::document::ID_FIELD;
use crate::filter::Filter;
use crate::sort::Sort;
use std::collections::BTreeSet;

/// Which documents to read.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Those that match.
    pub filter: Filter,
    /// Their order; `None` if any does.
    pub sort: Option<Sort>,
    /// How many of them, at most.
    pub limit: Option<u64>,
    /// The fields at the top of each that are used; `None` for all. Other fields may be there or not.
    pub heads: Option<BTreeSet<String>>,
    /// The pointer of the order in the request.
    pub sort_at: String,
}

impl Source {
    /// Takes from the first of `stages` what an engine does.
    pub(super) fn split(stages: &mut Vec<Stage>) -> Self {
        let mut source = Self::default();
        if let Some(Stage { kind: StageKind::Match(filter), .. }) = stages.first() {
            source.filter = filter.clone();
            stages.remove(0);
        }
        if let Some(Stage { kind: StageKind::Sort(keys), at }) = stages.first() {
            source.sort = Some(Sort::by_keys(keys.clone()));
            source.sort_at = at.to_string();
            stages.remove(0);
        } else if is_order_used(stages) {
            source.sort = Some(Sort::default());
        }
        source.limit = limit(stages);
        source.heads = heads(stages);
        source
    }
}

/// How many documents the stages need, if they say so at once.
pub(super) fn limit(stages: &[Stage]) -> Option<u64> {
    let mut skipped = 0_u64;
    for stage in stages {
        match stage.kind {
            StageKind::Skip(count) => skipped = skipped.saturating_add(count),
            StageKind::Limit(count) => return Some(skipped.saturating_add(count)),
            _ => return None,
        }
    }
    None
}

/// Whether the result depends on the order of the documents. Groups come in an order of their own.
fn is_order_used(stages: &[Stage]) -> bool {
    for stage in stages {
        match &stage.kind {
            StageKind::Group(group) => {
                return group.fields.iter().any(|field| field.accumulator.is_ordered());
            }
            StageKind::Count(_) => return false,
            StageKind::Limit(_) | StageKind::Skip(_) => return true,
            // Those that are equal in a later order stay in the first one.
            _ => {}
        }
    }
    true
}

/// The fields that the stages use, if they do not use whole documents.
fn heads(stages: &[Stage]) -> Option<BTreeSet<String>> {
    let mut heads = BTreeSet::new();
    for stage in stages {
        match &stage.kind {
            StageKind::Match(filter) => heads.extend(filter.heads().into_iter().map(str::to_owned)),
            StageKind::Unwind(unwind) => {
                heads.insert(unwind.path.head().to_owned());
            }
            StageKind::Sort(keys) => heads.extend(keys.iter().map(|key| key.path.head().to_owned())),
            StageKind::Limit(_)
            | StageKind::Skip(_)
            | StageKind::Project(_, ProjectMode::Exclude | ProjectMode::Keep) => {}
            StageKind::AddFields(node) => {
                if !node_heads(node, &mut heads) {
                    return None;
                }
            }
            StageKind::Project(node, ProjectMode::Include) => {
                heads.insert(ID_FIELD.to_owned());
                return node_heads(node, &mut heads).then_some(heads);
            }
            StageKind::Group(group) => {
                let mut all = group.fields.iter().map(|field| &field.value).chain([&group.key]);
                return all.all(|each| expression_heads(each, &mut heads)).then_some(heads);
            }
            StageKind::Count(_) => return Some(heads),
        }
    }
    None
}

/// Adds the fields that a projection uses; returns whether it uses no whole document.
fn node_heads(node: &ProjectNode, heads: &mut BTreeSet<String>) -> bool {
    let mut is_part = true;
    for (name, item) in &node.fields {
        // Of a field below another, the first part is what counts; others do no harm.
        heads.insert(name.to_string());
        is_part &= match item {
            ProjectItem::Compute(value) => expression_heads(value, heads),
            ProjectItem::Nested(below) => node_heads(below, heads),
            ProjectItem::Include | ProjectItem::Exclude => true,
        };
    }
    is_part
}

/// Adds the fields that an expression uses; returns whether it does not use the whole document.
fn expression_heads(expression: &Expression, heads: &mut BTreeSet<String>) -> bool {
    expression.heads(&mut |head| {
        heads.insert(head.to_owned());
    })
}
