//! Passwords: the rules for new ones, the stored hashes, and the threads that compute them.
//!
//! # Pitfalls
//! A password that somebody chooses ([`policy::NewPassword`]) is not one that somebody signs in with
//! ([`policy::PresentedPassword`]). Rules apply to the first alone, so that people with older, weaker
//! passwords can still sign in.

pub mod hash;
pub mod policy;
pub mod pool;
