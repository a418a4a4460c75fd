#!/usr/bin/env bash
# argon2 for Node writes the parameters of its hashes in the order m, p, t, and such texts are refused by what reads them
# in the order of the reference implementation and of the PHC string format: m, t, p.
#
# Installs pinned packages into a folder of its own, prints what they do, and exits with 1 once that has changed.
set -euo pipefail

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm install --silent --no-save --no-audit --no-fund --prefix "$work" argon2@0.45.0
python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check argon2-cffi==25.1.0 passlib==1.7.4

hash=$(node -e "
const argon2 = require('argon2');
argon2.hash('securepassword123', { memoryCost: 512, timeCost: 2, parallelism: 1 }).then(console.log);
")
echo "argon2 $(node -p "require('argon2/package.json').version") for Node writes: ${hash%\$*\$*}\$..."

verdict=$(venv/bin/python - "$hash" <<'PYTHON'
import sys
import argon2, argon2.exceptions
from passlib.hash import argon2 as passlib_argon2

text = sys.argv[1]
for name, check in [
    ("argon2-cffi 25.1.0", lambda: argon2.PasswordHasher().verify(text, "securepassword123")),
    ("passlib 1.7.4", lambda: passlib_argon2.verify("securepassword123", text)),
]:
    try:
        print(f"{name}: {check()}")
    except Exception as error:
        print(f"{name}: {type(error).__name__}")
PYTHON
)
echo "$verdict"

[[ "$hash" == '$argon2id$v=19$m=512,p=1,t=2$'* ]] || { echo "the order has changed"; exit 1; }
[[ "$verdict" == *"argon2-cffi 25.1.0: VerificationError"* && "$verdict" == *"passlib 1.7.4: ValueError"* ]] ||
    { echo "they read it now"; exit 1; }
