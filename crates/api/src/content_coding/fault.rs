//! The codings, and what can be wrong with a coded body.

use crate::error_codes;
use tenantry_domain::{Error, ErrorCode};

/// A coding that bodies may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coding {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

/// Why a coded body cannot be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodingFault {
    /// It is not what its header says.
    #[error("the body is damaged")]
    Damaged,
    /// It ends too early.
    #[error("the body is cut off")]
    CutOff,
    /// It decodes to very many times its size.
    #[error("the body swells beyond reason")]
    Swells,
}

impl CodingFault {
    /// The fault behind an error of a body, if it is one of its coding.
    pub fn behind(error: &axum::Error) -> Option<Self> {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = source {
            if let Some(fault) = error.downcast_ref::<Self>() {
                return Some(*fault);
            }
            source = error.source();
        }
        None
    }

    /// The refusal, where a damaged body has this code.
    pub fn refusal(self, code: ErrorCode) -> Error {
        let (code, detail) = match self {
            Self::Damaged => {
                (code, "The body is not what its `Content-Encoding` says, or is damaged: compress it again.")
            }
            Self::CutOff => (code, "The compressed body is cut off: send all of it."),
            Self::Swells => (
                error_codes::BODY_TOO_LARGE,
                "The body decodes to more than 500 times its size: send it in parts, or without `Content-Encoding`.",
            ),
        };
        Error::new(code).detail(detail)
    }
}
