//! The claims of access tokens: those of a sign-in, and those of an exchanged key.

use crate::ids::ApiKeyId;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What the `sub` of a key begins with: never the id of an account.
const KEY_SUBJECT: &str = "key:";

/// What a token says. Times are whole seconds since 1970.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ClaimMembers", into = "ClaimMembers")]
pub struct Claims {
    /// Who issued it: this service.
    pub iss: String,
    /// The id of the account, or `key:` and the id of the key.
    pub sub: String,
    /// Whom it is for.
    pub aud: String,
    /// When it expires.
    pub exp: i64,
    /// When it was issued.
    pub iat: i64,
    /// Its own id.
    pub jti: String,
    /// The client that requested it; `None` in older tokens, which had no such claim.
    pub client_id: Option<String>,
    /// The id of the organization.
    pub org_id: String,
    /// What it was issued for.
    pub grant: ClaimsGrant,
}

/// What a token was issued for.
#[derive(Clone, PartialEq, Eq)]
pub enum ClaimsGrant {
    /// A sign-in.
    Session(SessionClaims),
    /// The exchange of a service key.
    Exchange(ExchangeClaims),
}

/// The claims of a sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionClaims {
    /// When the account gave its password.
    pub auth_time: i64,
    /// The id of the account, under the name the classic API gives it.
    pub admin_id: String,
    /// The e-mail address of the account, as given.
    pub email: String,
    /// What the account may do in the organization.
    pub role: String,
    /// The id of the session.
    pub sid: String,
}

/// The claims of an exchanged key.
#[derive(Clone, PartialEq, Eq)]
pub struct ExchangeClaims {
    /// The permissions, by name, with a space between (RFC 8693, 4.2).
    pub scope: String,
    /// The key that acts (RFC 8693, 4.1).
    pub act: ActorClaim,
    /// The backend's own id of the user it acts for, if it gave one.
    pub subject: Option<String>,
    /// The generation of the key's secret.
    pub key_generation: u32,
    /// The epoch of the organization.
    pub org_epoch: u32,
}

/// Who acts.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActorClaim {
    /// `key:` and the id of the key.
    pub sub: String,
}

impl ActorClaim {
    /// That key.
    #[must_use]
    pub fn of_key(id: ApiKeyId) -> Self {
        Self { sub: format!("{KEY_SUBJECT}{id}") }
    }

    /// The key that it names.
    #[must_use]
    pub fn key_id(&self) -> Option<ApiKeyId> {
        self.sub.strip_prefix(KEY_SUBJECT)?.parse().ok()
    }
}

impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claims")
            .field("sub", &self.sub)
            .field("org_id", &self.org_id)
            .field("exp", &self.exp)
            .finish_non_exhaustive()
    }
}

/// The members of the JSON object, each at most once.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ClaimMembers {
    iss: String,
    sub: String,
    aud: String,
    exp: i64,
    iat: i64,
    /// Ours never have it.
    #[serde(skip_serializing)]
    pub(super) nbf: Option<i64>,
    jti: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    admin_id: Option<String>,
    org_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    act: Option<ActorClaim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key_generation: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    org_epoch: Option<u32>,
}

impl ClaimMembers {
    fn session(&mut self) -> Option<SessionClaims> {
        Some(SessionClaims {
            auth_time: self.auth_time.take()?,
            admin_id: self.admin_id.take()?,
            email: self.email.take()?,
            role: self.role.take()?,
            sid: self.sid.take()?,
        })
    }

    fn exchange(&mut self) -> Option<ExchangeClaims> {
        Some(ExchangeClaims {
            scope: self.scope.take()?,
            act: self.act.take()?,
            subject: self.subject.take(),
            key_generation: self.key_generation.take()?,
            org_epoch: self.org_epoch.take()?,
        })
    }
}

impl TryFrom<ClaimMembers> for Claims {
    type Error = &'static str;

    /// A token is of a sign-in or of an exchange, and never has claims of both.
    fn try_from(mut members: ClaimMembers) -> Result<Self, Self::Error> {
        let is_exchange = members.act.is_some();
        let is_mixed = is_exchange && members.sid.is_some();
        let grant = match is_exchange {
            true => members.exchange().map(ClaimsGrant::Exchange),
            false => members.session().map(ClaimsGrant::Session),
        };
        let grant = grant.filter(|_| !is_mixed).ok_or("a claim is missing")?;
        let ClaimMembers { iss, sub, aud, exp, iat, jti, client_id, org_id, .. } = members;
        Ok(Self { iss, sub, aud, exp, iat, jti, client_id, org_id, grant })
    }
}

impl From<Claims> for ClaimMembers {
    fn from(claims: Claims) -> Self {
        let Claims { iss, sub, aud, exp, iat, jti, client_id, org_id, grant } = claims;
        let (session, exchange) = match grant {
            ClaimsGrant::Session(session) => (Some(session), None),
            ClaimsGrant::Exchange(exchange) => (None, Some(exchange)),
        };
        let mut members = Self {
            iss,
            sub,
            aud,
            exp,
            iat,
            nbf: None,
            jti,
            client_id,
            auth_time: None,
            admin_id: None,
            org_id,
            email: None,
            role: None,
            sid: None,
            scope: None,
            act: None,
            subject: None,
            key_generation: None,
            org_epoch: None,
        };
        if let Some(SessionClaims { auth_time, admin_id, email, role, sid }) = session {
            members.auth_time = Some(auth_time);
            members.admin_id = Some(admin_id);
            members.email = Some(email);
            members.role = Some(role);
            members.sid = Some(sid);
        }
        if let Some(ExchangeClaims { scope, act, subject, key_generation, org_epoch }) = exchange {
            members.scope = Some(scope);
            members.act = Some(act);
            members.subject = subject;
            members.key_generation = Some(key_generation);
            members.org_epoch = Some(org_epoch);
        }
        members
    }
}
