// better-auth with its plugin for organizations, on SQLite, as an application of Node serves it.
//
// One process: of two that share the file, each refuses some changes as `database is locked` (SQLITE_BUSY_SNAPSHOT), however
// long they may wait for each other. Passwords are hashed on the threads of libuv, as many as there are cores.
//
// node serve.mjs PORT DATABASE
import { createServer } from 'node:http';
import { DatabaseSync } from 'node:sqlite';
import { betterAuth } from 'better-auth';
import { getMigrations } from 'better-auth/db/migration';
import { toNodeHandler } from 'better-auth/node';
import { bearer, organization } from 'better-auth/plugins';

const [port, file] = process.argv.slice(2);
const database = new DatabaseSync(file);
// Durable, as the service writes.
database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
const options = {
  database,
  secret: 'what signs the tokens of a benchmark',
  baseURL: `http://127.0.0.1:${port}`,
  emailAndPassword: { enabled: true, autoSignIn: false },
  rateLimit: { enabled: false },
  telemetry: { enabled: false },
  logger: { level: 'error' },
  plugins: [organization(), bearer()],
};
const auth = betterAuth(options);

// An account and its organization, in one request.
async function create(request, response) {
  let text = '';
  for await (const piece of request) text += piece;
  const { name, slug, email, password } = JSON.parse(text);
  const { user } = await auth.api.signUpEmail({ body: { name: email, email, password } });
  const { id } = await auth.api.createOrganization({ body: { name, slug, userId: user.id } });
  const body = JSON.stringify({ organization: id });
  response.writeHead(201, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }).end(body);
}

await (await getMigrations(options)).runMigrations();
const library = toNodeHandler(auth);
createServer((request, response) => {
  if (request.url === '/health') return response.writeHead(200, { 'content-length': 0 }).end();
  if (request.url !== '/organizations') return library(request, response);
  return create(request, response).catch((error) => response.writeHead(500).end(String(error)));
}).listen(Number(port), '127.0.0.1');
