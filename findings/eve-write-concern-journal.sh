#!/bin/sh
# Eve: `mongo_write_concern` of a resource reads `w` and drops the rest. `{"w": "majority", "j": True}` inserts without `j`, which a
# standalone server answers before the journal is written. The setting for all resources, `MONGO_WRITE_CONCERN`, is also handed
# to the client, which takes no `j`: with it Eve reaches no collection. A data layer with a method of its own helps.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check Eve==2.3.1 pymongo==4.20.1 Flask==3.1.3
"$folder/venv/bin/python" - <<'PYTHON'
import sys
from importlib.metadata import version

from eve import Eve

DURABLE = {"w": "majority", "j": True}


def settings(**more):
    # Nothing connects until a request comes.
    return {"MONGO_URI": "mongodb://127.0.0.1:1/none", "DOMAIN": {"books": more.pop("books", {})}, **more}


app = Eve(settings=settings(books={"mongo_write_concern": DURABLE}))
with app.app_context():
    used = app.data.get_collection_with_write_concern("books", "books").write_concern.document
print(f"Eve {version('Eve')}: {DURABLE} of a resource becomes {used}")
app = Eve(settings=settings(MONGO_WRITE_CONCERN=DURABLE))
try:
    with app.app_context():
        app.data.get_collection_with_write_concern("books", "books")
    refused = None
except Exception as error:
    refused = str(error)
print("for all resources:", refused)
sys.exit(0 if used == {"w": "majority"} and refused and "Unknown option: j" in refused else 1)
PYTHON
