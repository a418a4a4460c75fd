//! Eve: a resource whose documents are limited to a field of the account (`benches/peers/eve`). It signs nobody in, and makes
//! no accounts: those are records with a token that are there from the start.

use crate::client::Request;
use crate::comparison::api::{Api, Member, Pointers, name, with_query};
use crate::runtime::block_on;
use anyhow::Result;
use bson::oid::ObjectId;
use bson::{Document, doc};
use mongodb::{Client, IndexModel};
use serde_json::{Value, json};

pub struct Eve;

/// Makes `count` organizations with their accounts.
pub fn seed(uri: &str, database: &str, count: u32) -> Result<Vec<Member>> {
    block_on(async {
        let client = Client::with_uri_str(uri).await?;
        let database = client.database(database);
        let (mut organizations, mut accounts, mut members) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            let id = ObjectId::new();
            let member = Member { organization: id.to_hex(), token: format!("token-of-{number}") };
            organizations.push(doc! { "_id": id, "name": name(number), "organization": id });
            accounts.push(doc! { "token": &member.token, "organization": id });
            members.push(member);
        }
        let records = database.collection::<Document>("accounts");
        records.create_index(IndexModel::builder().keys(doc! { "token": 1 }).build()).await?;
        records.insert_many(accounts).await?;
        database.collection("organizations").insert_many(organizations).await?;
        client.shutdown().await;
        Ok(members)
    })
}

fn call(method: &str, path: &str, member: &Member, body: Option<&Value>) -> Option<Request> {
    let credential = format!("Bearer {}", member.token);
    Some(Request::with_headers(method, path, &[("authorization", &credential)], body))
}

impl Api for Eve {
    fn health(&self) -> &'static str {
        "/"
    }

    fn pointers(&self) -> Pointers {
        Pointers { organization: "", token: "", document: "/_id" }
    }

    fn create(&self, _number: u32) -> Option<Request> {
        None
    }

    fn sign_in(&self, _number: u32) -> Option<Request> {
        None
    }

    fn organization(&self, member: &Member) -> Option<Request> {
        call("GET", &format!("/organizations/{}", member.organization), member, None)
    }

    fn insert(&self, member: &Member, document: Value) -> Option<Request> {
        call("POST", "/documents", member, Some(&document))
    }

    fn read(&self, member: &Member, id: &str) -> Option<Request> {
        call("GET", &format!("/documents/{id}"), member, None)
    }

    fn list(&self, member: &Member, kind: &str) -> Option<Request> {
        let path = with_query("/documents", "where", &json!({ "kind": kind }), "&max_results=100");
        call("GET", &path, member, None)
    }

    fn update(&self, member: &Member, id: &str, pages: u32) -> Option<Request> {
        call("PATCH", &format!("/documents/{id}"), member, Some(&json!({ "pages": pages })))
    }
}
