//! The table of docs/guides/security.md: what it has for columns and rows, and how it is read.

const PAGE: &str = include_str!("../../../../../docs/guides/security.md");

/// The columns of the table after the event, in their order.
pub const CREDENTIALS: [&str; 10] = [
    "the person's access token",
    "its refresh token",
    "the person in another organization",
    "another member",
    "API key that the person made",
    "API key of another maker",
    "invitation that the person made",
    "exchanged token",
    "service key",
    "token of the person's identity provider",
];

/// The rows of the table: every event that [`super::Scene`] knows, in the order of the page. One that is missing there
/// is missed.
pub const EVENTS: [&str; 34] = [
    "logout",
    "access token expired",
    "session expired",
    "password changed",
    "password set by the operator",
    "password reset by a link",
    "address proven by a link, signed in",
    "address proven by a link, with a new password",
    "address changed by a link",
    "link revoked",
    "all sessions ended",
    "role lowered",
    "role raised",
    "own role narrowed",
    "own role widened",
    "member removed",
    "API key revoked",
    "API key rotated",
    "API key expired",
    "invitation expired",
    "exchanged token expired",
    "service key revoked",
    "service key rotated",
    "service key expired",
    "signing key retired",
    "token of the identity provider expired",
    "identity provider taken out of the settings",
    "organization renamed",
    "organization suspended",
    "suspended and reactivated",
    "organization deleted",
    "deleted and restored",
    "organization purged",
    "purged and imported",
];

/// The rows of the table: the event, and what it does to each credential.
pub fn rows() -> Vec<(String, Vec<String>)> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = PAGE.lines().skip_while(|line| !line.starts_with("| event | the person's access token"));
    let heading = cells(lines.next().expect("docs/guides/security.md has the table"));
    assert_eq!(heading[1..], CREDENTIALS);
    let rows = lines.skip(1).take_while(|line| line.starts_with('|'));
    rows.map(|line| {
        let mut cells = cells(line);
        let event = cells.remove(0);
        (event, cells)
    })
    .collect()
}
