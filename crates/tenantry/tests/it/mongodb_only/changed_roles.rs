//! A role of an organization's own that one instance has changed counts at another, which has its records in memory,
//! within a second.

use crate::support::app::Setup;
use crate::support::fixtures::{again, invited, organization};
use crate::support::keys::with_key;
use crate::support::test_env::TestEnv;
use serde_json::json;
use tenantry_domain::limits::RECENT_READ_MAX_AGE;

#[tokio::test]
async fn role_changed_by_one_instance_counts_at_others() {
    let test_env = TestEnv::new();
    let here = Setup::unlimited().start_on(test_env.clone()).await;
    let there = Setup::unlimited().start_on(test_env.clone()).await;
    let (host, guest) = (organization(&here, "Host").await, organization(&here, "Guest").await);
    let owner = again(&there, &host.owner);
    let roles = format!("{}/roles", host.path());
    let permissions = ["documents:read", "documents:write", "keys:write"];
    owner.post(&roles, &json!({ "name": "special", "permissions": permissions })).await.created();
    // Made there, and given here at once.
    let member = invited(&here, &guest, &host, "special").await;
    let body = json!({ "name": "report", "permissions": ["documents:write"] });
    let key = with_key(&here, &member.post(&format!("{}/keys", host.path()), &body).await.created());
    for (number, writer) in [&member, &key].into_iter().enumerate() {
        writer.post(&host.documents(), &json!({ "_id": number })).await.created();
    }

    owner.patch(&format!("{roles}/special"), &json!({ "permissions": ["documents:read"] })).await.ok();
    again(&there, &member)
        .post(&host.documents(), &json!({ "_id": "late" }))
        .await
        .refused("role_insufficient");
    tokio::time::sleep(RECENT_READ_MAX_AGE).await;
    member.post(&host.documents(), &json!({ "_id": "late" })).await.refused("role_insufficient");
    key.post(&host.documents(), &json!({ "_id": "late" })).await.refused("permission_missing");
    member.get(&host.documents()).await.ok();

    // Widened, it counts as soon.
    owner.patch(&format!("{roles}/special"), &json!({ "permissions": permissions })).await.ok();
    tokio::time::sleep(RECENT_READ_MAX_AGE).await;
    for (name, writer) in [("member", &member), ("key", &key)] {
        writer.post(&host.documents(), &json!({ "_id": name })).await.created();
    }
}
