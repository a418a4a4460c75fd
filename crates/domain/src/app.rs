//! The application: the use cases, an object and a file for each noun, over the ports.
//!
//! Handlers never touch the store. A use case that needs a right takes the value that proves it ([`auth`],
//! [`tenant`]), and only this module can make such a value.

pub mod account_links;
pub mod account_removal;
pub mod accounts;
mod address_lookup;
mod address_proof;
pub mod api_keys;
pub mod archives;
pub mod audit;
pub mod auth;
mod clock_and_entropy;
pub mod collections;
mod credentials;
pub mod documents;
pub mod expirer;
pub mod idempotency;
pub mod identities;
pub mod introspection;
pub mod invitations;
mod key_uses;
pub mod mail;
mod mailboxes;
pub mod maintenance;
pub mod members;
pub mod operations;
pub mod operator;
pub mod organizations;
mod passwords;
mod policy;
pub mod rate_limit;
mod restore_gate;
pub mod roles;
pub mod sessions;
pub mod signing_keys;
pub mod tenant;
pub mod token_exchange;
mod view;

pub use policy::{Policy, SignupPolicy};
pub use view::{EntityTag, OrganizationView, Precondition};

use crate::audit::checkpoint::CheckpointKey;
use crate::clock::Clock;
use crate::error::Result;
use crate::foreign_token::TrustedIssuers;
use crate::ids::Entropy;
use crate::mac_keys::MacKeys;
use crate::password::pool::HashPool;
use crate::store::{self, Store};
use account_links::{AccountLinkParts, AccountLinks};
use account_removal::AccountRemoval;
use accounts::Accounts;
use address_lookup::AddressLookup;
use address_proof::AddressProof;
use api_keys::ApiKeys;
use archives::{Exporter, Importer};
use audit::{AuditCounts, AuditTrail};
use auth::Auth;
use clock_and_entropy::ClockAndEntropy;
use collections::Collections;
use credentials::Credentials;
use documents::Documents;
use expirer::Expirer;
use idempotency::Idempotency;
use identities::Identities;
use introspection::Introspection;
use invitations::{InvitationParts, Invitations};
use key_uses::KeyUses;
use mail::{MailTransport, Mailer};
use mailboxes::Mailboxes;
use maintenance::Maintenance;
use members::Members;
use operations::{Executor, Operations};
use organizations::Organizations;
use passwords::PasswordHasher;
use rate_limit::RateLimiter;
use restore_gate::RestoreGate;
use roles::Roles;
use sessions::Sessions;
use signing_keys::{SigningKeys, TokenSigning};
use std::sync::Arc;
use token_exchange::TokenExchange;

/// The parts of an application.
pub struct AppParts {
    /// The store of the records.
    pub store: Store,
    /// The source of time.
    pub clock: Arc<dyn Clock>,
    /// The source of randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The pool that hashes passwords.
    pub hashes: HashPool,
    /// The keys that sign access tokens.
    pub signing: TokenSigning,
    /// The identity providers whose tokens are accepted, too.
    pub issuers: TrustedIssuers,
    /// The keys that authenticate refresh tokens, cursors and the fingerprints of requests.
    pub mac_keys: MacKeys,
    /// The key that signs checkpoints of the audit trail.
    pub checkpoint_key: CheckpointKey,
    /// What mails are sent through; without it, none are.
    pub mail: Option<Arc<dyn MailTransport>>,
    /// The rules.
    pub policy: Policy,
}

/// The use cases, by noun. The store is reachable through them only.
pub struct App {
    /// Who did what.
    pub audit: Arc<AuditTrail>,
    /// Who may do what.
    pub auth: Arc<Auth>,
    /// The keys that sign tokens.
    pub signing_keys: Arc<SigningKeys>,
    /// Signing in, staying signed in, signing out.
    pub sessions: Arc<Sessions>,
    /// Changing credentials.
    pub accounts: Accounts,
    /// Proving addresses, and new passwords, by links.
    pub account_links: AccountLinks,
    /// Removing accounts.
    pub account_removal: Arc<AccountRemoval>,
    /// Making, rotating and revoking keys.
    pub api_keys: ApiKeys,
    /// Linking accounts to identity providers.
    pub identities: Arc<Identities>,
    /// Saying whether a token is valid.
    pub introspection: Introspection,
    /// Exchanging a service key for a token.
    pub token_exchange: TokenExchange,
    /// Creating, finding, changing and removing organizations.
    pub organizations: Arc<Organizations>,
    /// Who belongs to an organization.
    pub members: Arc<Members>,
    /// The roles that an organization defines.
    pub roles: Roles,
    /// The queue of mails.
    pub mailer: Arc<Mailer>,
    /// The way into an organization.
    pub invitations: Invitations,
    /// Taking over operations that a crash has left.
    pub executor: Arc<Executor>,
    /// Watching operations.
    pub operations: Operations,
    /// Writing archives.
    pub exporter: Exporter,
    /// Reading archives.
    pub importer: Importer,
    /// Collections and indexes.
    pub collections: Collections,
    /// Documents.
    pub documents: Documents,
    /// Requests that carry an `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// Counting rate-limited attempts.
    pub rate_limiter: Arc<RateLimiter>,
    /// Removing documents that have expired.
    pub expirer: Expirer,
    /// Work done at intervals.
    pub maintenance: Maintenance,
    installation: Arc<dyn store::Installation>,
    passwords: Arc<PasswordHasher>,
    policy: Arc<Policy>,
}

