//! From values to pixels, and the round numbers an axis is marked with.

/// A straight map from a range of values to a range of pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    pub from: (f64, f64),
    pub to: (f64, f64),
}

impl Scale {
    pub fn at(&self, value: f64) -> f64 {
        let span = self.from.1 - self.from.0;
        let share = if span == 0.0 { 0.5 } else { (value - self.from.0) / span };
        self.to.0 + share * (self.to.1 - self.to.0)
    }

    /// The whole number from 0 to `last` whose place is nearest to `pixel`.
    pub fn nearest(&self, pixel: f64, last: usize) -> usize {
        let back = Scale { from: self.to, to: self.from };
        (back.at(pixel).round().max(0.0) as usize).min(last)
    }

    /// Pixels from one whole number to the next.
    pub fn step(&self) -> f64 {
        self.at(1.0) - self.at(0.0)
    }
}

/// An axis's marks and how many decimals tell them apart.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticks {
    pub values: Vec<f64>,
    pub decimals: usize,
}

/// Round numbers, about `count` of them, from at or below `low` to at or above `high`: the axis ends on its marks.
pub fn ticks(low: f64, high: f64, count: usize) -> Ticks {
    let span = if high > low { high - low } else { 1.0 };
    let rough = span / count.max(1) as f64;
    let magnitude = 10f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0].into_iter().map(|m| m * magnitude).find(|step| *step >= rough);
    let step = step.unwrap_or(10.0 * magnitude);
    let (first, last) = ((low / step).floor() as i64, (high / step).ceil() as i64);
    let is_whole = |value: f64| (value - value.round()).abs() < 1e-6 * value;
    let decimals = (0..9).find(|&places| is_whole(step * 10f64.powi(places))).unwrap_or(9) as usize;
    Ticks { values: (first..=last.max(first + 1)).map(|i| i as f64 * step).collect(), decimals }
}

/// The next of 1, 2, 5, 10, 20 … (or 0.5, 0.2 …) that is not smaller, or so little that it makes no odds.
pub fn round_up(value: f32) -> f32 {
    let magnitude = 10f32.powf(value.log10().floor());
    let round = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * magnitude).find(|round| *round >= value * 0.93);
    round.unwrap_or(value)
}
