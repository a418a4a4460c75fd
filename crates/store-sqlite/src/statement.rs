//! The SQL of this engine. Every statement is declared with [`statements!`], beside the code that uses it, so
//! that one test can ask SQLite for the plan of each.

use super::engine_error::EngineResult;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};
use serde_json::Value;
use std::ops::ControlFlow;
use tenantry_domain::Error;

/// SQL that is in the list of its file. Only [`statements!`] makes one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Statement {
    pub(super) sql: &'static str,
}

/// Declares the statements of a file, and `STATEMENTS`, the list of them.
macro_rules! statements {
    ($($name:ident = $sql:expr;)*) => {
        $(const $name: crate::statement::Statement =
            crate::statement::Statement { sql: $sql };)*

        /// Every statement of this file.
        #[cfg(test)]
        pub(crate) const STATEMENTS: &[crate::statement::Statement] = &[$($name,)*];
    };
}
pub(super) use statements;

impl Statement {
    fn prepare(self, connection: &Connection) -> rusqlite::Result<CachedStatement<'_>> {
        connection.prepare_cached(self.sql)
    }

    /// Runs it; the number of rows it changed.
    pub(super) fn execute(self, connection: &Connection, params: impl Params) -> rusqlite::Result<usize> {
        self.prepare(connection)?.execute(params)
    }

    /// Its first row, if any, as `read` takes it.
    pub(super) fn first<T>(
        self,
        connection: &Connection,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        self.prepare(connection)?.query_row(params, read).optional()
    }

    /// Whether it finds anything.
    pub(super) fn finds(self, connection: &Connection, params: impl Params) -> rusqlite::Result<bool> {
        self.prepare(connection)?.exists(params)
    }

    /// All its rows, as `read` takes them.
    pub(super) fn all<T>(
        self,
        connection: &Connection,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        self.prepare(connection)?.query_map(params, read)?.collect()
    }

    /// Calls `look` with row after row until it stops; returns whether it did.
    pub(super) fn each(
        self,
        connection: &Connection,
        params: impl Params,
        mut look: impl FnMut(&Row<'_>) -> EngineResult<ControlFlow<()>>,
    ) -> EngineResult<ControlFlow<()>> {
        let mut statement = self.prepare(connection)?;
        let mut rows = statement.query(params)?;
        while let Some(row) = rows.next()? {
            if look(row)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    /// The record in the first column of its first row, if any.
    pub(super) fn record<T: serde::de::DeserializeOwned>(
        self,
        connection: &Connection,
        params: impl Params,
    ) -> EngineResult<Option<T>> {
        let mut statement = self.prepare(connection)?;
        let mut rows = statement.query(params)?;
        rows.next()?.map(decode).transpose()
    }

    /// The records in the first column of all its rows.
    pub(super) fn records<T: serde::de::DeserializeOwned>(
        self,
        connection: &Connection,
        params: impl Params,
    ) -> EngineResult<Vec<T>> {
        self.read(connection, params, decode)
    }

    /// All its rows, as `read` decodes them.
    pub(super) fn read<T>(
        self,
        connection: &Connection,
        params: impl Params,
        read: impl Fn(&Row<'_>) -> EngineResult<T>,
    ) -> EngineResult<Vec<T>> {
        let mut statement = self.prepare(connection)?;
        let mut rows = statement.query(params)?;
        let mut records = Vec::new();
        while let Some(row) = rows.next()? {
            records.push(read(row)?);
        }
        Ok(records)
    }
}

/// The record in the first column.
pub(super) fn decode<T: serde::de::DeserializeOwned>(row: &Row<'_>) -> EngineResult<T> {
    let text = row.get_ref(0)?.as_str().map_err(Error::internal)?;
    let what = std::any::type_name::<T>();
    Ok(serde_json::from_str(text)
        .map_err(|e| Error::internal(format!("a stored {what} is unreadable: {e}")))?)
}

/// The bytes in that column.
pub(super) fn blob<'a>(row: &'a Row<'_>, column: usize) -> EngineResult<&'a [u8]> {
    Ok(row.get_ref(column)?.as_blob().map_err(Error::internal)?)
}

/// The record as it is stored: without absent fields, which are a fifth of an organization's.
pub(super) fn encode(record: &impl serde::Serialize) -> EngineResult<String> {
    let mut record = serde_json::to_value(record).map_err(Error::internal)?;
    drop_absent(&mut record);
    Ok(record.to_string())
}

/// Removes members that are null. A null in a list keeps its position.
fn drop_absent(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_absent);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_absent),
        _ => {}
    }
}

/// A counter or length as SQLite keeps it. Versions and counts never come near 2^63.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Statement, encode};
    use rusqlite::Connection;
    use serde_json::json;

    #[test]
    fn absent_fields_of_record_are_not_stored() {
        let record = json!({ "a": null, "b": { "c": null, "d": 0, "e": [null, { "f": null }] }, "g": false });
        assert_eq!(encode(&record).unwrap(), r#"{"b":{"d":0,"e":[null,{}]},"g":false}"#);
    }

    /// Refuses a statement that scans a table or sorts: on a large installation it would be far too slow.
    pub(crate) fn check_plans(connection: &Connection, statements: &[Statement]) {
        for Statement { sql } in statements {
            let mut explain = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let plan: Vec<String> =
                explain.raw_query().mapped(|row| row.get("detail")).collect::<Result<_, _>>().unwrap();
            let slow = |line: &String| line.starts_with("SCAN") || line.contains("TEMP B-TREE");
            assert!(!plan.iter().any(slow), "{sql}\n{plan:#?}");
        }
    }

    #[test]
    #[should_panic(expected = "SCAN")]
    fn statement_check_detects_scan() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a)").unwrap();
        check_plans(&connection, &[Statement { sql: "SELECT a FROM t" }]);
    }

    #[test]
    #[should_panic(expected = "TEMP B-TREE")]
    fn statement_check_detects_sort() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("CREATE TABLE t (a INTEGER PRIMARY KEY, b)").unwrap();
        check_plans(&connection, &[Statement { sql: "SELECT b FROM t WHERE a > 1 ORDER BY b" }]);
    }
}
