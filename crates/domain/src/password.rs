//! Passwords: what a new one must be, how it is kept, and where the expensive arithmetic is done.
//!
//! What a newcomer gets wrong: a password that somebody chooses ([`policy::NewPassword`]) and one that somebody
//! signs in with ([`policy::PresentedPassword`]) are two things. Rules apply to the first alone; whoever has an
//! older or weaker password still gets in.

pub mod hash;
pub mod policy;
pub mod pool;
