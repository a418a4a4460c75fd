// What a program does with the functions of orval: `node orval.js URL`, with `OPERATOR_KEY`.

import {
  createOrganization,
  deleteOrganization,
  getDocument,
  insertDocument,
  insertDocuments,
  listDocuments,
  patchOrganization,
  signIn,
} from "./generated/api.js";

declare const process: { argv: string[]; env: Record<string, string | undefined> };

function check(condition: unknown, what: unknown): asserts condition {
  if (!condition) throw new Error(`${JSON.stringify(what)}`);
}

const baseUrl = process.argv[2] ?? "";
const operatorKey = process.env["OPERATOR_KEY"];
const email = "owner@orval.example";
const password = "correct horse battery";

// The functions ask for paths, as a page of the same origin would.
const plainFetch = globalThis.fetch;
globalThis.fetch = (input, init) => plainFetch(`${baseUrl}${input}`, init);
const bearer = (token: string | undefined) => ({ headers: { Authorization: `Bearer ${token}` } });

const created = await createOrganization(
  { organization_name: "Orval", email, password },
  bearer(operatorKey),
);
check(created.status === 201, created);
const organization = created.data.id;

const signedIn = await signIn({ email, password });
check(signedIn.status === 200, signedIn);
const owner = bearer(signedIn.data.access_token);

const collection = "documents";
const document = { _id: "order-1", status: "open", total: 12.5 };
const inserted = await insertDocument(organization, collection, document, undefined, owner);
check(inserted.status === 201, inserted);

const lines = new Blob(['{"_id":"order-2"}\n{"_id":"order-1"}\n']);
const many = await insertDocuments(organization, collection, lines, { outcomes: "all" }, owner);
check(many.status === 200, many);

const read = await getDocument(organization, collection, "order-1", undefined, owner);
check(read.status === 200 && read.data["total"] === 12.5, read);

const filter = '{"status":"open"}';
const page = await listDocuments(organization, collection, { filter, limit: 10 }, owner);
check(page.status === 200 && page.data.items.length === 1 && page.data.next_cursor === null, page);

const renamed = await patchOrganization(
  organization,
  { organization_name: "Orval 2", delete_protection: null },
  owner,
);
check(renamed.status === 200 && renamed.data.organization_identifier === "orval-2", renamed);

const refused = await getDocument(organization, collection, "nothing", undefined, owner);
check(refused.status === 404 && refused.data.code === "document_not_found", refused);

const deleted = await deleteOrganization(organization, undefined, owner);
check(deleted.status === 200 && deleted.data.status === "deleted", deleted);
