//! Senders that take their time: a line has its own from its first byte on, and what has arrived of all of them is bounded,
//! for each organization and in all.

use super::bulk::Stream;
use crate::support::app::Setup;
use crate::support::fixtures::organization;
use futures_util::FutureExt;
use serde_json::json;
use std::time::{Duration, Instant};
use tokio::time::{sleep, timeout};

/// Half of what `--request-timeout` is in these tests.
const LINE_TIME: Duration = Duration::from_secs(2);
/// How long a machine that has much to do may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes of a line that is long: its sender reserves room for the longest.
const LONG: usize = 512 << 10;

fn setup() -> Setup {
    Setup::unlimited().with("--request-timeout=4")
}

/// Sends a byte now and then, until the service ends the answer; all of that.
async fn drip(stream: &mut Stream) -> String {
    let began = Instant::now();
    loop {
        if timeout(LINE_TIME / 10, stream.stream.readable()).await.is_ok() {
            return stream.read_to_end().await.to_owned();
        }
        assert!(began.elapsed() < PATIENCE, "the line is waited for without end");
        stream.send("x").await;
    }
}

#[tokio::test]
async fn bulk_line_that_arrives_byte_by_byte_is_cut_off() {
    let app = setup().start().await;
    let acme = organization(&app, "Acme").await;
    // Behind a line that was answered, where no deadline of the request holds any more.
    for begun in ["{\"_id\":2,\"text\":\"", &format!("{{\"text\":\"{}", "x".repeat(LONG))] {
        let mut stream = Stream::begin(&app, &acme).await;
        stream.send("{\"a\":1}\n").await;
        stream.read_until("\"line\":1").await;
        let began = Instant::now();
        stream.send(begun).await;
        let answer = drip(&mut stream).await;
        assert!(answer.contains("{\"line\":2,\"status\":408,\"code\":\"request_timeout\""), "{answer}");
        assert!(!answer.contains("\"lines\""), "{answer}");
        assert!(began.elapsed() >= LINE_TIME, "cut off after {:?}", began.elapsed());
    }
}

#[tokio::test]
async fn bulk_lines_that_arrive_slowly_are_all_stored() {
    let app = setup().start().await;
    let acme = organization(&app, "Acme").await;
    let mut stream = Stream::begin(&app, &acme).await;
    let began = Instant::now();
    let mut line = 0;
    // Longer than one of them may take, each in time.
    while began.elapsed() < LINE_TIME * 3 / 2 {
        line += 1;
        stream.send("{\"a\":").await;
        sleep(LINE_TIME / 8).await;
        stream.send("1}\n").await;
        stream.read_until(&format!("{{\"line\":{line},\"status\":201")).await;
    }
    stream.end().await;
    let answer = stream.read_to_end().await;
    assert!(answer.contains(&format!("\"inserted\":{line},")), "{answer}");
}

#[tokio::test]
async fn bulk_slow_senders_of_one_organization_block_no_other() {
    // Room for one of the longest lines of each organization.
    let app = setup().with("--bulk-memory-mib=1").start().await;
    let (acme, other) = (organization(&app, "Acme").await, organization(&app, "Other").await);
    let whole = format!("{{\"text\":\"{}\"}}\n", "y".repeat(LONG));
    let mut slow = Stream::begin(&app, &acme).await;
    slow.send(&format!("{{\"text\":\"{}", "x".repeat(LONG))).await;
    // Until it has been read.
    sleep(LINE_TIME / 4).await;

    let mut second = Stream::begin(&app, &acme).await;
    let waiting = tokio::spawn(async move {
        second.send(&whole).await;
        second.end().await;
        let answer = second.read_to_end().await.to_owned();
        (answer, Instant::now())
    });
    let mut elsewhere = Stream::begin(&app, &other).await;
    elsewhere.send(&format!("{{\"text\":\"{}\"}}\n", "z".repeat(LONG))).await;
    elsewhere.end().await;
    let answer = elsewhere.read_to_end().await;
    assert!(answer.contains("\"inserted\":1,"), "{answer}");
    assert!(!waiting.is_finished(), "nothing bounds what an organization holds");
    // Short lines need little, and find it.
    acme.store(&[json!({ "_id": "short" })]).await;

    let answer = drip(&mut slow).await;
    let ended = Instant::now();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let (answer, answered) = waiting.await.unwrap();
    assert!(answer.contains("\"inserted\":1,"), "it goes on when there is room: {answer}");
    assert!(answered + Duration::from_millis(200) > ended, "it did not wait");
}

#[tokio::test]
async fn bulk_newcomer_with_short_lines_is_served_beside_ten_greedy() {
    let flags = ["--request-timeout=30", "--bulk-memory-mib=2", "--max-document-kib=8"];
    let app = flags.into_iter().fold(Setup::unlimited(), Setup::with).start().await;
    let newcomer = organization(&app, "Newcomer").await;
    let mut greedy = Vec::new();
    for number in 0..10 {
        greedy.push(organization(&app, &format!("Greedy {number}")).await);
    }
    // Each of them with more than a quarter of it all, were there no bound.
    let mut slow = Vec::new();
    for organization in greedy.iter().flat_map(|organization| [organization; 20]) {
        let mut stream = Stream::begin(&app, organization).await;
        stream.send("{\"a\":").await;
        slow.push(stream);
    }
    // Until they have been read.
    sleep(Duration::from_millis(500)).await;

    let lines = (0..20).map(|n| json!({ "_id": n, "text": "y".repeat(4096) }));
    newcomer.store(&lines.collect::<Vec<_>>()).await;
    for stream in &slow {
        assert!(stream.stream.readable().now_or_never().is_none(), "it waited until one of them had ended");
    }
}
