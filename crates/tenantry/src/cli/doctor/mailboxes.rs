//! Old accounts whose addresses are the same mailbox by today's rules.

use super::report::Report;
use tenantry_store::SharedMailbox;

const CHECK: &str = "mailboxes";

/// Lists them, for the operator: their addresses and organizations.
pub fn examine(report: &mut Report, shared: &[SharedMailbox]) {
    if shared.is_empty() {
        return report.ok(CHECK, "each belongs to one account");
    }
    let mailboxes: Vec<String> = shared.iter().map(describe).collect();
    report.warn(
        CHECK,
        format!("several accounts sign in with different spellings of one mailbox: {}", mailboxes.join("; ")),
        "ask all but one account of each mailbox to change the address",
    );
}

fn describe(mailbox: &SharedMailbox) -> String {
    let accounts = mailbox.accounts.iter().map(|account| {
        let organizations = account.memberships.iter().map(|member| member.organization_id.to_string());
        format!("{} ({})", account.email.as_str(), organizations.collect::<Vec<_>>().join(", "))
    });
    accounts.collect::<Vec<_>>().join(" and ")
}
