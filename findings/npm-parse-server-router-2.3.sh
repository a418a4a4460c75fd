#!/bin/sh
# npm parse-server: with `router` 2.3.0, which a plain `npm install` of it brings (express asks for `^2.2.0`), every request that
# the server sends to itself fails: batches, and every save of an object in cloud code with `directAccess`, which is the default.
# Its own router reads `layer.params` of `router/lib/layer`, an inner file of that package, where 2.3.0 no longer has it. The
# error is `Cannot convert undefined or null to object`, and names neither package. `"overrides": {"router": "2.2.0"}` helps.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
cat > run.cjs <<'NODE'
const PromiseRouter = require('parse-server/lib/PromiseRouter').default;
const version = require('router/package.json').version;
const router = new PromiseRouter();
router.route('GET', '/classes/:className', (request) => Promise.resolve({ response: request.params }));
// As a batch does, and `directAccess`.
Promise.resolve()
  .then(() => router.tryRouteRequest('GET', '/classes/Book', {}))
  .then((answer) => answer.response.className, (error) => error.message)
  .then((outcome) => console.log(`router ${version}: ${outcome}`));
NODE
for router in 2.2.0 2.3.0; do
  mkdir "$router"
  echo "{\"private\": true, \"overrides\": {\"router\": \"$router\"}}" > "$router/package.json"
  (cd "$router" && npm install --silent --no-audit --no-fund --ignore-scripts parse-server@9.10.0)
  cp run.cjs "$router"
  (cd "$router" && node run.cjs 2>&1 || true) | grep '^router ' | tee "$router.out"
done
[ "$(cat 2.2.0.out)" = 'router 2.2.0: Book' ]
[ "$(cat 2.3.0.out)" = 'router 2.3.0: Cannot convert undefined or null to object' ]
