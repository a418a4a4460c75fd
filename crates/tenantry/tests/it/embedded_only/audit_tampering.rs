//! Who can write to the database changes the audit trail: verifying the chain tells of it, and the rest is still shown.

use crate::support::app::App;
use crate::support::fixtures::organization;
use crate::support::keys::organization_key;
use rusqlite::Connection;
use tenantry_domain::audit::AuditEntry;
use tenantry_domain::audit::chain::{ChainFault, ChainVerifier};

/// The first fault of the chain after `sql` has changed the stored trail.
async fn fault_after(sql: &str) -> Option<ChainFault> {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    for _ in 0..3 {
        organization_key(&acme, &["documents:read"]).await;
    }
    let trail = format!("{}/audit", acme.path());
    let shown = app.operator().get(&trail).await.ok()["items"].as_array().unwrap().len();
    let (sql, id) = (sql.to_owned(), acme.id().to_owned());
    let app = app
        .restart_after(|test_env| {
            let control = Connection::open(test_env.data_dir().join("control.db")).unwrap();
            assert!(control.execute(&sql, [&id]).unwrap() > 0, "{sql} changes nothing");
        })
        .await;
    let answer = app.operator().get(&trail).await.ok();
    assert!(answer["items"].as_array().unwrap().len() + 1 >= shown, "{answer}");
    let lines = app.operator().get(&format!("{trail}/chain")).await.lines();
    let entries: Vec<AuditEntry> =
        lines.into_iter().map(|line| serde_json::from_value(line).unwrap()).collect();
    let mut verifier = ChainVerifier::new(entries[0].chain);
    let broken = entries.iter().find_map(|entry| verifier.check(entry).err());
    broken.or_else(|| verifier.finish().err().map(|(_, fault)| fault))
}

#[tokio::test]
async fn changed_bytes_and_missing_entries_are_found() {
    for (change, fault) in [
        ("SET event = replace(event, 'key.created', 'key.createe')", ChainFault::Text),
        ("SET event = replace(event, '127.0.0.1', '127.0.0.2')", ChainFault::Text),
        ("SET event = substr(event, 2)", ChainFault::Text),
        ("SET action = 'key.createe'", ChainFault::Columns),
        ("SET action = 'key.revoked'", ChainFault::Columns),
        ("SET actor = 'operator'", ChainFault::Columns),
        ("SET at = at + 1", ChainFault::Columns),
        ("SET hash = digest", ChainFault::Hash),
        ("SET event = NULL, actor = NULL, action = 'key.revoked'", ChainFault::Hash),
        ("SET event = NULL, actor = NULL", ChainFault::Erased),
    ] {
        let sql = format!("UPDATE audit_entries {change} WHERE chain = ?1 AND sequence = 3");
        assert_eq!(fault_after(&sql).await, Some(fault), "{change}");
    }
    let deleted = "DELETE FROM audit_entries WHERE chain = ?1 AND sequence = 3";
    assert_eq!(fault_after(deleted).await, Some(ChainFault::Link));
    let erased = "UPDATE audit_entries SET event = NULL, actor = NULL WHERE chain = ?1 AND sequence <= 3";
    assert_eq!(fault_after(erased).await, Some(ChainFault::NoPurge));
    let touched = "UPDATE audit_entries SET actor = actor WHERE chain = ?1 AND sequence = 3";
    assert_eq!(fault_after(touched).await, None);
}
