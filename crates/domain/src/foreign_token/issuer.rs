//! An issuer that the settings trust, and how far.

use super::claims::{CLIENT_CLAIMS, ForeignClaims};
use crate::email::EmailAddress;
use crate::ids::OrganizationId;
pub use jsonwebtoken::Algorithm;
use serde_json::Map;
use std::collections::BTreeMap;

/// Claims that ID tokens have and access tokens do not (OpenID Connect Core, 2 and 3.3.2.11).
const ID_TOKEN_CLAIMS: [&str; 4] = ["nonce", "at_hash", "c_hash", "s_hash"];
/// Claims that say for which kind of token some providers issued it.
const KIND_CLAIMS: [&str; 2] = ["typ", "token_use"];

/// Names of the algorithms that an issuer may use. All are asymmetric: a secret that we shared could also sign.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The `typ` that access tokens of an issuer have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenType {
    /// `at+jwt` (RFC 9068), which no ID token has.
    AccessToken,
    /// `JWT` or none, which ID tokens have as well: they are told apart by their claims.
    Jwt,
}

impl TokenType {
    /// The type that a header names.
    pub(super) fn of_header(typ: &str) -> Option<Self> {
        let named = typ.get(..12).filter(|prefix| prefix.eq_ignore_ascii_case("application/"));
        let named = named.map_or(typ, |prefix| &typ[prefix.len()..]);
        match () {
            () if named.eq_ignore_ascii_case("at+jwt") => Some(Self::AccessToken),
            () if named.eq_ignore_ascii_case("jwt") => Some(Self::Jwt),
            () => None,
        }
    }
}

/// The organizations that an issuer may speak for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganizationPin {
    /// One.
    One(OrganizationId),
    /// That which a claim names by its id; if there is a list, only one of these.
    ClaimedId {
        /// The claim.
        claim: String,
        /// The organizations; any if there is no list.
        allowed: Option<Vec<OrganizationId>>,
    },
    /// That which stands beside the value of a claim.
    ClaimedValue {
        /// The claim.
        claim: String,
        /// The organizations by value.
        organizations: BTreeMap<String, OrganizationId>,
    },
}

/// An issuer, as the settings have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedIssuer {
    /// Its `iss`, to the letter.
    pub issuer: String,
    /// The `aud` of tokens that are for us.
    pub audience: String,
    /// The algorithms it signs with.
    pub algorithms: Vec<Algorithm>,
    /// The type of its access tokens.
    pub token_type: TokenType,
    /// The organizations it may speak for.
    pub organizations: OrganizationPin,
    /// The domains, in lower case, whose addresses it is the authority for.
    pub email_domains: Vec<String>,
}

impl TrustedIssuer {
    /// Whether a token with these claims is its, and for us.
    pub(super) fn is_addressed(&self, iss: &str, aud: &[String]) -> bool {
        self.issuer == iss && aud.contains(&self.audience)
    }

    /// The claims of a token that it has signed, without those that say no more, and the organization that it is for;
    /// `None` if it is no access token of a person for us.
    pub(super) fn accept(&self, claims: ForeignClaims) -> Option<(ForeignClaims, OrganizationId)> {
        let is_its = self.is_addressed(&claims.iss, claims.aud.as_slice());
        if !is_its
            || !claims.is_well_formed()
            || !claims.is_of_a_person_who_bears_it()
            || !self.accepts_kind(&claims)
        {
            return None;
        }
        let organization_id = self.organization_of(&claims)?;
        Some((ForeignClaims { others: Map::new(), ..claims }, organization_id))
    }

    /// The organization that the token is for, if the issuer may speak for it.
    pub(super) fn organization_of(&self, claims: &ForeignClaims) -> Option<OrganizationId> {
        match &self.organizations {
            OrganizationPin::One(id) => Some(*id),
            OrganizationPin::ClaimedId { claim, allowed } => {
                let id = claims.text(claim)?.parse().ok()?;
                allowed.as_ref().is_none_or(|allowed| allowed.contains(&id)).then_some(id)
            }
            OrganizationPin::ClaimedValue { claim, organizations } => {
                organizations.get(claims.text(claim)?).copied()
            }
        }
    }

    /// Whether it is an access token: an ID token is for the program that signs somebody in, and proves nothing
    /// to us.
    pub(super) fn accepts_kind(&self, claims: &ForeignClaims) -> bool {
        if self.token_type == TokenType::AccessToken {
            return true;
        }
        let has = |name: &str| claims.others.contains_key(name);
        let says_id = |name: &str| claims.text(name).is_some_and(|kind| kind.eq_ignore_ascii_case("id"));
        // The audience of an ID token is its client.
        let is_for_client = CLIENT_CLAIMS.iter().any(|name| claims.text(name) == Some(&*self.audience));
        let is_id_token =
            ID_TOKEN_CLAIMS.iter().any(|name| has(name)) || KIND_CLAIMS.iter().any(|name| says_id(name));
        (has("scope") || has("scp")) && !is_id_token && !is_for_client
    }

    /// Whether the settings make it the authority for the address in the token, which it says is verified.
    pub(super) fn is_authority_for(&self, claims: &ForeignClaims) -> bool {
        let email = claims.email.as_deref().and_then(|email| EmailAddress::parse(email).ok());
        let Some(email) = email.filter(|_| claims.has_verified_email()) else { return false };
        let domain = email.as_str().rsplit_once('@').map(|(_, domain)| domain.to_ascii_lowercase());
        domain.is_some_and(|domain| self.email_domains.contains(&domain))
    }
}
