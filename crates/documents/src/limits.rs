//! Every fixed limit of documents, filters and indexes, named with its unit.

/// Levels of objects and arrays in JSON input, including the outermost one.
pub const JSON_MAX_LEVELS: usize = 128;
/// Levels of objects and arrays in a document, including itself: MongoDB guarantees no more.
pub const DOCUMENT_MAX_LEVELS: usize = 100;
/// Bytes of a document as BSON, unless the operator sets another limit.
pub const DOCUMENT_DEFAULT_MAX_BYTES: usize = 1 << 20;
/// Bytes of an `_id` as a key; it has to fit into a URL.
pub const DOCUMENT_ID_MAX_BYTES: usize = 1024;
/// The most bad fields of a document or a filter that are reported: a response must not be many times as
/// large as its request.
pub const BAD_FIELDS_MAX_NAMED: usize = 50;
/// Parts of a dotted path.
pub const PATH_MAX_PARTS: usize = 32;
/// Bytes of a dotted path.
pub const PATH_MAX_BYTES: usize = 512;
/// Conditions of a filter: operators, fields, and branches of `$and`, `$or` and `$nor`.
pub const FILTER_MAX_NODES: usize = 256;
/// Levels of `$and`, `$or`, `$nor`, `$not` and `$elemMatch` within one another.
pub const FILTER_MAX_LEVELS: usize = 16;
/// Values of one `$in`, `$nin` or `$all`.
pub const FILTER_LIST_MAX_ITEMS: usize = 1000;
/// The most intervals of an index for a filter; if there are more, one interval spans them all.
pub const FILTER_MAX_INTERVALS: usize = 10_000;
/// Bytes of the pattern of a `$regex`.
pub const REGEX_MAX_BYTES: usize = 512;
/// States of all patterns of a filter when compiled: the body of a counted repetition counts once for each
/// time it may repeat.
pub const FILTER_MAX_STATES: usize = 20_000;
/// Parts of all paths of a filter.
pub const FILTER_MAX_PATH_PARTS: usize = 1024;
/// Parts of one path of a filter that are numbers: each may be a name or a position, and both are followed.
pub const FILTER_PATH_MAX_POSITIONS: usize = 8;
/// Steps that a query may spend on a single document, and a write on the entries of one. A step takes about a
/// nanosecond: a byte of a text that is searched is one, passing a field some.
pub const DOCUMENT_MAX_STEPS: u64 = 1_000_000_000;
/// The most bytes of JSON that are read or written on an async thread. Larger work goes to a blocking thread.
pub const INLINE_MAX_BYTES: usize = 16 << 10;
/// The most steps of [`Fuel`](tenantry_documents::fuel::Fuel) for such work on an async thread: about half a
/// millisecond.
pub const INLINE_MAX_STEPS: u64 = 400_000;
/// Keys of a sort order, without the `_id` that always ends it.
pub const SORT_MAX_KEYS: usize = 3;
/// Paths of a projection.
pub const PROJECTION_MAX_PATHS: usize = 100;
/// Keys of an index.
pub const INDEX_MAX_KEYS: usize = 8;
/// Conditions of the filter of a partial index: it is evaluated for every document that is written.
pub const PARTIAL_FILTER_MAX_NODES: usize = 16;
/// Values of all lists of such a filter.
pub const PARTIAL_FILTER_MAX_VALUES: usize = 100;
/// Bytes of such a filter as JSON.
pub const PARTIAL_FILTER_MAX_BYTES: usize = 4096;
/// The most seconds after which an index lets documents expire, as in MongoDB: 68 years.
pub const EXPIRE_AFTER_MAX_SECONDS: u32 = i32::MAX as u32;
/// Bytes of an index's name.
pub const INDEX_NAME_MAX_BYTES: usize = 120;
/// Bytes of the keys of one document's entries in all indexes of its collection together, with every value at
/// full length. A compound index combines each value of an array with the values of the other paths, so the
/// entries may be many times as large as the document.
pub const INDEX_ENTRIES_MAX_BYTES: usize = 16 << 20;
/// Entries of one document in all indexes of its collection together.
pub const INDEX_ENTRIES_MAX: usize = 50_000;
/// Bytes of the key of one value in an index that are stored before a hash replaces the rest.
pub const INDEX_KEY_PART_MAX_BYTES: usize = 1024;
/// Bytes of the sort keys that a query holds at once, for a page and one more document.
pub const SORT_MAX_BYTES: usize = 64 << 20;
/// Stages of a pipeline.
pub const PIPELINE_MAX_STAGES: usize = 32;
/// Operators, values and fields of all expressions of a pipeline.
pub const PIPELINE_MAX_NODES: usize = 512;
/// Levels of objects and lists in the expressions of a stage.
pub const PIPELINE_STAGE_MAX_LEVELS: usize = 16;
/// Levels of objects and lists that all stages of a pipeline may add to a document: with those of a document,
/// it has no more than MongoDB allows.
pub const PIPELINE_ADDED_MAX_LEVELS: usize = 64;
/// Keys of a `$sort`.
pub const PIPELINE_SORT_MAX_KEYS: usize = 8;
/// Groups of a `$group`, and values of a distinct.
pub const AGGREGATE_MAX_GROUPS: usize = 100_000;
/// Bytes that an aggregate holds at once: of groups, documents to sort, and results.
pub const AGGREGATE_MAX_BYTES: usize = 32 << 20;
/// Bytes of a document between two stages: those of the largest that MongoDB stores.
pub const AGGREGATE_DOCUMENT_MAX_BYTES: usize = 16 << 20;
/// Results of an aggregate, or values of a distinct.
pub const AGGREGATE_MAX_RESULTS: usize = 10_000;
/// Bytes of all results of an aggregate as BSON.
pub const AGGREGATE_RESULTS_MAX_BYTES: usize = 4 << 20;
/// Bytes of the schema of a collection, as JSON.
pub const SCHEMA_MAX_BYTES: usize = 64 << 10;
/// Subschemas of a schema.
pub const SCHEMA_MAX_NODES: usize = 2000;
/// Patterns of a schema, of `pattern` and `patternProperties`.
pub const SCHEMA_MAX_PATTERNS: usize = 100;
/// States of all patterns of a schema when compiled.
pub const SCHEMA_MAX_STATES: usize = 20_000;
/// Subschemas that a check evaluates within one another: a document has at most [`DOCUMENT_MAX_LEVELS`] levels, each
/// of which a recursive schema may need some for.
pub const SCHEMA_MAX_EVALUATION_LEVELS: usize = 400;
/// Violations of a schema that are named for a document.
pub const SCHEMA_VIOLATIONS_MAX_NAMED: usize = 100;
/// Bytes of these: pointers have the names of fields, which may be long.
pub const SCHEMA_VIOLATIONS_MAX_BYTES: usize = 32 << 10;
/// Paths of an update, of all operators together.
pub const UPDATE_MAX_PATHS: usize = 1000;
/// Fields of the `$sort` of a `$push`.
pub const PUSH_SORT_MAX_KEYS: usize = 8;
/// Positions that an update may skip in an array; they become `null`. MongoDB has the same bound.
pub const ARRAY_MAX_PADDING: usize = 1_500_000;
