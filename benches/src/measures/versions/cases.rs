//! The requests that compare two versions, and how much better the later one should be.

use crate::client::Request;
use crate::data::documents::{lines, unnamed};
use crate::report::Aim;
use crate::tenant::Tenant;
use crate::workload::Workload;
use anyhow::Result;

/// Different documents that are inserted one by one.
const INSERTED: u32 = 1_000;
/// Documents of one bulk insert.
const BULK: u32 = 1_000;
/// Threads of the load, as in the measures `get` and `documents`.
const FEW_THREADS: usize = 2;
const MANY_THREADS: usize = 16;

/// A kind of request that is measured.
pub struct Case {
    pub what: &'static str,
    operation: Operation,
    /// Connections, each with one request under way.
    connections: usize,
    threads: usize,
    /// For the requests per second on MongoDB, which waits for another process; for those per CPU second on the embedded
    /// engine, which the load bounds.
    pub aim: Aim,
    pub names: Names,
}

/// The names of its findings.
pub struct Names {
    /// Requests per second.
    pub rate: &'static str,
    /// Requests per CPU second.
    pub efficiency: &'static str,
}

#[derive(Clone, Copy)]
enum Operation {
    /// `GET /org/get`
    Lookup,
    /// `GET /v1/organizations/{organization}`, by its admin
    Organization,
    /// Gets one document by its id
    Read,
    /// Lists so many documents by an indexed filter
    List(u32),
    /// Patches one document
    Patch,
    /// Inserts one document
    Insert,
    /// Inserts many documents as NDJSON
    Bulk,
}

/// The cases on the embedded engine. Inserts come last: they change what the others read.
pub const EMBEDDED: [Case; 6] = [
    Case {
        what: "GET /org/get",
        operation: Operation::Lookup,
        connections: 64,
        threads: FEW_THREADS,
        // Not less than before, but for noise.
        aim: Aim::AtLeast(0.98),
        names: Names { rate: "versions_embedded_get", efficiency: "versions_embedded_get_cpu" },
    },
    Case {
        what: "GET organization",
        operation: Operation::Organization,
        connections: 64,
        threads: FEW_THREADS,
        aim: Aim::None,
        names: Names {
            rate: "versions_embedded_organization",
            efficiency: "versions_embedded_organization_cpu",
        },
    },
    Case {
        what: "point read",
        operation: Operation::Read,
        connections: 64,
        threads: FEW_THREADS,
        aim: Aim::AtLeast(1.3),
        names: Names { rate: "versions_embedded_read", efficiency: "versions_embedded_read_cpu" },
    },
    Case {
        what: "list of 100",
        operation: Operation::List(100),
        connections: 16,
        threads: MANY_THREADS,
        aim: Aim::None,
        names: Names { rate: "versions_embedded_list", efficiency: "versions_embedded_list_cpu" },
    },
    Case {
        what: "insert",
        operation: Operation::Insert,
        connections: 16,
        threads: MANY_THREADS,
        aim: Aim::AtLeast(1.1),
        names: Names { rate: "versions_embedded_insert", efficiency: "versions_embedded_insert_cpu" },
    },
    Case {
        what: "bulk insert",
        operation: Operation::Bulk,
        connections: 4,
        threads: 4,
        aim: Aim::AtLeast(1.1),
        names: Names { rate: "versions_embedded_bulk", efficiency: "versions_embedded_bulk_cpu" },
    },
];

/// On MongoDB, likewise.
pub const MONGODB: [Case; 5] = [
    Case {
        what: "GET organization",
        operation: Operation::Organization,
        connections: 64,
        threads: FEW_THREADS,
        aim: Aim::AtLeast(8.0),
        names: Names {
            rate: "versions_mongodb_organization",
            efficiency: "versions_mongodb_organization_cpu",
        },
    },
    Case {
        what: "point read",
        operation: Operation::Read,
        connections: 64,
        threads: FEW_THREADS,
        aim: Aim::AtLeast(1.8),
        names: Names { rate: "versions_mongodb_read", efficiency: "versions_mongodb_read_cpu" },
    },
    Case {
        what: "list of 20",
        operation: Operation::List(20),
        connections: 64,
        threads: MANY_THREADS,
        aim: Aim::None,
        names: Names { rate: "versions_mongodb_list", efficiency: "versions_mongodb_list_cpu" },
    },
    Case {
        what: "PATCH",
        operation: Operation::Patch,
        connections: 64,
        threads: MANY_THREADS,
        aim: Aim::None,
        names: Names { rate: "versions_mongodb_patch", efficiency: "versions_mongodb_patch_cpu" },
    },
    Case {
        what: "insert",
        operation: Operation::Insert,
        connections: 64,
        threads: MANY_THREADS,
        aim: Aim::AtLeast(2.0),
        names: Names { rate: "versions_mongodb_insert", efficiency: "versions_mongodb_insert_cpu" },
    },
];

impl Case {
    /// The requests of it, for an organization that has `documents` documents.
    pub fn workload(&self, tenant: &Tenant, documents: u32) -> Result<Workload> {
        let requests = match self.operation {
            Operation::Lookup => vec![Request::get("/org/get?organization_name=Organization%200")],
            Operation::Organization => vec![tenant.organization()],
            Operation::Read => tenant.reads(documents),
            Operation::List(limit) => tenant.lists(documents, limit),
            Operation::Patch => tenant.patches(documents),
            Operation::Insert => tenant.inserts(&lines(documents, INSERTED, unnamed)),
            Operation::Bulk => {
                return Workload::bulk(tenant, self.connections, lines(documents, BULK, unnamed), BULK);
            }
        };
        Workload::new(tenant.address, self.threads, self.connections, requests)
    }
}
