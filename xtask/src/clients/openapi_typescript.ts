// What a program does with the types of openapi-typescript and the client openapi-fetch:
// `node openapi_typescript.js URL`, with `OPERATOR_KEY`.

import createClient from "openapi-fetch";
import type { components, paths } from "./generated/api.js";

declare const process: { argv: string[]; env: Record<string, string | undefined> };

type Document = components["schemas"]["Document"];

function check(condition: unknown, what: unknown): asserts condition {
  if (!condition) throw new Error(`${JSON.stringify(what)}`);
}

const baseUrl = process.argv[2] ?? "";
const operatorKey = process.env["OPERATOR_KEY"];
const email = "owner@openapi-typescript.example";
const password = "correct horse battery";

const operator = createClient<paths>({ baseUrl, headers: { Authorization: `Bearer ${operatorKey}` } });
const created = await operator.POST("/v1/organizations", {
  params: { header: { "Idempotency-Key": "openapi-typescript" } },
  body: { organization_name: "OpenAPI TypeScript", email, password },
});
check(created.data && "organization_identifier" in created.data, created.error);
const organization = created.data.id;

const signedIn = await createClient<paths>({ baseUrl }).POST("/admin/login", { body: { email, password } });
check(signedIn.data, signedIn.error);
const owner = createClient<paths>({
  baseUrl,
  headers: { Authorization: `Bearer ${signedIn.data.access_token}` },
});

const path = { organization, collection: "documents" };
const document: Document = { _id: "order-1", status: "open", total: 12.5 };
const inserted = await owner.POST("/v1/organizations/{organization}/collections/{collection}/documents", {
  params: { path },
  body: document,
});
check(inserted.data, inserted.error);

const lines = await owner.POST("/v1/organizations/{organization}/collections/{collection}/bulk", {
  params: { path },
  body: '{"_id":"order-2"}\n{"_id":"order-1"}\n',
  bodySerializer: (body) => body,
  headers: { "Content-Type": "application/x-ndjson" },
  parseAs: "text",
});
check(lines.data?.includes('{"inserted":1,"repeated":0,"refused":1,"lines":2}'), lines);

const read = await owner.GET(
  "/v1/organizations/{organization}/collections/{collection}/documents/{document_id}",
  { params: { path: { ...path, document_id: "order-1" } } },
);
check(read.data?.["total"] === 12.5, read);

const page = await owner.GET("/v1/organizations/{organization}/collections/{collection}/documents", {
  params: { path, query: { filter: '{"status":"open"}', limit: 10 } },
});
check(page.data?.items.length === 1 && page.data.next_cursor === null, page);

const renamed = await owner.PATCH("/v1/organizations/{organization}", {
  params: { path: { organization } },
  // `null` is as absent.
  body: { organization_name: "OpenAPI TypeScript 2", delete_protection: null },
});
check(renamed.data && "organization_identifier" in renamed.data, renamed.error);
check(renamed.data.organization_identifier === "openapi-typescript-2", renamed.data);

const refused = await owner.GET(
  "/v1/organizations/{organization}/collections/{collection}/documents/{document_id}",
  { params: { path: { ...path, document_id: "nothing" } } },
);
check(refused.error?.code === "document_not_found", refused);

const deleted = await owner.DELETE("/v1/organizations/{organization}", { params: { path: { organization } } });
check(deleted.data && "purge_at" in deleted.data && deleted.data.status === "deleted", deleted);
