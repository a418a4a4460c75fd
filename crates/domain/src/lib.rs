//! What Tenantry means, apart from how it is reached (`server`) and how it is kept (`store`).
//!
//! Nothing here knows HTTP, a database driver or the environment; time and randomness come in through
//! [`clock::Clock`] and [`ids::Entropy`]. What a newcomer gets wrong: a rule that spans several records
//! belongs into an operation ([`operation`]), never into a store method.

pub mod clock;
pub mod email;
pub mod error;
pub mod ids;
pub mod limits;
pub mod name;

pub use error::{Error, ErrorCode, FieldError, Kind, Result};
