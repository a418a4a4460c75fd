//! What is accepted as an access token, and for which organization.

use super::*;
use serde_json::json;

fn issuer(token_type: TokenType) -> TrustedIssuer {
    TrustedIssuer {
        issuer: "https://login.example.com/".into(),
        audience: "api".into(),
        algorithms: vec![Algorithm::RS256],
        token_type,
        organizations: OrganizationPin::One(OrganizationId::from_bytes([1; 12])),
        email_domains: vec!["example.com".into()],
    }
}

fn claims(more: &Value) -> ForeignClaims {
    let mut claims = json!({
        "iss": "https://login.example.com/", "sub": "ada", "aud": ["api", "other"], "exp": 2, "iat": 1.5,
        "scope": "documents",
    });
    claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_str(&claims.to_string()).unwrap()
}

/// Where the type of the token does not say it, its claims do.
#[test]
fn id_token_is_told_from_access_token() {
    let plain = issuer(TokenType::Jwt);
    assert!(plain.accepts_kind(&claims(&json!({ "azp": "web", "auth_time": 1 }))));
    for more in [
        json!({ "nonce": "n" }),
        json!({ "at_hash": "h" }),
        json!({ "c_hash": "h" }),
        json!({ "typ": "ID" }),
        json!({ "token_use": "id" }),
        json!({ "azp": "api" }),
        json!({ "client_id": "api" }),
    ] {
        assert!(!plain.accepts_kind(&claims(&more)), "{more}");
    }
    let mut without_scope = claims(&json!({}));
    without_scope.others.clear();
    assert!(!plain.accepts_kind(&without_scope));
    for (typ, expected) in [
        ("at+jwt", Some(TokenType::AccessToken)),
        ("application/AT+JWT", Some(TokenType::AccessToken)),
        ("JWT", Some(TokenType::Jwt)),
        ("logout+jwt", None),
        ("", None),
    ] {
        assert_eq!(TokenType::of_header(typ), expected, "{typ}");
    }
}

#[test]
fn organization_comes_from_the_pin_alone() {
    let [one, other] = [[1; 12], [2; 12]].map(OrganizationId::from_bytes);
    let named = |id: &str| claims(&json!({ "org": id }));
    let of = |organizations, claims: &ForeignClaims| {
        TrustedIssuer { organizations, ..issuer(TokenType::Jwt) }.organization_of(claims)
    };
    assert_eq!(of(OrganizationPin::One(one), &named(&other.to_string())), Some(one));
    let any = OrganizationPin::ClaimedId { claim: "org".into(), allowed: None };
    assert_eq!(of(any.clone(), &named(&other.to_string())), Some(other));
    assert_eq!(of(any, &claims(&json!({ "org": 7 }))), None);
    let listed = OrganizationPin::ClaimedId { claim: "org".into(), allowed: Some(vec![one]) };
    assert_eq!(of(listed.clone(), &named(&one.to_string())), Some(one));
    assert_eq!(of(listed, &named(&other.to_string())), None);
    let organizations = [("org_abc".to_owned(), other)].into();
    let valued = OrganizationPin::ClaimedValue { claim: "org".into(), organizations };
    assert_eq!(of(valued.clone(), &named("org_abc")), Some(other));
    assert_eq!(of(valued, &named(&one.to_string())), None);
}

#[test]
fn claims_with_a_member_twice_are_unreadable() {
    let twice = r#"{"iss":"a","sub":"b","sub":"c","aud":"d","exp":2,"iat":1}"#;
    assert!(serde_json::from_str::<ForeignClaims>(twice).is_err());
    for moment in ["-1", "\"1\"", "1e300", "null", "true"] {
        let text = format!(r#"{{"iss":"a","sub":"b","aud":"d","exp":{moment},"iat":1}}"#);
        assert!(serde_json::from_str::<ForeignClaims>(&text).is_err(), "{moment}");
    }
}

/// A set may hold keys for other things, and secrets: none of these verifies a token.
#[test]
fn key_set_keeps_public_keys_for_signatures_alone() {
    let key = |more: Value| {
        let mut key =
            json!({ "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo" });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let set = |keys: &[Value]| IssuerKeySet::parse(json!({ "keys": keys }).to_string().as_bytes());
    let found =
        set(&[key(json!({ "kid": "a" })), key(json!({ "kid": "b", "use": "sig", "alg": "EdDSA" }))]).unwrap();
    assert_eq!(found.len(), 2);
    assert_eq!(found.candidates(Some("a"), Algorithm::EdDSA).len(), 1);
    assert!(found.candidates(Some("c"), Algorithm::EdDSA).is_empty());
    assert!(found.candidates(Some("a"), Algorithm::ES256).is_empty());
    assert!(found.candidates(None, Algorithm::EdDSA).is_empty(), "it could be of either");
    for unusable in [
        key(json!({ "use": "enc" })),
        key(json!({ "key_ops": ["encrypt"] })),
        key(json!({ "alg": "HS256" })),
        key(json!({ "crv": "X25519" })),
        json!({ "kty": "oct", "k": "c2VjcmV0" }),
        json!({ "kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA" }),
        json!(7),
    ] {
        assert!(set(std::slice::from_ref(&unusable)).is_err(), "{unusable}");
    }
    assert!(set(&vec![key(json!({})); keys::KEYS_MAX + 1]).is_err());
    for text in ["", "[]", "{}", r#"{"keys":{}}"#] {
        assert!(IssuerKeySet::parse(text.as_bytes()).is_err(), "{text}");
    }
}
