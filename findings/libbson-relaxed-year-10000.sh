#!/bin/sh
# libbson: relaxed Extended JSON writes moments after the year 9999 as text ("10000-01-01T00:00:00Z"), with as many digits as
# the year has. The specification wants `{"$date": {"$numberLong": "…"}}` there, RFC 3339 knows four digits alone, and
# libraries of other languages (Python's `json_util` among them) cannot read that text back.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pymongo==4.15.0 dnspython==2.7.0 python-bsonjs==0.7.0
"$folder/venv/bin/python" - <<'PYTHON'
import sys
import bson, bsonjs
from bson import json_util
from bson.datetime_ms import DatetimeMS

raw = bson.encode({"when": DatetimeMS(253402300800000)})
text = bsonjs.dumps(raw, mode=bsonjs.RELAXED)
print("libbson by python-bsonjs 0.7.0:", text)
try:
    back = json_util.loads(text)
    print("json_util reads:", back)
except Exception as error:
    back = None
    print("json_util does not read it:", error)
sys.exit(0 if '"10000-01-01T00:00:00Z"' in text and back is None else 1)
PYTHON
