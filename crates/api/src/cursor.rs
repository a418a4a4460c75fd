//! Cursors: where the next page of a list starts, opaque to clients. A cursor names a position and grants no right, so
//! a forged one can only ask for another position in the same list. One of the audit trail also names its list: in
//! another trail, or with other filters, its position means nothing, and an empty page would look like the end.

use std::fmt;
use tenantry_domain::collection::CollectionName;
use tenantry_domain::ids::{
    AccountId, ApiKeyId, AuditEventId, InvitationId, OperationId, OrganizationId, SessionId,
};
use tenantry_domain::store::OrganizationCursor;

/// A position in a list.
pub struct Cursor(String);

/// The error detail for a bad cursor.
const NOT_A_CURSOR: &str =
    "The text is not a cursor of this list: send the `next_cursor` of an earlier page of it.";

impl Cursor {
    /// The position after an organization.
    #[must_use]
    pub fn of_organization(cursor: &OrganizationCursor) -> Self {
        Self(format!("o:{}:{}", cursor.identifier.as_str(), cursor.id))
    }

    /// The position before an operation.
    #[must_use]
    pub fn of_operation(id: OperationId) -> Self {
        Self(format!("p:{id}"))
    }

    /// After that key.
    #[must_use]
    pub fn of_api_key(id: ApiKeyId) -> Self {
        Self(format!("k:{id}"))
    }

    /// After the member with that account.
    #[must_use]
    pub fn of_member(id: AccountId) -> Self {
        Self(format!("m:{id}"))
    }

    /// The position after an invitation.
    #[must_use]
    pub fn of_invitation(id: InvitationId) -> Self {
        Self(format!("i:{id}"))
    }

    /// The position before an event of the audit trail, in the list that `list` names.
    #[must_use]
    pub fn of_audit_event(id: AuditEventId, list: &str) -> Self {
        Self(format!("a:{id}:{list}"))
    }

    /// The position after one's own organization of that id.
    #[must_use]
    pub fn of_own_organization(id: OrganizationId) -> Self {
        Self(format!("s:{id}"))
    }

    /// The position after one's own session of that id.
    #[must_use]
    pub fn of_own_session(id: SessionId) -> Self {
        Self(format!("e:{id}"))
    }

    /// The position after a collection.
    #[must_use]
    pub fn of_collection(name: &CollectionName) -> Self {
        Self(format!("c:{name}"))
    }

    /// Parses a cursor that a client sent.
    ///
    /// # Errors
    /// The detail for the field error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = (text.len().is_multiple_of(2) && text.len() <= 512)
            .then(|| {
                (0..text.len())
                    .step_by(2)
                    .map(|i| text.get(i..i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
                    .collect::<Option<Vec<u8>>>()
            })
            .flatten();
        bytes.and_then(|bytes| String::from_utf8(bytes).ok()).map(Self).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of organizations.
    ///
    /// # Errors
    /// The detail for the field error.
    pub fn organization(&self) -> Result<OrganizationCursor, String> {
        let parts = self.0.strip_prefix("o:").and_then(|rest| rest.split_once(':'));
        parts
            .and_then(|(identifier, id)| {
                Some(OrganizationCursor { identifier: identifier.parse().ok()?, id: id.parse().ok()? })
            })
            .ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of members.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn member(&self) -> Result<AccountId, String> {
        self.0.strip_prefix("m:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of one's own organizations.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn own_organization(&self) -> Result<OrganizationId, String> {
        self.0.strip_prefix("s:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of one's own sessions.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn own_session(&self) -> Result<SessionId, String> {
        self.0.strip_prefix("e:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of invitations.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn invitation(&self) -> Result<InvitationId, String> {
        self.0.strip_prefix("i:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the audit trail, with the name of the list that it is of.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn audit_event(&self) -> Result<(AuditEventId, String), String> {
        let parts = self.0.strip_prefix("a:").and_then(|rest| rest.split_once(':'));
        let read = parts.and_then(|(id, list)| Some((id.parse().ok()?, list.to_owned())));
        read.ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the list of collections.
    ///
    /// # Errors
    /// The detail for the field error.
    pub fn collection(&self) -> Result<CollectionName, String> {
        let name = self.0.strip_prefix("c:").and_then(|name| CollectionName::parse(name).ok());
        name.ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in a list of keys.
    ///
    /// # Errors
    /// The sentence for the field.
    pub fn api_key(&self) -> Result<ApiKeyId, String> {
        self.0.strip_prefix("k:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }

    /// The position in the log of operations.
    ///
    /// # Errors
    /// The detail for the field error.
    pub fn operation(&self) -> Result<OperationId, String> {
        self.0.strip_prefix("p:").and_then(|id| id.parse().ok()).ok_or_else(|| NOT_A_CURSOR.to_owned())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuzz_cursor() {
        let id: OperationId = "0123456789abcdef01234567".parse().unwrap();
        let good = Cursor::of_operation(id).to_string();
        tenantry_test_fuzz::fuzz(&[&good, "6f3a613a", "633a6f7264657273"], |input| {
            let Ok(cursor) = Cursor::parse(&String::from_utf8_lossy(input)) else { return };
            // Each list takes its own cursors alone.
            let lists = [
                cursor.organization().is_ok(),
                cursor.operation().is_ok(),
                cursor.collection().is_ok(),
                cursor.member().is_ok(),
                cursor.api_key().is_ok(),
                cursor.invitation().is_ok(),
                cursor.audit_event().is_ok(),
                cursor.own_session().is_ok(),
                cursor.own_organization().is_ok(),
            ];
            assert!(lists.into_iter().filter(|is_one| *is_one).count() <= 1, "{cursor}");
        });
    }

    #[test]
    fn cursor_round_trips_and_rejects_other_texts() {
        let id: OperationId = "0123456789abcdef01234567".parse().unwrap();
        let text = Cursor::of_operation(id).to_string();
        assert_eq!(Cursor::parse(&text).unwrap().operation(), Ok(id));
        assert!(Cursor::parse(&text).unwrap().organization().is_err());
        for text in ["", "zz", "0", "6f3a", "é", &"00".repeat(300)] {
            assert!(Cursor::parse(text).and_then(|cursor| cursor.organization()).is_err(), "{text}");
        }
    }
}
