//! How much memory the export and import of an organization take, with many documents and with few.
//!
//! The service is restarted for each, so that nothing is in memory that the other one needed.

use crate::Bench;
use crate::client::{Connection, Request};
use crate::measures::engine::Engine;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::tenant::Tenant;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::{BufWriter, Write, empty, sink};
use std::path::Path;
use std::time::{Duration, Instant};

const FEW: u32 = 10_000;
const MANY: u32 = 1_000_000;
/// How much more memory many documents may take than few, in MB: caches that only many fill.
const SMALL: f64 = 16.0;

/// The organizations get their documents before it begins.
pub fn measure(bench: &Bench, engine: Engine<'_>) -> Result<Vec<Finding>> {
    let part = format!("transfer_{}", engine.name());
    let many = MANY / bench.shrink;
    engine.seed(bench, &part, 2)?;
    let server = engine.start(bench, &part)?;
    let tenants = [Tenant::sign_in(&server, 0)?, Tenant::sign_in(&server, 1)?];
    for (tenant, documents) in tenants.iter().zip([FEW, many]) {
        tenant.index()?;
        tenant.fill(documents)?;
    }
    server.stop()?;
    let [few_needs, many_needs] = tenants.map(|tenant| MemoryUse::of(bench, engine, &part, &tenant.id));
    let (few_needs, many_needs) = (few_needs?, many_needs?);
    let names = match engine {
        Engine::Embedded => ["documents_embedded_export_memory", "documents_embedded_import_memory"],
        Engine::Mongodb(_) => ["documents_mongodb_export_memory", "documents_mongodb_import_memory"],
    };
    let finding = |name, what: &str, few: &TransferCost, most: &TransferCost| Finding {
        name,
        what: format!("documents, {}: memory to {what} {many}, more than for {FEW}", engine.name()),
        measured: most.memory - few.memory,
        unit: "MB",
        aim: Aim::AtMost(SMALL),
        detail: format!("{:.1} MB, {:.1} MB; took {:.1?}", most.memory, few.memory, most.time),
    };
    Ok(vec![
        finding(names[0], "export", &few_needs.export, &many_needs.export),
        finding(names[1], "import", &few_needs.import, &many_needs.import),
    ])
}

/// The cost of a transfer: the peak memory of the service, in MB, and the time.
struct TransferCost {
    memory: f64,
    time: Duration,
}

struct MemoryUse {
    export: TransferCost,
    import: TransferCost,
}

impl MemoryUse {
    fn of(bench: &Bench, engine: Engine<'_>, part: &str, organization: &str) -> Result<Self> {
        let archive = bench.directory.path().join(format!("{part}.ndjson"));
        let taken = |work: &dyn Fn(&Server, &str) -> Result<()>| -> Result<TransferCost> {
            let server = engine.start(bench, part)?;
            let key = engine.operator_key(bench, part)?;
            server.forget_peak()?;
            let began = Instant::now();
            work(&server, &key)?;
            let taken = TransferCost { memory: server.peak_memory()?, time: began.elapsed() };
            server.stop()?;
            Ok(taken)
        };
        Ok(Self {
            export: taken(&|server, key| export(server, key, organization, &archive))?,
            import: taken(&|server, key| import(server, key, organization, &archive))?,
        })
    }
}

fn export(server: &Server, key: &str, organization: &str, archive: &Path) -> Result<()> {
    let mut file = BufWriter::new(File::create(archive)?);
    let request = Request::get_by(&format!("/v1/organizations/{organization}/export"), Some(key));
    Connection::open(server.address)?.exchange(&request, empty(), &mut file)?;
    Ok(file.flush()?)
}

/// Under another name, id and address of its owner: the first one is still there.
fn import(server: &Server, key: &str, organization: &str, archive: &Path) -> Result<()> {
    let file = File::open(archive).context("there is no archive")?;
    let again =
        format!("id=new&organization_name=Again%20{organization}&owner_email={organization}%40example.com");
    let path = format!("/v1/organizations/import?{again}");
    let length = file.metadata()?.len();
    let request = Request::begin("POST", &path, Some(key), "application/x-ndjson", length);
    Connection::open(server.address)?.exchange(&request, file, &mut sink())?;
    Ok(())
}
