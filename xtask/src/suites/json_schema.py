"""The JSON Schema test suite, as the source archive of Python's jsonschema carries it, through the service: the folder of the
unpacked archive, the service's URL.

A document is an object, so the schema and the data of each case are those of its field `v`, and references are led there.
"""
import concurrent.futures, json, pathlib, sys

archive = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(pathlib.Path(__file__).parent)]
from service import Figures, Service

# Annotations in this dialect, unless somebody asks for more; the page says so.
ANNOTATIONS = {"format", "content"}
WORKERS = 8


def led(schema):
    """The schema with its own references led to where it is."""
    if isinstance(schema, list):
        return [led(item) for item in schema]
    if not isinstance(schema, dict):
        return schema

    def member(name, value):
        if name in ("$ref", "$dynamicRef") and isinstance(value, str) and (value == "#" or value.startswith("#/")):
            return "#/properties/v" + value[1:]
        return value if name in ("const", "enum", "default", "examples") else led(value)

    return {name: member(name, value) for name, value in schema.items()}


def run(number, groups):
    """Runs groups in an organization of their own."""
    service, figures = Service(sys.argv[2], f"schemas-{number}"), Figures()
    for at, (file, group) in enumerate(groups):
        schema = group["schema"]
        outer = {"properties": {"v": led(schema)}}
        if isinstance(schema, dict) and "$schema" in schema:
            outer["$schema"] = outer["properties"]["v"].pop("$schema")
        collection = f"{service.organization}/collections/c{at}"
        service.call("POST", f"{service.organization}/collections", {"name": f"c{at}"})
        status, answer = service.send("PUT", f"{collection}/schema", json.dumps({"schema": outer}))
        if status >= 300:
            if figures.is_refusal(status, answer):
                figures.refused += len(group["tests"])
            else:
                figures.fail(f"{file}: {group['description']}", f"{json.dumps(schema)} was answered {status} {answer}")
            continue
        for case, test in enumerate(group["tests"]):
            name = f"{file}: {group['description']}: {test['description']}"
            document = json.dumps({"_id": case, "v": test["data"]})
            status, answer = service.send("POST", f"{collection}/documents", document)
            is_violation = status == 400 and json.loads(answer)["code"] == "schema_violation"
            if status == 400 and not is_violation and figures.is_refusal(status, answer):
                figures.refused += 1
            elif (status == 201 and test["valid"]) or (is_violation and not test["valid"]):
                figures.passed += 1
            else:
                figures.fail(name, f"{json.dumps(schema)} with {document} was answered {status} {answer}")
        service.call("DELETE", collection)
    return figures


groups = [
    (path.stem, group)
    for path in sorted((archive / "json/tests/draft2020-12").glob("*.json"))
    if path.stem not in ANNOTATIONS
    for group in json.loads(path.read_text(encoding="utf-8"))
]
total = Figures()
with concurrent.futures.ThreadPoolExecutor(WORKERS) as workers:
    for figures in workers.map(run, range(WORKERS), (groups[worker::WORKERS] for worker in range(WORKERS))):
        total.passed += figures.passed
        total.refused += figures.refused
        total.failed += figures.failed
total.print()
