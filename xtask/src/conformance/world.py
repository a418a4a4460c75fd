"""An organization with one of everything, made again when a request has destroyed it."""
import itertools, json, os, urllib.error, urllib.request

URL = os.environ["TENANTRY_URL"]
OPERATOR_KEY = os.environ["TENANTRY_OPERATOR_KEY"]
PASSWORD = "correct horse battery"
TIMEOUT = 60
# What the service lets a key of each kind have.
OF_TOKENS = [
    "documents:read", "documents:write", "collections:write", "organizations:read", "members:read", "audit:read",
]
OF_ORGANIZATION_KEYS = [*OF_TOKENS, "organizations:write", "members:write"]
OF_SERVICE_KEYS = [*OF_ORGANIZATION_KEYS, "tokens:issue", "tokens:introspect"]
NUMBERS = itertools.count(1)

COLLECTION, DOCUMENT, INDEX, ROLE = "orders", "order-1", "a_1", "helper"


def send(method, path, body=None, token=OPERATOR_KEY):
    """Status and value of the answer to a request of our own."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            status, text = answer.status, answer.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, error.read()
    return status, json.loads(text) if text else None


def call(method, path, body=None, token=OPERATOR_KEY):
    """The value of an answer that must be good."""
    status, value = send(method, path, body, token)
    if status >= 300:
        raise RuntimeError(f"{method} {path}: {status} {value}")
    return value


class World:
    """Whom and what a request can name. Every part is made again by itself if it has gone."""

    def __init__(self):
        number = f"{os.getpid()}-{next(NUMBERS)}"
        self.email = f"owner@conformance-{number}.example"
        body = {"organization_name": f"Conformance {number}", "email": self.email, "password": PASSWORD}
        made = call("POST", "/org/create", body)
        self.organization, self.name, self.owner = made["id"], made["organization_name"], made["admin_id"]
        self.path = f"/v1/organizations/{self.organization}"
        self.session = self.sign_in()
        self.sign_in()
        sessions = call("GET", "/v1/me/sessions", token=self.session)["items"]
        self.session_id = next(session["id"] for session in sessions if not session["current"])
        self.member = self.join(number)
        call("POST", f"{self.path}/roles", {"name": ROLE, "permissions": ["members:write"]})
        self.fill()
        self.make_keys()

    def sign_in(self):
        return call("POST", "/admin/login", {"email": self.email, "password": PASSWORD}, None)["access_token"]

    def join(self, number):
        """The account of a second member."""
        body = {"email": f"member{number}@conformance-{number}.example", "role": "member"}
        token = call("POST", f"{self.path}/invitations", body, self.session)["token"]
        joined = call("POST", "/v1/invitations/accept", {"token": token, "password": PASSWORD}, None)
        body = {"email": f"invited{number}@conformance-{number}.example", "role": "viewer"}
        self.invitation = call("POST", f"{self.path}/invitations", body, self.session)["id"]
        return joined["admin_id"]

    def fill(self):
        call("POST", f"{self.path}/collections", {"name": COLLECTION}, self.session)
        collection = f"{self.path}/collections/{COLLECTION}"
        call("POST", f"{collection}/documents", {"_id": DOCUMENT, "a": 1, "b": "text"}, self.session)
        call("POST", f"{collection}/indexes", {"keys": "a"}, self.session)
        call("PUT", f"{collection}/schema", {"schema": {}}, self.session)

    def make_keys(self):
        keys = f"{self.path}/keys"
        key = call("POST", keys, {"name": "conformance", "permissions": OF_ORGANIZATION_KEYS}, self.session)
        self.organization_key, self.organization_key_id = key["key"], key["id"]
        body = {"name": "conformance", "permissions": OF_SERVICE_KEYS, "organizations": [self.organization]}
        key = call("POST", "/v1/keys", body)
        self.service_key, self.service_key_id = key["key"], key["id"]
        # Those are asked with; these are asked about.
        self.other_key = call("POST", keys, {"name": "other", "permissions": OF_TOKENS}, self.session)["id"]
        self.other_service_key = call("POST", "/v1/keys", body)["id"]

    def is_sound(self):
        """Whether everything is there still."""
        expected = [
            (f"{self.path}/collections/{COLLECTION}/documents/{DOCUMENT}", self.session),
            (f"{self.path}/collections/{COLLECTION}/indexes/{INDEX}", self.organization_key),
            (f"{self.path}/collections/{COLLECTION}/schema", self.organization_key),
            (f"{self.path}/keys/{self.other_key}", OPERATOR_KEY),
            (f"/v1/keys/{self.other_service_key}", OPERATOR_KEY),
            (f"{self.path}/roles/{ROLE}", self.service_key),
            (f"{self.path}/members/{self.member}", self.session),
        ]
        return all(send("GET", path, None, token)[0] == 200 for path, token in expected)
