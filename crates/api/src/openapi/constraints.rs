//! What the document says of the values of request fields: bounds, lists of names, patterns.
//!
//! The parsers of the domain decide. This table repeats what JSON Schema can say of their rules, with their own limits and
//! lists. `cargo xtask conformance` holds both against each other: what the document allows is taken, what it forbids is
//! refused.
//!
//! # Pitfalls
//! A row may say less than the parser does, never more: clients check what they send by the document.

use crate::key_lifetime::{KEY_LIFETIME_MAX, KEY_LIFETIME_MIN};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use tenantry_documents::limits::INDEX_NAME_MAX_BYTES;
use tenantry_domain::account_link::LinkKind;
use tenantry_domain::audit::AuditAction;
use tenantry_domain::limits::{
    BATCH_MAX_OPERATIONS, COLLECTION_NAME_MAX_CHARS, EXCHANGED_TOKEN_MAX, IDEMPOTENCY_KEY_MAX_BYTES,
    INVITATION_LIFETIME_MAX, KEY_ORGANIZATIONS_MAX, KEY_OVERLAP_MAX, LINK_LIFETIME_MAX, PASSWORD_MAX_CHARS,
    ROLE_NAME_MAX_BYTES,
};
use tenantry_domain::operation::{OperationKind, OperationState};
use tenantry_domain::organization::{Placement, Status};
use tenantry_domain::permission::{
    ORGANIZATION_KEY_PERMISSIONS, Permission, PermissionSet, SERVICE_KEY_PERMISSIONS, TOKEN_PERMISSIONS,
};
use tenantry_domain::role::OWN_ROLE_PERMISSIONS;

/// The least that `PASSWORD_MIN_LENGTH` may be.
const PASSWORD_MIN_CHARS: usize = 8;
/// Entity tags, joined by commas, or `*`.
const ENTITY_TAGS: &str = r#"^(\*|(W/)?"[!#-~]*"( *, *(W/)?"[!#-~]*")*)$"#;
const HEX_ID: &str = "^[0-9a-fA-F]{24}$";
/// Bodies that may have other members: the classic API ignores them, and OAuth 2.0 wants that of introspection.
const OPEN: [&str; 5] =
    ["CreateOrganization", "DeleteOrganization", "Introspection", "SignIn", "UpdateOrganization"];
const REFERENCE: &str = "#/components/schemas/";

/// The schema of a body (or the id of an operation, for a parameter; "" is all of them), a field, and what it may be.
type Row = (&'static str, &'static str, Value);

/// Adds to `document` what each request field may be.
pub fn add(document: &mut Value) {
    let bodies = body_schemas(document);
    let schemas = document["components"]["schemas"].as_object_mut().into_iter().flatten();
    for (name, schema) in schemas.filter(|(name, _)| bodies.contains(*name)) {
        if !OPEN.contains(&name.as_str()) {
            // A member that a request does not know is refused: most are misspelt.
            schema["additionalProperties"] = false.into();
        }
        for (_, field, constraint) in body_rows().iter().filter(|row| row.0 == name) {
            merge(&mut schema["properties"][field], constraint);
        }
    }
    let parameter_rows = parameter_rows();
    let operations = document["paths"].as_object_mut().into_iter().flat_map(Map::values_mut);
    for operation in operations.filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
        let id = operation["operationId"].clone();
        let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
        for parameter in parameters.into_iter().flatten() {
            let rows = parameter_rows.iter().filter(|row| parameter["name"] == row.1);
            let rows: Vec<_> = rows.filter(|row| row.0.is_empty() || id == row.0).collect();
            rows.iter().for_each(|row| merge(&mut parameter["schema"], &row.2));
        }
    }
}

/// The names of the schemas that request bodies have, and of those within them. A document of a collection is not among
/// them: it may be any object.
fn body_schemas(document: &Value) -> BTreeSet<String> {
    let operations = document["paths"].as_object().into_iter().flat_map(Map::values);
    let operations = operations.filter_map(Value::as_object).flat_map(Map::values);
    let mut waiting: Vec<&Value> = operations.filter_map(|operation| operation.get("requestBody")).collect();
    let mut found = BTreeSet::new();
    while let Some(value) = waiting.pop() {
        let name = value["$ref"].as_str().and_then(|reference| reference.strip_prefix(REFERENCE));
        match name.filter(|name| *name != "Document") {
            Some(name) if found.insert(name.to_owned()) => {
                waiting.push(&document["components"]["schemas"][name]);
            }
            _ => waiting.extend(value.as_object().into_iter().flat_map(Map::values)),
        }
        waiting.extend(value.as_array().into_iter().flatten());
    }
    found
}

