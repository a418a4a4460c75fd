//! Audit trails in archives: what was carried verifies as before, and the chain of the imported organization names it.

use super::{export, import};
use crate::support::app::App;
use crate::support::checker::Snapshot;
use crate::support::fixtures::{Organization, organization, sign_in, with_access};
use serde_json::{Value, json};
use tenantry_domain::audit::AuditEntry;
use tenantry_domain::audit::carried::CarriedTrailMark;
use tenantry_domain::audit::chain::ChainVerifier;

async fn chain(app: &App, acme: &Organization, query: &str) -> Vec<AuditEntry> {
    let answer = app.operator().get(&format!("{}/audit/chain{query}", acme.path())).await;
    assert!(answer.status.is_success(), "{answer}");
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[track_caller]
fn assert_whole(entries: &[AuditEntry]) {
    let mut verifier = ChainVerifier::new(entries[0].chain);
    entries.iter().for_each(|entry| verifier.check(entry).unwrap());
}

/// The trails that the last import has brought along, as the organization's own chain names them.
async fn carried(app: &App, acme: &Organization) -> Vec<CarriedTrailMark> {
    let own = chain(app, acme, "").await;
    assert_whole(&own);
    let events: Vec<_> = own.iter().filter_map(|entry| entry.event().unwrap()).collect();
    let imported = events.iter().rfind(|event| event.action.as_str() == "organization.imported").unwrap();
    (1..)
        .map_while(|n| imported.details.get(&format!("trail_{n}")))
        .map(|text| text.parse().unwrap())
        .collect()
}

async fn assert_carried(app: &App, acme: &Organization, mark: &CarriedTrailMark) -> Vec<AuditEntry> {
    let trail = chain(app, acme, &format!("?trail={}", mark.kept_as)).await;
    assert_whole(&trail);
    let last = trail.last().unwrap();
    assert_eq!((last.chain, last.head()), (mark.chain, mark.head()));
    trail
}

async fn purge(app: &App, acme: &Organization) {
    app.operator().delete(&acme.path()).await.ok();
    app.operator().post_empty(&format!("{}/purge", acme.path())).await.accepted();
    app.operator().get(&acme.path()).await.refused("organization_not_found");
}

async fn actions(app: &App, acme: &Organization) -> Vec<String> {
    let mut path = format!("{}/audit?limit=3", acme.path());
    let mut actions = Vec::new();
    loop {
        let page = app.operator().get(&path).await.ok();
        let items = page["items"].as_array().unwrap();
        actions.extend(items.iter().map(|event| event["action"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { return actions };
        path = format!("{}/audit?limit=3&cursor={cursor}", acme.path());
    }
}

#[tokio::test]
async fn carried_trail_verifies_and_import_names_its_end() {
    let (app, other) = (App::start().await, App::start().await);
    let acme = organization(&app, "Acme").await;
    acme.owner.patch(&acme.path(), &json!({ "organization_name": "Acme Two" })).await.ok();
    let archive = export(&app.operator(), &acme.path()).await;
    let before = chain(&app, &acme, "").await;
    import(&other, &archive, "").await.created();

    let [mark] = carried(&other, &acme).await[..] else { panic!("one trail") };
    assert_eq!(assert_carried(&other, &acme, &mark).await, before);
    // Lists show them as one, and filters reach both.
    let listed = actions(&other, &acme).await;
    let mut expected = vec!["organization.imported".to_owned()];
    expected.extend(before.iter().rev().map(|entry| entry.action.as_str().to_owned()));
    assert_eq!(listed, expected);
    let path = format!("{}/audit?action=organization.renamed", acme.path());
    assert_eq!(other.operator().get(&path).await.ok()["items"].as_array().unwrap().len(), 1);
    // The trail is this organization's alone.
    let foreign = organization(&other, "Foreign").await;
    let path = format!("{}/audit/chain?trail={}", foreign.path(), mark.kept_as);
    assert_eq!(foreign.owner.get(&path).await.outcome(), "?trail");
    assert_eq!(other.operator().get(&path).await.outcome(), "?trail");
    assert_eq!(
        acme_owner(&other, &acme).await.get(&format!("{}/audit/chain?trail=x", acme.path())).await.outcome(),
        "?trail"
    );

    // Once more, with the trail of the other service behind that of the first; under a new id, too.
    let again = export(&other.operator(), &acme.path()).await;
    let query = "id=new&organization_name=Copy&owner_email=copy@acme.example";
    let made = import(&other, &again, query).await.created();
    let copy = Organization { body: made, ..organization(&other, "Third").await };
    let marks = carried(&other, &copy).await;
    assert_eq!(marks.len(), 2);
    assert_eq!(assert_carried(&other, &copy, &marks[0]).await, before);
    assert_eq!(assert_carried(&other, &copy, &marks[1]).await[0].action.as_str(), "organization.imported");
    Snapshot::sound(other.test_env());
}

async fn acme_owner(app: &App, acme: &Organization) -> crate::support::client::Client {
    with_access(app, &sign_in(app, acme.email()).await)
}

/// The purge here took the texts; the archive brings them back as a trail of its own, until the next purge.
#[tokio::test]
async fn purge_removes_carried_trail_and_keeps_redacted_chain() {
    let app = App::start().await;
    let acme = organization(&app, "Acme").await;
    let archive = export(&app.operator(), &acme.path()).await;
    let before = chain(&app, &acme, "").await;
    purge(&app, &acme).await;
    import(&app, &archive, "").await.created();
    let [mark] = carried(&app, &acme).await[..] else { panic!("one trail") };
    assert_eq!(assert_carried(&app, &acme, &mark).await, before);
    let own = chain(&app, &acme, "").await;
    assert!(own.iter().take(before.len()).all(|entry| entry.text.is_none()));
    // An event that is in both is listed once, with its text.
    let listed = app.operator().get(&format!("{}/audit?action=organization.created", acme.path())).await.ok();
    let created = listed["items"].as_array().unwrap();
    assert_eq!((created.len(), &created[0]["redacted"]), (1, &json!(false)), "{listed}");

    purge(&app, &acme).await;
    let own = chain(&app, &acme, "").await;
    assert_whole(&own);
    let path = format!("{}/audit/chain?trail={}", acme.path(), mark.kept_as);
    assert_eq!(app.operator().get(&path).await.outcome(), "?trail");
    // What was redacted stays so, also in an archive and behind it.
    import(&app, &archive, "").await.created();
    let again = export(&app.operator(), &acme.path()).await;
    let redacted = |line: &&str| line.starts_with("{\"audit_entry\"") && !line.contains("\"text\"");
    assert!(again.lines().filter(redacted).count() >= before.len(), "{again}");
    let other = App::start().await;
    import(&other, &again, "").await.created();
    let marks = carried(&other, &acme).await;
    assert_eq!(marks.len(), 2);
    assert!(assert_carried(&other, &acme, &marks[1]).await[0].text.is_none());
    Snapshot::sound(app.test_env());
}

#[tokio::test]
async fn import_refuses_trail_that_was_changed() {
    let (app, other) = (App::start().await, App::start().await);
    let acme = organization(&app, "Acme").await;
    let archive = export(&app.operator(), &acme.path()).await;
    let at = |start: &str| archive.lines().position(|line| line.starts_with(start)).unwrap();
    let entry = at("{\"audit_entry\"");
    let without = |line: usize| {
        let lines = archive.split_inclusive('\n').enumerate().filter(|(at, _)| *at != line);
        lines.map(|(_, line)| line).collect::<String>()
    };
    let head = &archive[..archive.find("{\"audit_entry\"").unwrap()];
    let tail = &archive[head.len()..];
    for (damaged, line, rule) in [
        (head.to_owned() + &tail.replacen("\"sequence\":1", "\"sequence\":2", 1), entry + 1, "changed"),
        (head.to_owned() + &tail.replacen("succeeded", "succeedee", 1), entry + 1, "its text was changed"),
        // Retention may have removed it, and then the count would be another one.
        (without(entry), entry + 3, "Chain, count, number or hash"),
        (without(entry + 1), entry + 2, "does not follow"),
        (without(at("{\"audit_trail\"")), entry, "outside an audit trail"),
        (without(at("{\"audit_trail_end\"")), entry + 4, "middle of an audit trail"),
    ] {
        let answer = import(&other, &damaged, "").await;
        let problem = answer.refused("archive_invalid");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("Line {line} of the archive: ")), "{line}: {detail}");
        assert!(detail.contains(rule), "{detail}, not {rule}");
    }
    Snapshot::sound(other.test_env());
    assert_eq!(Snapshot::read(other.test_env()).accounts(), 0);
    import(&other, &archive, "").await.created();
}

#[tokio::test]
async fn export_without_audit_has_no_trail() {
    let (app, other) = (App::start().await, App::start().await);
    let acme = organization(&app, "Acme").await;
    let answer = app.operator().get(&format!("{}/export?audit=false", acme.path())).await;
    assert!(!answer.text.contains("audit_entry\":{"), "{answer}");
    import(&other, &answer.text, "").await.created();
    assert_eq!(carried(&other, &acme).await, []);
    assert_eq!(app.operator().get(&format!("{}/export?audit=2", acme.path())).await.outcome(), "?audit");
    let owners = acme.owner.get(&format!("{}/export?audit=true", acme.path())).await;
    let lines: Vec<Value> = owners.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["audit_entry"]["action"] == "organization.exported"));
}
