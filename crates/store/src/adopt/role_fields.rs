//! Which fields of an account of the other program say its role.

use super::lifecycle::letters;

/// Names of fields that say a role, in lower case and without anything but letters.
const ROLES: [&str; 7] = ["role", "roles", "userrole", "adminrole", "accountrole", "accesslevel", IS_ADMIN];
/// A flag that only says what an account may not.
pub(in crate::adopt) const IS_ADMIN: &str = "isadmin";

/// Whether fields of that name say a role.
pub(in crate::adopt) fn is_of_role(name: &str) -> bool {
    ROLES.contains(&letters(name).as_str())
}
