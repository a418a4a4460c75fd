#!/usr/bin/env bash
# @hey-api/openapi-ts sends a body whose schema is text as a JSON string, in quotes and with `\n` for each line feed, unless
# its media type is `text/plain`: NDJSON that is documented as `type: string` arrives as one line that is no object.
#
# Installs pinned packages into a folder of its own, prints what they do, and exits with 1 once that has changed.
# Needs a Node of 22 or newer; `NODE` names one that is not in PATH.
set -euo pipefail

node=${NODE:-node}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-save --no-audit --no-fund --ignore-scripts --prefix "$work" \
    @hey-api/openapi-ts@0.99.0 typescript@5.9.3

cat > openapi.json <<'JSON'
{
  "openapi": "3.1.0",
  "info": { "title": "Lines", "version": "1" },
  "paths": {
    "/lines": {
      "post": {
        "operationId": "sendLines",
        "requestBody": {
          "required": true,
          "content": { "application/x-ndjson": { "schema": { "type": "string" } } }
        },
        "responses": { "204": { "description": "Done." } }
      }
    }
  }
}
JSON
echo '{"type":"module"}' > package.json
"$node" node_modules/@hey-api/openapi-ts/bin/run.js -i openapi.json -o client --silent --no-log-file
node_modules/.bin/tsc --target es2023 --module es2022 --moduleResolution bundler --skipLibCheck --outDir out \
    client/client/client.gen.ts client/sdk.gen.ts
cat > send.mjs <<'NODE'
import { createServer } from 'node:http';
import { registerHooks } from 'node:module';
// The compiled client imports files without an extension.
registerHooks({
  resolve(name, context, next) {
    if (!name.startsWith('.') || name.endsWith('.js')) return next(name, context);
    try { return next(`${name}.js`, context); } catch { return next(`${name}/index.js`, context); }
  },
});
const { createClient } = await import('./out/client/index.js');
const { sendLines } = await import('./out/sdk.gen.js');
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => { body += chunk; });
  request.on('end', () => {
    console.log(`${request.headers['content-type']}: ${body}`);
    response.writeHead(204).end();
  });
}).listen(0, '127.0.0.1', async () => {
  const client = createClient({ baseUrl: `http://127.0.0.1:${server.address().port}` });
  await sendLines({ client, body: '{"a":1}\n{"a":2}\n' });
  server.close();
});
NODE
sent=$("$node" send.mjs)
echo "@hey-api/openapi-ts $("$node" -p "require('./node_modules/@hey-api/openapi-ts/package.json').version") sends $sent"
[[ "$sent" == 'application/x-ndjson: "{\"a\":1}\n{\"a\":2}\n"' ]] || { echo "it sends the text as it is now"; exit 1; }
