//! Two commands at once on one database.

use super::in_place::both;
use super::interrupted::expire_lock;
use super::source::{Classic, Source};
use super::{command, refused, run, said};
use crate::support::test_env::{Engine, TestEnv};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use std::process::{Child, Stdio};

/// Runs it up to that point, and stops it there.
fn stopped(source: &Source, target: &TestEnv, arguments: &[&str], point: &str) -> Child {
    let mut command = command(source, target, arguments);
    let running =
        command.env("TENANTRY_STOP_AT", point).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let status = waitpid(Some(Pid::from_child(&running)), WaitOptions::UNTRACED).unwrap();
    assert!(status.is_some_and(|(_, status)| status.stopped()), "{point}");
    running
}

fn go_on(running: &Child) {
    kill_process(Pid::from_child(running), Signal::CONT).unwrap();
}

/// The first one watches the source for a long time, and renews its lock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn second_adoption_is_refused_while_first_works() {
    let (source, target) = both(Classic::A);
    let before = source.everything();
    let running = stopped(&source, &target, &["--in-place", "--apply", "--watch=30"], "adopt.watch.begun");
    go_on(&running);
    for action in ["--apply", "--undo", "--confirm"] {
        let refusal = refused(&run(&source, &target, &["--in-place", action]));
        assert!(refusal.contains("Another `tenantry adopt`"), "{action}: {refusal}");
    }
    assert!(source.database.collections().contains(&"organizations".to_owned()));
    // One that is killed is followed by the next, and leaves nothing.
    kill_process(Pid::from_child(&running), Signal::KILL).unwrap();
    assert!(!running.wait_with_output().unwrap().status.success());
    said(&run(&source, &target, &["--in-place", "--apply"]));
    said(&run(&source, &target, &["--in-place", "--undo"]));
    assert_eq!(source.everything(), before);
}

/// One that was not heard of for longer than its lock holds stops when it finds another owner.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn adoption_whose_lock_was_taken_over_stops() {
    let (source, target) = both(Classic::A);
    let before = source.everything();
    for in_place in [true, false] {
        let copy = TestEnv::on(Engine::MongoDb);
        let (target, way) = if in_place { (&target, &["--in-place"][..]) } else { (&copy, &[][..]) };
        let (point, apply) = ("adopt.mark.done", [way, &["--apply"]].concat());
        let running = stopped(&source, target, &apply, point);
        expire_lock(&source, target);
        said(&run(&source, target, &apply));
        go_on(&running);
        let refusal = refused(&running.wait_with_output().unwrap());
        assert!(refusal.contains("Another `tenantry adopt`"), "{refusal}");
        said(&run(&source, target, &[way, &["--undo"]].concat()));
        assert_eq!(source.everything(), before);
    }
}
