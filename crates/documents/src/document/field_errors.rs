//! The bad fields of an input, collected while it is read, each with its JSON pointer.
//!
//! # Pitfalls
//! After a bad field a reader goes on with any value in its place: only [`FieldErrors::finish`] says whether
//! the input is valid.

use crate::error::{Error, FieldError, Result};
use crate::limits::BAD_FIELDS_MAX_NAMED;
use std::fmt::Write as _;

/// Characters of a member's name in a pointer: a longer one adds nothing.
const NAME_MAX_CHARS: usize = 100;

/// The position of the reader, and the errors so far.
pub struct FieldErrors {
    pointer: String,
    found: Vec<FieldError>,
}

impl FieldErrors {
    /// No errors yet, for an input at the pointer `at` of the request.
    pub fn new(at: &str) -> Self {
        Self { pointer: at.to_owned(), found: Vec::new() }
    }

    /// Steps into the member `name`; give the result to [`Self::pop`].
    pub fn push(&mut self, name: &str) -> usize {
        let length = self.pointer.len();
        self.pointer.push('/');
        for c in name.chars().take(NAME_MAX_CHARS) {
            match c {
                '~' => self.pointer.push_str("~0"),
                '/' => self.pointer.push_str("~1"),
                _ => self.pointer.push(c),
            }
        }
        length
    }

    /// Steps into the item `index`; give the result to [`Self::pop`].
    pub fn push_index(&mut self, index: usize) -> usize {
        let length = self.pointer.len();
        // Writing into a string cannot fail.
        let _ = write!(self.pointer, "/{index}");
        length
    }

    /// Steps back.
    pub fn pop(&mut self, length: usize) {
        self.pointer.truncate(length);
    }

    /// The current position.
    pub fn pointer(&self) -> &str {
        &self.pointer
    }

    /// Records that the value at the current position is bad.
    pub fn refuse(&mut self, detail: impl Into<String>) {
        if self.found.len() < BAD_FIELDS_MAX_NAMED {
            self.found.push(FieldError { pointer: self.pointer.clone(), detail: detail.into() });
        }
    }

    /// Records that the value at `pointer`, relative to the current field, is bad.
    pub fn refuse_at(&mut self, pointer: &str, detail: impl Into<String>) {
        let length = self.pointer.len();
        self.pointer.push_str(pointer);
        self.refuse(detail);
        self.pop(length);
    }

    /// The value of `result`; records an error at `pointer`, relative to the current field.
    pub fn check<T>(&mut self, pointer: &str, result: Result<T, String>) -> Option<T> {
        result.map_err(|detail| self.refuse_at(pointer, detail)).ok()
    }

    /// Whether the input was good.
    ///
    /// # Errors
    /// `invalid_input` with every bad field.
    pub fn finish(self) -> Result<()> {
        if self.found.is_empty() { Ok(()) } else { Err(Error::Invalid(self.found)) }
    }
}
