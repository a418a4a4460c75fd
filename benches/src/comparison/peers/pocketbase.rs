//! PocketBase: organizations and documents are collections with rules (`benches/peers/pocketbase`).

use crate::client::Request;
use crate::comparison::api::{Api, Member, PASSWORD, Pointers, email, name};
use serde_json::{Value, json};

pub struct PocketBase;

fn records(collection: &str) -> String {
    format!("/api/collections/{collection}/records")
}

fn call(method: &str, path: &str, member: &Member, body: Option<&Value>) -> Option<Request> {
    let credential = format!("Bearer {}", member.token);
    Some(Request::with_headers(method, path, &[("authorization", &credential)], body))
}

impl Api for PocketBase {
    fn health(&self) -> &'static str {
        "/api/health"
    }

    fn pointers(&self) -> Pointers {
        Pointers { organization: "/0/body/id", token: "/token", document: "/id" }
    }

    /// A batch is one transaction. The account names the organization, whose id the caller chooses.
    fn create(&self, number: u32) -> Option<Request> {
        let id = format!("org{number:012}");
        let organization = json!({ "id": id, "name": name(number) });
        let account = json!({
            "email": email(number), "password": PASSWORD, "passwordConfirm": PASSWORD, "organization": id,
        });
        let insert = |collection, body| json!({ "method": "POST", "url": records(collection), "body": body });
        let requests = [insert("organizations", organization), insert("users", account)];
        Some(Request::json("POST", "/api/batch", None, &json!({ "requests": requests })))
    }

    fn sign_in(&self, number: u32) -> Option<Request> {
        let body = json!({ "identity": email(number), "password": PASSWORD });
        Some(Request::json("POST", "/api/collections/users/auth-with-password", None, &body))
    }

    fn organization(&self, member: &Member) -> Option<Request> {
        call("GET", &format!("{}/{}", records("organizations"), member.organization), member, None)
    }

    fn insert(&self, member: &Member, mut document: Value) -> Option<Request> {
        document["organization"] = json!(member.organization);
        call("POST", &records("documents"), member, Some(&document))
    }

    fn read(&self, member: &Member, id: &str) -> Option<Request> {
        call("GET", &format!("{}/{id}", records("documents")), member, None)
    }

    /// Without the total, which would be counted for each list.
    fn list(&self, member: &Member, kind: &str) -> Option<Request> {
        let path = format!("{}?filter=kind%3D%22{kind}%22&perPage=100&skipTotal=1", records("documents"));
        call("GET", &path, member, None)
    }

    fn update(&self, member: &Member, id: &str, pages: u32) -> Option<Request> {
        let path = format!("{}/{id}", records("documents"));
        call("PATCH", &path, member, Some(&json!({ "pages": pages })))
    }
}
