//! `tenantry org list`: every page of the list, or the requested number of items.

use super::session::Session;
use super::view::{self, Organization};
use crate::cli::client::ClientError;
use crate::cli::print::{complain, say};
use clap::ArgMatches;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;
use tenantry_domain::limits::PAGE_MAX_ITEMS;

/// A page, its items as the server wrote them.
#[derive(Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    next_cursor: Option<String>,
}

/// Lists.
pub async fn run(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let limit = arguments.get_one::<u64>("limit").copied().unwrap_or(u64::MAX);
    let (items, has_more) = collect(session, arguments, limit).await?;
    if session.json {
        say(&array(&items));
    } else {
        let read = items.iter().map(|item| serde_json::from_str(item.get()));
        let organizations = read.collect::<Result<Vec<Organization>, _>>().map_err(|error| {
            ClientError::Other(format!("An organization of the list is not as it should be: {error}."))
        })?;
        say(&view::table(&organizations));
    }
    if has_more {
        let note = format!("Stopped after {}; there are more.", items.len());
        complain(&if session.json { json!({ "note": note }).to_string() } else { note });
    }
    Ok(())
}

/// Up to `limit` items, and whether there are more.
async fn collect(
    session: &Session,
    arguments: &ArgMatches,
    limit: u64,
) -> Result<(Vec<Box<RawValue>>, bool), ClientError> {
    let mut items = Vec::new();
    let mut cursor = None;
    loop {
        let wanted = (limit - items.len() as u64).min(PAGE_MAX_ITEMS.into());
        let page = page(session, arguments, wanted, cursor.as_deref()).await?;
        items.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() || items.len() as u64 >= limit {
            return Ok((items, cursor.is_some()));
        }
    }
}

async fn page(
    session: &Session,
    arguments: &ArgMatches,
    limit: u64,
    cursor: Option<&str>,
) -> Result<Page, ClientError> {
    let limit = limit.to_string();
    let text = |name| arguments.get_one::<String>(name).map(String::as_str);
    let mut query = vec![("limit", limit.as_str())];
    query.extend(text("status").map(|status| ("status", status)));
    query.extend(text("name-prefix").map(|prefix| ("name_prefix", prefix)));
    query.extend(arguments.get_flag("deleted").then_some(("show_deleted", "true")));
    query.extend(cursor.map(|cursor| ("cursor", cursor)));
    let request = session.client.request(Method::GET, &["v1", "organizations"], &query);
    session.client.send(request).await?.read()
}

/// One JSON array, an item per line.
fn array(items: &[Box<RawValue>]) -> String {
    if items.is_empty() {
        return "[]".to_owned();
    }
    let items: Vec<&str> = items.iter().map(|item| item.get()).collect();
    format!("[\n{}\n]", items.join(",\n"))
}
