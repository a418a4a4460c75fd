//! The claims of a foreign token.

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::fmt;

/// Bytes of a `sub` (OpenID Connect Core, 2).
const SUBJECT_MAX_BYTES: usize = 255;
/// Claims that name the client to which a token was issued.
pub(super) const CLIENT_CLAIMS: [&str; 3] = ["client_id", "azp", "cid"];
/// Audiences of a token.
const AUDIENCES_MAX: usize = 32;

/// What a token says. A member that is there twice makes it unreadable.
#[derive(Clone, PartialEq, Eq, Deserialize)]
pub struct ForeignClaims {
    /// The issuer.
    pub iss: String,
    /// Who it is about.
    pub sub: String,
    /// Whom it is for.
    pub aud: Audience,
    /// When it expires.
    pub exp: Seconds,
    /// When it was issued.
    pub iat: Seconds,
    /// From when on it is valid.
    #[serde(default)]
    pub nbf: Option<Seconds>,
    /// When the person signed in at the issuer.
    #[serde(default)]
    pub auth_time: Option<Seconds>,
    /// The address of the person.
    #[serde(default)]
    pub email: Option<String>,
    /// Whether the issuer knows that the address is theirs.
    #[serde(default)]
    pub email_verified: Option<Value>,
    /// Everything else, until the token is accepted.
    #[serde(flatten)]
    pub others: Map<String, Value>,
}

/// To whom a token is addressed.
#[derive(Deserialize)]
pub(super) struct AddressedClaims {
    pub(super) iss: String,
    pub(super) aud: Audience,
}

/// One audience or several.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Audience {
    /// One, written as a text.
    One(String),
    /// Several.
    Several(Vec<String>),
}

impl Audience {
    /// The audiences.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Several(several) => several,
        }
    }
}

/// Seconds since 1970. Fractions, which RFC 7519 allows, are cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Far beyond every year that matters, and exact as a float.
        const LATEST: f64 = 253_402_300_799.0;
        let number = serde_json::Number::deserialize(deserializer)?;
        let seconds = number.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
        let seconds = seconds.ok_or_else(|| serde::de::Error::custom("not a moment"))?;
        Ok(Self(seconds as i64))
    }
}

impl ForeignClaims {
    /// Whether it is within the bounds of what is stored and compared.
    pub(super) fn is_well_formed(&self) -> bool {
        let is_subject =
            (1..=SUBJECT_MAX_BYTES).contains(&self.sub.len()) && !self.sub.chars().any(char::is_control);
        is_subject && self.aud.as_slice().len() <= AUDIENCES_MAX
    }

    /// Whether it is about a person, and whoever has it may use it.
    pub(super) fn is_of_a_person_who_bears_it(&self) -> bool {
        // A program that acts for itself has the id of the client as its subject (RFC 9068, 2.2), and may choose it.
        let is_of_client = CLIENT_CLAIMS.iter().any(|name| self.text(name) == Some(&*self.sub));
        // It takes the proof that the sender has a key (RFC 7800), which is not looked at here.
        let is_bound = self.others.contains_key("cnf");
        !is_of_client && !is_bound
    }

    /// The text of a claim.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match name {
            "sub" => Some(&self.sub),
            name => self.others.get(name)?.as_str(),
        }
    }

    /// Whether it says that the address is verified: `true`, and no text or number that looks like it.
    #[must_use]
    pub fn has_verified_email(&self) -> bool {
        self.email_verified == Some(Value::Bool(true))
    }
}

/// Shows nothing that is personal.
impl fmt::Debug for ForeignClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ForeignClaims").field("iss", &self.iss).finish_non_exhaustive()
    }
}
