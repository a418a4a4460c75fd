//! What a store owes the log of finished operations.

use crate::engines::on_every_engine;
use crate::given::{at, finished, operation, organization};
use tenantry_domain::operation::{
    Actor, OperationArguments, OperationRecord, OperationRefusal, OperationState,
};
use tenantry_domain::store::InsertOutcome::{Exists, New};

#[test]
fn operation_record_round_trips_and_stays() {
    on_every_engine(|subject| async move {
        let organization = organization("Acme");
        let operations = &subject.store.operations;
        let refused = OperationRecord {
            state: OperationState::Failed,
            actor: Actor::System,
            refused: Some(OperationRefusal::EmailTaken),
            documents: Some(1 << 40),
            finished_at: None,
            ..finished(&organization)
        };
        for record in [finished(&organization), refused] {
            assert_eq!(operations.insert_operation(&record, None).await.unwrap(), New);
            let again = OperationRecord { done: 99, ..record.clone() };
            assert_eq!(operations.insert_operation(&again, None).await.unwrap(), Exists);
            assert_eq!(operations.get_operation(record.id).await.unwrap(), Some(record));
        }
        let unknown = operation("me", OperationArguments::Purge).id;
        assert_eq!(operations.get_operation(unknown).await.unwrap(), None);
    });
}

#[test]
fn operation_list_is_newest_first_in_pages() {
    on_every_engine(|subject| async move {
        let operations = &subject.store.operations;
        let (here, there) = (organization("Here"), organization("There"));
        let mut expected = Vec::new();
        for second in 0..5 {
            let record = OperationRecord { started_at: at(second), ..finished(&here) };
            assert_eq!(operations.insert_operation(&record, None).await.unwrap(), New);
            assert_eq!(operations.insert_operation(&finished(&there), None).await.unwrap(), New);
            expected.insert(0, record);
        }
        let page = async |before, limit| operations.list_operations_of(here.id, before, limit).await.unwrap();
        assert_eq!(page(None, 100).await, expected);
        assert_eq!(page(None, 2).await, expected[..2]);
        assert_eq!(page(Some(expected[1].id), 2).await, expected[2..4]);
        assert_eq!(page(Some(expected[4].id), 2).await, []);
        let all = async |before, limit| operations.list_operations(before, limit).await.unwrap();
        let ids = |records: &[OperationRecord]| records.iter().map(|record| record.id).collect::<Vec<_>>();
        let everything = all(None, 100).await;
        assert_eq!(everything.len(), 10);
        assert!(everything.is_sorted_by(|newer, older| newer.id > older.id));
        let here_alone: Vec<_> =
            everything.iter().filter(|record| record.organization_id == here.id).cloned().collect();
        assert_eq!(here_alone, expected);
        assert_eq!(all(None, 3).await, everything[..3]);
        assert_eq!(ids(&all(Some(everything[2].id), 3).await), ids(&everything[3..6]));
        assert_eq!(all(Some(everything[9].id), 3).await, []);
        let unknown = organization("Unknown").id;
        assert_eq!(operations.list_operations_of(unknown, None, 10).await.unwrap(), []);
    });
}