/// Adds `constraint` to a schema. A list of names of a member that may be `null` has that, too.
fn merge(schema: &mut Value, constraint: &Value) {
    let nullable = schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")));
    for (key, value) in constraint.as_object().into_iter().flatten() {
        let mut value = value.clone();
        if let (true, "enum", Some(names)) = (nullable, key.as_str(), value.as_array_mut()) {
            names.push(Value::Null);
        }
        match schema.get_mut("items") {
            // What the items of a list may be.
            Some(items) if key == "items" => merge(items, &value),
            _ => schema[key] = value,
        }
    }
}

fn names(all: impl IntoIterator<Item = &'static str>) -> Value {
    json!({ "enum": all.into_iter().collect::<Vec<_>>() })
}

fn permissions(set: PermissionSet) -> Value {
    json!({ "items": names(set.iter().map(Permission::as_str)), "minItems": 1 })
}

fn range(least: u64, most: u64) -> Value {
    json!({ "minimum": least, "maximum": most })
}

fn password() -> Value {
    json!({ "minLength": PASSWORD_MIN_CHARS, "maxLength": PASSWORD_MAX_CHARS })
}

/// What the members of bodies may be.
fn body_rows() -> Vec<Row> {
    let some = || json!({ "minProperties": 1 });
    let returned = || names(["before", "after", "none"]);
    let link_lifetime = || range(1, LINK_LIFETIME_MAX.as_secs());
    let invitation_lifetime = || range(1, INVITATION_LIFETIME_MAX.as_secs());
    let key_lifetime = || range(KEY_LIFETIME_MIN, KEY_LIFETIME_MAX);
    let collection_name =
        json!({ "pattern": format!("^[A-Za-z0-9][A-Za-z0-9_-]{{0,{}}}$", COLLECTION_NAME_MAX_CHARS - 1) });
    let role_name = json!({ "pattern": format!("^[a-z][a-z0-9_-]{{0,{}}}$", ROLE_NAME_MAX_BYTES - 1) });
    let organizations =
        json!({ "items": { "pattern": HEX_ID }, "minItems": 1, "maxItems": KEY_ORGANIZATIONS_MAX });
    vec![
        ("BatchBody", "operations", json!({ "minItems": 1, "maxItems": BATCH_MAX_OPERATIONS })),
        ("BatchOperation", "collection", collection_name.clone()),
        ("BatchOperation", "op", names(["insert", "replace", "patch", "update", "delete", "check"])),
        ("BatchOperation", "update", some()),
        ("ChangePassword", "new_password", password()),
        ("CreateOrganization", "password", password()),
        ("NewAccountLink", "expires_in", link_lifetime()),
        ("NewAccountLink", "kind", names(LinkKind::ALL.map(LinkKind::as_str))),
        ("NewCollection", "name", collection_name),
        ("NewCollectionSchema", "action", names(["error", "warn"])),
        ("NewCollectionSchema", "level", names(["strict", "moderate"])),
        ("NewIndex", "name", json!({ "minLength": 1, "maxLength": INDEX_NAME_MAX_BYTES })),
        ("NewIndex", "partial_filter", some()),
        ("NewInvitationBody", "expires_in", invitation_lifetime()),
        ("NewOrganizationBody", "password", password()),
        ("NewOrganizationBody", "placement", names(Placement::ALL.map(Placement::as_str))),
        ("NewOrganizationKey", "expires_in", key_lifetime()),
        ("NewOrganizationKey", "permissions", permissions(ORGANIZATION_KEY_PERMISSIONS)),
        ("NewOrganizationRole", "name", role_name),
        ("NewOrganizationRole", "permissions", permissions(OWN_ROLE_PERMISSIONS)),
        ("NewPasswordReset", "expires_in", link_lifetime()),
        ("NewServiceKey", "expires_in", key_lifetime()),
        ("NewServiceKey", "organizations", organizations),
        ("NewServiceKey", "permissions", permissions(SERVICE_KEY_PERMISSIONS)),
        ("NewToken", "expires_in", range(1, EXCHANGED_TOKEN_MAX.as_secs())),
        ("NewToken", "permissions", permissions(TOKEN_PERMISSIONS)),
        ("OrganizationRolePatch", "permissions", permissions(OWN_ROLE_PERMISSIONS)),
        ("RenewInvitation", "expires_in", invitation_lifetime()),
        ("ResetPassword", "new_password", password()),
        ("RotateKey", "overlap", range(0, KEY_OVERLAP_MAX.as_secs())),
        ("SetPassword", "password", password()),
        ("UpdateBody", "return", returned()),
        ("UpdateBody", "update", some()),
        ("UpdateDocumentBody", "return", returned()),
        ("UpdateDocumentBody", "update", some()),
        ("VerifyEmail", "new_password", password()),
    ]
}

