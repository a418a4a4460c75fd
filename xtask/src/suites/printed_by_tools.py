"""What common tools print, through the service: the folder of their Python packages, that of the JavaScript packages, a
Node, the service's URL.

Every tool prints its values as it does without being told otherwise. What is stored must be what the page on documents
says: `EXPECTED` is its table, in canonical Extended JSON.
"""
import json, pathlib, subprocess, sys, tempfile, warnings

packages, javascript, node, url = sys.argv[1:5]
sys.path[:0] = [packages, str(pathlib.Path(__file__).parent)]
import bson, datetime, duckdb, pandas, re, uuid
from bson import json_util
from bson.code import Code
from service import Figures, Service

warnings.simplefilter("ignore")
ID = "65a0c0ffee0123456789abcd"
UUID = "00112233-4455-6677-8899-aabbccddeeff"
BINARY_UUID = {"$binary": {"base64": "ABEiM0RVZneImaq7zN3u/w==", "subType": "04"}}


def i(number):
    return {"$numberInt": str(number)}


def long(number):
    return {"$numberLong": str(number)}


def double(text):
    return {"$numberDouble": text}


def date(milliseconds):
    return {"$date": long(milliseconds)}


LONG = 2**53 + 1
BINARY = {"$binary": {"base64": "aGk=", "subType": "00"}}
REGEX = {"$regularExpression": {"pattern": "x", "options": "im"}}
CODE = {"$code": "f()", "$scope": {"a": i(1)}}
TIMESTAMP = {"$timestamp": {"t": 1, "i": 2}}
DECIMAL = {"$numberDecimal": "1.50"}
LATE = date(253402300800000)
REFERENCE = {"$ref": "c", "$id": {"$oid": ID}, "$db": "db"}
NAN = double("NaN")

# By name of the value: what EJSON prints, what canonical EJSON prints, what JSON prints.
JAVASCRIPT = {
    "integer": (i(5), i(5), i(5)),
    "long": (long(2**53), long(LONG), {"high": i(2097152), "low": i(1), "unsigned": False}),
    "double": (i(1), double("1.0"), i(1)),
    "decimal": (DECIMAL, DECIMAL, DECIMAL),
    "date": (date(0), date(0), "1970-01-01T00:00:00.000Z"),
    "early": (date(-1), date(-1), "1969-12-31T23:59:59.999Z"),
    "late": (LATE, LATE, "+010000-01-01T00:00:00.000Z"),
    "objectId": ({"$oid": ID}, {"$oid": ID}, ID),
    "binary": (BINARY, BINARY, "aGk="),
    "uuid": (BINARY_UUID, BINARY_UUID, UUID),
    "regex": (REGEX, REGEX, {"pattern": "x", "options": "im"}),
    "timestamp": (TIMESTAMP, TIMESTAMP, TIMESTAMP),
    "minKey": ({"$minKey": 1}, {"$minKey": 1}, {}),
    "code": (CODE, CODE, {"code": "f()", "scope": {"a": i(1)}}),
    "symbol": ({"$symbol": "s"}, {"$symbol": "s"}, "s"),
    "reference": (REFERENCE, REFERENCE, {**REFERENCE, "$id": ID}),
    "notANumber": (NAN, NAN, None),
    "negativeZero": (i(0), double("-0.0"), i(0)),
    "buffer": ({"0": i(104), "1": i(105)}, {"0": i(104), "1": i(105)}, {"type": "Buffer", "data": [i(104), i(105)]}),
    "map": ({"k": i(1)}, {"k": i(1)}, {}),
}
MONGOOSE = {
    "_id": ID, "text": "x", "number": i(1), "date": "1970-01-01T00:00:00.000Z", "decimal": {"$numberDecimal": "1.5"},
    "buffer": {"type": "Buffer", "data": [i(104), i(105)]}, "map": {"k": i(1)}, "other": ID, "uuid": UUID,
    "mixed": {"z": [i(1)]},
}
MONGOOSE_EJSON = {
    **MONGOOSE, "_id": {"$oid": ID}, "date": date(0), "buffer": BINARY, "other": {"$oid": ID}, "uuid": BINARY_UUID,
}
PYMONGO = [
    (1, i(1)), (LONG, long(LONG)), (1.0, double("1.0")), (bson.Decimal128("1.50"), DECIMAL),
    (datetime.datetime(1970, 1, 1), date(0)),
    (datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(hours=5, minutes=30))), date(1577817000000)),
    (datetime.datetime(1900, 1, 1), date(-2208988800000)), (bson.ObjectId(ID), {"$oid": ID}), (b"hi", BINARY),
    (re.compile("x", re.I | re.M), {"$regularExpression": {"pattern": "x", "options": "imu"}}),
    (bson.Timestamp(1, 2), TIMESTAMP), (bson.MinKey(), {"$minKey": 1}), (Code("f()", {"a": 1}), CODE),
    (bson.DBRef("c", bson.ObjectId(ID), "db"), REFERENCE), (float("nan"), NAN), (-0.0, double("-0.0")),
    ((1, 2), [i(1), i(2)]),
]

service, figures = Service(url, "printed"), Figures()


def same(found, expected):
    """Whether they are equal, with the order of names."""
    return json.dumps(found) == json.dumps(expected)


