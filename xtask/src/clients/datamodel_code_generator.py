"""What a program does with the models of datamodel-code-generator: `python datamodel_code_generator.py URL`.

They are models alone, so that the requests are made by hand, and each body passes through its model.
"""

import json
import os
import sys
import urllib.error
import urllib.request

from pydantic import BaseModel

from generated.models import (
    Document,
    DocumentPage,
    NewOrganizationBody,
    OrganizationDetails,
    OrganizationPatch,
    Problem,
    SignIn,
    Tokens,
)

url, operator_key = sys.argv[1], os.environ["OPERATOR_KEY"]
email, password = "owner@datamodel.example", "correct horse battery"


def send(method: str, path: str, token: str | None = None, body: BaseModel | None = None) -> bytes:
    data = body.model_dump_json(by_alias=True).encode() if body is not None else None
    request = urllib.request.Request(url + path, data=data, method=method)
    request.add_header("Content-Type", "application/json")
    if token is not None:
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request) as response:
            return bytes(response.read())
    except urllib.error.HTTPError as refusal:
        return bytes(refusal.read())


new = NewOrganizationBody(organization_name="Datamodel", email=email, password=password)
created = OrganizationDetails.model_validate_json(send("POST", "/v1/organizations", operator_key, new))
organization = f"/v1/organizations/{created.id}"

signed_in = send("POST", "/admin/login", body=SignIn(email=email, password=password))
owner = Tokens.model_validate_json(signed_in).access_token

documents = f"{organization}/collections/documents/documents"
document = Document.model_validate({"_id": "order-1", "status": "open", "total": 12.5})
Document.model_validate_json(send("POST", documents, owner, document))

read = Document.model_validate_json(send("GET", f"{documents}/order-1", owner))
assert json.loads(read.model_dump_json())["total"] == 12.5, read

page = DocumentPage.model_validate_json(send("GET", f"{documents}?limit=10", owner))
assert len(page.items) == 1 and page.next_cursor is None, page

# Members without a value are sent as null, which is as absent.
patch = OrganizationPatch(organization_name="Datamodel 2")
renamed = OrganizationDetails.model_validate_json(send("PATCH", organization, owner, patch))
assert renamed.organization_identifier == "datamodel-2", renamed

refused = Problem.model_validate_json(send("GET", f"{documents}/nothing", owner))
assert refused.code == "document_not_found", refused

deleted = OrganizationDetails.model_validate_json(send("DELETE", organization, owner))
assert deleted.status == "deleted", deleted
