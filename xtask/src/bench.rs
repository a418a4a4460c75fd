//! Builds the service and its benchmark as the service is shipped, and runs the benchmark, `benches/`.

#[path = "../../benches/src/arguments.rs"]
mod arguments;
mod peers;

use crate::shell::{cargo, command, run as sh, target_directory};
use anyhow::Result;
pub use arguments::Arguments;

/// Runs it with `arguments`.
pub fn run(arguments: &Arguments) -> Result<()> {
    if arguments.report {
        peers::install(&target_directory()?.join("peers"))?;
    }
    sh(cargo("build --profile dist --locked --package tenantry --package tenantry-benches --bins"))?;
    let mut bench = command::<&str>(target_directory()?.join("dist/tenantry-bench"), &[]);
    for measure in &arguments.only {
        bench.arg("--only").arg(measure.name());
    }
    if arguments.quick {
        bench.arg("--quick");
    }
    if arguments.report {
        bench.arg("--report");
    }
    if let Some(before) = &arguments.before {
        bench.arg("--before").arg(before);
    }
    sh(bench)
}
