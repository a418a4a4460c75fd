//! Valid tokens, and every kind of forgery.

mod forgeries;
mod rotation;

use super::public_key::thumbprint;
use super::*;
use crate::ids::Entropy;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use zeroize::Zeroizing;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: i64 = 1_800_000_000;

struct FixedEntropy;
impl Entropy for FixedEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}

fn keys_of(key: &SigningKey) -> TokenKeys {
    TokenKeys::new(key, "tenantry", "tenantry-api").unwrap()
}

fn keys_of_both(signing: &SigningKey, other: &SigningKey) -> TokenKeys {
    TokenKeys::accepting(signing, &[other], "tenantry", "tenantry-api").unwrap()
}

fn hs256() -> TokenKeys {
    keys_of(&SigningKey::Hs256(SECRET.to_vec().into()))
}

fn ed25519() -> TokenKeys {
    keys_of(&SigningKey::EdDsa(generate_ed25519(&FixedEntropy)))
}

fn all_keys() -> [TokenKeys; 4] {
    let secret = || Zeroizing::new(SECRET.to_vec());
    [hs256(), keys_of(&SigningKey::Hs384(secret())), keys_of(&SigningKey::Hs512(secret())), ed25519()]
}

fn claims() -> Claims {
    Claims {
        iss: "tenantry".into(),
        sub: "679000000707070707070707".into(),
        aud: "tenantry-api".into(),
        exp: NOW + 900,
        iat: NOW,
        jti: "00112233445566778899aabbccddeeff".into(),
        client_id: Some(CLIENT_ID.into()),
        org_id: "679000000808080808080808".into(),
        grant: ClaimsGrant::Session(SessionClaims {
            auth_time: NOW - 60,
            admin_id: "679000000707070707070707".into(),
            email: "admin@tech.com".into(),
            role: "owner".into(),
            sid: "679000000909090909090909".into(),
        }),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn outcome(keys: &TokenKeys, token: &str, second: i64) -> Result<Claims, ErrorCode> {
    keys.verify(token, at(second)).map(Arc::unwrap_or_clone).map_err(|refusal| refusal.code())
}

fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// A token of any header and claims, signed with HMAC-SHA-256.
fn forged(header: &Value, claims: &Value, secret: &[u8]) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

fn good_header() -> Value {
    json!({ "typ": "at+jwt", "alg": "HS256" })
}

/// The good claims with `changes` merged in; `null` takes a claim away.
fn changed(changes: Value) -> Value {
    let mut all = serde_json::to_value(claims()).unwrap();
    let Value::Object(changes) = changes else { unreachable!("changes are an object") };
    for (name, value) in changes {
        match value {
            Value::Null => all.as_object_mut().unwrap().remove(&name),
            value => all.as_object_mut().unwrap().insert(name, value),
        };
    }
    all
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

#[test]
fn access_token_round_trips_its_claims() {
    for keys in all_keys() {
        let token = keys.issue(&claims()).unwrap();
        assert_eq!(outcome(&keys, &token, NOW), Ok(claims()), "{keys:?}");
    }
}

#[test]
fn access_token_follows_rfc_9068() {
    let token = hs256().issue(&claims()).unwrap();
    let parts: Vec<_> = token.split('.').collect();
    assert_eq!(decoded(parts[0]), good_header());
    assert_eq!(decoded(parts[1])["exp"], NOW + 900);
    assert_eq!(decoded(parts[1])["auth_time"], NOW - 60);
    assert_eq!(decoded(parts[1])["client_id"], "tenantry");

    let keys = ed25519();
    let token = keys.issue(&claims()).unwrap();
    let header = decoded(token.split('.').next().unwrap());
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(header["kid"], keys.jwks().unwrap()["keys"][0]["kid"]);
}

#[test]
fn access_token_expires_at_its_second() {
    for keys in all_keys() {
        let token = keys.issue(&claims()).unwrap();
        assert!(outcome(&keys, &token, NOW + 899).is_ok());
        assert_eq!(outcome(&keys, &token, NOW + 900), Err(ErrorCode::TokenExpired));
        assert_eq!(outcome(&keys, &token, NOW + 1_000_000), Err(ErrorCode::TokenExpired));
    }
}

/// A minute of clock skew is allowed for `nbf`.
#[test]
fn access_token_not_yet_valid_is_rejected_beyond_skew() {
    let token = forged(&good_header(), &changed(json!({ "nbf": NOW + 60 })), SECRET);
    assert!(outcome(&hs256(), &token, NOW).is_ok());
    assert_eq!(outcome(&hs256(), &token, NOW - 1), Err(ErrorCode::TokenInvalid));
}

/// A minute of clock skew is allowed for `iat`, also for a token that has expired.
#[test]
fn access_token_issued_in_future_is_rejected_beyond_skew() {
    for keys in all_keys() {
        let token = keys.issue(&claims()).unwrap();
        assert!(outcome(&keys, &token, NOW - 60).is_ok());
        // Also one that has expired, once the clock is set back.
        for second in [NOW - 61, NOW - 3600, 0] {
            assert_eq!(outcome(&keys, &token, second), Err(ErrorCode::TokenInvalid), "{second}");
        }
    }
}

#[test]
fn access_token_of_earlier_version_without_client_id_is_valid() {
    let token = forged(&good_header(), &changed(json!({ "client_id": null })), SECRET);
    assert_eq!(outcome(&hs256(), &token, NOW), Ok(Claims { client_id: None, ..claims() }));
}

#[test]
fn access_token_signed_with_another_key_is_rejected() {
    let [a, b, c, d] = all_keys();
    for (keys, others) in [(&a, [&b, &c, &d]), (&b, [&a, &c, &d]), (&c, [&a, &b, &d]), (&d, [&a, &b, &c])] {
        for other in others {
            let token = other.issue(&claims()).unwrap();
            assert_eq!(outcome(keys, &token, NOW), Err(ErrorCode::TokenInvalid), "{keys:?} {other:?}");
        }
    }
    let other = keys_of(&SigningKey::Hs256(b"another secret of thirty-two byte".to_vec().into()));
    assert_eq!(outcome(&hs256(), &other.issue(&claims()).unwrap(), NOW), Err(ErrorCode::TokenInvalid));
}

#[test]
fn access_token_of_other_issuer_or_audience_is_rejected() {
    let key = SigningKey::Hs256(SECRET.to_vec().into());
    let token = hs256().issue(&claims()).unwrap();
    for (issuer, audience) in [("other", "tenantry-api"), ("tenantry", "other"), ("tenantry", "tenantry-ap")]
    {
        let keys = TokenKeys::new(&key, issuer, audience).unwrap();
        assert_eq!(outcome(&keys, &token, NOW), Err(ErrorCode::TokenInvalid), "{issuer} {audience}");
    }
}

#[test]
fn access_token_header_chooses_neither_algorithm_nor_key() {
    let all = serde_json::to_value(claims()).unwrap();
    assert!(
        outcome(&hs256(), &forged(&good_header(), &all, SECRET), NOW).is_ok(),
        "the forgery itself is right"
    );
    let keys = ed25519();
    let x = keys.jwks().unwrap()["keys"][0]["x"].as_str().unwrap().to_owned();
    let raw = URL_SAFE_NO_PAD.decode(&x).unwrap();
    for public in [raw.as_slice(), x.as_bytes(), keys.jwks().unwrap().to_string().as_bytes()] {
        let token = forged(&json!({ "typ": "at+jwt", "alg": "HS256" }), &all, public);
        assert_eq!(outcome(&keys, &token, NOW), Err(ErrorCode::TokenInvalid));
        let token = forged(&json!({ "typ": "at+jwt", "alg": "EdDSA" }), &all, public);
        assert_eq!(outcome(&keys, &token, NOW), Err(ErrorCode::TokenInvalid));
    }
    for alg in ["none", "None", "NONE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA"] {
        let header = json!({ "typ": "at+jwt", "alg": alg });
        let message = format!("{}.{}", part(&header), part(&all));
        for token in [forged(&header, &all, SECRET), format!("{message}."), message] {
            assert_eq!(outcome(&hs256(), &token, NOW), Err(ErrorCode::TokenInvalid), "{alg}");
        }
    }
}

#[test]
fn access_token_of_another_type_is_rejected() {
    let all = serde_json::to_value(claims()).unwrap();
    for typ in ["at+jwt", "AT+JWT", "application/at+jwt"] {
        let token = forged(&json!({ "typ": typ, "alg": "HS256" }), &all, SECRET);
        assert!(outcome(&hs256(), &token, NOW).is_ok(), "{typ}");
    }
    for header in [
        json!({ "alg": "HS256" }),
        json!({ "typ": "JWT", "alg": "HS256" }),
        json!({ "typ": "", "alg": "HS256" }),
        json!({ "typ": "rt+jwt", "alg": "HS256" }),
        json!({ "typ": "application/jwt", "alg": "HS256" }),
        json!({ "typ": "at+jwt", "alg": "HS256", "crit": ["b64"], "b64": false }),
    ] {
        let token = forged(&header, &all, SECRET);
        assert_eq!(outcome(&hs256(), &token, NOW), Err(ErrorCode::TokenInvalid), "{header}");
    }
}

/// Signed with the right key, and refused for what the header says about keys and extensions.
#[test]
fn access_token_header_that_names_or_brings_key_is_rejected() {
    let jwk = ed25519().jwks().unwrap()["keys"][0].clone();
    let members = [
        ("jku", json!("https://keys.example.com/jwks.json")),
        ("jku", json!("")),
        ("jwk", jwk.clone()),
        ("jwk", json!({})),
        ("x5u", json!("https://keys.example.com/chain.pem")),
        ("x5c", json!(["MIIB"])),
        ("x5c", json!([])),
        ("crit", json!(["exp"])),
        ("crit", json!([])),
        ("b64", json!(true)),
        ("b64", json!(false)),
        ("kid", json!("../../../etc/passwd")),
        ("kid", json!("' OR '1'='1")),
        ("kid", json!("")),
        ("kid", json!("k".repeat(2000))),
        ("kid", json!(7)),
        ("kid", json!(null)),
        ("kid", json!([jwk["kid"]])),
    ];
    let pkcs8 = generate_ed25519(&FixedEntropy);
    let pair = aws_lc_rs::signature::Ed25519KeyPair::from_pkcs8(&pkcs8).unwrap();
    let keys = keys_of(&SigningKey::EdDsa(pkcs8));
    let all = serde_json::to_value(claims()).unwrap();
    let signed = |header: &Value| {
        let message = format!("{}.{}", part(header), part(&all));
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(pair.sign(message.as_bytes())))
    };
    let of_key = json!({ "typ": "at+jwt", "alg": "EdDSA", "kid": keys.jwks().unwrap()["keys"][0]["kid"] });
    assert!(outcome(&keys, &signed(&of_key), NOW).is_ok(), "the forgery itself is right");
    for (name, value) in members {
        let (mut header, mut named) = (good_header(), of_key.clone());
        header[name] = value.clone();
        named[name] = value.clone();
        // Without a name, the header of a secret is as ours.
        let is_nameless = name == "kid" && value.is_null();
        let refused = Err(ErrorCode::TokenInvalid);
        let expected = if is_nameless { Ok(claims()) } else { refused.clone() };
        assert_eq!(outcome(&hs256(), &forged(&header, &all, SECRET), NOW), expected, "{header}");
        assert_eq!(outcome(&keys, &signed(&named), NOW), refused, "{named}");
    }
}

#[test]
fn access_token_with_malformed_claims_is_rejected() {
    for changes in [
        json!({ "exp": (NOW + 900) as f64 + 0.5 }),
        json!({ "exp": (NOW + 900).to_string() }),
        json!({ "exp": null }),
        json!({ "exp": 1e300 }),
        json!({ "exp": u64::MAX }),
        json!({ "exp": [NOW + 900] }),
        json!({ "iat": NOW as f64 + 0.5 }),
        json!({ "iat": "now" }),
        json!({ "iat": null }),
        json!({ "iat": NOW + 61 }),
        json!({ "client_id": 7 }),
        json!({ "nbf": NOW + 61 }),
        json!({ "nbf": "never" }),
        json!({ "nbf": NOW as f64 + 0.5 }),
        json!({ "iss": ["tenantry"] }),
        json!({ "iss": null }),
        json!({ "aud": ["tenantry-api"] }),
        json!({ "aud": null }),
        json!({ "sub": 7 }),
        json!({ "sub": null }),
        json!({ "sid": null }),
        json!({ "org_id": null }),
    ] {
        let token = forged(&good_header(), &changed(changes.clone()), SECRET);
        assert_eq!(outcome(&hs256(), &token, NOW), Err(ErrorCode::TokenInvalid), "{changes}");
    }
    for changes in
        [json!({}), json!({ "nbf": NOW + 60 }), json!({ "iat": NOW + 60 }), json!({ "scope": "all" })]
    {
        let token = forged(&good_header(), &changed(changes.clone()), SECRET);
        assert!(outcome(&hs256(), &token, NOW).is_ok(), "{changes}");
    }
    let twice = format!(r#"{{"exp":{},{}"#, NOW + 9000, &serde_json::to_string(&claims()).unwrap()[1..]);
    let message = format!("{}.{}", part(&good_header()), URL_SAFE_NO_PAD.encode(twice));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, SECRET), message.as_bytes());
    let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
    assert_eq!(outcome(&hs256(), &token, NOW), Err(ErrorCode::TokenInvalid));
}

#[test]
fn access_token_with_any_changed_byte_is_rejected() {
    for keys in all_keys() {
        let token = keys.issue(&claims()).unwrap();
        for position in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[position] = if touched[position] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert_eq!(outcome(&keys, &touched, NOW), Err(ErrorCode::TokenInvalid), "byte {position}");
        }
        for touched in [format!("{token}A"), format!("{token}="), token[..token.len() - 1].to_owned()] {
            assert_eq!(outcome(&keys, &touched, NOW), Err(ErrorCode::TokenInvalid));
        }
    }
}

