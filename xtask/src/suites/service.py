"""What the suites share: calls to the service, and the line of figures that each ends with."""
import http.client, json, sys, urllib.parse


class Service:
    """An organization's member at the service of that URL."""

    def __init__(self, url, name):
        self.address = urllib.parse.urlsplit(url).netloc
        self.connection = http.client.HTTPConnection(self.address, timeout=60)
        self.token = None
        owner = {"email": f"owner@{name}.example", "password": "correct horse battery"}
        self.call("POST", "/org/create", {"organization_name": name, **owner})
        _, tokens = self.call("POST", "/admin/login", owner)
        self.token = tokens["access_token"]
        self.organization = f"/v1/organizations/{tokens['org_id']}"
        self.documents = f"{self.organization}/collections/documents"

    def send(self, method, path, body=None, media_type="application/json"):
        """Status and text of an answer."""
        headers = {"Content-Type": media_type} if body is not None else {}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        self.connection.request(method, path, body=body, headers=headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read().decode()

    def call(self, method, path, body=None):
        """Status and value of an answer."""
        text = None if body is None else json.dumps(body)
        status, text = self.send(method, path, text)
        return status, json.loads(text) if text else None


class Figures:
    """Cases run, passed, refused as documented, failed."""

    def __init__(self):
        self.passed = self.refused = self.failed = 0

    def fail(self, case, what):
        self.failed += 1
        if self.failed <= 20:
            print(f"FAILED {case}: {what}", file=sys.stderr)

    def is_refusal(self, status, text):
        """Whether an answer is a refusal that the pages document: it says which field is bad, or that it is no JSON."""
        if status != 400:
            return False
        problem = json.loads(text)
        named = problem["code"] == "invalid_input" and all(error["detail"] for error in problem["errors"])
        return named or problem["code"] == "invalid_json"

    def print(self):
        print(json.dumps({"passed": self.passed, "refused": self.refused, "failed": self.failed}))
