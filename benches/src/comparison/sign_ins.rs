//! Sign-ins with more and more processors.

use super::Effort;
use super::by_connections::in_turns;
use super::system::System;
use super::work::Work;
use crate::results::Row;
use anyhow::Result;

/// Sign-ins under way: enough to keep every processor busy.
const CONNECTIONS: usize = 16;

/// Every system is started again for each number of processors, with as many processes or threads that hash.
#[expect(clippy::cast_precision_loss, reason = "a number of processors")]
pub fn measure(systems: &mut [System<'_>], effort: &Effort, cores: usize) -> Result<Vec<Row>> {
    println!("\n== sign-ins by processors ==");
    let mut rows = Vec::new();
    for count in (1..=cores).filter(|count| count.is_power_of_two() || *count == cores) {
        for system in &mut *systems {
            system.stop();
            system.start(count, true)?;
        }
        let found = in_turns(systems, Work::SignIn, CONNECTIONS, effort)?;
        rows.extend(found.into_iter().map(|row| Row { at: count as f64, ..row }));
    }
    Ok(rows)
}
