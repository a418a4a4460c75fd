"""Writes ISO 3166-2 as one document a line: the unpacked package, the file to write."""
import json, pathlib, sys
source = next(pathlib.Path(sys.argv[1]).glob("pycountry/databases/iso3166-2.json"))
entries = json.loads(source.read_text(encoding="utf-8"))["3166-2"]
with open(sys.argv[2], "w", encoding="utf-8") as out:
    for entry in sorted(entries, key=lambda entry: entry["code"]):
        out.write(json.dumps({"_id": entry.pop("code"), **entry}, ensure_ascii=False) + "\n")
