//! In place: the collections get other names, and no document is copied.

use super::source::{Classic, Source};
use super::{canonical, check_adopted, check_third, check_trail, refused, rehearsal, run, said};
use crate::support::app::App;
use crate::support::mongodb::Database;
use crate::support::test_env::{Engine, TestEnv};
use mongodb::bson::doc;

/// A source, and the target that is the same database.
pub fn both(classic: Classic) -> (Source, TestEnv) {
    let target = TestEnv::on(Engine::MongoDb);
    let database = Database::of(target.database().unwrap());
    (Source::seeded_in(database, classic), target)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_place_renames_collections_and_copies_nothing() {
    for classic in [Classic::A, Classic::C, Classic::D] {
        let (source, target) = both(classic);
        let before = source.everything();
        let expected: Vec<_> = (0..2).map(|number| canonical(source.documents(number))).collect();
        let report = rehearsal(&source, &target, &["--in-place"]);
        assert_eq!(report["organizations"][0]["tenant_collection"], "tenant_acme_corp", "{report}");
        assert_eq!(source.everything(), before);
        let text = said(&run(&source, &target, &["--in-place", "--apply"]));
        assert!(text.contains("Adopted 3 organizations and 3 accounts."), "{text}");
        let after = source.database.identities();
        let own = |number: usize| before[&source.place(number).1].0.clone();
        assert_eq!((&after["tenant_acme_corp"], &after["tenant_tech_innovations_corp"]), (&own(0), &own(1)));
        let refusal = App::refused_at(&target).await;
        assert!(refusal.contains("an adoption in place is not confirmed"), "{refusal}");

        said(&run(&source, &target, &["--in-place", "--confirm"]));
        assert!(
            refused(&run(&source, &target, &["--in-place", "--confirm"])).contains("no adoption to confirm")
        );
        let left = source.database.collections();
        let other =
            |name: &&String| name.contains("adopt") || name.contains("org_") || name.contains("admin");
        assert_eq!(left.iter().find(other), None, "{left:?}");
        let app = App::at(target).await;
        check_adopted(&app, &source, &expected).await;
        check_third(&app, &source).await;
        check_trail(&app.stop().await, "in_place", &source).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn undo_in_place_gives_everything_back() {
    for classic in [Classic::A, Classic::C, Classic::D] {
        let (source, target) = both(classic);
        let before = source.everything();
        said(&run(&source, &target, &["--in-place", "--apply"]));
        assert!(
            refused(&run(&source, &target, &["--in-place", "--apply"])).contains("The adoption is complete")
        );
        said(&run(&source, &target, &["--in-place", "--undo"]));
        assert_eq!(source.everything(), before, "{classic:?}");
        assert!(
            refused(&run(&source, &target, &["--in-place", "--undo"])).contains("no adoption to take back")
        );
    }
}

/// Each of two organizations has the collection that is called as the other's will be.
#[test]
fn in_place_swaps_names() {
    let (source, target) = both(Classic::D);
    let (registry, _) = source.records();
    source.set(
        registry,
        source.organizations[0],
        doc! { "tenant_collection": "tenant_tech_innovations_corp" },
    );
    source.set(registry, source.organizations[1], doc! { "tenant_collection": "tenant_acme_corp" });
    let before = source.everything();
    said(&run(&source, &target, &["--in-place", "--apply"]));
    let after = source.database.identities();
    assert_eq!(after["tenant_acme_corp"], before["tenant_tech_innovations_corp"].0);
    assert_eq!(after["tenant_tech_innovations_corp"], before["tenant_acme_corp"].0);
    said(&run(&source, &target, &["--in-place", "--undo"]));
    assert_eq!(source.everything(), before);
}

#[test]
fn in_place_refuses_what_it_cannot_rename() {
    let source = Source::seeded(Classic::B);
    let target = TestEnv::on(Engine::MongoDb);
    let name = format!("--master-db={}", source.database.name());
    let refusal = refused(&run(&source, &target, &["--in-place", &name]));
    assert!(refusal.contains("MongoDB cannot rename databases"), "{refusal}");

    let (source, target) = both(Classic::A);
    source.insert("sessions", vec![doc! { "n": 1 }]);
    let refusal = refused(&run(&source, &target, &["--in-place"]));
    assert!(refusal.contains(".sessions has a name that the service needs"), "{refusal}");

    let (source, target) = both(Classic::A);
    source.insert("tenant_acme_corp", vec![doc! { "n": 1 }]);
    let report = rehearsal(&source, &target, &["--in-place", "--leave=tenant_acme_corp"]);
    assert_eq!(report["conflicts"][0]["kind"], "name_in_use", "{report}");
}
