//! Fuzz targets of the names, addresses and keys that a stranger sends. Those of tokens and archives are with their tests.

use crate::api_key::ApiKeyText;
use crate::email::EmailAddress;
use crate::name::{Identifier, OrganizationName};
use tenantry_test_fuzz::fuzz;

fn text(input: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(input)
}

#[test]
fn fuzz_organization_name() {
    fuzz(&["Tech Innovations Corp", "  Ärzte & Söhne ", "東京", "a", "x-1_2.3", "--"], |input| {
        let Ok(name) = OrganizationName::parse(&text(input)) else { return };
        let identifier = name.identifier().to_string();
        assert_eq!(Identifier::parse(&identifier).unwrap().to_string(), identifier, "{name:?}");
    });
}

#[test]
fn fuzz_email_address() {
    fuzz(
        &["admin@tech.example", "o'neil+x@bücher.test", "a@xn--bcher-kva.test", "A.B@example.co.uk"],
        |input| {
            let Ok(address) = EmailAddress::parse(&text(input)) else { return };
            let again = EmailAddress::parse(address.as_str()).unwrap();
            assert_eq!(again.key(), address.key(), "{address:?}");
        },
    );
}

#[test]
fn fuzz_api_key() {
    fuzz(&["tnt_service_", "tnt_org_0123456789abcdef01234567_x"], |input| {
        drop(ApiKeyText::parse(&text(input)));
    });
}
