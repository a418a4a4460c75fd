//! The paths of an update as one tree, in the order in which they are applied.
//!
//! MongoDB applies the paths of all operators together, by their names: numbers by value, all else by bytes. Two paths of
//! which one is the other, or leads to it, conflict.

use super::operator::Leaf;
use std::borrow::Cow;
use std::sync::Arc;

/// A part of the path of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathStep {
    /// A field, or the position of a value in an array.
    Field(Box<str>),
    /// `$`: the position that the filter has matched.
    Matched,
    /// `$[]`: all values of an array.
    All,
    /// `$[name]`: those values of an array that meet the filter of that name.
    Filtered(Box<str>),
}

/// What an update does to a value.
#[derive(Debug, Clone)]
pub enum Node {
    /// An operator.
    Leaf(Arc<Leaf>),
    /// Changes of fields.
    Fields(FieldsNode),
    /// Changes of the values of an array.
    Values(ValuesNode),
}

/// Changes of fields of a document, or of values of an array by their positions.
#[derive(Debug, Clone, Default)]
pub struct FieldsNode {
    /// In the order in which they are applied.
    pub children: Vec<(Box<str>, Node)>,
    /// That of the position which the filter has matched.
    pub matched: Option<Box<Node>>,
}

/// Changes of the values of an array: the name of the filter, or the empty text for all values.
#[derive(Debug, Clone, Default)]
pub struct ValuesNode {
    /// In the order of their names.
    pub children: Vec<(Box<str>, Node)>,
}

impl Node {
    /// An update that changes nothing.
    pub fn root() -> Self {
        Self::Fields(FieldsNode::default())
    }

    /// The nodes down to `leaf`.
    fn chain(steps: &[PathStep], leaf: Arc<Leaf>) -> Self {
        let Some((step, rest)) = steps.split_first() else { return Self::Leaf(leaf) };
        let child = Self::chain(rest, leaf);
        match step {
            PathStep::Field(name) => {
                Self::Fields(FieldsNode { children: vec![(name.clone(), child)], matched: None })
            }
            PathStep::Matched => {
                Self::Fields(FieldsNode { children: Vec::new(), matched: Some(Box::new(child)) })
            }
            PathStep::All => Self::Values(ValuesNode { children: vec![("".into(), child)] }),
            PathStep::Filtered(name) => Self::Values(ValuesNode { children: vec![(name.clone(), child)] }),
        }
    }

    /// Adds `leaf` at the end of `steps`.
    ///
    /// # Errors
    /// Another path conflicts with it: after how many steps.
    pub fn insert(&mut self, steps: &[PathStep], leaf: Arc<Leaf>) -> Result<(), usize> {
        self.insert_below(steps, 0, leaf)
    }

    fn insert_below(&mut self, steps: &[PathStep], depth: usize, leaf: Arc<Leaf>) -> Result<(), usize> {
        let Some((step, rest)) = steps.split_first() else { return Err(depth) };
        let children = match (&mut *self, step) {
            (Self::Fields(node), PathStep::Matched) => {
                return match &mut node.matched {
                    Some(child) => child.insert_below(rest, depth + 1, leaf),
                    empty @ None => {
                        *empty = Some(Box::new(Self::chain(rest, leaf)));
                        Ok(())
                    }
                };
            }
            (Self::Fields(node), PathStep::Field(_)) => &mut node.children,
            (Self::Values(node), PathStep::All | PathStep::Filtered(_)) => &mut node.children,
            _ => return Err(depth),
        };
        let name: &str = match step {
            PathStep::Field(name) | PathStep::Filtered(name) => name,
            PathStep::Matched | PathStep::All => "",
        };
        if let Some((_, child)) = children.iter_mut().find(|(own, _)| **own == *name) {
            return child.insert_below(rest, depth + 1, leaf);
        }
        let place = place_of(children, name);
        children.insert(place, (name.into(), Self::chain(rest, leaf)));
        Ok(())
    }

    /// What both do to one value; `None` if they conflict.
    pub fn merge(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Fields(a), Self::Fields(b)) => {
                let matched = match (&a.matched, &b.matched) {
                    (Some(a), Some(b)) => Some(Box::new(a.merge(b)?)),
                    (a, b) => a.clone().or_else(|| b.clone()),
                };
                Some(Self::Fields(FieldsNode {
                    children: merge_children(&a.children, &b.children)?,
                    matched,
                }))
            }
            (Self::Values(a), Self::Values(b)) => {
                Some(Self::Values(ValuesNode { children: merge_children(&a.children, &b.children)? }))
            }
            _ => None,
        }
    }

    /// One of its leaves, by which a refusal names its place in the request.
    pub fn first_leaf(&self) -> Option<&Leaf> {
        match self {
            Self::Leaf(leaf) => Some(leaf),
            Self::Fields(node) => {
                let matched = node.matched.as_deref().into_iter();
                matched.chain(node.children.iter().map(|(_, child)| child)).find_map(Self::first_leaf)
            }
            Self::Values(node) => node.children.iter().find_map(|(_, child)| child.first_leaf()),
        }
    }
}

impl FieldsNode {
    /// The changes in their order, with those of the matched position among them; `None` if two conflict.
    pub fn with_matched(&self, position: Option<usize>) -> Option<Vec<(Cow<'_, str>, Cow<'_, Node>)>> {
        let mut children: Vec<(Cow<'_, str>, Cow<'_, Node>)> =
            self.children.iter().map(|(name, child)| (Cow::from(&**name), Cow::Borrowed(child))).collect();
        let (Some(matched), Some(position)) = (&self.matched, position) else { return Some(children) };
        let name = position.to_string();
        if let Some((_, child)) = children.iter_mut().find(|(own, _)| **own == *name) {
            *child = Cow::Owned(child.merge(matched)?);
        } else {
            let place = place_of(&self.children, &name);
            children.insert(place, (name.into(), Cow::Borrowed(matched)));
        }
        Some(children)
    }
}

fn merge_children(a: &[(Box<str>, Node)], b: &[(Box<str>, Node)]) -> Option<Vec<(Box<str>, Node)>> {
    let mut merged = a.to_vec();
    for (name, child) in b {
        match merged.iter_mut().find(|(own, _)| own == name) {
            Some((_, own)) => *own = own.merge(child)?,
            None => {
                let place = place_of(&merged, name);
                merged.insert(place, (name.clone(), child.clone()));
            }
        }
    }
    Some(merged)
}

/// Where `name` belongs among `children`. MongoDB's comparison is no order where names begin with digits and are no
/// numbers (`10 < 1a < 2 < 10`), so nothing is sorted by it.
fn place_of(children: &[(Box<str>, Node)], name: &str) -> usize {
    children.iter().position(|(own, _)| comes_before(name, own)).unwrap_or(children.len())
}

fn comes_before(a: &str, b: &str) -> bool {
    let is_number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'))
    };
    if a.len() != b.len() && is_number(a) && is_number(b) { a.len() < b.len() } else { a < b }
}
