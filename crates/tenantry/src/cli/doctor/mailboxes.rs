//! Accounts of before whose addresses are one mailbox by the rules of today.

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
        format!(
            "accounts that sign in, each with its own spelling, to one mailbox: {}",
            mailboxes.join("; ")
        ),
        "let all but one of each change their address",
    );
}

fn describe(mailbox: &SharedMailbox) -> String {
    let accounts = mailbox.accounts.iter().map(|account| {
        let organizations = account.memberships.iter().map(|member| member.organization_id.to_string());
        format!("{} ({})", account.email.as_str(), organizations.collect::<Vec<_>>().join(", "))
    });
    accounts.collect::<Vec<_>>().join(" and ")
}
