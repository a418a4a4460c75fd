//! The requests of one side of a comparison, on connections of its own.

use crate::client::{Connection, Request};
use crate::load::{Load, Rate};
use crate::tenant::Tenant;
use anyhow::{Result, anyhow};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

/// Requests that are sent again and again.
pub enum Workload {
    /// Each with one response that arrives whole.
    Requests { load: Load, requests: Vec<Request> },
    /// Many documents as NDJSON, `count` lines each.
    Bulk { tenant: Tenant, connections: Vec<Connection>, lines: String, count: u32 },
}

impl Workload {
    /// Sends `requests` on `connections` connections, which `threads` threads serve.
    pub fn new(
        address: SocketAddr,
        threads: usize,
        connections: usize,
        requests: Vec<Request>,
    ) -> Result<Self> {
        Ok(Self::Requests { load: Load::open(address, threads, connections)?, requests })
    }

    /// Inserts `lines`, of which there are `count`, on `connections` connections, with a thread each.
    pub fn bulk(tenant: &Tenant, connections: usize, lines: String, count: u32) -> Result<Self> {
        let connections =
            (0..connections).map(|_| Connection::open(tenant.address)).collect::<Result<_>>()?;
        Ok(Self::Bulk { tenant: tenant.clone(), connections, lines, count })
    }

    /// Runs it for `span`; the responses, or the documents that were inserted in bulk.
    pub fn run(&mut self, span: Duration) -> Result<Rate> {
        match self {
            Self::Requests { load, requests } => load.run(requests, span),
            Self::Bulk { tenant, connections, lines, count } => {
                insert_all(tenant, connections, lines, *count, span)
            }
        }
    }
}

/// On every connection the next documents follow the response, until `span` is over.
fn insert_all(
    tenant: &Tenant,
    connections: &mut [Connection],
    lines: &str,
    count: u32,
    span: Duration,
) -> Result<Rate> {
    let began = Instant::now();
    let inserted: Result<u64> = thread::scope(|scope| {
        let mut running = Vec::new();
        for connection in connections {
            running.push(scope.spawn(move || -> Result<u64> {
                let mut inserted = 0;
                while began.elapsed() < span {
                    tenant.insert_all(connection, lines, count)?;
                    inserted += u64::from(count);
                }
                Ok(inserted)
            }));
        }
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|ended| ended.map_err(|_| anyhow!("a thread of the load panicked"))?).sum()
    });
    Ok(Rate { responses: inserted?, seconds: began.elapsed().as_secs_f64() })
}
