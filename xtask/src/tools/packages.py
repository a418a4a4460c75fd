"""Writes what `apt-cache dumpavail` prints as one document a line, once for each version: the file to write."""
import json, sys

LISTS = {"Depends", "Pre-Depends", "Recommends", "Suggests", "Breaks", "Conflicts", "Provides", "Replaces", "Tag"}
NUMBERS = {"Size", "Installed-Size"}


def value(name, text):
    if name in LISTS:
        return [part.strip() for part in text.replace("\n", " ").split(",")]
    return int(text) if name in NUMBERS else text


def records(lines):
    record, name = {}, None
    for line in lines:
        line = line.rstrip("\n")
        if not line:
            yield record
            record = {}
        elif line[0] in " \t":
            record[name] += "\n" + line[1:]
        else:
            name, _, text = line.partition(":")
            record[name] = text.strip()
    yield record


seen = set()
with open(sys.argv[1], "w", encoding="utf-8") as out:
    for record in records(sys.stdin):
        if "Package" not in record:
            continue
        identity = "{Package}={Version}:{Architecture}".format(**record)
        if identity in seen:
            continue
        seen.add(identity)
        document = {name.lower(): value(name, text) for name, text in record.items()}
        out.write(json.dumps({"_id": identity, **document}, ensure_ascii=False) + "\n")
