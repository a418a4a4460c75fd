// An OpenID provider, oidc-provider, together with a client that signs people in at it, oauth4webapi.
//
// Prints {"issuer"} once it listens. Then it reads a request a line from standard input, and answers each with a line:
// - {"account", "resource", "algorithm", "dpop"} signs that person in by the authorization code flow, and answers
//   {"access_token", "id_token"}; without "account" the client gets a token of its own. Without "resource", the access
//   token is for the provider itself; "algorithm" signs it (RFC 8707 and RFC 9068), "dpop" binds it to a key (RFC 9449);
// - {"await": "keys"} answers when somebody has got its keys since its start;
// - {"keys": "add"} has a new set of keys sign, with that of before still published; {"keys": "remove"} withdraws it.
// Ends with its input.

import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { pathToFileURL } from 'node:url';

// Standard output is for answers alone.
for (const level of ['log', 'info', 'warn']) console[level] = console.error;

const { MODULES, ORGANIZATION } = process.env;
const require = createRequire(pathToFileURL(join(MODULES, 'package.json')));
const load = (name) => import(pathToFileURL(require.resolve(name)));
const { Provider } = await load('oidc-provider');
const oauth = await load('oauth4webapi');

const insecure = { [oauth.allowInsecureRequests]: true };
const REDIRECT = 'http://127.0.0.1/callback';
const CLIENT = { client_id: 'web', client_secret: 'a-secret-of-the-client-of-a-test', redirect_uris: [REDIRECT] };
const SCOPES = 'documents:read documents:write';
const KINDS = [
  ['RS256', 'rsa', { modulusLength: 2048 }],
  ['ES256', 'ec', { namedCurve: 'P-256' }],
  ['EdDSA', 'ed25519', {}],
];

const newKeys = () => KINDS.map(([, kind, options]) => {
  const jwk = generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' });
  return { ...jwk, kid: randomUUID(), use: 'sig' };
});

let generations = [newKeys()];
let algorithm = 'RS256';
let current;
let keysGot;
const keysAreGot = new Promise((resolve) => { keysGot = resolve; });

const server = createServer((request, response) => current(request, response));
await new Promise((ready) => server.listen(0, '127.0.0.1', ready));
const issuer = `http://127.0.0.1:${server.address().port}`;

function start() {
  const provider = new Provider(issuer, {
    clients: [{ ...CLIENT, grant_types: ['authorization_code', 'client_credentials'] }],
    jwks: { keys: generations.flat() },
    scopes: ['openid', 'email'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'] },
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, ...addressOf(id) }) }),
    extraTokenClaims: (_, token) => ({ org_id: ORGANIZATION, ...addressOf(token.accountId) }),
    conformIdTokenClaims: false,
    cookies: { keys: ['a-key-of-a-test'] },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      dPoP: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: SCOPES, accessTokenFormat: 'jwt', accessTokenTTL: 3600, jwt: { sign: { alg: algorithm } },
        }),
      },
    },
  });
  const serve = provider.callback();
  current = (request, response) => {
    if (request.url === '/jwks') response.on('finish', keysGot);
    if (!request.url.startsWith('/interaction/')) return serve(request, response);
    interact(provider, request, response).catch((error) => response.writeHead(500).end(String(error)));
  };
}

const addressOf = (id) => (id ? { email: `${id}@people.example`, email_verified: true } : {});

// Signs the person in that the request names, and grants what it asks for.
async function interact(provider, request, response) {
  const { prompt, params, session } = await provider.interactionDetails(request, response);
  if (prompt.name === 'login') {
    return provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
  }
  const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  grant.addOIDCScope('openid email');
  if (params.resource) grant.addResourceScope(params.resource, SCOPES);
  return provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
}

// Follows redirects as a browser does, up to that of the client.
async function browse(url) {
  const cookies = new Map();
  for (let next = url; ;) {
    if (next.startsWith(REDIRECT)) return new URL(next);
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ');
    const response = await fetch(next, { redirect: 'manual', headers: { cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [name, value] = line.split(';')[0].split(/=(.*)/s);
      value ? cookies.set(name, value) : cookies.delete(name);
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${next}: ${response.status} ${await response.text()}`);
    next = new URL(location, next).href;
  }
}

const discovered = async () => {
  const at = new URL(issuer);
  return oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, insecure));
};

async function signIn({ account, resource, dpop }) {
  const provider = await discovered();
  const authentication = oauth.ClientSecretBasic(CLIENT.client_secret);
  const proof = dpop && oauth.DPoP(CLIENT, await oauth.generateKeyPair('ES256'));
  const wanted = resource ? { resource } : {};
  const options = { ...insecure, additionalParameters: wanted, ...(proof && { DPoP: proof }) };
  if (!account) {
    const parameters = new URLSearchParams({ scope: SCOPES, ...wanted });
    const response = await oauth.clientCredentialsGrantRequest(provider, CLIENT, authentication, parameters, options);
    return oauth.processClientCredentialsResponse(provider, CLIENT, response);
  }
  const verifier = oauth.generateRandomCodeVerifier();
  const url = new URL(provider.authorization_endpoint);
  url.search = new URLSearchParams({
    client_id: CLIENT.client_id, response_type: 'code', redirect_uri: REDIRECT, login_hint: account,
    scope: `openid email ${SCOPES}`, code_challenge_method: 'S256',
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier), ...wanted,
  });
  const answer = oauth.validateAuthResponse(provider, CLIENT, await browse(url.href), oauth.expectNoState);
  const response = await oauth.authorizationCodeGrantRequest(
    provider, CLIENT, authentication, answer, REDIRECT, verifier, options,
  );
  return oauth.processAuthorizationCodeResponse(provider, CLIENT, response);
}

async function serve(request) {
  if (request.await === 'keys') return keysAreGot.then(() => ({}));
  if (request.keys === 'add') generations = [newKeys(), generations[0]];
  if (request.keys === 'remove') generations = generations.slice(0, 1);
  algorithm = request.algorithm ?? algorithm;
  if (request.keys) start();
  return request.keys ? {} : signIn(request);
}

start();
console.error(`${issuer} listens`);
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await serve(JSON.parse(line)))}\n`);
}
process.exit(0);
