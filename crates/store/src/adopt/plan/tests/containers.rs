//! Which collections each organization gets.

use super::*;

fn organization(byte: u8, name: &str, collection: &str) -> Document {
    doc! { "_id": number(byte), "name": name, "collection": collection }
}

/// The collections of each organization, as they are in the source and within it.
fn stored(plan: &Plan) -> Vec<Vec<(&str, &str)>> {
    plan.organizations
        .iter()
        .map(|planned| planned.stored.iter().map(|each| (each.name.as_str(), each.target.as_str())).collect())
        .collect()
}

/// Two organizations, and the name of one continues that of the other.
fn nested() -> Layout {
    let organizations =
        vec![organization(1, "Acme", "org_acme"), organization(2, "Acme.inc", "org_acme.inc")];
    let accounts = vec![account(11, "a@x.test", 1), account(12, "b@x.test", 2)];
    let collections = ["org_acme", "org_acme.inc", "org_acme.inc.orders", "org_acme.orders"];
    layout(organizations, accounts, &collections)
}

#[test]
fn collection_that_another_one_names_is_only_its_own() {
    let plan = plan("old", &nested(), &options(AdoptRules::default())).unwrap();
    assert_eq!(kinds(&plan), []);
    let acme = vec![("org_acme", "documents"), ("org_acme.orders", "orders")];
    let inc = vec![("org_acme.inc", "documents"), ("org_acme.inc.orders", "orders")];
    assert_eq!(stored(&plan), [acme, inc]);
}

#[test]
fn collection_of_skipped_organization_goes_to_no_other() {
    let rules = AdoptRules { skip: [number(2).to_hex()].into(), ..AdoptRules::default() };
    let without_inc = plan("old", &nested(), &options(rules)).unwrap();
    assert_eq!(kinds(&without_inc), []);
    assert_eq!(stored(&without_inc), [[("org_acme", "documents"), ("org_acme.orders", "orders")]]);
    let rules = AdoptRules { skip: [number(1).to_hex()].into(), ..AdoptRules::default() };
    let without_acme = plan("old", &nested(), &options(rules)).unwrap();
    assert_eq!(kinds(&without_acme), []);
    assert_eq!(stored(&without_acme), [[("org_acme.inc", "documents"), ("org_acme.inc.orders", "orders")]]);
}

#[test]
fn container_with_a_dot_leaves_no_orphans() {
    let organizations = vec![organization(1, "Acme.inc", "org_acme.inc")];
    let collections = ["org_acme.inc", "org_acme.inc.orders", "org_acme.other"];
    let layout = layout(organizations, vec![account(11, "a@x.test", 1)], &collections);
    let plan = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    let orphan = vec!["org_acme.other".to_owned()];
    assert_eq!(kinds(&plan), [(ConflictKind::CollectionWithoutOrganization, orphan)]);
}

#[test]
fn collection_of_the_records_is_nobodys_container() {
    let organizations = vec![organization(1, "Acme", "organizations"), organization(2, "Other", "org_other")];
    let accounts = vec![account(11, "a@x.test", 1), account(12, "b@x.test", 2)];
    let layout = layout(organizations, accounts, &[]);
    let refused = plan("old", &layout, &options(AdoptRules::default())).unwrap();
    let path = vec!["old.organizations".to_owned()];
    assert_eq!(kinds(&refused), [(ConflictKind::CollectionRefused, path)]);
    assert!(!refused.notes.iter().any(|note| note.contains("organizations does not exist")));
    let rules = AdoptRules { leave: ["organizations".to_owned()].into(), ..AdoptRules::default() };
    let left = plan("old", &layout, &options(rules)).unwrap();
    assert_eq!(kinds(&left), []);
    let has = |text: &str| left.notes.iter().any(|note| note.contains(text));
    assert!(
        has("(organizations is left where it is)") && has("(org_other does not exist)"),
        "{:?}",
        left.notes
    );
}
