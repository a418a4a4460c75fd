//! Parse Server: a role for each organization, whose members alone reach its documents (`benches/peers/parse-server`).

use crate::client::Request;
use crate::comparison::api::{Api, Member, PASSWORD, Pointers, email, name, with_query};
use serde_json::{Value, json};

pub struct ParseServer;

const APPLICATION: (&str, &str) = ("x-parse-application-id", "bench");
const DOCUMENTS: &str = "/parse/classes/Document";

fn call(method: &str, path: &str, member: &Member, body: Option<&Value>) -> Option<Request> {
    let headers = [APPLICATION, ("x-parse-session-token", member.token.as_str())];
    Some(Request::with_headers(method, path, &headers, body))
}

impl Api for ParseServer {
    fn health(&self) -> &'static str {
        "/parse/health"
    }

    fn pointers(&self) -> Pointers {
        Pointers { organization: "/result/organization", token: "/sessionToken", document: "/objectId" }
    }

    /// A function of `serve.mjs` does what would be several requests.
    fn create(&self, number: u32) -> Option<Request> {
        let body = json!({ "name": name(number), "email": email(number), "password": PASSWORD });
        Some(Request::with_headers(
            "POST",
            "/parse/functions/createOrganization",
            &[APPLICATION],
            Some(&body),
        ))
    }

    fn sign_in(&self, number: u32) -> Option<Request> {
        let body = json!({ "username": email(number), "password": PASSWORD });
        let headers = [APPLICATION, ("x-parse-revocable-session", "1")];
        Some(Request::with_headers("POST", "/parse/login", &headers, Some(&body)))
    }

    fn organization(&self, member: &Member) -> Option<Request> {
        call("GET", &format!("/parse/classes/Organization/{}", member.organization), member, None)
    }

    fn insert(&self, member: &Member, mut document: Value) -> Option<Request> {
        let role = format!("role:{}", member.organization);
        document["organization"] = json!(member.organization);
        document["ACL"] = json!({ role: { "read": true, "write": true } });
        call("POST", DOCUMENTS, member, Some(&document))
    }

    fn read(&self, member: &Member, id: &str) -> Option<Request> {
        call("GET", &format!("{DOCUMENTS}/{id}"), member, None)
    }

    fn list(&self, member: &Member, kind: &str) -> Option<Request> {
        let condition = json!({ "organization": member.organization, "kind": kind });
        call("GET", &with_query(DOCUMENTS, "where", &condition, "&limit=100"), member, None)
    }

    fn update(&self, member: &Member, id: &str, pages: u32) -> Option<Request> {
        call("PUT", &format!("{DOCUMENTS}/{id}"), member, Some(&json!({ "pages": pages })))
    }
}
