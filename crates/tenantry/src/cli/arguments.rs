//! Arguments that several commands have.

use clap::{Arg, ArgMatches, value_parser};
use tenantry_domain::ids::OrganizationId;
use tenantry_domain::name::{Identifier, OrganizationName};

/// The argument that names an organization.
pub fn organization_argument(help: &'static str) -> Arg {
    Arg::new("organization").value_name("ORG").required(true).help(help).value_parser(parse_organization)
}

/// The organization a command is about, as a segment of a path: an id or an identifier.
pub fn organization(arguments: &ArgMatches) -> String {
    arguments.get_one::<String>("organization").cloned().unwrap_or_default()
}

/// How many items of a list are wanted.
pub fn count_argument() -> Arg {
    Arg::new("limit")
        .long("limit")
        .value_name("N")
        .value_parser(value_parser!(u64).range(1..))
        .help("Stop after this many; without it, all are listed")
}

fn parse_organization(text: &str) -> Result<String, String> {
    if let Ok(id) = text.parse::<OrganizationId>() {
        return Ok(id.to_string());
    }
    if let Ok(identifier) = Identifier::parse(text) {
        return Ok(identifier.to_string());
    }
    let name = OrganizationName::parse(text)
        .map_err(|rule| format!("it is neither an id nor an identifier, nor a name: {rule}"))?;
    Ok(name.identifier().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn organization_argument_is_id_identifier_or_name() {
        for (text, segment) in [
            ("674F1C2E9B1D4A0C5E8F7A6B", "674f1c2e9b1d4a0c5e8f7a6b"),
            ("tech-innovations-corp-2-0", "tech-innovations-corp-2-0"),
            ("Tech  Innovations Corp 2.0", "tech-innovations-corp-2-0"),
            ("ACME", "acme"),
        ] {
            assert_eq!(parse_organization(text).as_deref(), Ok(segment));
        }
        assert!(parse_organization("").is_err());
    }
}
