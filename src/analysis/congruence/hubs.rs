//! Hubs: tokens that are many neurons' best, the post's forbidden tokens among them (SPEC row 13); and neurons likewise.

use crate::engine::Extremes;
use crate::protocol::Hubness;

/// One row: of how many rows of the other side it is the best, and its own best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hub {
    pub row: usize,
    pub best_of: u32,
    pub value: f32,
    /// The row of the other side that `value` is with.
    pub with: usize,
    /// `value` in standard deviations of this row.
    pub z: f32,
}

/// Every row of `rows` as a hub of `others`, those that are most often the best first, then by how far their own best is
/// out; and how uneven that is.
pub fn hubs(rows: &Extremes, others: &Extremes) -> (Vec<Hub>, Hubness) {
    let n = rows.spreads().len();
    let mut best_of = vec![0u32; n];
    for other in 0..others.spreads().len() {
        best_of[others.largest(other)[0].id as usize] += 1;
    }
    let hubness = hubness(&best_of);
    let hub = |(row, best_of): (usize, u32)| {
        let (best, spread) = (rows.largest(row)[0], &rows.spreads()[row]);
        let deviation = spread.deviation();
        let z = if deviation > 0.0 { (best.value - spread.mean) / deviation } else { 0.0 };
        Hub { row, best_of, value: best.value, with: best.id as usize, z }
    };
    let mut found: Vec<Hub> = best_of.into_iter().enumerate().map(hub).collect();
    found.sort_by(|a, b| b.best_of.cmp(&a.best_of).then(b.z.total_cmp(&a.z)).then(a.row.cmp(&b.row)));
    (found, hubness)
}

fn hubness(best_of: &[u32]) -> Hubness {
    let n = best_of.len().max(1) as f64;
    let mean = best_of.iter().map(|&count| f64::from(count)).sum::<f64>() / n;
    let moment = |power: i32| best_of.iter().map(|&count| (f64::from(count) - mean).powi(power)).sum::<f64>() / n;
    let sd = moment(2).sqrt();
    let skew = if sd > 0.0 { moment(3) / sd.powi(3) } else { 0.0 };
    let never = best_of.iter().filter(|&&count| count == 0).count();
    Hubness { mean: mean as f32, sd: sd as f32, skew: skew as f32, never }
}

#[cfg(test)]
mod tests {
    use super::*;
    #[cfg(target_arch = "wasm32")]
    use wasm_bindgen_test::wasm_bindgen_test as test;

    #[test]
    fn skew_is_the_third_standardised_moment() {
        let found = hubness(&[0, 0, 0, 4]);
        assert_eq!((found.mean, found.never), (1.0, 3));
        assert!((found.sd - 3f32.sqrt()).abs() < 1e-6);
        // moments about 1: (3 * 1 + 9) / 4 = 3 and (3 * -1 + 27) / 4 = 6
        assert!((found.skew - 6.0 / 3f32.powf(1.5)).abs() < 1e-6);
        assert_eq!(hubness(&[2, 2]).skew, 0.0);
    }
}
