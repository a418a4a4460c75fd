//! Medians and percentiles.

use anyhow::{Context, Result};

/// The value below which `share` of `values` lie; 0.5 is the median.
pub fn percentile(mut values: Vec<f64>, share: f64) -> Result<f64> {
    values.sort_by(f64::total_cmp);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index into a list that fits in memory"
    )]
    let index = (values.len().saturating_sub(1) as f64 * share).round() as usize;
    values.get(index).copied().context("nothing was measured")
}

/// The value in the middle.
pub fn median(values: impl IntoIterator<Item = f64>) -> Result<f64> {
    percentile(values.into_iter().collect(), 0.5)
}

/// Rounds of two things that took turns.
#[derive(Default)]
pub struct Pairs(Vec<(f64, f64)>);

impl Pairs {
    /// A round.
    pub fn push(&mut self, first: f64, second: f64) {
        self.0.push((first, second));
    }

    /// The median of the rounds' ratios, first to second.
    pub fn ratio(&self) -> Result<f64> {
        median(self.0.iter().map(|(first, second)| first / second))
    }

    /// The median of the first.
    pub fn first(&self) -> Result<f64> {
        median(self.0.iter().map(|(first, _)| *first))
    }

    /// The median of the second.
    pub fn second(&self) -> Result<f64> {
        median(self.0.iter().map(|(_, second)| *second))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratio_ignores_one_bad_round() {
        let mut pairs = Pairs::default();
        for (first, second) in [(80.0, 100.0), (40.0, 50.0), (10.0, 100.0), (81.0, 100.0), (78.0, 100.0)] {
            pairs.push(first, second);
        }
        assert!((pairs.ratio().unwrap() - 0.8).abs() < 1e-9);
    }

    #[test]
    fn percentile_is_a_measured_value() {
        let values: Vec<f64> = (1..=200).rev().map(f64::from).collect();
        assert!((percentile(values.clone(), 0.99).unwrap() - 198.0).abs() < 1e-9);
        assert!((percentile(values, 0.5).unwrap() - 101.0).abs() < 1e-9);
        assert!(median([]).is_err());
    }
}
