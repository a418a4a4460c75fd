//! Who may change whose membership.

use crate::error::{Error, ErrorCode, Result};
use crate::ids::AccountId;
use crate::permission::{Permission, PermissionSet};
use crate::role::{OwnRoles, Role};

/// Who changes a membership.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemberManager {
    /// The operator of the service: an organization whose owners are gone has nobody else.
    Operator,
    /// A program, with what its key allows.
    Key {
        /// What it may do.
        permissions: PermissionSet,
    },
    /// A member of the organization, with what they may do there.
    Account {
        /// The account.
        id: AccountId,
        /// What it may do.
        permissions: PermissionSet,
    },
}

impl MemberManager {
    /// Checks that they may give that role in the organization that has these roles of its own. Nobody gives more
    /// than they may do themselves.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn check_grant(&self, role: Role, roles: &OwnRoles) -> Result<()> {
        let needed = if role == Role::Owner { Permission::OwnersWrite } else { Permission::MembersWrite };
        self.check(needed, roles.permissions_of(role))
    }

    /// Checks that they may define a role with these permissions, or change or delete one.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn check_define(&self, permissions: PermissionSet) -> Result<()> {
        self.check(Permission::MembersWrite, permissions)
    }

    fn check(&self, needed: Permission, given: PermissionSet) -> Result<()> {
        let permissions = match self {
            Self::Operator => return Ok(()),
            Self::Key { permissions } | Self::Account { permissions, .. } => permissions,
        };
        if permissions.contains(needed) && given.is_subset_of(*permissions) {
            return Ok(());
        }
        let excess = given.difference(*permissions);
        let error = Error::new(ErrorCode::RoleInsufficient);
        if excess.is_empty() || !permissions.contains(needed) {
            return Err(error);
        }
        Err(error.detail(format!("It allows more than you may do: {}.", excess.listed())))
    }
}

/// Checks that `manager` may change the member with that account and the role `from`: to the role `to`, or to
/// no member any more. Everybody may leave.
///
/// # Errors
/// `role_insufficient`.
pub fn check_change(
    manager: &MemberManager,
    roles: &OwnRoles,
    account: AccountId,
    from: Role,
    to: Option<Role>,
) -> Result<()> {
    if to.is_none() && matches!(manager, MemberManager::Account { id, .. } if *id == account) {
        return Ok(());
    }
    // Who takes a role must be able to give it.
    manager.check_grant(from, roles)?;
    to.map_or(Ok(()), |role| manager.check_grant(role, roles))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Admin, Member, Owner, Viewer};

    const SELF: AccountId = AccountId::from_bytes([1; 12]);
    const OTHER: AccountId = AccountId::from_bytes([2; 12]);

    fn member(role: Role) -> MemberManager {
        MemberManager::Account { id: SELF, permissions: OwnRoles::default().permissions_of(role) }
    }

    fn is_allowed(manager: &MemberManager, account: AccountId, from: Role, to: Option<Role>) -> bool {
        match check_change(manager, &OwnRoles::default(), account, from, to) {
            Ok(()) => true,
            Err(error) => {
                assert_eq!(error.code(), ErrorCode::RoleInsufficient);
                false
            }
        }
    }

    /// Owners change everybody, admins everybody but owners, others nobody.
    #[test]
    fn member_change_is_limited_by_both_roles() {
        let targets = [Some(Owner), Some(Admin), Some(Member), Some(Viewer), None];
        for from in Role::BUILT_IN {
            for to in targets {
                let touches_owners = from == Owner || to == Some(Owner);
                assert!(is_allowed(&MemberManager::Operator, OTHER, from, to));
                assert!(is_allowed(&member(Owner), OTHER, from, to));
                assert_eq!(is_allowed(&member(Admin), OTHER, from, to), !touches_owners, "{from:?} {to:?}");
                for role in [Member, Viewer] {
                    assert!(!is_allowed(&member(role), OTHER, from, to), "{role:?} {from:?} {to:?}");
                }
            }
        }
    }

    #[test]
    fn member_may_always_leave_and_never_promote_themselves() {
        for role in Role::BUILT_IN {
            assert!(is_allowed(&member(role), SELF, role, None), "{role:?}");
        }
        for (role, to) in [(Admin, Owner), (Member, Admin), (Viewer, Member), (Member, Viewer)] {
            assert!(!is_allowed(&member(role), SELF, role, Some(to)), "{role:?} {to:?}");
        }
        assert!(is_allowed(&member(Admin), SELF, Admin, Some(Viewer)));
    }

    /// A key has permissions that no role has: it gives no more than these.
    #[test]
    fn grant_needs_every_permission_of_the_role() {
        use Permission as P;
        let permissions = PermissionSet::new(&[P::MembersWrite, P::DocumentsRead, P::OrganizationsRead]);
        let manager = MemberManager::Key { permissions };
        let roles = OwnRoles::default();
        assert!(manager.check_grant(Viewer, &roles).is_ok());
        for role in [Member, Admin, Owner] {
            assert!(manager.check_grant(role, &roles).is_err(), "{role:?}");
        }
    }

    /// The maker of a role has every permission of it, and the one to manage members.
    #[test]
    fn role_definition_is_limited_by_its_maker() {
        use Permission as P;
        let both = PermissionSet::new(&[P::MembersWrite, P::DocumentsRead]);
        let maker = MemberManager::Key { permissions: both };
        assert!(maker.check_define(both).is_ok());
        let wider =
            maker.check_define(PermissionSet::new(&[P::DocumentsRead, P::DocumentsWrite])).unwrap_err();
        assert_eq!(wider.particulars(), Some("It allows more than you may do: `documents:write`."));
        let reader = MemberManager::Key { permissions: PermissionSet::new(&[P::DocumentsRead]) };
        assert!(reader.check_define(PermissionSet::new(&[P::DocumentsRead])).is_err());
        assert!(MemberManager::Operator.check_define(both).is_ok());
    }
}
