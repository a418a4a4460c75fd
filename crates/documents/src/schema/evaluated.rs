//! Which members and items of a value other keywords have evaluated: what `unevaluatedProperties` and
//! `unevaluatedItems` look at.

/// See [`self`]. By the place of a member or item in its value.
#[derive(Debug, Clone, Default)]
pub struct Evaluated(Vec<bool>);

impl Evaluated {
    pub fn mark(&mut self, place: usize) {
        if self.0.len() <= place {
            self.0.resize(place + 1, false);
        }
        self.0[place] = true;
    }

    pub fn has(&self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or(false)
    }

    /// Adds what a subschema has evaluated.
    pub fn merge(&mut self, other: &Self) {
        for (place, _) in other.0.iter().enumerate().filter(|(_, is_evaluated)| **is_evaluated) {
            self.mark(place);
        }
    }

    /// How many places it knows of: the price of a merge.
    pub fn places(&self) -> u64 {
        self.0.len() as u64
    }
}