/// The signature of a token is checked once; its times are compared each time, and no other token profits.
#[test]
fn access_token_seen_before_is_checked_again() {
    let all = all_keys();
    for keys in &all {
        let token = keys.issue(&claims()).unwrap();
        for _ in 0..2 {
            assert_eq!(outcome(keys, &token, NOW), Ok(claims()));
            assert_eq!(outcome(keys, &token, NOW + 900), Err(ErrorCode::TokenExpired));
            assert_eq!(outcome(keys, &token, NOW - 61), Err(ErrorCode::TokenInvalid));
        }
        for touched in [format!("{token}A"), token[..token.len() - 1].to_owned()] {
            assert_eq!(outcome(keys, &touched, NOW), Err(ErrorCode::TokenInvalid));
        }
        let others = all.iter().filter(|other| !std::ptr::eq(*other, keys));
        others.for_each(|other| assert_eq!(outcome(other, &token, NOW), Err(ErrorCode::TokenInvalid)));
    }
}

#[test]
fn access_token_parse_rejects_other_texts() {
    let long = forged(&good_header(), &changed(json!({ "pad": "x".repeat(8000) })), SECRET);
    let huge = "a.".repeat(500_000);
    for text in ["", ".", "..", "...", "a.b.c", "é.é.é", "null.null.null", "e30.e30.e30", &long, &huge] {
        assert_eq!(outcome(&hs256(), text, NOW), Err(ErrorCode::TokenInvalid));
    }
}

