//! Two keys at once: the one that signs, and the one before.

use super::*;

const OTHER_SECRET: &[u8] = b"another secret of thirty-two byte";

fn hmac(secret: &[u8]) -> SigningKey {
    SigningKey::Hs256(secret.to_vec().into())
}

/// The pairs of keys of each algorithm.
fn pairs() -> Vec<[SigningKey; 2]> {
    let secrets = || [SECRET, OTHER_SECRET].map(|secret| Zeroizing::new(secret.to_vec()));
    vec![
        secrets().map(SigningKey::Hs256),
        secrets().map(SigningKey::Hs384),
        secrets().map(SigningKey::Hs512),
        [[1; 32], [2; 32]].map(|seed| SigningKey::EdDsa(ed25519_of(&seed))),
    ]
}

#[test]
fn token_of_either_key_is_valid_while_both_are_accepted() {
    for [old, new] in pairs() {
        let before = keys_of(&old);
        let both = keys_of_both(&new, &old);
        let after = keys_of(&new);
        let (early, late) = (before.issue(&claims()).unwrap(), both.issue(&claims()).unwrap());
        for token in [&early, &late] {
            assert_eq!(outcome(&both, token, NOW), Ok(claims()), "{both:?}");
            assert_eq!(outcome(&both, token, NOW + 900), Err(ErrorCode::TokenExpired), "{both:?}");
        }
        assert_eq!(outcome(&after, &late, NOW), Ok(claims()), "{after:?}");
        assert_eq!(outcome(&after, &early, NOW), Err(ErrorCode::TokenInvalid), "{after:?}");
        assert_eq!(outcome(&before, &late, NOW), Err(ErrorCode::TokenInvalid), "{before:?}");
        // The other way round, as an instance has them that does not sign with the new key yet.
        let prepared = keys_of_both(&old, &new);
        assert_eq!(outcome(&prepared, &late, NOW), Ok(claims()), "{prepared:?}");
    }
}

#[test]
fn token_of_third_key_is_invalid_while_two_are_accepted() {
    let both = keys_of_both(&hmac(OTHER_SECRET), &hmac(SECRET));
    let third = keys_of(&hmac(b"a third secret of thirty-two bytes"));
    assert_eq!(outcome(&both, &third.issue(&claims()).unwrap(), NOW), Err(ErrorCode::TokenInvalid));
    for changes in [json!({ "iss": "other" }), json!({ "aud": "other" })] {
        let token = forged(&good_header(), &changed(changes), SECRET);
        assert_eq!(outcome(&both, &token, NOW), Err(ErrorCode::TokenInvalid));
    }
}

/// Neither key is used with an algorithm that the header names.
#[test]
fn token_header_chooses_no_algorithm_for_either_key() {
    let all = serde_json::to_value(claims()).unwrap();
    let both = keys_of_both(&hmac(OTHER_SECRET), &hmac(SECRET));
    for secret in [SECRET, OTHER_SECRET] {
        assert!(outcome(&both, &forged(&good_header(), &all, secret), NOW).is_ok());
        for alg in ["none", "None", "NONE", "", "HS384", "HS512", "RS256", "ES256", "EdDSA"] {
            let header = json!({ "typ": "at+jwt", "alg": alg });
            let message = format!("{}.{}", part(&header), part(&all));
            for token in [forged(&header, &all, secret), format!("{message}."), message] {
                assert_eq!(outcome(&both, &token, NOW), Err(ErrorCode::TokenInvalid), "{alg}");
            }
        }
        for other in [SigningKey::Hs384(secret.to_vec().into()), SigningKey::Hs512(secret.to_vec().into())] {
            let token = keys_of(&other).issue(&claims()).unwrap();
            assert_eq!(outcome(&both, &token, NOW), Err(ErrorCode::TokenInvalid), "{other:?}");
        }
    }
    let [old, new] = [[1; 32], [2; 32]].map(|seed| SigningKey::EdDsa(ed25519_of(&seed)));
    let both = keys_of_both(&new, &old);
    for jwk in both.jwks().unwrap()["keys"].as_array().unwrap() {
        let raw = URL_SAFE_NO_PAD.decode(jwk["x"].as_str().unwrap()).unwrap();
        for alg in ["HS256", "EdDSA"] {
            let token = forged(&json!({ "typ": "at+jwt", "alg": alg, "kid": jwk["kid"] }), &all, &raw);
            assert_eq!(outcome(&both, &token, NOW), Err(ErrorCode::TokenInvalid), "{alg}");
        }
    }
}

#[test]
fn token_with_any_changed_byte_is_rejected_by_both_keys() {
    for [old, new] in pairs() {
        let both = keys_of_both(&new, &old);
        let token = keys_of(&old).issue(&claims()).unwrap();
        for position in 0..token.len() {
            let mut touched = token.clone().into_bytes();
            touched[position] = if touched[position] == b'A' { b'B' } else { b'A' };
            let touched = String::from_utf8(touched).unwrap();
            assert_eq!(outcome(&both, &touched, NOW), Err(ErrorCode::TokenInvalid), "byte {position}");
        }
    }
}

#[test]
fn keys_of_two_algorithms_are_not_accepted_together() {
    let others = [SigningKey::Hs384(SECRET.to_vec().into()), SigningKey::EdDsa(ed25519_of(&[1; 32]))];
    for other in others {
        let refused = TokenKeys::accepting(&hmac(SECRET), &[&other], "a", "b").unwrap_err();
        assert_eq!(refused.code(), ErrorCode::Internal);
    }
}

#[test]
fn public_keys_of_both_are_published() {
    let [old, new] = [[1; 32], [2; 32]].map(|seed| SigningKey::EdDsa(ed25519_of(&seed)));
    let jwks = keys_of_both(&new, &old).jwks().unwrap();
    let kids = |keys: &Value| {
        keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(
        kids(&jwks),
        [kids(&keys_of(&new).jwks().unwrap()), kids(&keys_of(&old).jwks().unwrap())].concat()
    );
    let both = keys_of_both(&hmac(OTHER_SECRET), &hmac(SECRET));
    assert_eq!(both.jwks().unwrap(), json!({ "keys": [] }));
}
