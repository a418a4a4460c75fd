//! Roles: what a member may do in one organization. Four are built in, and an organization may define more of its own.
//!
//! # Pitfalls
//! What a role of an organization allows is in the record of that organization alone, and may change at any time:
//! ask [`OwnRoles::permissions_of`], with the record that the decision rests on.

use crate::error::{Error, ErrorCode, Result};
use crate::limits::{ROLE_DESCRIPTION_MAX_CHARS, ROLE_NAME_MAX_BYTES, ROLES_MAX};
use crate::permission::{Permission, PermissionSet};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// What a viewer may do.
const VIEWER: PermissionSet = PermissionSet::new(&[Permission::DocumentsRead, Permission::OrganizationsRead]);
/// What a member may do.
const MEMBER: PermissionSet = VIEWER.union(PermissionSet::new(&[Permission::DocumentsWrite]));
/// What an admin may do.
const ADMIN: PermissionSet = MEMBER.union(PermissionSet::new(&[
    Permission::CollectionsWrite,
    Permission::OrganizationsWrite,
    Permission::MembersRead,
    Permission::MembersWrite,
    Permission::KeysRead,
    Permission::KeysWrite,
    Permission::AuditRead,
]));
/// What an owner may do.
const OWNER: PermissionSet =
    ADMIN.union(PermissionSet::new(&[Permission::OwnersWrite, Permission::OrganizationsExport]));

/// What a role that an organization defines may allow: all that an admin may do. Owners stay a list of their own, and
/// only they export: an archive holds the hash of an owner's password.
pub const OWN_ROLE_PERMISSIONS: PermissionSet = ADMIN;

/// What a member may do inside one organization. In records it is its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads and writes data.
    Member,
    /// Also changes the organization itself.
    Admin,
    /// Also decides who is admin; an organization has at least one.
    Owner,
    /// A role that the organization has defined.
    Own(RoleName),
}

impl Role {
    /// Every role that all organizations have, the one that may do most first.
    pub const BUILT_IN: [Self; 4] = [Self::Owner, Self::Admin, Self::Member, Self::Viewer];
    /// Their names.
    pub const BUILT_IN_NAMES: [&'static str; 4] = ["owner", "admin", "member", "viewer"];

    /// Its name on the wire and in claims.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Viewer => "viewer",
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Owner => "owner",
            Self::Own(name) => name.as_str(),
        }
    }

    /// What a member with this role may do in every organization; `None` for a role that an organization has defined.
    #[must_use]
    pub const fn built_in_permissions(self) -> Option<PermissionSet> {
        match self {
            Self::Viewer => Some(VIEWER),
            Self::Member => Some(MEMBER),
            Self::Admin => Some(ADMIN),
            Self::Owner => Some(OWNER),
            Self::Own(_) => None,
        }
    }

    /// Its name, if it is one that an organization has defined.
    #[must_use]
    pub const fn own_name(self) -> Option<RoleName> {
        match self {
            Self::Own(name) => Some(name),
            _ => None,
        }
    }
}

impl FromStr for Role {
    type Err = String;

    /// Any name that a role may have: whether an organization has it, its record says.
    fn from_str(text: &str) -> Result<Self, String> {
        match Self::BUILT_IN.into_iter().find(|role| role.as_str() == text) {
            Some(role) => Ok(role),
            None => RoleName::parse(text).map(Self::Own).map_err(|_| {
                format!("Must be one of {}, or a role of the organization.", Self::BUILT_IN_NAMES.join(", "))
            }),
        }
    }
}