#[test]
fn public_key_is_published_with_its_thumbprint() {
    // RFC 8037, A.3.
    assert_eq!(
        thumbprint("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
    let jwks = ed25519().jwks().unwrap();
    assert_eq!(jwks["keys"].as_array().map(Vec::len), Some(1));
    let key = &jwks["keys"][0];
    assert_eq!(
        (&key["kty"], &key["crv"], &key["alg"], &key["use"]),
        (&json!("OKP"), &json!("Ed25519"), &json!("EdDSA"), &json!("sig"))
    );
    assert_eq!(key["kid"], thumbprint(key["x"].as_str().unwrap()));
    assert_eq!(key.as_object().map(serde_json::Map::len), Some(6), "and nothing private");
    assert_eq!(hs256().jwks().unwrap(), json!({ "keys": [] }));
}

#[test]
fn published_key_verifies_access_token() {
    let keys = ed25519();
    let token = keys.issue(&claims()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let public = URL_SAFE_NO_PAD.decode(keys.jwks().unwrap()["keys"][0]["x"].as_str().unwrap()).unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    aws_lc_rs::signature::UnparsedPublicKey::new(&aws_lc_rs::signature::ED25519, public)
        .verify(message.as_bytes(), &signature)
        .unwrap();
}

#[test]
fn signing_key_parse_rejects_invalid_bytes() {
    for pkcs8 in [&b""[..], b"not a key", &[7; 48]] {
        let refusal = TokenKeys::new(&SigningKey::EdDsa(pkcs8.to_vec().into()), "a", "b").unwrap_err();
        assert_eq!(refusal.code(), ErrorCode::Internal);
    }
}

#[test]
fn token_secrets_are_hidden_in_debug_output() {
    let secret = String::from_utf8(SECRET.to_vec()).unwrap();
    let key = SigningKey::Hs256(SECRET.to_vec().into());
    let shown = format!("{key:?} {:?} {:?} {:?}", hs256(), ed25519(), claims());
    assert!(!shown.contains(&secret) && !shown.contains("48, 49, 50"), "{shown}");
    assert!(!shown.contains("admin@tech.com"), "{shown}");
}

/// No change of a good token makes another good one.
#[test]
fn fuzz_access_token() {
    for keys in [hs256(), ed25519()] {
        let good = keys.issue(&claims()).unwrap();
        assert!(outcome(&keys, &good, NOW).is_ok());
        tenantry_test_fuzz::fuzz(&[&good, "e30.e30.", "a.b.c", "eyJhbGciOiJub25lIn0.e30."], |input| {
            let text = String::from_utf8_lossy(input);
            if outcome(&keys, &text, NOW).is_ok() {
                assert_eq!(text, good);
            }
        });
    }
}
