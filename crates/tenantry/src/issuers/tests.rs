//! The file of identity providers: what is read, and that every fault is named.

use super::*;
use serde_json::json;

const ORGANIZATION: &str = "650000000000000000000001";

fn entry() -> Value {
    json!({
        "issuer": "https://login.example.com/", "audience": "api", "algorithms": ["RS256", "EdDSA"],
        "jwks_url": "https://login.example.com/keys", "organizations": [ORGANIZATION],
    })
}

fn read(entries: &[Value]) -> Result<Vec<ConfiguredIssuer>, Vec<String>> {
    parse(json!({ "issuers": entries }).to_string().as_bytes(), "tenantry", Path::new("/etc/tenantry"))
}

fn with(members: &Value) -> Value {
    let mut entry = entry();
    for (name, value) in members.as_object().unwrap() {
        match value {
            Value::Null => drop(entry.as_object_mut().unwrap().remove(name)),
            value => entry[name] = value.clone(),
        }
    }
    entry
}

#[test]
fn issuer_file_is_read_with_all_its_members() {
    let claimed = json!({
        "organizations": null, "organization_claim": "org", "organization_values": { "org_abc": ORGANIZATION },
        "jwks_url": null, "jwks_file": "keys.json", "token_type": "JWT", "email_domains": ["example.com"],
        "audience": "other",
    });
    let issuers = read(&[entry(), with(&claimed)]).ok().unwrap();
    assert_eq!(issuers[0].issuer.organizations, OrganizationPin::One(ORGANIZATION.parse().unwrap()));
    assert_eq!(issuers[0].issuer.token_type, TokenType::AccessToken);
    assert!(
        matches!(&issuers[0].keys, KeyLocation::Url(url, _) if url.as_str() == "https://login.example.com/keys")
    );
    assert!(
        matches!(&issuers[1].keys, KeyLocation::File(path) if path == Path::new("/etc/tenantry/keys.json"))
    );
    assert_eq!(issuers[1].issuer.email_domains, ["example.com"]);
    assert!(read(&[]).ok().unwrap().is_empty());
}

#[test]
fn every_fault_of_an_issuer_is_named() {
    let table = [
        (json!({ "issuer": null }), "/issuers/0/issuer"),
        (json!({ "issuer": "tenantry" }), "/issuers/0/issuer"),
        (json!({ "audience": 7 }), "/issuers/0/audience"),
        (json!({ "algorithms": ["HS256"] }), "/issuers/0/algorithms/0"),
        (json!({ "algorithms": ["none"] }), "/issuers/0/algorithms/0"),
        (json!({ "algorithms": null }), "/issuers/0/algorithms"),
        (json!({ "token_type": "id" }), "/issuers/0/token_type"),
        (json!({ "jwks_url": "http://login.example.com/keys" }), "/issuers/0/jwks_url"),
        (json!({ "jwks_file": "keys.json" }), "/issuers/0/jwks_url"),
        (json!({ "jwks_url": null }), "/issuers/0/jwks_url"),
        (json!({ "private_networks": ["10.0.0.0/99"] }), "/issuers/0/private_networks/0"),
        (json!({ "private_networks": ["10.0.0.0/8", "169.254.0.0/16"] }), "/issuers/0/private_networks/1"),
        (json!({ "private_networks": ["127.0.0.1"] }), "/issuers/0/private_networks/0"),
        (json!({ "organizations": ["acme"] }), "/issuers/0/organizations/0"),
        (json!({ "organizations": [] }), "/issuers/0/organizations"),
        (json!({ "organizations": null }), "/issuers/0/organizations"),
        (json!({ "organizations": [ORGANIZATION, ORGANIZATION] }), "/issuers/0/organization_claim"),
        (json!({ "organization_values": { "a": ORGANIZATION } }), "/issuers/0/organization_claim"),
        (json!({ "email_domains": ["Example.com"] }), "/issuers/0/email_domains/0"),
        (json!({ "email_domains": ["*"] }), "/issuers/0/email_domains/0"),
        (json!({ "client_secret": "x" }), "/issuers/0/client_secret"),
    ];
    for (members, fault) in table {
        let faults = read(&[with(&members)]).err().unwrap_or_else(|| panic!("{members}"));
        assert!(faults.iter().any(|line| line.starts_with(&format!("{fault}: "))), "{members}: {faults:?}");
    }
    let several = read(&[with(&json!({ "issuer": null, "audience": null })), json!(7), entry(), entry()]);
    assert_eq!(several.err().unwrap().len(), 4);
    for text in ["", "[]", "{}", r#"{"issuers":[],"more":1}"#] {
        assert!(parse(text.as_bytes(), "tenantry", Path::new(".")).is_err(), "{text}");
    }
}

/// Any file is read, or every fault in it is a sentence that says where.
#[test]
fn fuzz_issuers() {
    let file =
        json!({ "issuers": [entry(), with(&json!({ "email_domains": ["example.com"] }))] }).to_string();
    tenantry_test_fuzz::fuzz(&[file.as_str(), "{\"issuers\":[]}", "[]"], |input| {
        match parse(input, "tenantry", Path::new("/etc/tenantry")) {
            Ok(issuers) => assert!(issuers.len() <= ISSUERS_MAX),
            Err(faults) => assert!(!faults.is_empty() && faults.iter().all(|fault| !fault.is_empty())),
        }
    });
}

/// Editors of Windows write a mark before a text, and `Out-File` of PowerShell writes UTF-16.
#[test]
fn issuers_file_takes_byte_order_mark_and_names_other_kinds() {
    let text = json!({ "issuers": [with(&json!({}))] }).to_string();
    let read = |bytes: &[u8]| parse(bytes, "tenantry", Path::new("/etc/tenantry"));
    assert_eq!(read(&[b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat()).unwrap().len(), 1);
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, kind) in [
        ([b"\xff\xfe".as_slice(), utf16.as_slice()].concat(), "It is in UTF-16, not JSON: save it as UTF-8"),
        (b"\x1f\x8b\x08\0\0\0\0\0\0\x03".to_vec(), "It is compressed with gzip, not JSON: "),
        (b"{'issuers': []}".to_vec(), "It is text in single quotes"),
    ] {
        let faults = read(&bytes).err().unwrap();
        assert!(faults[0].starts_with(kind), "{faults:?}");
    }
}
