//! The life of keys, by the clock alone.

use super::SigningKeyState::{Current, Former, Next, Retired};
use super::*;
use crate::error::ErrorCode;
use crate::token::{Claims, ClaimsGrant, SessionClaims, TokenKeys};
use std::sync::atomic::{AtomicU8, Ordering};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Other bytes each time.
#[derive(Default)]
struct Counter(AtomicU8);

impl Entropy for Counter {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
    }
}

fn start() -> Timestamp {
    Timestamp::from_second(1_800_000_000).unwrap()
}

fn days(count: u32) -> Timestamp {
    after(start(), DAY * count)
}

fn states(set: &SigningKeySet, now: Timestamp) -> Vec<SigningKeyState> {
    set.views(now).iter().map(|key| key.state).collect()
}

/// A set, and what keeps it up to date.
struct Installation {
    set: SigningKeySet,
    entropy: Counter,
    lifetime: Duration,
}

impl Installation {
    fn new() -> Self {
        let entropy = Counter::default();
        let set = SigningKeySet::new(start(), HOUR, &entropy).unwrap();
        Self { set, entropy, lifetime: HOUR }
    }

    /// What maintenance does at `now`; whether there was something to do.
    fn maintain(&mut self, now: Timestamp) -> bool {
        let upkept = self.set.upkept(now, self.lifetime, &self.entropy).unwrap();
        let again = upkept.upkept(now, self.lifetime, &self.entropy).unwrap();
        assert_eq!(upkept, again, "a second round has nothing to do");
        let changed = upkept != self.set;
        self.set = upkept;
        changed
    }

    fn current(&self, now: Timestamp) -> String {
        self.set.current_kid(now).unwrap()
    }

    /// A token that is issued at `now`.
    fn token(&self, now: Timestamp) -> String {
        self.tokens().issue(&claims(now, self.lifetime)).unwrap()
    }

    fn tokens(&self) -> TokenKeys {
        let tokens = TokenKeys::without_keys("tenantry", "tenantry");
        tokens.publish(&self.set.published().unwrap()).unwrap();
        tokens
    }

    fn accepts(&self, token: &str, now: Timestamp) -> Result<(), ErrorCode> {
        self.tokens().verify(token, now).map(drop).map_err(|refusal| refusal.code())
    }
}

fn claims(now: Timestamp, lifetime: Duration) -> Claims {
    Claims {
        iss: "tenantry".into(),
        sub: "679000000707070707070707".into(),
        aud: "tenantry".into(),
        exp: after(now, lifetime).as_second(),
        iat: now.as_second(),
        jti: "00112233445566778899aabbccddeeff".into(),
        client_id: None,
        org_id: "679000000808080808080808".into(),
        grant: ClaimsGrant::Session(SessionClaims {
            auth_time: now.as_second(),
            admin_id: "679000000707070707070707".into(),
            email: "admin@tech.com".into(),
            role: "owner".into(),
            sid: "679000000909090909090909".into(),
        }),
    }
}

#[test]
fn new_keys_sign_at_once_with_next_one_published() {
    let mut installation = Installation::new();
    assert_eq!(states(&installation.set, start()), [Current, Next]);
    assert!(!installation.maintain(days(89)));
    assert_eq!(states(&installation.set, days(89)), [Current, Next]);
}

#[test]
fn next_key_takes_over_by_the_clock_alone() {
    let mut installation = Installation::new();
    let (first, before) = (installation.current(start()), installation.token(before(days(90), HOUR / 2)));
    assert_eq!(states(&installation.set, days(90)), [Former, Current]);
    assert_ne!(installation.current(days(90)), first);
    // Then the one after it is published, long before it signs.
    assert!(installation.maintain(days(90)));
    assert_eq!(states(&installation.set, days(90)), [Former, Current, Next]);
    assert_eq!(installation.set.views(days(90))[2].signs_from, days(180));
    assert_eq!(installation.accepts(&before, days(90)), Ok(()));
    // The former key goes once nothing that it signed can be valid.
    let end = after(days(90), HOUR + SIGNING_KEY_MARGIN);
    assert_eq!(installation.set.views(days(90))[0].accepted_until, Some(end));
    installation.maintain(after(days(90), HOUR));
    assert_eq!(states(&installation.set, end), [Former, Current, Next]);
    assert!(installation.maintain(end));
    assert_eq!(states(&installation.set, end), [Current, Next]);
}

