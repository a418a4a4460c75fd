// What orval writes, and where.
export default {
  tenantry: {
    input: "openapi.json",
    output: { target: "generated/api.ts", client: "fetch" },
  },
};
