//! Writes to the control database when it is opened: whether it can be written at all, and leases of a process that is gone.

use super::statement::statements;
use rusqlite::Connection;

statements! {
    BEAT = "INSERT INTO heartbeat (id, beats) VALUES (1, 1) \
        ON CONFLICT (id) DO UPDATE SET beats = beats + 1";
    END_LEASES = "UPDATE requests SET lease_until = 0 WHERE status IS NULL AND lease_until > 0";
    END_MAIL_LEASES = "UPDATE mails SET lease_until = 0 WHERE due_at >= ?1";
}

/// A write that changes nothing that is ever read.
pub(super) fn beat(connection: &Connection) -> rusqlite::Result<()> {
    BEAT.execute(connection, []).map(|_| ())
}

/// Ends the leases of requests that never got a response, and of mails that were not sent. When this process starts,
/// nobody else can be working on them: a client that sends one again need not wait, nor does a mail.
pub(super) fn end_leases(connection: &Connection) -> rusqlite::Result<()> {
    END_LEASES.execute(connection, [])?;
    END_MAIL_LEASES.execute(connection, [i64::MIN]).map(|_| ())
}
