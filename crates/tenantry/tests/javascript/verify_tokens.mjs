// Checks an access token as resource servers do that hold to RFC 9068: with oauth4webapi, which takes published keys
// alone, and with express-oauth2-jwt-bearer in its strict form, which also takes a shared secret.
//
// Reads {"jwks": url or null, "secret": text or null, "algorithm", "issuer", "audience", "token"} from standard input, and
// prints {verifier: claims}. Fails with the verifier's own words.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { MODULES } = process.env;
const require = createRequire(pathToFileURL(join(MODULES, 'package.json')));
const { auth } = require('express-oauth2-jwt-bearer');
const oauth = await import(pathToFileURL(require.resolve('oauth4webapi')));

const { jwks, secret, algorithm, issuer, audience, token } = JSON.parse(readFileSync(0, 'utf8'));
const authorization = `Bearer ${token}`;
const claims = {};

if (jwks) {
  const server = { issuer, jwks_uri: jwks };
  const request = new Request('http://127.0.0.1/', { headers: { authorization } });
  const options = { [oauth.allowInsecureRequests]: true, signingAlgorithms: [algorithm] };
  claims.oauth4webapi = await oauth.validateJwtAccessToken(server, request, audience, options);
}

const keys = secret ? { secret, tokenSigningAlg: algorithm } : { jwksUri: jwks, tokenSigningAlg: algorithm };
const middleware = auth({ issuer, audience, strict: true, ...keys });
const headers = { authorization, host: '127.0.0.1' };
const incoming = { method: 'GET', url: '/', originalUrl: '/', protocol: 'http', headers, query: {}, body: {} };
incoming.is = () => false;
incoming.get = (name) => headers[name.toLowerCase()];
await new Promise((resolve, reject) => {
  middleware(incoming, {}, (refusal) => (refusal ? reject(refusal) : resolve()));
});
claims['express-oauth2-jwt-bearer'] = incoming.auth.payload;

console.log(JSON.stringify(claims));
