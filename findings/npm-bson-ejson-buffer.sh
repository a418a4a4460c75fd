#!/bin/sh
# npm bson: a `Buffer` (or `Uint8Array`) in a document is a binary to `serialize`, and an object with a member for each byte to
# `EJSON.stringify`, also in the canonical form: the same document becomes two different ones, and `EJSON.parse` gives no bytes
# back. A `Binary` around the bytes is the same in both.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts bson@7.3.4
cat > run.mjs <<'NODE'
import { Binary, EJSON, deserialize, serialize } from 'bson';
const document = { v: Buffer.from('hi') };
const text = EJSON.stringify(document, { relaxed: false });
const stored = deserialize(serialize(document)).v;
const wrapped = EJSON.stringify({ v: new Binary(Buffer.from('hi')) }, { relaxed: false });
console.log('bson 7.3.4: EJSON.stringify prints', text);
console.log('serialize stores', stored.constructor.name, stored.toString('base64'));
console.log('a Binary is printed as', wrapped);
const isObject = text === '{"v":{"0":{"$numberInt":"104"},"1":{"$numberInt":"105"}}}';
process.exit(isObject && stored instanceof Binary && wrapped.includes('"$binary"') ? 0 : 1);
NODE
node run.mjs
