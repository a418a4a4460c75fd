//! A program that uses the Rust client of openapi-generator: `client URL`, with `OPERATOR_KEY`.
//!
//! `insertDocuments` is not among it: the generator (7.26.0) leaves out the `Content-Type` of a body that is a stream.

use openapi::apis::configuration::Configuration;
use openapi::apis::documents_api::{get_document, insert_document, list_documents};
use openapi::apis::organizations_api::{create_organization, delete_organization, patch_organization};
use openapi::apis::{Error, classic_api::sign_in};
use openapi::models::{NewOrganizationBody, OrganizationPatch, Problem, SignIn};
use serde_json::json;
use std::env;
use std::error::Error as StdError;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn StdError>> {
    let (url, operator_key) = (env::args().nth(1).ok_or("no URL")?, env::var("OPERATOR_KEY")?);
    let with_token = |token: Option<String>| Configuration {
        base_path: url.clone(),
        bearer_access_token: token,
        ..Configuration::default()
    };
    let (email, password) =
        ("owner@openapi-generator.example".to_owned(), "correct horse battery".to_owned());

    let new = NewOrganizationBody {
        email: Some(Some(email.clone())),
        password: Some(Some(password.clone())),
        ..NewOrganizationBody::new("OpenAPI Generator".to_owned())
    };
    let key = Some("openapi-generator");
    let created = create_organization(&with_token(Some(operator_key)), new, key).await?;
    let (organization, collection) = (created.id, "documents");

    let tokens = sign_in(&with_token(None), SignIn::new(email, password)).await?;
    let owner = with_token(Some(tokens.access_token));

    let document = [("_id", json!("order-1")), ("status", json!("open")), ("total", json!(12.5))];
    let document = document.map(|(name, value)| (name.to_owned(), value)).into();
    insert_document(&owner, &organization, collection, document, None, None).await?;

    let read = get_document(&owner, &organization, collection, "order-1", None, None).await?;
    assert_eq!(read["total"], 12.5);

    let filter = Some("{\"status\":\"open\"}");
    let page = list_documents(
        &owner, &organization, collection, None, filter, None, None, Some(10), None, None, None,
    );
    let page = page.await?;
    assert_eq!((page.items.len(), page.next_cursor), (1, None));

    // `Some(None)` is sent as null, which is as absent.
    let patch = OrganizationPatch {
        organization_name: Some(Some("OpenAPI Generator 2".to_owned())),
        delete_protection: Some(None),
        ..OrganizationPatch::new()
    };
    let renamed = patch_organization(&owner, &organization, patch, None).await?;
    assert_eq!(renamed.organization_identifier, "openapi-generator-2");

    match get_document(&owner, &organization, collection, "nothing", None, None).await {
        Err(Error::ResponseError(refusal)) => {
            let problem: Problem = serde_json::from_str(&refusal.content)?;
            assert_eq!((refusal.status.as_u16(), problem.code.as_str()), (404, "document_not_found"));
        }
        other => panic!("{other:?}"),
    }

    let deleted = delete_organization(&owner, &organization, None, None).await?;
    assert_eq!(deleted.status, "deleted");
    Ok(())
}
