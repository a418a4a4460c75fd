//! Permissions: what a role, a key or a token allows, one by one.
//!
//! Every check of a right asks for one permission. A role is a published set of them; a key and a token carry
//! a set of their own, which is never wider than that of the person or key that made them.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// One thing that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Permission {
    /// Read documents, collections, indexes and usage.
    DocumentsRead,
    /// Insert, change and delete documents.
    DocumentsWrite,
    /// Create and drop collections and indexes.
    CollectionsWrite,
    /// Read the record of an organization.
    OrganizationsRead,
    /// Rename an organization, change its settings, delete it.
    OrganizationsWrite,
    /// Export an organization as an archive.
    OrganizationsExport,
    /// List members, invitations and roles of the organization.
    MembersRead,
    /// Invite and remove members, change their roles, and define roles.
    MembersWrite,
    /// Make an owner of a member, or a member of an owner.
    OwnersWrite,
    /// List the organization's API keys.
    KeysRead,
    /// Make, rotate and revoke the organization's API keys.
    KeysWrite,
    /// Read the audit trail of an organization, and the log of its operations.
    AuditRead,
    /// Exchange a service key for a token of one organization.
    TokensIssue,
    /// Ask whether a token is valid (RFC 7662).
    TokensIntrospect,
}

impl Permission {
    /// Every permission, in the order in which lists show them.
    pub const ALL: [Self; 14] = [
        Self::DocumentsRead,
        Self::DocumentsWrite,
        Self::CollectionsWrite,
        Self::OrganizationsRead,
        Self::OrganizationsWrite,
        Self::OrganizationsExport,
        Self::MembersRead,
        Self::MembersWrite,
        Self::OwnersWrite,
        Self::KeysRead,
        Self::KeysWrite,
        Self::AuditRead,
        Self::TokensIssue,
        Self::TokensIntrospect,
    ];

    /// Its name on the wire and in claims.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DocumentsRead => "documents:read",
            Self::DocumentsWrite => "documents:write",
            Self::CollectionsWrite => "collections:write",
            Self::OrganizationsRead => "organizations:read",
            Self::OrganizationsWrite => "organizations:write",
            Self::OrganizationsExport => "organizations:export",
            Self::MembersRead => "members:read",
            Self::MembersWrite => "members:write",
            Self::OwnersWrite => "owners:write",
            Self::KeysRead => "keys:read",
            Self::KeysWrite => "keys:write",
            Self::AuditRead => "audit:read",
            Self::TokensIssue => "tokens:issue",
            Self::TokensIntrospect => "tokens:introspect",
        }
    }

    /// What it allows, for people.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::DocumentsRead => "Read documents, collections, indexes and usage.",
            Self::DocumentsWrite => "Insert, change and delete documents.",
            Self::CollectionsWrite => "Create and drop collections and indexes.",
            Self::OrganizationsRead => "Read the record of an organization.",
            Self::OrganizationsWrite => "Rename an organization, change its settings, delete it.",
            Self::OrganizationsExport => "Export an organization as an archive.",
            Self::MembersRead => "List members, invitations and roles of the organization.",
            Self::MembersWrite => {
                "Invite and remove members, change their roles, and define roles of the organization."
            }
            Self::OwnersWrite => "Make an owner of a member, or a member of an owner.",
            Self::KeysRead => "List the API keys of the organization.",
            Self::KeysWrite => "Make, rotate and revoke API keys of the organization.",
            Self::AuditRead => "Read the audit trail of an organization, and the log of its operations.",
            Self::TokensIssue => "Exchange a service key for a token of one organization.",
            Self::TokensIntrospect => "Ask whether a token is valid.",
        }
    }

    const fn bit(self) -> u32 {
        1 << self as u8
    }
}

