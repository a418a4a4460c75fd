"""A backend beside Tenantry: one service key, and one token for each organization.

    TENANTRY_URL=http://localhost:8000 TENANTRY_KEY=tnt_service_... python3 backend.py acme globex
"""

import json
import os
import sys
import time
import urllib.error
import urllib.request

PERMISSIONS = ["documents:read", "documents:write"]


class Tenantry:
    def __init__(self, url, key):
        self.url, self.key = url, key
        self.tokens = {}

    def token(self, organization, user):
        """A token of that organization, kept until half a minute before it expires."""
        token, expires = self.tokens.get((organization, user), (None, 0))
        if time.monotonic() > expires - 30:
            body = {"permissions": PERMISSIONS, "subject": user}
            answer = self.send("POST", f"/v1/organizations/{organization}/tokens", self.key, body)
            token, expires = answer["access_token"], time.monotonic() + answer["expires_in"]
            self.tokens[organization, user] = token, expires
        return token

    def request(self, organization, user, method, path, body=None):
        """A request to the data of one organization, on behalf of one of your users."""
        path = f"/v1/organizations/{organization}{path}"
        try:
            return self.send(method, path, self.token(organization, user), body)
        except urllib.error.HTTPError as refusal:
            if refusal.code != 401:
                raise
            # The token has ended before its time: the key was rotated, or the organization has changed.
            self.tokens.pop((organization, user), None)
            return self.send(method, path, self.token(organization, user), body)

    def send(self, method, path, credential, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {credential}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or "null")


tenantry = Tenantry(os.environ["TENANTRY_URL"], os.environ["TENANTRY_KEY"])
for organization in sys.argv[1:]:
    documents = "/collections/documents/documents"
    tenantry.request(organization, "user-4711", "POST", documents, {"total": 42})
    page = tenantry.request(organization, "user-4711", "GET", documents)
    print(organization, "has", len(page["items"]), "documents")
