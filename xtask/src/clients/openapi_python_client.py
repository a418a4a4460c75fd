"""What a program does with the client of openapi-python-client: `python openapi_python_client.py URL`."""

import io
import os
import sys

from generated import AuthenticatedClient, Client
from generated.api.classic import sign_in
from generated.api.documents import get_document, insert_document, insert_documents, list_documents
from generated.api.organizations import create_organization, delete_organization, patch_organization
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
from generated.types import File

url, operator_key = sys.argv[1], os.environ["OPERATOR_KEY"]
email, password = "owner@openapi-python-client.example", "correct horse battery"

operator = AuthenticatedClient(base_url=url, token=operator_key)
new = NewOrganizationBody(email=email, organization_name="OpenAPI Python", password=password)
created = create_organization.sync(client=operator, body=new, idempotency_key="openapi-python-client")
assert isinstance(created, OrganizationDetails), created
organization, collection = created.id, "documents"

tokens = sign_in.sync(client=Client(base_url=url), body=SignIn(email=email, password=password))
assert isinstance(tokens, Tokens), tokens
owner = AuthenticatedClient(base_url=url, token=tokens.access_token)

document = Document.from_dict({"_id": "order-1", "status": "open", "total": 12.5})
inserted = insert_document.sync(organization, collection, client=owner, body=document)
assert isinstance(inserted, Document), inserted

lines = File(payload=io.BytesIO(b'{"_id":"order-2"}\n{"_id":"order-1"}\n'))
many = insert_documents.sync(organization, collection, client=owner, body=lines)
assert isinstance(many, File), many
last = many.payload.read().splitlines()[-1]
assert last == b'{"inserted":1,"repeated":0,"refused":1,"lines":2}', last

read = get_document.sync(organization, collection, "order-1", client=owner)
assert isinstance(read, Document) and read["total"] == 12.5, read

page = list_documents.sync(organization, collection, client=owner, filter_='{"status":"open"}', limit=10)
assert isinstance(page, DocumentPage), page
assert len(page.items) == 1 and page.next_cursor is None, page

# `None` is sent as null, which is as absent.
patch = OrganizationPatch(organization_name="OpenAPI Python 2", delete_protection=None)
renamed = patch_organization.sync(organization, client=owner, body=patch)
assert isinstance(renamed, OrganizationDetails), renamed
assert renamed.organization_identifier == "openapi-python-2", renamed

refused = get_document.sync(organization, collection, "nothing", client=owner)
assert isinstance(refused, Problem) and refused.code == "document_not_found", refused

deleted = delete_organization.sync(organization, client=owner)
assert isinstance(deleted, OrganizationDetails) and deleted.status == "deleted", deleted
