"""The BSON corpus through the service: the folder of the unpacked driver, the service's URL.

Each form of each valid case is stored as a document and read out of an export, whose Extended JSON is canonical; it must
be the corpus' own, and the same BSON. What the corpus says cannot be parsed must be refused.
"""
import json, pathlib, sys

driver = pathlib.Path(sys.argv[1])
sys.path[:0] = [str(driver), str(pathlib.Path(__file__).parent)]
import bson
from bson import json_util
from bson.codec_options import CodecOptions, DatetimeConversion
from service import Figures, Service

OPTIONS = json_util.JSONOptions(
    json_mode=json_util.JSONMode.CANONICAL, tz_aware=True, datetime_conversion=DatetimeConversion.DATETIME_MS,
    document_class=dict,
)


def normal(value, is_relaxed):
    """Forms that the specification leaves open, made one; the relaxed form does not say how many bits an integer has."""
    if isinstance(value, list):
        return [normal(item, is_relaxed) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"$numberDouble"}:
        return {"$numberDouble": repr(float(value["$numberDouble"]))}
    if is_relaxed and set(value) in [{"$numberInt"}, {"$numberLong"}]:
        return int(*value.values())
    return {name: normal(member, is_relaxed) for name, member in value.items()}


def with_id(text, number):
    """The text of a document, with an `_id` that it did not have."""
    rest = text.lstrip()[1:]
    comma = "" if rest.lstrip().startswith("}") else ","
    return f'{{"_id":{number}{comma}{rest}'


def documents(service):
    status, text = service.send("GET", f"{service.organization}/export")
    assert status == 200, text
    lines = (json.loads(line, object_pairs_hook=dict) for line in text.splitlines())
    found = (line["document"] for line in lines if "document" in line)
    return {int(document.pop("_id")["$numberInt"]): document for document in found}


service, figures = Service(sys.argv[2], "corpus"), Figures()
stored, expected = 0, {}
for path in sorted((driver / "test/bson_corpus").glob("*.json")):
    corpus = json.loads(path.read_text(encoding="utf-8"))
    for case in corpus.get("valid", []):
        for form in ["canonical_extjson", "relaxed_extjson", "degenerate_extjson"]:
            if form not in case:
                continue
            stored += 1
            name = f"{path.stem}: {case['description']} ({form})"
            status, text = service.send("POST", f"{service.documents}/documents", with_id(case[form], stored).encode())
            if status == 201:
                expected[stored] = (name, case, form, corpus.get("deprecated", False))
            elif figures.is_refusal(status, text):
                figures.refused += 1
            else:
                figures.fail(name, f"{status} {text}")
    for case in corpus.get("parseErrors", []):
        text = case["string"]
        # The type of the document itself, or of its one value, which then is the text of a number.
        if corpus["bson_type"] == "0x13":
            text = json.dumps({corpus["test_key"]: {"$numberDecimal": text}})
        stored += 1
        try:
            status, answer = service.send("POST", f"{service.documents}/documents", with_id(text, stored).encode())
        except UnicodeEncodeError:
            continue
        name = f"{path.stem}: {case['description']}"
        if figures.is_refusal(status, answer):
            figures.passed += 1
        else:
            figures.fail(name, f"{case['string']!r} was answered {status} {answer}")

found = documents(service)
for number, (name, case, form, is_deprecated) in expected.items():
    document = found.get(number)
    is_relaxed = form == "relaxed_extjson"
    if normal(document, is_relaxed) != normal(json.loads(case["canonical_extjson"]), is_relaxed):
        figures.fail(name, f"{document} is not {case['canonical_extjson']}")
        continue
    if form == "canonical_extjson" and not is_deprecated and not case.get("lossy"):
        read = json_util.loads(json.dumps(document), json_options=OPTIONS)
        if bson.encode(read).hex().upper() != case["canonical_bson"].upper():
            figures.fail(name, f"{document} is other BSON")
            continue
    figures.passed += 1
figures.print()
