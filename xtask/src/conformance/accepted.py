"""Refusals of requests that the OpenAPI document allows: rules that JSON Schema cannot state.

A row names operations (None: all), the field as our refusals name it, and why the refusal is right. What no row names is a
failure.
"""
import re

LANGUAGE = "MongoDB's language of filters, updates and pipelines, paths and Extended JSON have rules of their own"
OPAQUE = "only the service makes such a text, and it is checked"
COMBINED = "fields that contradict each other, or need each other"
TEXT = "rules of Unicode, of mailboxes and of passwords that everybody tries first are no pattern"
REFERENCE = "the name of something that this organization has"

ROWS = [
    (None, r"[?/]cursor", OPAQUE),
    (None, r"[?/]filter.*", LANGUAGE),
    (None, r"[?/](sort|fields)", LANGUAGE),
    (["listDistinctValues"], r"/field", LANGUAGE),
    (["aggregateDocuments"], r"/pipeline.*", LANGUAGE),
    (["updateDocuments", "updateDocument"], r"/(update|arrayFilters).*", LANGUAGE),
    (["runBatch"], r"/operations/\d+/.+", LANGUAGE),
    (["createIndex"], r"/(keys|name|partial_filter).*", LANGUAGE),
    (["setCollectionSchema", "checkCollectionSchema"], r"/schema.*", "a JSON Schema has rules of its own"),
    (["insertDocument", "replaceDocument", "patchDocument"], r"(/.*)?", LANGUAGE),
    (["resetPassword", "verifyEmail", "confirmEmail", "acceptInvitation", "linkIdentity"], r"/token", OPAQUE),
    (["verifyEmail"], r"/new_password", COMBINED),
    (["acceptInvitation"], r"/password", COMBINED),
    (["createIndex"], r"/(expire_after_seconds|sparse|unique)", COMBINED),
    (["createOrganization"], r"/(email|password)", COMBINED),
    (["createMemberLink"], r"/email", COMBINED),
    (["deleteOwnOrganization"], r"[?/]organization_name", COMBINED),
    (["updateDocuments", "updateDocument"], r"/(sort|upsert|multi|return)", COMBINED),
    (None, r"/(email|admin_email|new_password|password)", TEXT),
    (["importOrganization"], r"\?owner_email", TEXT),
    (None, r"[?/](new_)?organization_name", TEXT),
    (["createServiceKey", "createOrganizationKey", "createOrganizationRole"], r"/name", TEXT),
    (["createServiceKey"], r"/organizations/\d+", "each is an organization that exists"),
    (["createOrganizationRole", "changeOrganizationRole"], r"/description", TEXT),
    (["createOrganizationRole", "changeOrganizationRole"], r"/permissions/\d+", "each permission once"),
    (["createCollection"], r"/name", "some names are reserved"),
    (["issueToken"], r"/subject", TEXT),
    (["listOrganizations"], r"\?name_prefix", TEXT),
    (["listAllOperations"], r"\?organization", REFERENCE),
    (["exportAuditChain"], r"\?trail", REFERENCE),
    (["signIn", "switchOrganization"], r"/organization", REFERENCE),
    (["createInvitation", "changeMember"], r"/role", REFERENCE),
]

# Codes of refusals without fields.
CODES = {
    "idempotency_key_reused": "a key is drawn twice, and then it is another request",
    "archive_invalid": "an archive is more than lines of JSON: it has an order, counts and hashes",
}


def is_right_code(code):
    """Whether such a refusal is right for every operation."""
    return code in CODES


def is_right(operation, pointer):
    """Whether a row says that this operation may refuse what this field has."""
    return any(
        (operations is None or operation in operations) and re.fullmatch(field, pointer, re.DOTALL)
        for operations, field, _ in ROWS
    )
