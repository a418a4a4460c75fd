//! Who may change whose membership.

use crate::account::Role;
use crate::error::{ErrorCode, Result};
use crate::ids::AccountId;
use crate::permission::{Permission, PermissionSet};

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
    /// Checks that they may give that role. Nobody gives more than they may do themselves.
    ///
    /// # Errors
    /// `role_insufficient`.
    pub fn check_grant(&self, role: Role) -> Result<()> {
        let permissions = match self {
            Self::Operator => return Ok(()),
            Self::Key { permissions } | Self::Account { permissions, .. } => permissions,
        };
        let needed = if role == Role::Owner { Permission::OwnersWrite } else { Permission::MembersWrite };
        if permissions.contains(needed) && role.permissions().is_subset_of(*permissions) {
            Ok(())
        } else {
            Err(ErrorCode::RoleInsufficient.into())
        }
    }
}

/// Checks that `manager` may change the member with that account and the role `from`: to the role `to`, or to
/// no member any more. Everybody may leave.
///
/// # Errors
/// `role_insufficient`.
pub fn check_change(manager: &MemberManager, account: AccountId, from: Role, to: Option<Role>) -> Result<()> {
    if to.is_none() && matches!(manager, MemberManager::Account { id, .. } if *id == account) {
        return Ok(());
    }
    // Who takes a role must be able to give it.
    manager.check_grant(from)?;
    to.map_or(Ok(()), |role| manager.check_grant(role))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Role::{Admin, Member, Owner, Viewer};

    const SELF: AccountId = AccountId::from_bytes([1; 12]);
    const OTHER: AccountId = AccountId::from_bytes([2; 12]);

    fn member(role: Role) -> MemberManager {
        MemberManager::Account { id: SELF, permissions: role.permissions() }
    }

    fn is_allowed(manager: &MemberManager, account: AccountId, from: Role, to: Option<Role>) -> bool {
        match check_change(manager, account, from, to) {
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
        for from in Role::ALL {
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
        for role in Role::ALL {
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
        assert!(manager.check_grant(Viewer).is_ok());
        for role in [Member, Admin, Owner] {
            assert!(manager.check_grant(role).is_err(), "{role:?}");
        }
    }
}
