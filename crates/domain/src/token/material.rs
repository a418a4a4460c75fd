//! The keys that sign and check tokens at one time.

use super::claims::{ClaimMembers, Claims};
use super::header::{TYPE, is_access_token, signature_alone};
use super::public_key::{PublicKey, ed25519_public_key};
use super::signing_key::SigningKey;
use super::verified::{VerifiedToken, VerifiedTokens};
use crate::error::{Error, ErrorCode, Result};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, TokenData, Validation};
use serde_json::Value;
use std::sync::Arc;
use zeroize::Zeroizing;

/// An Ed25519 key whose public half is published.
pub struct PublishedKey {
    /// The public half, which checks tokens.
    pub public: PublicKey,
    /// The private half as a PKCS#8 document, and from when on it signs; `None` for a key that signs no more.
    pub private: Option<(Timestamp, Zeroizing<Vec<u8>>)>,
}

pub(super) struct KeyMaterial {
    pub(super) algorithm: Algorithm,
    /// In the order in which they begin to sign.
    signers: Vec<Signer>,
    /// The keys that are accepted, all of one algorithm.
    verifiers: Vec<Verifier>,
    validation: Validation,
    verified: VerifiedTokens<VerifiedToken>,
    jwks: Vec<Value>,
}

struct Signer {
    from: Timestamp,
    header: Header,
    key: EncodingKey,
}

struct Verifier {
    /// The name of a key that is published.
    kid: Option<String>,
    key: DecodingKey,
}

impl KeyMaterial {
    /// `signing` signs, and all are accepted.
    pub(super) fn of_secrets(signing: &SigningKey, accepted: &[&SigningKey]) -> Result<Self> {
        let algorithm = signing.algorithm();
        let mut material = Self::empty(algorithm);
        material.sign_with(Timestamp::MIN, signing.encoding_key(), signing.kid()?);
        for key in std::iter::once(&signing).chain(accepted) {
            if key.algorithm() != algorithm {
                return Err(Error::internal("the keys that are accepted are of two algorithms"));
            }
            material.accept(key.decoding_key()?, key.public_key()?.as_ref());
        }
        Ok(material)
    }

    /// The keys that are published. One of them must sign.
    pub(super) fn of_published(keys: &[PublishedKey]) -> Result<Self> {
        let mut material = Self::empty(Algorithm::EdDSA);
        for PublishedKey { public, private } in keys {
            if let Some((from, pkcs8)) = private {
                // Reads it: a damaged one must not be found when somebody signs in.
                let kid = ed25519_public_key(pkcs8)?.kid().to_owned();
                material.sign_with(*from, EncodingKey::from_ed_der(pkcs8), Some(kid));
            }
            material.accept(public.decoding_key(), Some(public));
        }
        material.signers.sort_by_key(|signer| signer.from);
        if material.signers.is_empty() {
            return Err(Error::internal("no key signs"));
        }
        Ok(material)
    }

    fn empty(algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            signers: Vec::new(),
            verifiers: Vec::new(),
            validation: signature_alone(algorithm),
            verified: VerifiedTokens::new(),
            jwks: Vec::new(),
        }
    }

    fn sign_with(&mut self, from: Timestamp, key: EncodingKey, kid: Option<String>) {
        let mut header = Header::new(self.algorithm);
        header.typ = Some(TYPE.to_owned());
        header.kid = kid;
        self.signers.push(Signer { from, header, key });
    }

    fn accept(&mut self, key: DecodingKey, public: Option<&PublicKey>) {
        self.jwks.extend(public.map(PublicKey::jwk));
        self.verifiers.push(Verifier { kid: public.map(|public| public.kid().to_owned()), key });
    }

    /// Signs `claims` with the key that signs when they are issued.
    pub(super) fn issue(&self, claims: &Claims) -> Result<String> {
        let has_begun = |signer: &&Signer| signer.from.as_second() <= claims.iat;
        // With a clock that was set back none may have begun: then the first one signs.
        let signer = self.signers.iter().rev().find(has_begun).or_else(|| self.signers.first());
        let Signer { header, key, .. } = signer.ok_or_else(|| Error::internal("no key signs"))?;
        jsonwebtoken::encode(header, claims, key).map_err(Error::internal)
    }

    /// What `token` says, if one of the keys has signed it.
    pub(super) fn verify(&self, token: &str, issuer: &str, audience: &str) -> Result<VerifiedToken> {
        self.verified.get(token, || self.verify_signature(token, issuer, audience))
    }

    fn verify_signature(&self, token: &str, issuer: &str, audience: &str) -> Result<VerifiedToken> {
        let token = self.decode(token).ok_or(ErrorCode::TokenInvalid)?;
        let nbf = token.claims.nbf;
        let claims = Claims::try_from(token.claims).map_err(|_| ErrorCode::TokenInvalid)?;
        let is_ours = is_access_token(&token.header) && claims.iss == issuer && claims.aud == audience;
        if is_ours {
            Ok(VerifiedToken { claims: Arc::new(claims), nbf })
        } else {
            Err(ErrorCode::TokenInvalid.into())
        }
    }

    fn decode(&self, token: &str) -> Option<TokenData<ClaimMembers>> {
        let named = jsonwebtoken::decode_header(token).ok()?.kid;
        // The name only says which of our own keys to try: no other is ever used. Secrets have no names.
        let could_be = |verifier: &&Verifier| verifier.kid == named;
        let decode = |verifier: &Verifier| jsonwebtoken::decode(token, &verifier.key, &self.validation).ok();
        self.verifiers.iter().filter(could_be).find_map(decode)
    }

    pub(super) fn jwks(&self) -> &[Value] {
        &self.jwks
    }
}
