"""Eve with a resource of documents that belong to organizations, as an application serves it with gunicorn.

gunicorn --chdir HERE serve:app; DATABASE_URI names the database. Eve signs nobody in: a token stands in the record of an
account, which is read with each request.
"""

import os

from eve import Eve
from eve.auth import TokenAuth
from eve.io.mongo import Mongo
from flask import current_app
from pymongo import WriteConcern


class Durable(Mongo):
    """Writes as the service does: on the majority's disks before the answer.

    The settings for that pass on nothing but `w`, which a standalone server answers before its journal is written.
    """

    def get_collection_with_write_concern(self, datasource, resource):
        collection = super().get_collection_with_write_concern(datasource, resource)
        return collection.with_options(write_concern=WriteConcern(w="majority", j=True))


class Tokens(TokenAuth):
    """Who has a token reaches the documents of the organization of its account."""

    def check_auth(self, token, allowed_roles, resource, method):
        account = current_app.data.driver.db["accounts"].find_one({"token": token})
        if account is None:
            return False
        self.set_request_auth_value(account["organization"])
        return True


TEXT = {"type": "string"}
SETTINGS = {
    "MONGO_URI": os.environ["DATABASE_URI"],
    # With each request its resource is limited to this field of the account.
    "AUTH_FIELD": "organization",
    "RESOURCE_METHODS": ["GET", "POST"],
    "ITEM_METHODS": ["GET", "PATCH", "DELETE"],
    "PAGINATION_LIMIT": 100,
    # No count for each list.
    "OPTIMIZE_PAGINATION_FOR_SPEED": True,
    # Changes are for everybody who knows the document, as with the others, and not only for those who have its ETag.
    "ENFORCE_IF_MATCH": False,
    "RENDERERS": ["eve.render.JSONRenderer"],
    "DOMAIN": {
        # The record of an organization names itself in that field, too.
        "organizations": {
            "schema": {"name": {**TEXT, "required": True}},
        },
        "documents": {
            "schema": {
                "title": TEXT,
                "owner": TEXT,
                "tags": {"type": "list", "schema": TEXT},
                "pages": {"type": "integer"},
                "kind": TEXT,
            },
            "mongo_indexes": {"organization_kind": [("organization", 1), ("kind", 1)]},
        },
    },
}

app = Eve(settings=SETTINGS, auth=Tokens, data=Durable)

