//! Sums that come out the same in any order.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Parts of one.
const UNIT: f64 = (1u64 << 40) as f64;

/// A sum of parts, each rounded to 2^-40 as it is added: whole numbers add up the same in any order. (Each part is
/// itself the sum over one group of documents, added up in one order always.)
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum(pub i128);

impl Sum {
    pub fn add(&mut self, part: f64) {
        self.0 = self.0.saturating_add((part * UNIT).round() as i128);
    }

    pub fn mean(self, n: u64) -> f64 {
        if n == 0 { 0.0 } else { self.0 as f64 / UNIT / n as f64 }
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Sum) {
        self.0 = self.0.saturating_add(other.0);
    }
}
