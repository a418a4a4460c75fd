//! One of two services that do the same reads in turns, with something that costs and without.

use crate::Bench;
use crate::client::Request;
use crate::load::Load;
use crate::measures::get::round;
use crate::report::{Aim, Finding};
use crate::server::Server;
use crate::statistics::Pairs;
use anyhow::Result;

/// A service, and the reads that it is sent.
pub struct Side {
    pub server: Server,
    pub load: Load,
    pub reads: Vec<Request>,
}

impl Side {
    /// Lets both take turns: the processor time of a read by the first, to that of one by the second. Ends both.
    pub fn compare(
        bench: &Bench,
        mut sides: [Self; 2],
        name: &'static str,
        what: &str,
        aim: Aim,
    ) -> Result<Finding> {
        let (mut rates, mut costs) = (Pairs::default(), Pairs::default());
        for turn in 0..=bench.rounds {
            let (rate, cost) = sides[0].run(bench)?;
            let (plain_rate, plain_cost) = sides[1].run(bench)?;
            // The first round warms up.
            if turn > 0 {
                rates.push(rate, plain_rate);
                costs.push(cost, plain_cost);
            }
        }
        let detail = format!(
            "{:.2} µs, {:.2} µs; throughput {:.3}: {:.0}/s, {:.0}/s",
            costs.first()?,
            costs.second()?,
            rates.ratio()?,
            rates.first()?,
            rates.second()?
        );
        for side in sides {
            side.server.stop()?;
        }
        Ok(Finding { name, what: what.to_owned(), measured: costs.ratio()?, unit: "", aim, detail })
    }

    /// Reads per second, and the processor time of one in microseconds.
    fn run(&mut self, bench: &Bench) -> Result<(f64, f64)> {
        let (rate, cost) = round(&self.server, &mut self.load, &self.reads, bench.span)?;
        Ok((rate.per_second(), cost))
    }
}