impl App {
    /// Builds the application from its parts.
    #[must_use]
    pub fn new(parts: AppParts) -> Arc<Self> {
        let AppParts {
            store,
            clock,
            entropy,
            hashes,
            signing,
            issuers,
            mac_keys,
            checkpoint_key,
            mail,
            policy,
        } = parts;
        let (store, policy, issuers) = (&store, &Arc::new(policy), &Arc::new(issuers));
        let sources = &ClockAndEntropy::new(clock, entropy);
        let signing_keys = &Arc::new(SigningKeys::new(signing, store, sources));
        let mailboxes = &Mailboxes::new(store);
        let passwords = &Arc::new(PasswordHasher::new(hashes, sources));
        let rate_limiter = &Arc::new(RateLimiter::new(store, policy.throttle, sources));
        let counts = &Arc::new(AuditCounts::default());
        let credentials = &Arc::new(Credentials::new(store, passwords, rate_limiter, counts, sources));
        let key_uses = &Arc::new(KeyUses::default());
        let restored = &Arc::new(RestoreGate::new(store));
        let uses = (key_uses, restored);
        let auth = &Arc::new(Auth::new(store, (signing_keys, issuers), uses, policy, sources));
        let retention = policy.audit_retention;
        let audit = &Arc::new(AuditTrail::new(store, auth, checkpoint_key, counts, retention, sources));
        let executor = &Arc::new(Executor::new(store, auth, mailboxes, sources));
        let lookup = AddressLookup::new(store, mailboxes, sources);
        let mailer = &Arc::new(Mailer::new(store, lookup, mail, mac_keys, policy.throttle, sources));
        let organizations =
            &Arc::new(Organizations::new(store, auth, (passwords, mailer), executor, policy, sources));
        let members = &Arc::new(Members::new(store, auth, executor));
        let sessions = &Arc::new(Sessions::new(
            store,
            (mailboxes, restored),
            credentials,
            signing_keys,
            mac_keys,
            policy,
            sources,
        ));
        let account_removal = &Arc::new(AccountRemoval::new(store, auth, executor, sources));
        let proof = &Arc::new(AddressProof::new(store, auth, passwords, sources));
        let links = AccountLinks::new(&AccountLinkParts {
            store,
            auth,
            mailboxes,
            credentials,
            passwords,
            proof,
            mailer,
            rate_limiter,
            mac_keys,
            sources,
        });
        let identities = &Arc::new(Identities::new(store, auth, sources));
        let invitations = Invitations::new(&InvitationParts {
            store,
            auth,
            identities,
            members,
            sessions,
            mailboxes,
            credentials,
            passwords,
            proof,
            mailer,
            executor,
            sources,
        });
        Arc::new(Self {
            audit: Arc::clone(audit),
            auth: Arc::clone(auth),
            signing_keys: Arc::clone(signing_keys),
            sessions: Arc::clone(sessions),
            accounts: Accounts::new(store, auth, credentials, passwords, executor, sources),
            account_links: links,
            account_removal: Arc::clone(account_removal),
            api_keys: ApiKeys::new(store, auth, sources),
            identities: Arc::clone(identities),
            introspection: Introspection::new(auth),
            token_exchange: TokenExchange::new(store, auth, signing_keys, policy, sources),
            organizations: Arc::clone(organizations),
            mailer: Arc::clone(mailer),
            members: Arc::clone(members),
            roles: Roles::new(store, members, executor, sources),
            invitations,
            executor: Arc::clone(executor),
            operations: Operations::new(store, auth),
            exporter: Exporter::new(store, auth, policy.query_time, sources),
            importer: Importer::new(store, mailboxes, executor, policy, sources),
            collections: Collections::new(store, auth, sources),
            expirer: Expirer::new(store, sources),
            documents: Documents::new(store, auth, mac_keys, policy, sources),
            idempotency: Idempotency::new(store, mac_keys, policy.idempotency_keys, sources),
            rate_limiter: Arc::clone(rate_limiter),
            maintenance: Maintenance::new(
                store,
                organizations,
                account_removal,
                key_uses,
                audit,
                signing_keys,
                sources,
            ),
            installation: Arc::clone(&store.installation),
            passwords: Arc::clone(passwords),
            policy: Arc::clone(policy),
        })
    }

    /// The rules.
    #[must_use]
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Sign-ins that wait for a hashing thread.
    #[must_use]
    pub fn waiting_hashes(&self) -> usize {
        self.passwords.waiting()
    }

    /// Whether the service can do its work: succeeds if a write would.
    ///
    /// # Errors
    /// `store_unavailable`.
    #[tracing::instrument(level = "debug", skip_all)]
    pub async fn ready(&self) -> Result<()> {
        self.installation.check_writable().await
    }
}
