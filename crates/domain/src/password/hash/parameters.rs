//! The parameters of new hashes.

/// Memory of one new hash, in KiB (with the next two, OWASP's first choice for Argon2id).
pub(super) const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
pub(super) const PASSES: u32 = 2;
/// Lanes that memory is divided into.
pub(super) const LANES: u32 = 1;
/// The beginning of a new hash: the PHC form of the above.
pub(super) const CURRENT: &str = "$argon2id$v=19$m=19456,t=2,p=1$";
/// Bytes of the salt of a new hash.
pub const SALT_BYTES: usize = 16;
/// Bytes of the output of a new hash.
pub(super) const OUTPUT_BYTES: usize = 32;
