#!/bin/sh
# SQLite: `BEGIN IMMEDIATE` on a connection that was opened read-only succeeds, takes no lock, and begins a read transaction: a
# writer begins beside it. On a connection with `PRAGMA query_only = 1` the same statement is refused at once. So who uses
# `BEGIN IMMEDIATE` to learn early that a database cannot be written learns it with the second kind alone.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check apsw==3.54.1.0
cat > run.py <<'PYTHON'
import apsw

path = "some.db"
writer = apsw.Connection(path)
for sql in ["PRAGMA journal_mode = wal", "CREATE TABLE t (a)"]:
    writer.execute(sql).fetchall()


def begin(connection):
    try:
        connection.execute("BEGIN IMMEDIATE").fetchall()
        return "begun"
    except apsw.Error as error:
        return type(error).__name__


read_only = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
opened = begin(read_only)
state = apsw.mapping_txn_state[read_only.txn_state("main")]
beside = begin(writer)
query_only = apsw.Connection(path)
query_only.execute("PRAGMA query_only = 1").fetchall()
refused = begin(query_only)
print("SQLite", apsw.sqlite_lib_version(), "opened read-only:", opened, state)
print("a writer beside it:", beside)
print("with query_only:", refused)
expected = ("begun", "SQLITE_TXN_READ", "begun", "ReadOnlyError")
raise SystemExit((opened, state, beside, refused) != expected)
PYTHON
venv/bin/python run.py
