"""Checks an access token of Tenantry by its public keys. It needs PyJWT: pip install 'pyjwt[crypto]'

    TENANTRY_URL=http://localhost:8000 python3 verify.py eyJ0eXAiOiJhdCtqd3Qi...
"""

import os
import sys

import jwt

# What JWT_ISSUER and JWT_AUDIENCE of the service say.
ISSUER, AUDIENCE = "tenantry", "tenantry"

# Keeps the key set for five minutes, and reads it again when a token names a key that it does not have.
keys = jwt.PyJWKClient(os.environ["TENANTRY_URL"] + "/.well-known/jwks.json", lifespan=300)


def check(token):
    """What the token says; raises jwt.PyJWTError if it is not good."""
    if jwt.get_unverified_header(token).get("typ") != "at+jwt":
        raise jwt.InvalidTokenError("it is not an access token")
    key = keys.get_signing_key_from_jwt(token)
    required = {"require": ["exp", "iat", "sub", "org_id"]}
    return jwt.decode(token, key, algorithms=["EdDSA"], issuer=ISSUER, audience=AUDIENCE, options=required)


claims = check(sys.argv[1])
print(claims["sub"], "in", claims["org_id"])
