//! Kills the service at every named point of every operation. The state after the restart must be the old one
//! or the new one, complete. The real binary kills itself, with signal 9; the checker reads what is left.
//!
//! # Pitfalls
//! A point that is never reached proves nothing. So each run first expects the process to have died there,
//! and [`crash_points_all_belong_to_a_case`] expects each point to be run.

#![expect(clippy::print_stdout, reason = "a run says how much it killed and checked")]

mod case;
pub mod load;
mod scenario;
mod several;

pub use case::{Case, ChangeOutcome, Expected};
pub use scenario::Scenario;

use crate::support::checker::{Snapshot, running_operations};
use crate::support::client::Client;
use crate::support::fixtures::PASSWORD;
use crate::support::process::{Launch, Server};
use crate::support::rng::TestRng;
use crate::support::test_env::TestEnv;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use tenantry_domain::failpoints::every_point;

/// The time for a start that finishes everything under way.
pub const RECOVERY: Duration = Duration::from_secs(5);
/// The time for a start if each step waits for another process, on a busy machine.
pub const RECOVERY_ON_MONGODB: Duration = Duration::from_secs(20);
/// The organization that the tests change, and its possible new name.
pub const SUBJECT: &str = "Subject Org";
pub const RENAMED: &str = "Renamed Org";
pub const SUBJECT_EMAIL: &str = "owner@subject.example";
const OTHER_EMAIL: &str = "other@subject.example";
const OTHER_PASSWORD: &str = "another horse battery";
/// The organization whose owner is a member of the subject, too, where members change.
/// The role of its own that the subject has, or gets.
pub const ROLE: &str = "billing";
const GUEST: &str = "Guest Org";
const GUEST_EMAIL: &str = "owner@guest.example";
/// Organizations that nobody changes: one in use, one suspended, one deleted.
pub const NEIGHBOURS: [&str; 3] = ["Neighbour One", "Neighbour Two", "Neighbour Three"];

/// Kills the service at each point of `case`.
async fn kill_everywhere(case: Case) {
    let template = Scenario::before(case).await;
    for point in case.points() {
        println!("{case:?} at {point}");
        let scenario = template.copy();
        let before = Snapshot::sound(&scenario.test_env);
        scenario.crash(case, &point).await;

        let server = scenario.recover().await;
        let expected = case.after(&point);
        scenario.expect(case, expected, &before, &server).await;
        server.stop().await;
        let settled = Snapshot::sound(&scenario.test_env);

        let server = scenario.recover().await;
        settled.assert_unchanged(&Snapshot::sound(&scenario.test_env));
        let expected = scenario.ask_again(case, expected, &server).await;
        scenario.expect(case, expected, &before, &server).await;
        scenario.expect_sign_ins(case, expected.outcome, &server).await;
        server.stop().await;
        Snapshot::sound(&scenario.test_env);
    }
}

/// Kills the service at each point of `case`, and then three times more at the same point of its recovery.
async fn kill_recoveries(case: Case) {
    let template = Scenario::before(case).await;
    // A recovery does not repeat saved steps: it passes only the points around the effect that it repeats.
    let points = case.points().into_iter().filter(|point| is_repeated(point)).collect();
    // A start is slower there, and what is repeated is the same.
    let share = if template.test_env.database().is_none() { 1 } else { 3 };
    for point in sample(points, share) {
        println!("{case:?} at {point}, and again");
        kill_and_kill_again(&template.copy(), case, &point, 3).await;
    }
}

/// Whether a recovery after a crash there passes it once more.
fn is_repeated(point: &str) -> bool {
    ![".intent.before", ".intent.saved"].iter().any(|end| point.ends_with(end))
        && !point.ends_with(".saved")
        && !is_within_load(point)
}

/// Whether it is passed while an archive is loaded, which only the process does that has begun.
fn is_within_load(point: &str) -> bool {
    point.contains(".load_archive.part")
}

/// Kills the service at `point` of `case`, and `times` more at the same point of its recovery.
pub async fn kill_and_kill_again(scenario: &Scenario, case: Case, point: &str, times: u64) {
    let before = Snapshot::sound(&scenario.test_env);
    scenario.crash(case, point).await;
    for _ in 0..if is_repeated(point) { times } else { 0 } {
        scenario.crash_in_recovery(point).await;
    }
    scenario.expect_after_recovery(case, point, &before).await;
}