def stored(case, text, expected, keeps_id=False):
    """Stores one document, whose value `v` or whole must then be as expected."""
    status, answer = service.send("POST", f"{service.documents}/documents?values=canonical", text.encode())
    if status != 201:
        return figures.fail(case, f"{text} was answered {status} {answer}")
    found = json.loads(answer)
    found = found if keeps_id else found.get("v")
    if same(found, expected):
        figures.passed += 1
    else:
        figures.fail(case, f"{text} is stored as {found}, not {expected}")


def many(case, text, media_type, expected):
    """Stores many documents, which then must be as expected, without their ids."""
    name = "".join(letter for letter in case.lower() if letter.isalnum())
    service.call("POST", f"{service.organization}/collections", {"name": name})
    path = f"{service.organization}/collections/{name}"
    status, answer = service.send("POST", f"{path}/bulk", text.encode(), media_type)
    last = json.loads(answer.splitlines()[-1]) if status == 200 else {}
    if last.get("inserted") != len(expected):
        return figures.fail(case, f"{text} was answered {status} {answer}")
    _, page = service.send("GET", f"{path}/documents?values=canonical&fields=-_id")
    found = json.loads(page)["items"]
    if same(found, expected):
        figures.passed += 1
    else:
        figures.fail(case, f"{text} is stored as {found}, not {expected}")


def refused(case, text):
    """Sends lines that must be refused as the page says: each by its own line, or all as no JSON."""
    status, answer = service.send("POST", f"{service.documents}/bulk", text.encode(), "application/x-ndjson")
    problem = json.loads(answer.splitlines()[0])
    if (status, problem.get("status")) in [(200, 400), (400, 400)] and problem["detail"]:
        figures.refused += 1
    else:
        figures.fail(case, f"{text} was answered {status} {answer}")


script = pathlib.Path(__file__).parent / "printed/print.mjs"
printed = subprocess.run([node, script, javascript], check=True, capture_output=True, text=True).stdout
for line in map(json.loads, printed.splitlines()):
    case = f"{line['how']} {line['name']}"
    if line["how"].startswith("Mongoose"):
        # Mongoose has an order of its own.
        expected = MONGOOSE if line["how"] == "Mongoose" else MONGOOSE_EJSON
        names = ["_id", *(name for name in json.loads(line["text"]) if name != "_id")]
        stored(case, line["text"], {name: expected[name] for name in names}, keeps_id=True)
    else:
        how = ["EJSON", "EJSON canonical", "JSON"].index(line["how"])
        stored(case, line["text"], JAVASCRIPT[line["name"]][how])

for value, expected in PYMONGO:
    stored(f"json_util {value!r}", json_util.dumps({"v": value}), expected)

frame = pandas.DataFrame({
    "gap": [1, None], "text": ["x/y", "é"], "when": pandas.to_datetime(["2020-01-01", "2020-01-02"], utc=True),
    "long": [2**62, 1],
})
rows = [
    {"gap": double("1.0"), "text": "x/y", "when": long(1577836800000), "long": long(2**62)},
    {"gap": None, "text": "é", "when": long(1577923200000), "long": i(1)},
]
many("pandas array", frame.to_json(orient="records"), "application/json", rows)
many("pandas lines", frame.to_json(orient="records", lines=True), "application/x-ndjson", rows)
texts = [dict(row, when=f"2020-01-0{day}T00:00:00.000Z") for day, row in enumerate(rows, 1)]
many("pandas iso", frame.to_json(orient="records", lines=True, date_format="iso"), "application/x-ndjson", texts)
columns = {name: {str(at): row[name] for at, row in enumerate(rows)} for name in frame}
many("pandas columns", "[" + frame.to_json() + "]", "application/json", [columns])


def duck(select, options="format json"):
    with tempfile.TemporaryDirectory() as folder:
        duckdb.connect().execute(f"copy ({select}) to '{folder}/x.json' ({options})")
        return pathlib.Path(folder, "x.json").read_text(encoding="utf-8")


select = f"""select 1 as small, {LONG}::bigint as long, 1.0::double as whole, 1.50::decimal(10,2) as price,
    date '2020-01-01' as day, timestamp '2020-01-01 00:00:00.123456' as moment, '\\xAA\\x41'::blob as bytes,
    uuid '{UUID}' as uuid, [1, 2] as list, {{'a': 1}} as struct, map {{'k': 1}} as map, null as nothing"""
row = {
    "small": i(1), "long": long(LONG), "whole": double("1.0"), "price": double("1.5"), "day": "2020-01-01",
    "moment": "2020-01-01 00:00:00.123456", "bytes": "\\xAAA", "uuid": UUID, "list": [i(1), i(2)], "struct": {"a": i(1)},
    "map": {"k": i(1)}, "nothing": None,
}
many("duckdb lines", duck(select), "application/x-ndjson", [row])
many("duckdb array", duck(select, "format json, array true"), "application/json", [row])
refused("duckdb nan", duck("select 'nan'::double as v"))
refused("duckdb inf", duck("select 'infinity'::double as v"))
refused("duckdb hugeint", duck("select 170141183460469231731687303715884105727::hugeint as v"))
refused("duckdb ubigint", duck("select 18446744073709551615::ubigint as v"))
figures.print()
