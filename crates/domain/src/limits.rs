//! Every fixed limit of the domain, named with its unit. Limits an operator may move are settings.

use std::time::Duration;

/// Characters of an organization's name after trimming.
pub const NAME_MIN_CHARS: usize = 2;
/// Characters of an organization's name after trimming.
pub const NAME_MAX_CHARS: usize = 120;
/// Bytes of an identifier: a DNS label's length, so that it may become one.
pub const IDENTIFIER_MAX_BYTES: usize = 63;
/// Bytes of an e-mail address (RFC 5321, 4.5.3.1.3: a path of 256 with its two brackets).
pub const EMAIL_MAX_BYTES: usize = 254;
/// Bytes of the part before the `@` (RFC 5321, 4.5.3.1.1).
pub const EMAIL_LOCAL_MAX_BYTES: usize = 64;
/// Characters of a password; long enough for any manager, short enough to normalize at once.
pub const PASSWORD_MAX_CHARS: usize = 256;
/// A password that an informed guesser tries within this many guesses counts as one of the most common.
pub const PASSWORD_COMMON_GUESSES: u64 = 10_000;

/// Items of a page when the caller names no limit.
pub const PAGE_DEFAULT_ITEMS: u32 = 50;
/// Items of a page at most.
pub const PAGE_MAX_ITEMS: u32 = 200;

/// Bytes of an `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;
/// How long the answer to an `Idempotency-Key` is kept.
pub const IDEMPOTENCY_KEEP: Duration = Duration::from_secs(24 * 3600);
/// How long a request may hold its `Idempotency-Key` before another may take it up.
pub const IDEMPOTENCY_LEASE: Duration = Duration::from_secs(15);

/// How long an instance owns an operation without renewing; then any instance may go on with it.
pub const OPERATION_LEASE: Duration = Duration::from_secs(10);
/// How often each instance looks for operations whose lease has run out.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(2);
/// How long a request waits for the operation it began or met before it answers without its outcome.
pub const OPERATION_WAIT: Duration = Duration::from_secs(5);
/// How often each instance purges what is due and removes what has expired.
pub const JANITOR_INTERVAL: Duration = Duration::from_secs(30);
/// Records one janitor's round takes of each kind, so that a round is short.
pub const JANITOR_BATCH: u32 = 500;

/// How long a used refresh token still gets the successor it already got (a double click, a lost answer).
pub const REFRESH_GRACE: Duration = Duration::from_secs(10);
