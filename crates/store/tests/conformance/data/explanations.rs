//! Explanations of queries: what they name and count, and what they do not.

use super::{index, name, numbered, partial, query};
use crate::engines::{Subject, in_every_placement};
use tenantry_documents::index::Index;
use tenantry_documents::query::explanation::{ExplainedAccess, Explanation};
use tenantry_domain::organization::Organization;

impl Subject {
    async fn explained(&self, organization: &Organization, json: &str, sort: &str) -> Explanation {
        let (collection, query) = (name("documents"), query(json, sort, 10));
        self.store.documents.explain_documents(organization, &collection, &query).await.unwrap()
    }
}

fn by(index: &Index) -> ExplainedAccess {
    ExplainedAccess::Indexes(vec![index.name.clone()])
}

#[test]
fn explanation_names_own_index_and_counts_own_documents() {
    in_every_placement(|subject| async move {
        let (acme, other) = (subject.home("Acme").await, subject.home("Other").await);
        for organization in [&acme, &other] {
            subject.fill(organization, "documents", numbered(0, 100)).await;
        }
        let scan = subject.explained(&acme, r#"{"n":5}"#, "").await;
        let expected = Explanation {
            access: ExplainedAccess::Scan,
            is_sorted: false,
            entries_examined: 0,
            documents_examined: 100,
            matched: 1,
        };
        assert_eq!(scan, expected);
        let by_n = index("n", false);
        subject.add_index(&other, "documents", &by_n).await;
        // Where both share a collection, the server may use it for both. Its name is not theirs.
        let with_other = subject.explained(&acme, r#"{"n":5}"#, "").await;
        let nameless = ExplainedAccess::Indexes(Vec::new());
        assert!([ExplainedAccess::Scan, nameless].contains(&with_other.access), "{with_other:?}");
        assert!(with_other.documents_examined <= 100, "{with_other:?}");

        subject.add_index(&acme, "documents", &by_n).await;
        let few = partial("n", false, Some(r#"{"n": {"$lt": 50}}"#));
        subject.add_index(&acme, "documents", &few).await;
        let found = subject.explained(&acme, r#"{"n":70}"#, "").await;
        assert_eq!((&found.access, found.documents_examined, found.matched), (&by(&by_n), 1, 1), "{found:?}");
        assert!((1..=3).contains(&found.entries_examined), "{found:?}");
        let found = subject.explained(&acme, r#"{"n":{"$lt":20}}"#, "n").await;
        assert!([by(&by_n), by(&few)].contains(&found.access), "{found:?}");
        assert_eq!((found.is_sorted, found.matched), (false, 10), "{found:?}");
        assert!(found.documents_examined <= 11, "{found:?}");
        let found = subject.explained(&acme, r#"{"_id":{"$in":[1,2]}}"#, "").await;
        assert_eq!((found.access, found.matched), (ExplainedAccess::Id, 2));
        let found = subject.explained(&acme, "{}", "-m").await;
        assert_eq!((&found.access, found.is_sorted), (&ExplainedAccess::Scan, true), "{found:?}");
        assert_eq!((found.documents_examined, found.matched), (100, 10), "{found:?}");
    });
}
