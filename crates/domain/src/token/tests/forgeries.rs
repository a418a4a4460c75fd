//! The kinds of forged signatures in public suites of test vectors: tags that are cut, lengthened or made with another
//! hash, and Ed25519 signatures that lax verifiers accept.

use super::*;

/// The message and the signature of a token.
fn split(token: &str) -> (&str, Vec<u8>) {
    let (message, signature) = token.rsplit_once('.').unwrap();
    (message, URL_SAFE_NO_PAD.decode(signature).unwrap())
}

fn joined(message: &str, signature: &[u8]) -> String {
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[track_caller]
fn assert_refused(keys: &TokenKeys, what: &str, token: &str) {
    assert_eq!(outcome(keys, token, NOW), Err(ErrorCode::TokenInvalid), "{what}");
}

#[test]
fn token_tag_that_is_incomplete_or_changed_is_rejected() {
    let keys = hs256();
    let token = keys.issue(&claims()).unwrap();
    let (message, tag) = split(&token);
    assert!(outcome(&keys, &joined(message, &tag), NOW).is_ok());
    for length in 0..tag.len() {
        assert_refused(&keys, "the beginning of the tag", &joined(message, &tag[..length]));
    }
    let flipped: Vec<u8> = tag.iter().map(|byte| byte ^ 0xff).collect();
    for (what, other) in [
        ("zeros", vec![0; 32]),
        ("ones", vec![0xff; 32]),
        ("every bit flipped", flipped),
        ("a byte more", [&tag[..], &[0]].concat()),
        ("twice", [&tag[..], &tag[..]].concat()),
        ("turned", tag.iter().rev().copied().collect()),
    ] {
        assert_refused(&keys, what, &joined(message, &other));
    }
    for (what, algorithm) in [("SHA-1", hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY), ("SHA-512", hmac::HMAC_SHA512)]
    {
        let other = hmac::sign(&hmac::Key::new(algorithm, SECRET), message.as_bytes());
        assert_refused(&keys, what, &joined(message, other.as_ref()));
        assert_refused(&keys, what, &joined(message, &other.as_ref()[..20]));
    }
}

/// The order of the group of Ed25519, the lowest byte first.
const ORDER: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// The sum of two numbers, the lowest byte first.
fn sum(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut carry = 0;
    let add = |(a, b): (&u8, &u8)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        sum.to_le_bytes()[0]
    };
    one.iter().zip(other).map(add).collect()
}

#[test]
fn ed25519_signature_that_lax_verifiers_accept_is_rejected() {
    let keys = ed25519();
    let token = keys.issue(&claims()).unwrap();
    let (message, signature) = split(&token);
    assert!(outcome(&keys, &joined(message, &signature), NOW).is_ok());
    let (point, scalar) = signature.split_at(32);
    let mut identity = [0; 32];
    identity[0] = 1;
    for (what, other) in [
        ("the scalar and the order", [point, &sum(scalar, &ORDER)].concat()),
        ("the order as the scalar", [point, &ORDER].concat()),
        ("zero as the scalar", [point, &[0; 32]].concat()),
        ("the identity and zero", [&identity[..], &[0; 32]].concat()),
        ("zeros", vec![0; 64]),
        ("ones", vec![0xff; 64]),
        ("the halves turned", [scalar, point].concat()),
        ("the point alone", point.to_vec()),
        ("a byte more", [&signature[..], &[0]].concat()),
        ("a byte less", signature[..63].to_vec()),
        ("nothing", Vec::new()),
    ] {
        assert_refused(&keys, what, &joined(message, &other));
    }
}

#[test]
fn token_in_another_encoding_is_rejected() {
    for keys in all_keys() {
        let token = keys.issue(&claims()).unwrap();
        let (message, signature) = split(&token);
        let last = token.chars().next_back().unwrap();
        // The last letter of a signature has bits that mean nothing: another letter would be the same bytes.
        const LETTERS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let at = LETTERS.find(last).unwrap();
        let twin = LETTERS.as_bytes()[at ^ 1] as char;
        for (what, other) in [
            ("other last bits", format!("{}{twin}", &token[..token.len() - 1])),
            ("padding", format!("{token}=")),
            ("white space behind it", format!("{token} ")),
            ("white space before it", format!(" {token}")),
            ("a line feed in it", token.replacen('.', ".\n", 1)),
            ("a dot more", format!("{token}.")),
            ("a dot before it", format!(".{token}")),
            ("an empty signature", format!("{message}.")),
            ("no signature", message.to_owned()),
            ("the signature as hexadecimal digits", format!("{message}.{}", hex::encode(&signature))),
        ] {
            assert_refused(&keys, what, &other);
        }
    }
}
