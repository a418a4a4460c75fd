#!/usr/bin/env bash
# openapi-python-client tells two bodies of an operation apart by `isinstance(body, list[...])` where one of them is an array of
# objects. Python allows no `isinstance` with such a type: calling the generated function with the array is a TypeError.
# With the array as the only body the function works.
#
# Installs pinned packages into a folder of its own, prints what they do, and exits with 1 once that has changed.
# Needs a Python of 3.11 or newer with venv; `PYTHON` names one that is not `python3`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1

operation() {
  printf '"post": { "operationId": "%s", "tags": ["pets"],
    "parameters": [{ "name": "limit", "in": "query", "schema": { "type": "integer" } }],
    "requestBody": { "required": true, "content": { %s "application/json": {
      "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Pet" } } } } },
    "responses": { "204": { "description": "Done." } } }' "$1" "$2"
}
cat > openapi.json <<JSON
{
  "openapi": "3.1.0",
  "info": { "title": "Pets", "version": "1" },
  "paths": {
    "/two": { $(operation addByTwo '"application/merge-patch+json": { "schema": { "$ref": "#/components/schemas/Pet" } },') },
    "/one": { $(operation addByOne '') }
  },
  "components": {
    "schemas": {
      "Pet": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } }
    }
  }
}
JSON
venv/bin/openapi-python-client generate --path openapi.json --output-path client --meta none > log 2>&1
version=$(venv/bin/openapi-python-client --version)
call() {
  venv/bin/python -c "
from client.api.pets import $1
from client.models import Pet
print(sorted($1._get_kwargs(body=[Pet(name='Rex')])))" 2>&1 | tail -n 1 || true
}
two=$(call add_by_two)
one=$(call add_by_one)
echo "$version: with two bodies: $two; with one: $one"
[[ $two == *"TypeError: isinstance() argument 2 cannot be a parameterized generic"* && $one == "["* ]]
