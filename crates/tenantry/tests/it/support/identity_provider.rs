//! An identity provider of a test: its keys, its file in the settings, and the tokens that it issues.

use super::app::{App, Setup};
use super::fixtures::{Organization, organization};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use std::path::PathBuf;
use tempfile::TempDir;
use tenantry_domain::clock::Clock;

/// The `iss` of the provider.
pub const ISSUER: &str = "https://login.example.com/";
/// The `aud` of tokens that are for the service.
pub const AUDIENCE: &str = "https://api.example.com";

/// A key of the provider.
pub struct ProviderKey {
    pub kid: &'static str,
    pkcs8: Vec<u8>,
    public: Vec<u8>,
}

impl ProviderKey {
    pub fn new(kid: &'static str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref()).unwrap();
        let public = pair.public_key().as_ref().to_vec();
        Self { kid, pkcs8: pkcs8.as_ref().to_vec(), public }
    }

    /// The uncompressed point.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub fn jwk(&self) -> Value {
        let [x, y] = [&self.public[1..33], &self.public[33..]].map(|part| URL_SAFE_NO_PAD.encode(part));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": self.kid, "use": "sig" })
    }

    pub fn sign(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_ec_der(&self.pkcs8)).unwrap()
    }

    /// The header of an access token that it signs.
    pub fn header(&self) -> Header {
        let mut header = Header::new(Algorithm::ES256);
        header.typ = Some("at+jwt".into());
        header.kid = Some(self.kid.into());
        header
    }
}

/// The document of these keys.
pub fn key_set(keys: &[&ProviderKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// A provider with one key, and the file that names it.
pub struct Provider {
    pub key: ProviderKey,
    directory: TempDir,
}

impl Provider {
    pub fn new() -> Self {
        let provider = Self { key: ProviderKey::new("first"), directory: TempDir::new().unwrap() };
        provider.publish(&[&provider.key]);
        provider.configure(&provider.entry("650000000000000000000000"));
        provider
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("issuers.json")
    }

    /// Writes these keys into the file of keys.
    pub fn publish(&self, keys: &[&ProviderKey]) {
        std::fs::write(self.directory.path().join("keys.json"), key_set(keys)).unwrap();
    }

    /// The entry that pins it to that organization.
    pub fn entry(&self, organization: &str) -> Value {
        json!({
            "issuer": ISSUER, "audience": AUDIENCE, "algorithms": ["ES256"], "jwks_file": "keys.json",
            "organizations": [organization],
        })
    }

    /// The entry that lets it speak for every organization, which the claim `org_id` names.
    pub fn entry_of_any_organization(&self) -> Value {
        let mut entry = self.entry("");
        entry.as_object_mut().unwrap().remove("organizations");
        entry["organization_claim"] = "org_id".into();
        entry
    }

    /// A token of that person for the organization, where a claim names it.
    pub fn token_for(&self, app: &App, subject: &str, organization: &str) -> String {
        let mut claims = self.claims(app, subject);
        claims["org_id"] = organization.into();
        self.sign(&claims)
    }

    /// Writes that entry into the file of the settings.
    pub fn configure(&self, entry: &Value) {
        self.configure_all(std::slice::from_ref(entry));
    }

    /// Writes these entries into the file of the settings.
    pub fn configure_all(&self, entries: &[Value]) {
        std::fs::write(self.file(), json!({ "issuers": entries }).to_string()).unwrap();
    }

    /// The flag that names the file of the settings.
    pub fn flag(&self) -> String {
        format!("--oidc-issuers-file={}", self.file().display())
    }

    /// A service that trusts it for the organization Acme, with these members added to its entry; null takes one away.
    pub async fn service(&self, more: Value) -> (App, Organization) {
        let app = Setup::unlimited().with(&self.flag()).start().await;
        let acme = organization(&app, "Acme").await;
        let mut entry = self.entry(acme.id());
        let members = entry.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        members.retain(|_, value| !value.is_null());
        self.configure(&entry);
        let app = app.restart().await;
        let owner = super::fixtures::again(&app, &acme.owner);
        (app, Organization { owner, ..acme })
    }

    /// What a token of that person says, issued now.
    pub fn claims(&self, app: &App, subject: &str) -> Value {
        self.claims_at(&*app.clock, subject)
    }

    /// A token of that person, issued at the moment of that clock.
    pub fn token_at(&self, clock: &impl Clock, subject: &str) -> String {
        self.sign(&self.claims_at(clock, subject))
    }

    fn claims_at(&self, clock: &impl Clock, subject: &str) -> Value {
        let now = clock.now().as_second();
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "exp": now + 3600 })
    }

    /// A token of that person.
    pub fn token(&self, app: &App, subject: &str) -> String {
        self.sign(&self.claims(app, subject))
    }

    /// The token that says that.
    pub fn sign(&self, claims: &Value) -> String {
        self.key.sign(&self.key.header(), claims)
    }
}
