//! The syntax tree of a pipeline.

use crate::document::Path;
use crate::filter::Filter;
use crate::sort::SortKey;
use bson::raw::RawBson;

/// A stage, and where it is in the request.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    /// The pointer to its specification, for errors that only documents cause.
    pub(super) at: Box<str>,
    pub(super) kind: StageKind,
}

/// What a stage does.
#[derive(Debug, Clone)]
pub(super) enum StageKind {
    Match(Filter),
    Unwind(Unwind),
    Group(Group),
    Sort(Vec<SortKey>),
    Limit(u64),
    Skip(u64),
    Project(ProjectNode, ProjectMode),
    AddFields(ProjectNode),
    /// The name of the field with the number of documents.
    Count(Box<str>),
}

/// One document for each value of an array.
#[derive(Debug, Clone)]
pub(super) struct Unwind {
    pub(super) path: Path,
    /// The field that gets the position.
    pub(super) index: Option<Box<str>>,
    /// Whether a document without values stays.
    pub(super) keeps_empty: bool,
}

/// One document for each key.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) key: Expression,
    pub(super) fields: Vec<GroupField>,
}

/// A field of a group.
#[derive(Debug, Clone)]
pub(super) struct GroupField {
    pub(super) name: Box<str>,
    pub(super) accumulator: Accumulator,
    pub(super) value: Expression,
}

/// What is kept of the values of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Accumulator {
    Sum,
    Average,
    Min,
    Max,
    First,
    Last,
    Push,
    AddToSet,
}

impl Accumulator {
    /// Whether it depends on the order of the documents.
    pub(super) const fn is_ordered(self) -> bool {
        matches!(self, Self::First | Self::Last | Self::Push)
    }
}

/// Whether a projection names what stays or what goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProjectMode {
    Include,
    Exclude,
    /// All stays: `$addFields`.
    Keep,
}

/// The fields of a projection, in the order of the request.
#[derive(Debug, Clone, Default)]
pub(super) struct ProjectNode {
    pub(super) fields: Vec<(Box<str>, ProjectItem)>,
    /// Whether there is an expression below.
    pub(super) computes: bool,
}

/// What a projection does with a field.
#[derive(Debug, Clone)]
pub(super) enum ProjectItem {
    Include,
    Exclude,
    Compute(Expression),
    Nested(ProjectNode),
}

/// An expression on a document.
#[derive(Debug, Clone)]
pub(super) enum Expression {
    /// The value at a path, through arrays.
    Field(Path),
    /// The whole document.
    Root,
    /// No value: it removes a field.
    Remove,
    Literal(RawBson),
    Object(Vec<(Box<str>, Self)>),
    Array(Vec<Self>),
    Operation(Box<AggregateOperation>),
}

/// An operator with its operands.
#[derive(Debug, Clone)]
pub(super) struct AggregateOperation {
    /// The pointer to it, for errors that only documents cause.
    pub(super) at: Box<str>,
    pub(super) operator: AggregateOperator,
    pub(super) operands: Vec<Expression>,
}

/// An operator.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum AggregateOperator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    Absolute,
    Compare(Relation),
    And,
    Or,
    Not,
    Condition,
    IfNull,
    Truncate(DateBins),
}

/// How two values compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Equal,
    NotEqual,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

/// The bins that `$dateTrunc` cuts time into.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DateBins {
    pub(super) unit: DateUnit,
    /// Units of a bin.
    pub(super) size: i64,
    pub(super) zone: jiff::tz::TimeZone,
    /// The first day of a week: 0 is Monday.
    pub(super) week_start: i8,
}

/// A unit of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DateUnit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Expression {
    /// Calls `see` with the first part of every path; false, after some of them, if the whole document is used.
    pub(super) fn heads<'a>(&'a self, see: &mut dyn FnMut(&'a str)) -> bool {
        match self {
            Self::Field(path) => {
                see(path.head());
                true
            }
            Self::Root => false,
            Self::Remove | Self::Literal(_) => true,
            Self::Object(fields) => fields.iter().all(|(_, each)| each.heads(see)),
            Self::Array(items) => items.iter().all(|each| each.heads(see)),
            Self::Operation(operation) => operation.operands.iter().all(|each| each.heads(see)),
        }
    }
}