/// Kills one operation at each of its points in turn: first in the request, then in recovery after recovery.
async fn kill_at_each_point_in_turn(case: Case) {
    let scenario = Scenario::before(case).await;
    let before = Snapshot::sound(&scenario.test_env);
    let mut points = case.points();
    // A process that takes over has no archive to load a part of.
    points.retain(|point| !is_within_load(point));
    let (first, others) = points[1..].split_first().unwrap();
    scenario.crash(case, first).await;
    for point in others {
        println!("{case:?} goes on to {point}");
        scenario.crash_in_recovery(point).await;
    }
    scenario.expect_after_recovery(case, first, &before).await;
}

/// One of `share` points, by chance, and at least one; all of them if `TENANTRY_CHAOS` is `all`.
pub fn sample(mut points: Vec<String>, share: usize) -> Vec<String> {
    #[expect(clippy::disallowed_methods, reason = "no setting: how much a test run takes on itself")]
    let is_all = std::env::var("TENANTRY_CHAOS").is_ok_and(|much| much == "all");
    if is_all {
        return points;
    }
    let mut rng = TestRng::of_this_run();
    let kept = points.len().div_ceil(share);
    while points.len() > kept {
        points.remove(rng.below(points.len() as u64) as usize);
    }
    points
}

macro_rules! cases {
    ($($module:ident: $case:ident;)*) => {$(
        mod $module {
            use super::*;

            #[tokio::test]
            async fn operation_stays_whole_when_killed_at_any_point() {
                kill_everywhere(Case::$case).await;
            }

            #[tokio::test]
            async fn operation_stays_whole_when_recovery_is_killed_three_times() {
                kill_recoveries(Case::$case).await;
            }

            #[tokio::test]
            async fn operation_stays_whole_when_killed_at_each_point_in_turn() {
                kill_at_each_point_in_turn(Case::$case).await;
            }
        }
    )*};
}

/// Calls a macro with every case but an import of a damaged archive, and the name of its tests; then with `more`.
macro_rules! every_undamaged_case {
    ($cases:ident $($more:tt)*) => {
        $cases! {
            create: Create;
            create_with_idempotency_key: CreateWithKey;
            create_own: CreateOwn;
            rename: Rename;
            rename_with_credentials: RenameWithCredentials;
            rename_refused: RenameRefused;
            update: Update;
            suspend: Suspend;
            reactivate: Reactivate;
            set_password: SetPassword;
            delete: Delete;
            restore: Restore;
            restore_refused: RestoreRefused;
            purge: Purge;
            import: Import;
            add_member: AddMember;
            add_new_member: AddNewMember;
            change_role: ChangeRole;
            remove_member: RemoveMember;
            create_role: CreateRole;
            update_role: UpdateRole;
            delete_role: DeleteRole;
            $($more)*
        }
    };
}
pub(crate) use every_undamaged_case;

/// Calls a macro with every case and the name of its tests, so that a new case is tried everywhere.
macro_rules! every_case {
    ($cases:ident) => {
        $crate::crash::every_undamaged_case! { $cases import_damaged: ImportDamaged; }
    };
}
pub(crate) use every_case;

self::every_case!(cases);

#[test]
fn crash_points_all_belong_to_a_case() {
    let run: BTreeSet<String> = Case::ALL.into_iter().flat_map(Case::points).collect();
    assert_eq!(run, every_point().into_iter().collect());
}

/// Starts the service after a crash and waits until nothing is under way any more.
pub async fn recovered(test_env: &TestEnv) -> Server {
    // Where other processes are possible, the service would wait for the leases to run out.
    test_env.end_leases();
    let patience = if test_env.database().is_none() { RECOVERY } else { RECOVERY_ON_MONGODB };
    let began = Instant::now();
    let server = Launch::on(test_env).start();
    loop {
        let (running, took) = (running_operations(test_env), began.elapsed());
        assert!(took < patience, "{running} are not recovered after {took:?}: {}", server.log());
        if running == 0 {
            return server;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn token(client: &Client) -> String {
    let body = json!({ "email": SUBJECT_EMAIL, "password": PASSWORD });
    client.post("/admin/login", &body).await.ok()["access_token"].as_str().unwrap().to_owned()
}

pub async fn operate(server: &Server, method: Method, path: &str) {
    server.operator().send(method, path, None).await.ok();
}

fn email_of(name: &str) -> String {
    format!("owner@{}.example", name.to_lowercase().replace(' ', "-"))
}

/// The body that makes that role.
pub fn own_role() -> Value {
    json!({ "name": ROLE, "permissions": ["documents:read"] })
}

fn id_of(record: &Value) -> String {
    record["id"].as_str().unwrap().to_owned()
}
