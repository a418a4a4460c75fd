#!/bin/sh
# npm bson: `JSON.stringify` of a `Timestamp` prints `{"$timestamp": "4294967298"}`, the two halves as one number in a text. It
# looks like Extended JSON and is neither version of it (`{"$timestamp": {"t": 1, "i": 2}}`): `EJSON.parse` of the same package
# throws on it, while it reads what `JSON.stringify` makes of a `Decimal128`.
#
# Exits 0 while that is so, with another code as soon as it is not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
echo '{"private": true}' > package.json
npm install --silent --no-audit --no-fund --ignore-scripts bson@7.3.4
cat > run.mjs <<'NODE'
import { Decimal128, EJSON, Timestamp } from 'bson';
const printed = JSON.stringify({ v: new Timestamp({ t: 1, i: 2 }) });
console.log('bson 7.3.4 prints:', printed);
let read;
try {
  read = EJSON.parse(printed);
  console.log('and reads:', read);
} catch (error) {
  console.log('and does not read it:', error.message);
}
const decimal = EJSON.parse(JSON.stringify({ v: Decimal128.fromString('1.50') })).v;
console.log('of a Decimal128 it reads:', String(decimal));
process.exit(printed === '{"v":{"$timestamp":"4294967298"}}' && read === undefined && String(decimal) === '1.50' ? 0 : 1);
NODE
node run.mjs
