//! The service as its callers see it: one binary, so that it links once.

mod pages;
mod reference_calls;
mod support;
