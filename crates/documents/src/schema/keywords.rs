//! A schema in memory: subschemas by their number, each with its keywords by the type of value that they are about.

use super::number::Number;
use super::values::{Bound, Types};
use crate::filter::Pattern;
use std::collections::{BTreeMap, HashSet};

/// The number of a subschema.
pub type NodeId = usize;

/// A subschema.
#[derive(Debug)]
pub enum Node {
    /// `true`
    Always,
    /// `false`
    Never,
    /// An object.
    Keywords(Box<Keywords>),
}

/// The keywords of a subschema.
#[derive(Debug, Default)]
pub struct Keywords {
    /// `$ref` and `$dynamicRef`.
    pub references: Vec<NodeId>,
    pub types: Option<Types>,
    pub one_of_values: Option<Values>,
    pub constant: Option<Values>,
    pub number: Numbers,
    pub text: Texts,
    pub array: Option<Box<Arrays>>,
    pub object: Option<Box<Objects>>,
    pub composition: Option<Box<Composition>>,
}

/// The values of `enum` or `const`.
#[derive(Debug, Default)]
pub struct Values {
    /// What [`super::canonical`] makes of each.
    pub encoded: HashSet<Vec<u8>>,
    /// The bytes of the longest of them.
    pub longest: usize,
    /// The sentence about a value that is none of them.
    pub sentence: String,
}

/// Keywords about numbers.
#[derive(Debug, Default)]
pub struct Numbers {
    pub multiple_of: Option<Number>,
    pub bounds: Vec<Bound>,
}

/// Keywords about strings.
#[derive(Debug, Default)]
pub struct Texts {
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub pattern: Option<Pattern>,
}

/// Keywords about arrays.
#[derive(Debug, Default)]
pub struct Arrays {
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub is_unique: bool,
    pub prefix: Vec<NodeId>,
    pub items: Option<NodeId>,
    pub contains: Option<NodeId>,
    pub min_contains: Option<u64>,
    pub max_contains: Option<u64>,
    pub unevaluated: Option<NodeId>,
}

/// Keywords about objects.
#[derive(Debug, Default)]
pub struct Objects {
    pub min: Option<u64>,
    pub max: Option<u64>,
    pub properties: BTreeMap<String, NodeId>,
    pub patterns: Vec<(Pattern, NodeId)>,
    pub additional: Option<NodeId>,
    pub names: Option<NodeId>,
    pub unevaluated: Option<NodeId>,
    /// Names whose presence matters; the others name them by their place here.
    pub watched: BTreeMap<String, usize>,
    pub required: Vec<String>,
    /// Of `dependentRequired`: a name, and those that must be there with it.
    pub dependent_required: Vec<(String, Vec<String>)>,
    pub dependent_schemas: Vec<(String, NodeId)>,
}

/// Keywords that apply other subschemas to the same value.
#[derive(Debug, Default)]
pub struct Composition {
    pub all_of: Vec<NodeId>,
    pub any_of: Vec<NodeId>,
    pub one_of: Vec<NodeId>,
    pub not: Option<NodeId>,
    pub condition: Option<NodeId>,
    pub consequence: Option<NodeId>,
    pub alternative: Option<NodeId>,
}

impl Objects {
    /// Notes that the presence of `name` matters.
    pub fn watch(&mut self, name: &str) {
        let next = self.watched.len();
        self.watched.entry(name.to_owned()).or_insert(next);
    }
}

impl Keywords {
    /// The subschemas that are applied to the same value, and so may lead in a circle.
    pub fn in_place(&self) -> impl Iterator<Item = NodeId> + '_ {
        let composed = self.composition.iter().flat_map(|composition| {
            let lists = [&composition.all_of, &composition.any_of, &composition.one_of];
            let single =
                [composition.not, composition.condition, composition.consequence, composition.alternative];
            lists.into_iter().flatten().copied().chain(single.into_iter().flatten())
        });
        let dependent =
            self.object.iter().flat_map(|object| object.dependent_schemas.iter().map(|(_, node)| *node));
        self.references.iter().copied().chain(composed).chain(dependent)
    }

    /// Whether it looks at what other keywords have evaluated.
    pub fn has_unevaluated(&self) -> bool {
        self.array.as_ref().is_some_and(|array| array.unevaluated.is_some())
            || self.object.as_ref().is_some_and(|object| object.unevaluated.is_some())
    }
}
