//! A closed load that takes the time of every response.
//!
//! Each connection has a thread of its own, so that a response is taken when it arrives.

use crate::client::{Connection, Request};
use crate::statistics::percentile;
use anyhow::{Context, Result, anyhow, ensure};
use std::net::SocketAddr;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What a load found.
pub struct Sample {
    /// Milliseconds of each request that succeeded.
    times: Vec<f64>,
    /// Requests that were refused, or whose connection ended.
    pub failed: u32,
    seconds: f64,
}

impl Sample {
    /// Requests per second that succeeded.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub fn per_second(&self) -> f64 {
        self.times.len() as f64 / self.seconds
    }

    /// How many succeeded.
    pub fn succeeded(&self) -> usize {
        self.times.len()
    }

    /// The milliseconds within which this share was answered.
    pub fn percentile(&self, share: f64) -> Result<f64> {
        percentile(self.times.clone(), share)
    }
}

/// Sends requests on `connections` new connections for `span`, each when the response before it is there; `next` gives
/// the request of each number, and the numbers go on from `number`.
pub fn run(
    address: SocketAddr,
    connections: usize,
    next: &(impl Fn(u32) -> Option<Request> + Sync),
    number: &AtomicU32,
    span: Duration,
) -> Result<Sample> {
    let ready = Barrier::new(connections + 1);
    let (lanes, seconds) = thread::scope(|scope| -> Result<_> {
        let running: Vec<_> = (0..connections)
            .map(|_| scope.spawn(|| Lane::run(address, &ready, next, number, span)))
            .collect();
        ready.wait();
        let began = Instant::now();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        let lanes: Result<Vec<Lane>> =
            ended.map(|lane| lane.map_err(|_| anyhow!("a thread of the load panicked"))?).collect();
        Ok((lanes?, began.elapsed().as_secs_f64()))
    })?;
    let failed = lanes.iter().map(|lane| lane.failed).sum();
    let times: Vec<f64> = lanes.into_iter().flat_map(|lane| lane.times).collect();
    ensure!(!times.is_empty(), "nothing succeeded, {failed} failed");
    Ok(Sample { times, failed, seconds })
}

/// One connection.
struct Lane {
    times: Vec<f64>,
    failed: u32,
}

impl Lane {
    fn run(
        address: SocketAddr,
        ready: &Barrier,
        next: &(impl Fn(u32) -> Option<Request> + Sync),
        number: &AtomicU32,
        span: Duration,
    ) -> Result<Self> {
        let connection = Connection::open(address);
        ready.wait();
        let mut connection = connection?;
        let mut lane = Self { times: Vec::new(), failed: 0 };
        let began = Instant::now();
        while began.elapsed() < span {
            let request = next(number.fetch_add(1, Ordering::Relaxed)).context("no request to send")?;
            let sent = Instant::now();
            match connection.respond(&request) {
                Ok((200..=299, _)) => lane.times.push(sent.elapsed().as_secs_f64() * 1e3),
                Ok(_) => lane.failed += 1,
                Err(_) => {
                    lane.failed += 1;
                    connection = Connection::open(address)?;
                }
            }
        }
        Ok(lane)
    }
}
