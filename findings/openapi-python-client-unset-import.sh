#!/usr/bin/env bash
# openapi-python-client writes `Unset` into the signature of an operation whose required body has two media types, and does
# not import it unless some parameter is optional: importing the generated module fails with a NameError.
#
# Installs pinned packages into a folder of its own, prints what they do, and exits with 1 once that has changed.
# Needs a Python of 3.11 or newer with venv; `PYTHON` names one that is not `python3`.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"${PYTHON:-python3}" -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check openapi-python-client==0.29.1

cat > openapi.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": { "title": "Names", "version": "1" },
  "paths": {
    "/name": {
      "patch": {
        "operationId": "changeName",
        "tags": ["names"],
        "requestBody": {
          "required": true,
          "content": {
            "application/json": { "schema": { "$ref": "#/components/schemas/Name" } },
            "application/merge-patch+json": { "schema": { "$ref": "#/components/schemas/Name" } }
          }
        },
        "responses": { "204": { "description": "Done." } }
      }
    }
  },
  "components": {
    "schemas": {
      "Name": { "type": "object", "required": ["name"], "properties": { "name": { "type": "string" } } }
    }
  }
}
JSON
venv/bin/openapi-python-client generate --path openapi.json --output-path client --meta none > log 2>&1
version=$(venv/bin/openapi-python-client --version)
module=client/api/names/change_name.py
used=$(grep -c 'Unset' "$module" || true)
imported=$(grep -cE 'import .*\bUnset\b' "$module" || true)
error=$(venv/bin/python -c 'import client.api.names.change_name' 2>&1 | tail -n 1 || true)
echo "$version: $module names Unset in $used lines and imports it in $imported; importing it says: $error"
[[ $used -gt 0 && $imported -eq 0 && $error == *"name 'Unset' is not defined"* ]]
