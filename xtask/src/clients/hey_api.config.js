// What @hey-api/openapi-ts writes, and where.
export default {
  input: "openapi.json",
  output: { path: "generated", module: { extension: ".js" } },
};