#[test]
fn every_token_is_accepted_until_it_expires() {
    let mut installation = Installation::new();
    let mut tokens: Vec<(String, Timestamp)> = Vec::new();
    for hour in 0..24 * 400 {
        let now = after(start(), HOUR * hour);
        installation.maintain(now);
        tokens.retain(|(token, end)| {
            let expected = if *end > now { Ok(()) } else { Err(ErrorCode::TokenExpired) };
            let found = installation.accepts(token, now);
            // Once its key has gone, an expired token is no token.
            assert!(found == expected || *end <= now && found == Err(ErrorCode::TokenInvalid), "{found:?}");
            *end > now
        });
        // Signing is slow in a build for tests.
        if hour % 24 == 0 || hour % (24 * 90) < 3 || hour % (24 * 90) > 24 * 90 - 3 {
            tokens.push((installation.token(now), after(now, HOUR)));
        }
        assert!(installation.set.keys.len() <= 3);
    }
}

#[test]
fn private_half_is_forgotten_soon_after_its_last_signature() {
    let mut installation = Installation::new();
    // With a long life of tokens the public half stays.
    installation.lifetime = DAY * 30;
    installation.maintain(start());
    installation.maintain(after(days(90), SIGNING_KEY_MARGIN));
    assert_eq!(states(&installation.set, days(100)), [Former, Current, Next]);
    let has_private = |key: &StoredSigningKey| key.private.is_some();
    assert_eq!(installation.set.keys.iter().map(has_private).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(installation.set.published().unwrap().len(), 3);
}

#[test]
fn former_key_is_kept_for_longest_life_that_it_signed_with() {
    let mut installation = Installation::new();
    installation.lifetime = DAY * 30;
    installation.maintain(start());
    let token = installation.token(days(89));
    // The setting is lowered afterwards.
    installation.lifetime = HOUR;
    installation.maintain(days(90));
    installation.maintain(days(118));
    assert_eq!(installation.accepts(&token, days(118)), Ok(()));
}

#[test]
fn rotation_waits_until_next_key_was_published_a_day() {
    let mut installation = Installation::new();
    let refused = installation.set.rotated(after(start(), HOUR)).unwrap_err();
    assert_eq!(refused.ready_at, days(1));
    let next = installation.set.next_kid(days(1)).unwrap();
    installation.set = installation.set.rotated(days(1)).unwrap();
    installation.maintain(days(1));
    assert_eq!(installation.current(days(1)), next);
    assert_eq!(states(&installation.set, days(1)), [Former, Current, Next]);
    // Twice in a row would sign with a key that nobody knows.
    assert_eq!(installation.set.rotated(days(1)).unwrap_err().ready_at, days(2));
}

#[test]
fn retired_key_ends_its_tokens_at_once() {
    let mut installation = Installation::new();
    let (kid, token, now) = (installation.current(start()), installation.token(days(2)), days(2));
    let next = installation.set.next_kid(now).unwrap();
    installation.set = installation.set.retired(&kid, now).unwrap();
    installation.maintain(now);
    assert_eq!(installation.accepts(&token, now), Err(ErrorCode::TokenInvalid));
    assert_eq!(installation.current(now), next);
    assert_eq!(states(&installation.set, now), [Retired, Current, Next]);
    let published = installation.set.published().unwrap();
    assert!(published.iter().all(|key| key.public.kid() != kid));
    assert_eq!(installation.accepts(&installation.token(now), now), Ok(()));
    // Again changes nothing; an unknown one is none.
    assert_eq!(installation.set.retired(&kid, days(3)), Some(installation.set.clone()));
    assert_eq!(installation.set.retired("unknown", now), None);
}

#[test]
fn keys_retired_one_after_the_other_leave_new_ones() {
    let mut installation = Installation::new();
    let mut retired = Vec::new();
    for _ in 0..RETIRED_KEYS_LISTED + 4 {
        let kid = installation.current(days(1));
        installation.set = installation.set.retired(&kid, days(1)).unwrap();
        installation.maintain(days(1));
        retired.push(kid);
        assert!(!retired.contains(&installation.current(days(1))));
    }
    assert_eq!(states(&installation.set, days(1)).len(), RETIRED_KEYS_LISTED + 2);
}

#[test]
fn next_key_that_is_retired_gets_a_successor() {
    let mut installation = Installation::new();
    let (kid, next) = (installation.current(start()), installation.set.next_kid(days(1)).unwrap());
    installation.set = installation.set.retired(&next, days(1)).unwrap();
    installation.maintain(days(1));
    assert_eq!(installation.current(days(1)), kid);
    assert_ne!(installation.set.next_kid(days(1)).unwrap(), next);
}

#[test]
fn keys_survive_a_long_pause_and_a_wrong_clock() {
    let mut installation = Installation::new();
    // Nothing runs for years: the last published key signs, and is replaced a day later.
    installation.maintain(days(1000));
    assert_eq!(states(&installation.set, days(1000)), [Current, Next]);
    assert_eq!(installation.set.views(days(1000))[1].signs_from, days(1001));
    // A clock that was years ahead is set back.
    installation.maintain(start());
    let token = installation.token(start());
    assert_eq!(installation.accepts(&token, start()), Ok(()));
    assert_eq!(states(&installation.set, start()), [Current, Next]);
    assert_eq!(installation.set.views(start())[1].signs_from, days(90));
    installation.set = installation.set.rotated(days(1)).unwrap();
    installation.maintain(days(1));
    assert_eq!(installation.accepts(&installation.token(days(1)), days(1)), Ok(()));
}

#[test]
fn adopted_key_signs_until_next_one_was_published_a_day() {
    let entropy = Counter::default();
    let documents = [7, 8].map(|seed| crate::token::ed25519_of(&[seed; 32]));
    let fixed = SigningKeySet::fixed(&documents[0], &documents[1..], HOUR).unwrap();
    let set = SigningKeySet::adopting(&documents, start(), HOUR, &entropy).unwrap();
    let mut installation = Installation { set, entropy, lifetime: HOUR };
    assert_eq!(installation.current(start()), fixed.current_kid(start()).unwrap());
    assert_eq!(states(&installation.set, start()), [Former, Current, Next]);
    assert_eq!(fixed.published().unwrap().len(), 2);
    let (fixed, token) = (Installation { set: fixed, ..Installation::new() }, installation.token(start()));
    assert_eq!(fixed.accepts(&token, start()), Ok(()));
    assert_eq!(installation.accepts(&fixed.token(start()), start()), Ok(()));
    installation.maintain(days(1));
    assert_eq!(states(&installation.set, days(1)), [Former, Current, Next]);
}

#[test]
fn sealed_keys_open_with_their_secret_alone() {
    let seals = |current: u8, other: Option<u8>| {
        KeySeals::new(KeySeal::new(&[current; 32]), other.map(|seed| KeySeal::new(&[seed; 32])))
    };
    let Installation { set, entropy, .. } = Installation::new();
    let sealed = seals(1, None).seal(&set, &entropy).unwrap();
    assert_eq!(seals(1, None).open(&sealed), Ok((set.clone(), true)));
    assert_eq!(seals(2, Some(1)).open(&sealed), Ok((set.clone(), false)));
    assert_eq!(seals(2, None).open(&sealed), Err(UnsealError));
    for index in 0..sealed.len() {
        let mut touched = sealed.clone();
        touched[index] ^= 1;
        assert_eq!(seals(1, None).open(&touched), Err(UnsealError), "byte {index}");
    }
    assert_eq!(seals(1, None).open(&sealed[..20]), Err(UnsealError));
    assert_eq!(seals(1, None).open(b""), Err(UnsealError));
    let text = String::from_utf8_lossy(&sealed);
    assert!(!text.contains("keys") && !text.contains(&set.keys[0].x), "it is readable");
}

#[test]
fn private_halves_are_hidden_in_debug_output() {
    let shown = format!("{:?}", Installation::new().set);
    assert!(shown.contains("PrivateKey(..)") && !shown.contains("[48"), "{shown}");
}
