// Checks an access token of Tenantry by its public keys. It needs jose: npm install jose
//
//     TENANTRY_URL=http://localhost:8000 node verify.mjs eyJ0eXAiOiJhdCtqd3Qi...

import { createRemoteJWKSet, jwtVerify } from "jose";

// Keeps the key set for five minutes, and reads it again when a token names a key that it does not have.
const keys = createRemoteJWKSet(new URL("/.well-known/jwks.json", process.env.TENANTRY_URL), {
  cacheMaxAge: 300_000,
});

// What the token says; throws if it is not good. Issuer and audience are JWT_ISSUER and JWT_AUDIENCE of the service.
async function check(token) {
  const { payload } = await jwtVerify(token, keys, {
    algorithms: ["EdDSA"],
    typ: "at+jwt",
    issuer: "tenantry",
    audience: "tenantry",
    requiredClaims: ["exp", "iat", "sub", "org_id"],
  });
  return payload;
}

const claims = await check(process.argv[2]);
console.log(claims.sub, "in", claims.org_id);