/// What parameters may be.
fn parameter_rows() -> Vec<Row> {
    let time = || json!({ "format": "date-time" });
    let actor = "^(operator|system|anonymous|(account|api_key):[0-9a-fA-F]{24})$";
    let states = [OperationState::Succeeded, OperationState::Failed];
    let key = json!({ "pattern": format!("^[!-~]{{1,{IDEMPOTENCY_KEY_MAX_BYTES}}}$") });
    vec![
        ("", "Idempotency-Key", key),
        ("", "If-Match", json!({ "pattern": ENTITY_TAGS })),
        ("", "If-None-Match", json!({ "pattern": ENTITY_TAGS })),
        ("", "action", names(AuditAction::ALL.iter().map(|action| action.as_str()))),
        ("", "actor", json!({ "pattern": actor })),
        ("", "since", time()),
        ("", "until", time()),
        ("", "values", names(["relaxed", "canonical"])),
        ("exportAuditChain", "trail", json!({ "pattern": HEX_ID })),
        ("exportOrganization", "audit", json!({ "type": "boolean" })),
        ("importOrganization", "id", names(["keep", "new"])),
        ("importOrganization", "placement", names(Placement::ALL.map(Placement::as_str))),
        ("insertDocuments", "outcomes", names(["all", "refused"])),
        ("replaceDocument", "If-None-Match", json!({ "pattern": r"^\*$" })),
        ("listAllOperations", "kind", names(OperationKind::ALL.map(OperationKind::as_str))),
        ("listAllOperations", "state", names(states.map(OperationState::as_str))),
        ("listOrganizations", "status", names(Status::ALL.map(Status::as_str))),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_names_field_of_document() {
        let document = crate::openapi_document("Tenantry");
        let bodies = body_schemas(&document);
        for (schema, field, _) in body_rows() {
            assert!(bodies.contains(schema), "{schema} is no body");
            let property = &document["components"]["schemas"][schema]["properties"][field];
            assert!(property["description"].is_string(), "{schema} has no {field}");
        }
        let operations = || {
            document["paths"]
                .as_object()
                .unwrap()
                .values()
                .flat_map(|item| item.as_object().unwrap().values())
        };
        for (operation, field, constraint) in parameter_rows() {
            let meant =
                operations().filter(|found| operation.is_empty() || found["operationId"] == operation);
            let mut parameters = meant.flat_map(|found| found["parameters"].as_array().into_iter().flatten());
            let found = parameters.find(|parameter| parameter["name"] == field);
            let schema = &found.unwrap_or_else(|| panic!("{operation} has no {field}"))["schema"];
            let key = constraint.as_object().unwrap().keys().next().unwrap();
            assert_eq!(schema[key], constraint[key], "{operation} {field}");
        }
    }

    #[test]
    fn merged_list_of_names_has_null_where_that_is_allowed() {
        let mut schema = json!({ "type": ["string", "null"] });
        merge(&mut schema, &names(["a"]));
        assert_eq!(schema, json!({ "type": ["string", "null"], "enum": ["a", null] }));
        let mut schema = json!({ "type": "array", "items": { "type": "string" } });
        merge(&mut schema, &json!({ "minItems": 1, "items": names(["a"]) }));
        assert_eq!(
            schema,
            json!({ "type": "array", "minItems": 1, "items": { "type": "string", "enum": ["a"] } })
        );
    }

    #[test]
    fn body_refuses_unknown_members_and_document_takes_any() {
        let document = crate::openapi_document("Tenantry");
        let schemas = &document["components"]["schemas"];
        assert_eq!(schemas["NewOrganizationBody"]["additionalProperties"], false);
        assert_eq!(schemas["QuotaPatch"]["additionalProperties"], false);
        assert_eq!(schemas["Document"]["additionalProperties"], true);
        assert!(OPEN.iter().all(|name| schemas[name]["additionalProperties"].is_null()));
        assert!(schemas["Organization"]["additionalProperties"].is_null());
    }
}
