//! Checks an access token of Tenantry by its public keys.
//!
//! ```text
//! TENANTRY_URL=http://localhost:8000 cargo run --example verify eyJ0eXAiOiJhdCtqd3Qi...
//! ```

#![expect(clippy::disallowed_methods, clippy::print_stdout, reason = "an example, not the service")]

use jsonwebtoken::jwk::JwkSet;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use std::error::Error;
use std::time::{Duration, Instant};

/// How long a key set is kept, and how soon it may be read again for a token that names another key.
const KEEP: Duration = Duration::from_secs(300);
const COOLDOWN: Duration = Duration::from_secs(30);

#[derive(Clone, Deserialize)]
struct Claims {
    sub: String,
    org_id: String,
}

struct Verifier {
    url: String,
    keys: Option<(JwkSet, Instant)>,
}

impl Verifier {
    /// The key of that name, from the key set as it was read last, or read now.
    async fn key(&mut self, kid: &str) -> Result<DecodingKey, Box<dyn Error>> {
        let read_at = self.keys.as_ref().map(|(_, read_at)| *read_at);
        let is_known = self.keys.as_ref().is_some_and(|(keys, _)| keys.find(kid).is_some());
        if read_at.is_none_or(|at| at.elapsed() > if is_known { KEEP } else { COOLDOWN }) {
            let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build()?;
            let keys = client.get(format!("{}/.well-known/jwks.json", self.url)).send().await?;
            self.keys = Some((keys.error_for_status()?.json().await?, Instant::now()));
        }
        let key = self.keys.as_ref().and_then(|(keys, _)| keys.find(kid)).ok_or("its key is unknown")?;
        Ok(DecodingKey::from_jwk(key)?)
    }

    /// What the token says, if it is good.
    async fn check(&mut self, token: &str) -> Result<Claims, Box<dyn Error>> {
        let header = decode_header(token)?;
        if header.typ.as_deref() != Some("at+jwt") {
            return Err("it is not an access token".into());
        }
        let key = self.key(&header.kid.ok_or("it names no key")?).await?;
        let mut rules = Validation::new(Algorithm::EdDSA);
        // What JWT_ISSUER and JWT_AUDIENCE of the service say.
        rules.set_issuer(&["tenantry"]);
        rules.set_audience(&["tenantry"]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok(decode::<Claims>(token, &key, &rules)?.claims)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut verifier = Verifier { url: std::env::var("TENANTRY_URL")?, keys: None };
    let token = std::env::args().nth(1).ok_or("give a token")?;
    let claims = verifier.check(&token).await?;
    println!("{} in {}", claims.sub, claims.org_id);
    Ok(())
}