impl FromStr for Permission {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|permission| permission.as_str() == text);
        found.ok_or_else(|| format!("Must be one of {}.", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl Serialize for Permission {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Permission {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of permissions; in records and claims, a list of their names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u32);

impl PermissionSet {
    /// No permission.
    pub const EMPTY: Self = Self(0);

    /// These permissions.
    #[must_use]
    pub const fn new(permissions: &[Permission]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < permissions.len() {
            bits |= permissions[index].bit();
            index += 1;
        }
        Self(bits)
    }

    /// Whether `permission` is one of them.
    #[must_use]
    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & permission.bit() != 0
    }

    /// Whether every one of them is in `other`.
    #[must_use]
    pub const fn is_subset_of(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Those that are in both.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that are not in `other`.
    #[must_use]
    pub const fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that are in either.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`Permission::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.into_iter().filter(move |permission| self.contains(*permission))
    }

    /// The one of them that `text` names.
    ///
    /// # Errors
    /// The sentence for the field, with all of them.
    pub fn parse_member(self, text: &str) -> Result<Permission, String> {
        let named = text.parse().ok().filter(|permission| self.contains(*permission));
        named.ok_or_else(|| {
            let names: Vec<_> = self.iter().map(Permission::as_str).collect();
            format!("Must be one of {}.", names.join(", "))
        })
    }

    /// Their names, for a sentence.
    #[must_use]
    pub fn listed(self) -> String {
        self.iter().map(|permission| format!("`{permission}`")).collect::<Vec<_>>().join(", ")
    }

    /// Their names with a space between, as the claim `scope` has them.
    #[must_use]
    pub fn to_scope(self) -> String {
        self.iter().map(Permission::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The permissions that a claim `scope` names. `None` if it has a name that is no permission: a token with
    /// it was not made by this version.
    #[must_use]
    pub fn from_scope(scope: &str) -> Option<Self> {
        scope.split_ascii_whitespace().map(|name| name.parse().ok()).collect()
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | permission.bit()))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl Serialize for PermissionSet {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter().map(Permission::as_str))
    }
}

impl<'de> Deserialize<'de> for PermissionSet {
    /// A name that this version does not know grants nothing: a newer version may have stored it.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }
}

/// What an exchanged token may carry: the organization's data, and reading. It never exchanges itself, makes
/// keys, changes people or exports.
pub const TOKEN_PERMISSIONS: PermissionSet = PermissionSet::new(&[
    Permission::DocumentsRead,
    Permission::DocumentsWrite,
    Permission::CollectionsWrite,
    Permission::OrganizationsRead,
    Permission::MembersRead,
    Permission::AuditRead,
]);

/// What an API key of an organization may carry. It makes no keys and no owners, and it does not export.
pub const ORGANIZATION_KEY_PERMISSIONS: PermissionSet =
    TOKEN_PERMISSIONS.union(PermissionSet::new(&[Permission::OrganizationsWrite, Permission::MembersWrite]));

/// What a service key may carry: what it does itself, and what it may hand on in tokens.
pub const SERVICE_KEY_PERMISSIONS: PermissionSet = ORGANIZATION_KEY_PERMISSIONS
    .union(PermissionSet::new(&[Permission::TokensIssue, Permission::TokensIntrospect]));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permission_names_parse_back() {
        for permission in Permission::ALL {
            assert_eq!(permission.as_str().parse(), Ok(permission));
        }
        assert!("documents".parse::<Permission>().is_err());
    }

    #[test]
    fn permission_outside_of_a_set_is_refused_with_those_in_it() {
        let set = PermissionSet::new(&[Permission::DocumentsRead, Permission::AuditRead]);
        assert_eq!(set.parse_member("audit:read"), Ok(Permission::AuditRead));
        for text in ["keys:write", "moon:reach", ""] {
            let refused = set.parse_member(text).unwrap_err();
            assert_eq!(refused, "Must be one of documents:read, audit:read.", "{text}");
        }
    }

    #[test]
    fn permission_set_round_trips_through_json_and_scope() {
        for set in [TOKEN_PERMISSIONS, ORGANIZATION_KEY_PERMISSIONS, SERVICE_KEY_PERMISSIONS] {
            let json = serde_json::to_string(&set).unwrap();
            assert_eq!(serde_json::from_str::<PermissionSet>(&json).unwrap(), set);
            assert_eq!(PermissionSet::from_scope(&set.to_scope()), Some(set));
        }
        assert_eq!(PermissionSet::from_scope("documents:read documents:erase"), None);
    }

    #[test]
    fn stored_name_of_an_unknown_permission_grants_nothing() {
        let set: PermissionSet = serde_json::from_str(r#"["documents:read","moon:reach"]"#).unwrap();
        assert_eq!(set, PermissionSet::new(&[Permission::DocumentsRead]));
    }

    #[test]
    fn tokens_and_keys_never_carry_power_over_people_or_keys() {
        use Permission as P;
        for denied in [P::KeysWrite, P::OwnersWrite, P::OrganizationsExport] {
            assert!(!SERVICE_KEY_PERMISSIONS.contains(denied), "{denied}");
        }
        for denied in [P::MembersWrite, P::OrganizationsWrite, P::TokensIssue, P::TokensIntrospect] {
            assert!(!TOKEN_PERMISSIONS.contains(denied), "{denied}");
        }
        assert!(TOKEN_PERMISSIONS.is_subset_of(ORGANIZATION_KEY_PERMISSIONS));
    }
}
