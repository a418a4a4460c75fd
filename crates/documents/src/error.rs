//! Why a document, a filter or a query is refused. The caller decides how to respond.

use std::fmt;

/// The result type of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// One bad field of the input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// JSON pointer (RFC 6901) to the field, or `?name` for a query parameter.
    pub pointer: String,
    /// What is wrong with it, as a sentence without the value.
    pub detail: String,
}

/// Why something was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// It is JSON, but breaks rules: every bad field that was found.
    Invalid(Vec<FieldError>),
    /// It is not the JSON that is expected; the sentence says what is wrong and where.
    InvalidJson(String),
    /// The time that the query may take is over.
    TimedOut,
    /// A single document takes more steps than allowed; the sentence names the limit.
    TooCostly(String),
    /// What it reads is being closed.
    Closing,
    /// A defect of ours, or bytes that no engine should have stored; the sentence is only for the log.
    Internal(String),
}

impl Error {
    /// An error with one bad field.
    #[must_use]
    pub fn invalid_field(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::Invalid(vec![FieldError { pointer: pointer.into(), detail: detail.into() }])
    }

    /// A defect or an unexpected failure.
    #[must_use]
    pub fn internal(cause: impl fmt::Display) -> Self {
        Self::Internal(cause.to_string())
    }

    /// The bad fields, if it is about fields.
    #[must_use]
    pub fn fields(&self) -> &[FieldError] {
        match self {
            Self::Invalid(fields) => fields,
            _ => &[],
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Invalid(fields) => {
                let sentences = fields.iter().map(|field| format!("{}: {}", field.pointer, field.detail));
                f.write_str(&sentences.collect::<Vec<_>>().join(" "))
            }
            Self::InvalidJson(sentence) | Self::TooCostly(sentence) | Self::Internal(sentence) => {
                f.write_str(sentence)
            }
            Self::TimedOut => f.write_str("The time that the query may take is over."),
            Self::Closing => f.write_str("What it reads is being closed."),
        }
    }
}

impl std::error::Error for Error {}
