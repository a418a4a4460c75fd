//! Sign-ins, against the same Argon2 calls alone; and how they slow down other requests.

use crate::Bench;
use crate::baseline::hashes;
use crate::client::{Connection, Request};
use crate::data::organizations::{PASSWORD, seed_embedded};
use crate::load::Load;
use crate::report::{Aim, Finding};
use crate::server::{Server, wait};
use crate::statistics::{Pairs, median, percentile};
use anyhow::{Result, anyhow};
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, available_parallelism};
use std::time::{Duration, Instant};

/// Accounts that sign in.
const ACCOUNTS: u32 = 200;
/// Sign-ins under way while the responses to others are timed.
const CROWD: usize = 200;
/// Sign-ins under way while they are counted; enough to keep every thread busy.
const BUSY: usize = 16;
/// The pause between two requests of `/health`.
const PACE: Duration = Duration::from_millis(2);
/// Memory that one thread hashes in, in MB: Argon2id's 19 MiB.
const HASH_MEMORY: f64 = 19.0 * 1.048_576;
/// How much memory 200 requests under way may take in addition, in MB.
const SMALL: f64 = 4.0;

/// With as many hashing threads as there are cores, then with the default number of them.
pub fn measure(bench: &Bench) -> Result<Vec<Finding>> {
    let data_dir = bench.directory.path().join("login");
    seed_embedded(&data_dir, ACCOUNTS)?;
    let cores = available_parallelism()?.get();
    let default = (cores / 2).max(1);
    let mut findings = Vec::new();
    for (threads, names) in [(cores, ALL_CORES), (default, DEFAULT)] {
        let flag = format!("--hash-threads={threads}");
        let server = Server::service(bench, &data_dir, &[&flag])?;
        // Before anybody has signed in: what is used for it afterwards counts as added.
        findings.extend(crowd(bench, &server, threads, &names)?);
        findings.push(throughput(bench, &server, threads, &names)?);
        server.stop()?;
    }
    Ok(findings)
}

/// The names of the findings for one number of threads.
struct Names {
    rate: &'static str,
    health: &'static str,
    memory: &'static str,
}

const ALL_CORES: Names = Names {
    rate: "login_rate_all_cores",
    health: "login_health_all_cores",
    memory: "login_memory_all_cores",
};
const DEFAULT: Names = Names { rate: "login_rate", health: "login_health", memory: "login_memory" };

fn throughput(bench: &Bench, server: &Server, threads: usize, names: &Names) -> Result<Finding> {
    let mut load = Load::open(server.address, 1, BUSY)?;
    load.run(&logins(), bench.span)?;
    let mut rates = Pairs::default();
    for _ in 0..bench.rounds {
        let rate = load.run(&logins(), bench.span)?;
        rates.push(rate.per_second(), hashes::measure(threads, bench.span));
    }
    Ok(Finding {
        name: names.rate,
        what: format!("login: per second, of the same hashes alone, {threads} threads"),
        measured: rates.ratio()?,
        unit: "",
        aim: Aim::AtLeast(0.9),
        detail: format!("{:.1}/s, alone {:.1}/s", rates.first()?, rates.second()?),
    })
}

/// How long `/health` takes and how much memory is used while 200 sign in.
fn crowd(bench: &Bench, server: &Server, threads: usize, names: &Names) -> Result<[Finding; 2]> {
    // The connections are there and have been used before, so that only what signing in takes is counted.
    let mut load = Load::open(server.address, 1, CROWD)?;
    load.run(&[Request::get("/health")], bench.span)?;
    server.rest()?;
    let before = server.memory()?;
    server.forget_peak()?;
    let (mut slowest, mut middle) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds {
        let times = health_during(server, || load.run(&logins(), bench.span).map(|_| ()))?;
        middle.push(percentile(times.clone(), 0.5)?);
        slowest.push(percentile(times, 0.99)?);
    }
    let added = server.peak_memory()? - before;
    #[expect(clippy::cast_precision_loss, reason = "a number of threads")]
    let pool = threads as f64 * HASH_MEMORY;
    Ok([
        Finding {
            name: names.health,
            what: format!("login: /health, p99, while {CROWD} sign in, {threads} threads"),
            measured: median(slowest)?,
            unit: "ms",
            aim: Aim::AtMost(20.0),
            detail: format!("p50 {:.2} ms", median(middle)?),
        },
        Finding {
            name: names.memory,
            what: format!("login: memory added by {CROWD} signing in, {threads} threads"),
            measured: added,
            unit: "MB",
            aim: Aim::AtMost((pool + SMALL).round()),
            detail: format!("{pool:.1} MB of it are the pool's"),
        },
    ])
}

/// Asks for `/health` at intervals while `work` runs; how long each response took, in milliseconds.
fn health_during(server: &Server, work: impl FnOnce() -> Result<()> + Send) -> Result<Vec<f64>> {
    let mut connection = Connection::open(server.address)?;
    let request = Request::get("/health");
    connection.call(&request)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let working = scope.spawn(|| {
            let outcome = work();
            over.store(true, Ordering::Relaxed);
            outcome
        });
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            connection.call(&request)?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
            wait(PACE);
        }
        working.join().map_err(|_| anyhow!("the load panicked"))??;
        Ok(times)
    })
}

fn logins() -> Vec<Request> {
    let login = |number| json!({ "email": format!("admin{number}@example.com"), "password": PASSWORD });
    (0..ACCOUNTS).map(|number| Request::json("POST", "/admin/login", None, &login(number))).collect()
}
