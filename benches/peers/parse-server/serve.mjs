// Parse Server as an application with organizations runs it: a role for each organization, which alone may read and write
// its documents; a process for each core.
//
// node serve.mjs PORT WORKERS DATABASE-URI
import cluster from 'node:cluster';
import express from 'express';
import { MongoClient } from 'mongodb';
import { ParseServer } from 'parse-server';

const [port, workers, databaseURI] = process.argv.slice(2);
const DOCUMENT_FIELDS = {
  organization: { type: 'String' }, title: { type: 'String' }, owner: { type: 'String' }, tags: { type: 'Array' },
  pages: { type: 'Number' }, kind: { type: 'String' },
};
// Access lists of the objects decide; nobody without a session reaches the class.
const SIGNED_IN = { requiresAuthentication: true };
const PERMISSIONS = { find: SIGNED_IN, get: SIGNED_IN, create: SIGNED_IN, update: SIGNED_IN, delete: SIGNED_IN, count: {}, addField: {} };
const DEFINITIONS = [
  { className: 'Organization', fields: { name: { type: 'String' } }, classLevelPermissions: PERMISSIONS,
    indexes: { name_1: { name: 1 } } },
  { className: 'Document', fields: DOCUMENT_FIELDS, classLevelPermissions: PERMISSIONS,
    indexes: { organization_kind: { organization: 1, kind: 1 } } },
];

async function serve(definitions) {
  const server = new ParseServer({
    databaseURI,
    appId: 'bench',
    masterKey: 'the key of a benchmark',
    serverURL: `http://127.0.0.1:${port}/parse`,
    // What its guide advises for production.
    allowClientClassCreation: false,
    enableAnonymousUsers: false,
    directAccess: true,
    logLevel: 'error',
    silent: true,
    verbose: false,
    ...(definitions ? { schema: { definitions, lockSchemas: true } } : {}),
  });
  await server.start();
  // An account, its organization and the role of its members, in one request.
  Parse.Cloud.define('createOrganization', async ({ params: { name, email, password } }) => {
    const master = { useMasterKey: true };
    const user = await new Parse.User().signUp({ username: email, email, password });
    const organization = await new Parse.Object('Organization').save({ name }, master);
    const access = new Parse.ACL();
    access.setRoleReadAccess(organization.id, true);
    access.setRoleWriteAccess(organization.id, true);
    const role = new Parse.Role(organization.id, access);
    role.getUsers().add(user);
    await role.save(null, master);
    organization.setACL(access);
    await organization.save(null, master);
    return { organization: organization.id };
  });
  return server;
}

// It looks sessions up by their token and roles by their members, and makes no index for either.
async function index() {
  const client = await MongoClient.connect(databaseURI);
  await client.db().collection('_Session').createIndex({ _session_token: 1 });
  await client.db().collection('_Join:users:_Role').createIndex({ relatedId: 1 });
  await client.close();
}

if (cluster.isPrimary) {
  // The classes and indexes are there before anybody serves.
  const first = cluster.fork({ SETUP: 'yes' });
  first.on('exit', (code) => {
    if (code !== 0) process.exit(1);
    for (let worker = 0; worker < Number(workers); worker += 1) cluster.fork().on('exit', () => process.exit(1));
  });
} else if (process.env.SETUP) {
  await serve(DEFINITIONS);
  await index();
  process.exit(0);
} else {
  const server = await serve();
  const app = express();
  app.disable('x-powered-by');
  app.use('/parse', server.app);
  app.listen(Number(port), '127.0.0.1');
}
