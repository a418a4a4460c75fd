//! How a request names an organization.

use crate::error::{ErrorCode, Result};
use crate::ids::OrganizationId;
use crate::name::Identifier;
use crate::organization::Organization;

/// How a path names an organization.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrganizationRef {
    /// By its id.
    Id(OrganizationId),
    /// By its current identifier.
    Identifier(Identifier),
}

impl OrganizationRef {
    /// The id or identifier that `text` is; anything else names no organization.
    ///
    /// # Errors
    /// `organization_not_found`.
    pub fn parse(text: &str) -> Result<Self> {
        if let Ok(id) = text.parse() {
            return Ok(Self::Id(id));
        }
        text.parse().map(Self::Identifier).map_err(|_| ErrorCode::OrganizationNotFound.into())
    }

    /// Whether it names that organization.
    pub(in crate::app) fn names(&self, organization: &Organization) -> bool {
        match self {
            Self::Id(id) => *id == organization.id,
            Self::Identifier(name) => *name == organization.naming.identifier,
        }
    }
}
