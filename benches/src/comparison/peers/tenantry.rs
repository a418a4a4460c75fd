//! The service itself.

use crate::client::Request;
use crate::comparison::api::{Api, Member, PASSWORD, Pointers, email, name, with_query};
use serde_json::{Value, json};

pub struct Tenantry;

fn collection(member: &Member) -> String {
    format!("/v1/organizations/{}/collections/documents", member.organization)
}

fn call(method: &str, path: &str, member: &Member, body: Option<Value>) -> Option<Request> {
    let token = Some(member.token.as_str());
    Some(match body {
        Some(body) => Request::json(method, path, token, &body),
        None => Request::get_by(path, token),
    })
}

impl Api for Tenantry {
    fn health(&self) -> &'static str {
        "/health"
    }

    fn pointers(&self) -> Pointers {
        Pointers { organization: "/id", token: "/access_token", document: "/_id/$oid" }
    }

    fn create(&self, number: u32) -> Option<Request> {
        let body = json!({ "organization_name": name(number), "email": email(number), "password": PASSWORD });
        Some(Request::json("POST", "/org/create", None, &body))
    }

    fn sign_in(&self, number: u32) -> Option<Request> {
        let body = json!({ "email": email(number), "password": PASSWORD });
        Some(Request::json("POST", "/admin/login", None, &body))
    }

    fn prepare(&self, member: &Member) -> Option<Request> {
        let path = format!("{}/indexes", collection(member));
        call("POST", &path, member, Some(json!({ "keys": "kind" })))
    }

    fn organization(&self, member: &Member) -> Option<Request> {
        call("GET", &format!("/v1/organizations/{}", member.organization), member, None)
    }

    fn insert(&self, member: &Member, document: Value) -> Option<Request> {
        call("POST", &format!("{}/documents", collection(member)), member, Some(document))
    }

    fn read(&self, member: &Member, id: &str) -> Option<Request> {
        call("GET", &format!("{}/documents/{id}", collection(member)), member, None)
    }

    fn list(&self, member: &Member, kind: &str) -> Option<Request> {
        let path = format!("{}/documents", collection(member));
        let path = with_query(&path, "filter", &json!({ "kind": kind }), "&limit=100");
        call("GET", &path, member, None)
    }

    fn update(&self, member: &Member, id: &str, pages: u32) -> Option<Request> {
        let path = format!("{}/documents/{id}", collection(member));
        call("PATCH", &path, member, Some(json!({ "pages": pages })))
    }
}
