//! The settings that are one of a few words.

use super::secret::SECRET_MIN_BYTES;
use super::value::{Limits, Value};
use tenantry_api::listen::Http2;
use tenantry_api::settings::{LookupPolicy, MetricsPolicy};
use tenantry_domain::app::SignupPolicy;
use tenantry_domain::organization::Placement;

/// The words for the variants of an enumeration.
macro_rules! words {
    ($($name:ident { $($variant:ident = $first:literal $(| $other:literal)*,)* })*) => { $(
        impl Value for $name {
            const SHAPE: &'static str = concat!($("|", $first),*).split_at(1).1;

            fn parse(text: &str, _: &Limits) -> Option<Self> {
                $(if [$first $(, $other)*].iter().any(|word| word.eq_ignore_ascii_case(text)) {
                    return Some(Self::$variant);
                })*
                None
            }

            fn rule(_: &Limits) -> String {
                one_of(&[$($first $(, $other)*),*])
            }
        }
    )* };
}

/// An enumeration that only the settings use, and its words.
macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $first:literal $(| $other:literal)*,)* })*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Its name in settings.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $first,)* }
            }
        }

        words! { $name { $($variant = $first $(| $other)*,)* } }
    )* };
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    format!("one of {}", quoted.join(", "))
}

words! {
    SignupPolicy { Open = "open", Operator = "operator", }
    LookupPolicy { Full = "full", Card = "card", Off = "off", }
    Http2 { Off = "off", Tls = "tls", PriorKnowledge = "prior-knowledge", }
    MetricsPolicy { Open = "open", Operator = "operator", Off = "off", }
}

choices! {
    /// What happens to a new organization when the server has no room for another container.
    CapacityPolicy {
        /// It is refused.
        Refuse = "refuse",
        /// It gets the placement `shared`, if the request names none.
        Shared = "shared",
    }

    /// The algorithm that signs access tokens.
    TokenAlgorithm {
        /// HMAC with SHA-256.
        Hs256 = "HS256",
        /// HMAC with SHA-384.
        Hs384 = "HS384",
        /// HMAC with SHA-512.
        Hs512 = "HS512",
        /// Ed25519; the public key is at `/.well-known/jwks.json`.
        EdDsa = "EdDSA",
    }

    /// The level of the least important events that are logged. Python's names are accepted too.
    LogLevel {
        /// What failed on our side.
        Error = "error" | "critical",
        /// What an operator should look at.
        Warn = "warn" | "warning",
        /// What happened.
        Info = "info",
        /// Why it happened.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }

    /// Which requests are logged at the level `info`.
    LogRequests {
        /// Those that changed something or were refused; reads that succeed have the level `debug`.
        Changes = "changes",
        /// All of them.
        All = "all",
    }

    /// The format of log lines.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object per line.
        Json = "json",
    }
}

impl Value for Placement {
    const SHAPE: &'static str = "collection|database|shared";

    fn parse(text: &str, _: &Limits) -> Option<Self> {
        text.to_ascii_lowercase().parse().ok()
    }

    fn rule(_: &Limits) -> String {
        one_of(&Self::ALL.map(Self::as_str))
    }
}

impl TokenAlgorithm {
    /// The fewest bytes a secret for it may have (RFC 7518, 3.2: the size of the hash); 0 if it takes none.
    #[must_use]
    pub const fn secret_min_bytes(self) -> usize {
        match self {
            Self::Hs256 => SECRET_MIN_BYTES,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            Self::EdDsa => 0,
        }
    }
}
