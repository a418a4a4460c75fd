//! The text of keys, and what their records accept.

use super::*;
use aws_lc_rs::digest::{SHA256, digest};

struct Counting;
impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) {
        for (byte, value) in bytes.iter_mut().zip(1..) {
            *byte = value;
        }
    }
}

const ID: ApiKeyId = ApiKeyId::from_bytes([0xab; 12]);

fn text(kind: ApiKeyKind) -> ApiKeyText {
    ApiKeyText::generate(kind, ID, &Counting)
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn key() -> ApiKey {
    ApiKey {
        id: ID,
        owner: ApiKeyOwner::Installation,
        name: "billing".to_owned(),
        hash: text(ApiKeyKind::Service).hash(),
        unconfirmed: None,
        generation: 0,
        replaced: None,
        permissions: PermissionSet::EMPTY,
        organizations: None,
        maker: None,
        created_at: at(0),
        expires_at: Some(at(1000)),
        last_used_at: None,
        version: 1,
    }
}

#[test]
fn api_key_text_has_the_published_form() {
    let key = text(ApiKeyKind::Service);
    let secret = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20";
    let body = format!("tnt_service_abababababababababababab_{secret}");
    let checksum = hex::encode(&digest(&SHA256, body.as_bytes()).as_ref()[..4]);
    assert_eq!(key.as_str(), format!("{body}{checksum}"));
    assert!(!format!("{key:?}").contains("0102"));
}

#[test]
fn api_key_parse_rejects_any_changed_character() {
    for kind in ApiKeyKind::ALL {
        let key = text(kind);
        let parsed = ApiKeyText::parse(key.as_str()).unwrap();
        assert_eq!((parsed.kind(), parsed.id()), (kind, ID));
        for position in 0..key.as_str().len() {
            let mut changed = key.as_str().to_owned().into_bytes();
            changed[position] = if changed[position] == b'0' { b'1' } else { b'0' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(ApiKeyText::parse(&changed).is_err(), "{changed}");
        }
        assert!(ApiKeyText::parse(&key.as_str().to_uppercase()).is_err());
        assert!(ApiKeyText::parse(&key.as_str()[..key.as_str().len() - 1]).is_err());
    }
}

#[test]
fn rotated_key_accepts_its_old_secret_until_the_overlap_ends() {
    struct Nines;
    impl Entropy for Nines {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(9);
        }
    }
    let (old, new) = (text(ApiKeyKind::Service), ApiKeyText::generate(ApiKeyKind::Service, ID, &Nines));
    let rotated = key().rotated(&new, Some(at(100)));
    assert_eq!(rotated.generation_of(&new, at(99)), Some(1));
    assert_eq!(rotated.generation_of(&old, at(99)), Some(0));
    assert!(rotated.accepts_generation(0, at(99)) && rotated.accepts_generation(1, at(99)));
    assert_eq!(rotated.generation_of(&old, at(100)), None);
    assert!(!rotated.accepts_generation(0, at(100)) && rotated.accepts_generation(1, at(100)));
    let at_once = key().rotated(&new, None);
    assert_eq!(at_once.generation_of(&old, at(0)), None);
    assert!(!at_once.accepts_generation(0, at(0)));
}

#[test]
fn expired_key_and_its_tokens_are_refused() {
    let service = text(ApiKeyKind::Service);
    assert_eq!(key().generation_of(&service, at(999)), Some(0));
    assert_eq!(key().generation_of(&service, at(1000)), None);
    assert!(!key().accepts_generation(0, at(1000)));
}

#[test]
fn key_of_another_kind_with_the_same_secret_is_refused() {
    assert_eq!(key().generation_of(&text(ApiKeyKind::Organization), at(0)), None);
}

#[test]
fn service_key_covers_the_organizations_it_lists() {
    let (one, other) = (OrganizationId::from_bytes([1; 12]), OrganizationId::from_bytes([2; 12]));
    assert!(key().covers(one));
    let limited = ApiKey { organizations: Some(vec![one]), ..key() };
    assert!(limited.covers(one) && !limited.covers(other));
    let own = ApiKey { owner: ApiKeyOwner::Organization(one), ..key() };
    assert!(own.covers(one) && !own.covers(other));
}

/// Neither its own text nor the hash that it has meanwhile opens anything.
#[test]
fn unconfirmed_key_accepts_nothing_until_it_is_confirmed() {
    let text = text(ApiKeyKind::Service);
    let imported = ApiKey { hash: ApiKeyHash::NONE, unconfirmed: Some(text.hash()), ..key() };
    assert_eq!(imported.generation_of(&text, at(1)), None);
    assert!(!imported.accepts_generation(0, at(1)));
    let maker = ApiKeyMaker { account_id: AccountId::from_bytes([7; 12]), membership_epoch: 2 };
    let confirmed = imported.confirmed(Some(maker.clone())).unwrap();
    assert_eq!((confirmed.generation_of(&text, at(1)), confirmed.version), (Some(0), 2));
    assert_eq!((confirmed.maker.as_ref(), confirmed.confirmed(None)), (Some(&maker), None));
    // A rotation ends the secret that it came with, at once.
    let rotated = imported.rotated(&text, Some(at(500)));
    assert_eq!((rotated.unconfirmed, rotated.replaced), (None, None));
}

/// As a version reads it that knows nothing of unconfirmed keys.
#[test]
fn unconfirmed_key_is_refused_by_earlier_versions() {
    let text = text(ApiKeyKind::Service);
    let imported = ApiKey { hash: ApiKeyHash::NONE, unconfirmed: Some(text.hash()), ..key() };
    let mut stored = serde_json::to_value(&imported).unwrap();
    stored.as_object_mut().unwrap().remove("unconfirmed");
    let read: ApiKey = serde_json::from_value(stored).unwrap();
    assert_eq!(read.generation_of(&text, at(1)), None);
}
