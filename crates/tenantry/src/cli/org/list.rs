//! `tenantry org list` and `tenantry org operations`: every page of a list, or the requested number of items.

use super::session::Session;
use super::view;
use crate::cli::arguments::organization;
use crate::cli::client::ClientError;
use crate::cli::operations;
use crate::cli::pages::List;
use clap::ArgMatches;

/// Lists organizations.
pub async fn run(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let text = |name| arguments.get_one::<String>(name).map(String::as_str);
    let mut filters = Vec::new();
    filters.extend(text("status").map(|status| ("status", status)));
    filters.extend(text("name-prefix").map(|prefix| ("name_prefix", prefix)));
    filters.extend(arguments.get_flag("deleted").then_some(("show_deleted", "true")));
    let list = List::read(&session.client, &["v1", "organizations"], &filters, limit(arguments)).await?;
    list.print(session.json, view::table)
}

/// Lists the finished operations of an organization.
pub async fn operations(session: &Session, arguments: &ArgMatches) -> Result<(), ClientError> {
    let organization = organization(arguments);
    let path = ["v1", "organizations", &organization, "operations"];
    let list = List::read(&session.client, &path, &[], limit(arguments)).await?;
    list.print(session.json, operations::table)
}

fn limit(arguments: &ArgMatches) -> Option<u64> {
    arguments.get_one::<u64>("limit").copied()
}
