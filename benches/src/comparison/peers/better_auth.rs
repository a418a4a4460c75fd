//! better-auth with its plugin for organizations (`benches/peers/better-auth`). It keeps no documents.

use crate::client::Request;
use crate::comparison::api::{Api, Member, PASSWORD, Pointers, email, name};
use serde_json::{Value, json};

pub struct BetterAuth;

impl Api for BetterAuth {
    fn health(&self) -> &'static str {
        "/health"
    }

    fn pointers(&self) -> Pointers {
        Pointers { organization: "/organization", token: "/token", document: "" }
    }

    /// A route of `serve.mjs` makes both calls of the library.
    fn create(&self, number: u32) -> Option<Request> {
        let body = json!({
            "name": name(number), "slug": format!("organization-{number}"), "email": email(number),
            "password": PASSWORD,
        });
        Some(Request::json("POST", "/organizations", None, &body))
    }

    fn sign_in(&self, number: u32) -> Option<Request> {
        let body = json!({ "email": email(number), "password": PASSWORD });
        Some(Request::json("POST", "/api/auth/sign-in/email", None, &body))
    }

    /// The list of the account's organizations, of which there is one.
    fn organization(&self, member: &Member) -> Option<Request> {
        let credential = format!("Bearer {}", member.token);
        let headers = [("authorization", credential.as_str())];
        Some(Request::with_headers("GET", "/api/auth/organization/list", &headers, None))
    }

    fn insert(&self, _member: &Member, _document: Value) -> Option<Request> {
        None
    }

    fn read(&self, _member: &Member, _id: &str) -> Option<Request> {
        None
    }

    fn list(&self, _member: &Member, _kind: &str) -> Option<Request> {
        None
    }

    fn update(&self, _member: &Member, _id: &str, _pages: u32) -> Option<Request> {
        None
    }
}