impl Serialize for Role {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Role {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The name of a role that an organization defines: 1 to 32 of `a-z 0-9 _ -`, beginning with a letter, and none of the
/// built-in names. It is kept in place, so that a role is copied like a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleName([u8; ROLE_NAME_MAX_BYTES]);

impl RoleName {
    /// Takes `text` as a name.
    ///
    /// # Errors
    /// The sentence that says which rule it breaks.
    pub fn parse(text: &str) -> Result<Self, String> {
        if Role::BUILT_IN_NAMES.contains(&text) {
            return Err("Is a role that every organization has: choose another name.".to_owned());
        }
        let is_plain =
            text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"_-".contains(&b));
        let begins_well = text.starts_with(|c: char| c.is_ascii_lowercase());
        let mut bytes = [0; ROLE_NAME_MAX_BYTES];
        match bytes.get_mut(..text.len()) {
            Some(place) if is_plain && begins_well => place.copy_from_slice(text.as_bytes()),
            _ => {
                return Err(format!(
                    "Must be 1 to {ROLE_NAME_MAX_BYTES} small letters (a-z), digits, `_` and `-`, the first a letter."
                ));
            }
        }
        Ok(Self(bytes))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(ROLE_NAME_MAX_BYTES);
        std::str::from_utf8(&self.0[..length]).unwrap_or_default()
    }
}

impl FromStr for RoleName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Debug for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for RoleName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RoleName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What people say of a role: up to 200 characters, none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoleDescription(String);

impl RoleDescription {
    /// Reads a description; white space around it goes.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.chars().count() <= ROLE_DESCRIPTION_MAX_CHARS && !text.chars().any(char::is_control) {
            return Ok(Self(text.to_owned()));
        }
        Err(format!(
            "Must have at most {ROLE_DESCRIPTION_MAX_CHARS} characters, none of them a control character."
        ))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A role that an organization has defined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnRole {
    /// Never changes.
    pub name: RoleName,
    /// What people say of it.
    #[serde(default)]
    pub description: RoleDescription,
    /// What it allows.
    pub permissions: PermissionSet,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub modified_at: Timestamp,
    /// The version of the organization's record that it was made with: it tells the role from an earlier one of its name.
    pub made_at_version: u64,
    /// The version of the organization's record that it last changed with; the ETag.
    pub version: u64,
}

/// The roles that an organization has defined, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OwnRoles(Vec<OwnRole>);

impl OwnRoles {
    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[OwnRole] {
        &self.0
    }

    /// The one of that name.
    #[must_use]
    pub fn get(&self, name: RoleName) -> Option<&OwnRole> {
        self.0.iter().find(|role| role.name == name)
    }

    /// What a member with that role may do. A role that is not there allows nothing.
    #[must_use]
    pub fn permissions_of(&self, role: Role) -> PermissionSet {
        match role {
            Role::Own(name) => self.get(name).map_or(PermissionSet::EMPTY, |role| role.permissions),
            built_in => built_in.built_in_permissions().unwrap_or(PermissionSet::EMPTY),
        }
    }

    /// Checks that somebody may get that role here.
    ///
    /// # Errors
    /// `invalid_input` at `/role`.
    pub fn require(&self, role: Role) -> Result<()> {
        match role {
            Role::Own(name) if self.get(name).is_none() => {
                let built_in = Role::BUILT_IN_NAMES.join(", ");
                let rule = format!(
                    "The organization has no role `{name}`. Use one of {built_in}, or create it first."
                );
                Err(Error::invalid_field("/role", rule))
            }
            _ => Ok(()),
        }
    }

    /// Adds a role.
    ///
    /// # Errors
    /// `role_exists`, `too_many_roles`.
    pub fn insert(&mut self, role: OwnRole) -> Result<()> {
        let Err(index) = self.0.binary_search_by_key(&role.name, |role| role.name) else {
            return Err(ErrorCode::RoleExists.into());
        };
        if self.0.len() >= ROLES_MAX {
            return Err(Error::limit_reached(
                ErrorCode::TooManyRoles,
                "The organization",
                ROLES_MAX,
                "roles of its own",
            ));
        }
        self.0.insert(index, role);
        Ok(())
    }

    /// The role of that name, to be changed.
    ///
    /// # Errors
    /// `role_not_found`.
    pub fn get_mut(&mut self, name: RoleName) -> Result<&mut OwnRole> {
        self.0.iter_mut().find(|role| role.name == name).ok_or_else(|| ErrorCode::RoleNotFound.into())
    }

