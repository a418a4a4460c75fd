//! A service for batches. On MongoDB they need a replica set, which the test then has for itself.

use super::app::{App, Setup};
use super::test_env::{Engine, TestEnv};
use tenantry_test_mongod::ReplicaSet;

/// Data for a service whose engine has transactions, and the server that has them, where there is one.
pub fn env_with_transactions() -> (TestEnv, Option<ReplicaSet>) {
    match crate::engine() {
        Engine::Embedded => (TestEnv::new(), None),
        Engine::MongoDb => {
            let set = ReplicaSet::start_single();
            (TestEnv::at(&set.uri()), Some(set))
        }
    }
}

/// A running service whose engine has transactions.
pub async fn app_with_transactions() -> (App, Option<ReplicaSet>) {
    let (test_env, set) = tokio::task::spawn_blocking(env_with_transactions).await.unwrap();
    (Setup::unlimited().start_on(test_env).await, set)
}
