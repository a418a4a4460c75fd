// What a program does with the client of @hey-api/openapi-ts: `node hey_api.js URL`, with `OPERATOR_KEY`.

import { createClient } from "./generated/client/index.js";
import {
  createOrganization,
  deleteOrganization,
  getDocument,
  insertDocument,
  insertDocuments,
  listDocuments,
  patchOrganization,
  signIn,
} from "./generated/sdk.gen.js";

declare const process: { argv: string[]; env: Record<string, string | undefined> };

function check(condition: unknown, what: unknown): asserts condition {
  if (!condition) throw new Error(`${JSON.stringify(what)}`);
}

const baseUrl = process.argv[2] ?? "";
const operatorKey = process.env["OPERATOR_KEY"];
const email = "owner@hey-api.example";
const password = "correct horse battery";

const operator = createClient({ baseUrl, auth: operatorKey });
const created = await createOrganization({
  client: operator,
  headers: { "Idempotency-Key": "hey-api" },
  body: { organization_name: "Hey API", email, password },
});
check(created.data && "organization_identifier" in created.data, created.error);
const organization = created.data.id;

const signedIn = await signIn({ client: createClient({ baseUrl }), body: { email, password } });
check(signedIn.data, signedIn.error);
const client = createClient({ baseUrl, auth: signedIn.data.access_token });

const path = { organization, collection: "documents" };
const inserted = await insertDocument({ client, path, body: { _id: "order-1", status: "open", total: 12.5 } });
check(inserted.data, inserted.error);

const lines = new Blob(['{"_id":"order-2"}\n{"_id":"order-1"}\n']);
const many = await insertDocuments({ client, path, body: lines, parseAs: "blob" });
check(many.data, many.error);
const last = (await many.data.text()).trimEnd().split("\n").at(-1);
check(last === '{"inserted":1,"repeated":0,"refused":1,"lines":2}', last);

const read = await getDocument({ client, path: { ...path, document_id: "order-1" } });
check(read.data?.["total"] === 12.5, read);

const page = await listDocuments({ client, path, query: { filter: '{"status":"open"}', limit: 10 } });
check(page.data?.items.length === 1 && page.data.next_cursor === null, page);

const renamed = await patchOrganization({
  client,
  path: { organization },
  body: { organization_name: "Hey API 2", delete_protection: null },
});
check(renamed.data && "organization_identifier" in renamed.data, renamed.error);
check(renamed.data.organization_identifier === "hey-api-2", renamed.data);

const refused = await getDocument({ client, path: { ...path, document_id: "nothing" } });
check(refused.error?.code === "document_not_found", refused);

const deleted = await deleteOrganization({ client, path: { organization } });
check(deleted.data && "purge_at" in deleted.data && deleted.data.status === "deleted", deleted);