    /// Removes the role of that name.
    pub fn remove(&mut self, name: RoleName) {
        self.0.retain(|role| role.name != name);
    }
}

impl FromIterator<OwnRole> for OwnRoles {
    fn from_iter<I: IntoIterator<Item = OwnRole>>(roles: I) -> Self {
        Self(roles.into_iter().collect())
    }
}

/// The change of a role that an organization defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleChange {
    /// Which.
    pub name: RoleName,
    /// What it allowed before; `None` if it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_before: Option<PermissionSet>,
    /// What it allows from then on; `None` if it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions: Option<PermissionSet>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RoleName {
        RoleName::parse(text).unwrap()
    }

    fn role(text: &str, permissions: &[Permission]) -> OwnRole {
        OwnRole {
            name: name(text),
            description: RoleDescription::default(),
            permissions: PermissionSet::new(permissions),
            created_at: Timestamp::UNIX_EPOCH,
            modified_at: Timestamp::UNIX_EPOCH,
            made_at_version: 1,
            version: 1,
        }
    }

    #[test]
    fn each_role_has_what_the_lower_ones_have() {
        let sets = [VIEWER, MEMBER, ADMIN, OWNER];
        for pair in sets.windows(2) {
            assert!(pair[0].is_subset_of(pair[1]), "{pair:?}");
            assert_ne!(pair[0], pair[1]);
        }
    }

    #[test]
    fn own_role_has_no_power_over_owners_or_tokens() {
        use Permission as P;
        for denied in [P::OwnersWrite, P::OrganizationsExport, P::TokensIssue, P::TokensIntrospect] {
            assert!(!OWN_ROLE_PERMISSIONS.contains(denied), "{denied}");
        }
    }

    #[test]
    fn role_name_is_short_plain_and_not_built_in() {
        let longest = "r".repeat(ROLE_NAME_MAX_BYTES);
        for text in ["a", "billing", "read-only_2", &longest] {
            assert_eq!(name(text).as_str(), text);
            assert_eq!(text.parse(), Ok(Role::Own(name(text))));
        }
        let too_long = "r".repeat(ROLE_NAME_MAX_BYTES + 1);
        for text in ["", "Billing", "2nd", "-a", "a b", "a/b", "ä", "a\0", "owner", "viewer", &too_long] {
            assert!(RoleName::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn roles_round_trip_as_their_names() {
        for role in Role::BUILT_IN.into_iter().chain([Role::Own(name("billing"))]) {
            let text = serde_json::to_string(&role).unwrap();
            assert_eq!(text, format!("\"{}\"", role.as_str()));
            assert_eq!(serde_json::from_str::<Role>(&text).unwrap(), role);
        }
        assert_eq!(Role::BUILT_IN.each_ref().map(Role::as_str), Role::BUILT_IN_NAMES);
        assert!(serde_json::from_str::<Role>("\"Owner\"").is_err());
    }

    #[test]
    fn role_that_is_not_there_allows_nothing() {
        let mut roles = OwnRoles::default();
        let reader = Role::Own(name("reader"));
        assert_eq!(roles.permissions_of(reader), PermissionSet::EMPTY);
        assert!(roles.require(reader).is_err() && roles.require(Role::Owner).is_ok());
        roles.insert(role("reader", &[Permission::DocumentsRead])).unwrap();
        assert!(roles.require(reader).is_ok());
        assert_eq!(roles.permissions_of(reader), PermissionSet::new(&[Permission::DocumentsRead]));
        roles.remove(name("reader"));
        assert_eq!(roles.permissions_of(reader), PermissionSet::EMPTY);
    }

    #[test]
    fn own_roles_are_ordered_unique_and_bounded() {
        let mut roles = OwnRoles::default();
        for number in (0..ROLES_MAX).rev() {
            roles.insert(role(&format!("r{number:02}"), &[])).unwrap();
        }
        let names: Vec<_> = roles.as_slice().iter().map(|role| role.name).collect();
        assert!(names.is_sorted());
        assert_eq!(roles.insert(role("r00", &[])).unwrap_err().code(), ErrorCode::RoleExists);
        assert_eq!(roles.insert(role("further", &[])).unwrap_err().code(), ErrorCode::TooManyRoles);
        assert_eq!(roles.get_mut(name("further")).unwrap_err().code(), ErrorCode::RoleNotFound);
    }
}
