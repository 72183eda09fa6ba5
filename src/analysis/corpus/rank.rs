//! Rank correlation: whether two figures of the same things go the same way.

/// Standard deviations on either side that hold 95 % of a normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Spearman's rank correlation with its 95 % confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Correlation {
    pub rho: f64,
    pub low: f64,
    pub high: f64,
}

/// Of at least four pairs; none where one side is the same everywhere. The interval is Fisher's, with the variance that
/// Bonett and Wright give for ranks.
pub fn spearman(pairs: &[(f64, f64)]) -> Option<Correlation> {
    if pairs.len() < 4 {
        return None;
    }
    let ranks = |value: fn(&(f64, f64)) -> f64| ranks(&pairs.iter().map(value).collect::<Vec<_>>());
    let rho = pearson(&ranks(|pair| pair.0), &ranks(|pair| pair.1))?;
    let spread = Z * ((1.0 + rho * rho / 2.0) / (pairs.len() as f64 - 3.0)).sqrt();
    // the transform has no place for a perfect correlation
    let centre = rho.clamp(-1.0 + 1e-9, 1.0 - 1e-9).atanh();
    Some(Correlation { rho, low: (centre - spread).tanh(), high: (centre + spread).tanh() })
}

/// Ranks from 1 on; equal values share the mean of theirs.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    for same in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let below = values.iter().filter(|&&value| value < values[same[0]]).count();
        same.iter().for_each(|&at| ranks[at] = below as f64 + (same.len() as f64 + 1.0) / 2.0);
    }
    ranks
}

fn pearson(xs: &[f64], ys: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_x, mean_y) = (mean(xs), mean(ys));
    let sum = |f: &dyn Fn(f64, f64) -> f64| xs.iter().zip(ys).map(|(x, y)| f(x - mean_x, y - mean_y)).sum::<f64>();
    let size = (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt();
    (size > 0.0).then(|| sum(&|x, y| x * y) / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_share_their_ranks() {
        assert_eq!(ranks(&[3.0, 1.0, 3.0, 2.0]), [3.5, 1.0, 3.5, 2.0]);
    }

    #[test]
    fn what_rises_together_correlates() {
        let pairs: Vec<(f64, f64)> = (0..9).map(|n| (f64::from(n), f64::from(n * n))).collect();
        assert!((spearman(&pairs).unwrap().rho - 1.0).abs() < 1e-12);
        // by hand: differences of ranks 1, -1, 1, -1, 0
        let found = spearman(&[(1.0, 2.0), (2.0, 1.0), (3.0, 4.0), (4.0, 3.0), (5.0, 5.0)]).unwrap();
        assert!((found.rho - 0.8).abs() < 1e-12 && found.low < 0.8 && found.high > 0.8);
        assert_eq!(spearman(&[(1.0, 1.0); 8]), None);
    }
}
