//! The generated pages of the documentation, for `cargo xtask generate`.

mod schema;

use super::print::say;
use crate::{config, telemetry};
use anyhow::Result;
use clap::{Arg, ArgMatches, Command};
use std::fmt::Write;
use tenantry_api::{error_codes, openapi_document};

/// `tenantry docs`, of no use to an operator and so not in the help.
pub fn command() -> Command {
    Command::new("docs").about("Print a generated page of the documentation").hide(true).arg(
        Arg::new("page").required(true).value_parser(["errors", "settings", "metrics", "schema", "openapi"]),
    )
}

/// Prints the page.
pub fn run(matches: &ArgMatches) -> Result<()> {
    match matches.get_one::<String>("page").map(String::as_str) {
        Some("errors") => say(errors().trim_end()),
        Some("settings") => say(config::markdown().trim_end()),
        Some("metrics") => say(telemetry::markdown().trim_end()),
        Some("schema") => say(schema::markdown().trim_end()),
        _ => return openapi(),
    }
    Ok(())
}

/// Prints the OpenAPI document.
pub fn openapi() -> Result<()> {
    say(&serde_json::to_string_pretty(&openapi_document("Tenantry"))?);
    Ok(())
}

const HEAD: &str = "\
<!-- Generated from crates/domain/src/error.rs and crates/api/src/error_codes.rs by `cargo xtask generate`: change them there. -->

# Errors

Every answer of 400 and above is a problem (RFC 9457, `application/problem+json`):

    { \"type\", \"title\", \"status\", \"detail\", \"code\", \"request_id\", \"errors\"?: [{ \"pointer\", \"detail\" }] }

Match on `code`: it is stable. `errors` names every bad field at once: a JSON pointer into the body, or `?name` for a
query parameter. `request_id` finds the request in the service's log. A 401 carries `WWW-Authenticate`, a 429 and a 503
carry `Retry-After` in seconds, a 415 to a PATCH carries `Accept-Patch`.

A refusal may come before the body has arrived. The service then reads on for up to 256 MiB and 30 seconds, so that a client
that reads nothing before it has sent all gets it, and the connection can be used again; or the answer says
`Connection: close`. What is no request at all (`malformed_request`, `uri_too_long`, `headers_too_large`) closes the connection,
and so does a head that is too slow (`request_timeout`).

| status | code | what it means | what to do |
|---|---|---|---|
";

fn errors() -> String {
    let mut page = HEAD.to_owned();
    for row in error_codes::all() {
        let status = error_codes::status_of(row).as_u16();
        let _ = writeln!(
            page,
            "| {status} | `{}` | {} | {} |",
            row.code(),
            row.title(),
            error_codes::advice(row)
        );
    }
    page
}
