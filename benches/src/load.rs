//! A closed load: on every connection the next request follows its response.
//!
//! Few threads serve many connections in turn, each with one request under way. Waiting for a connection whose
//! response is not there yet holds up none of the server's work on the others, and there is no poll to pay for.

use crate::client::{Connection, Request};
use anyhow::{Result, anyhow};
use rustls::ClientConfig;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// Connections, shared out among threads.
pub struct Load(Vec<Vec<Connection>>);

impl Load {
    /// Opens `connections` connections, to be served by `threads` threads.
    pub fn open(address: SocketAddr, threads: usize, connections: usize) -> Result<Self> {
        Self::open_by(address, None, threads, connections)
    }

    /// Likewise, within TLS if it is given.
    pub fn open_by(
        address: SocketAddr,
        tls: Option<&Arc<ClientConfig>>,
        threads: usize,
        connections: usize,
    ) -> Result<Self> {
        let lane = |number| {
            let share = connections / threads + usize::from(number < connections % threads);
            (0..share).map(|_| Connection::open_by(address, tls)).collect::<Result<Vec<_>>>()
        };
        Ok(Self((0..threads).map(lane).collect::<Result<_>>()?))
    }

    /// Sends `requests` again and again for `span`; the responses per second.
    pub fn run(&mut self, requests: &[Request], span: Duration) -> Result<Rate> {
        let began = Instant::now();
        let lanes = self.0.len();
        let responses: Result<Vec<u64>> = thread::scope(|scope| {
            let running: Vec<_> = (self.0.iter_mut().enumerate())
                .map(|(number, lane)| {
                    // Each thread starts at another request, so that they do not all send the same one at the
                    // same time.
                    let offset = number * requests.len() / lanes;
                    scope.spawn(move || drive(lane, requests, offset, span))
                })
                .collect();
            let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
            ended.map(|lane| lane.map_err(|_| anyhow!("a thread of the load panicked"))?).collect()
        });
        Ok(Rate { responses: responses?.into_iter().sum(), seconds: began.elapsed().as_secs_f64() })
    }
}

/// The result of a load.
#[derive(Clone, Copy)]
pub struct Rate {
    /// Answers received.
    pub responses: u64,
    /// How long it took.
    pub seconds: f64,
}

impl Rate {
    /// Answers per second.
    #[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
    pub fn per_second(self) -> f64 {
        self.responses as f64 / self.seconds
    }
}

fn drive(lane: &mut [Connection], requests: &[Request], offset: usize, span: Duration) -> Result<u64> {
    let began = Instant::now();
    let mut next = requests.iter().cycle().skip(offset);
    let mut send = |connection: &mut Connection| match next.next() {
        Some(request) => connection.send(request),
        None => Err(anyhow!("no request to send")),
    };
    let mut responses = 0;
    lane.iter_mut().try_for_each(&mut send)?;
    while began.elapsed() < span {
        for connection in &mut *lane {
            connection.receive()?;
            responses += 1;
            send(connection)?;
        }
    }
    for connection in lane {
        connection.receive()?;
        responses += 1;
    }
    Ok(responses)
}
