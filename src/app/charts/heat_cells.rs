//! A heat map's cells as a few paths, one a colour: thousands of cells cost the page no more than dozens.

use super::heat::{Cell, Layout};

/// Shades on either side of zero.
const SHADES: usize = 24;
/// Left open around a cell, and around an estimate's mark.
const GAP: f64 = 0.5;
const ESTIMATE: f64 = 0.24;

/// All cells of one colour.
pub struct Bucket {
    pub class: &'static str,
    /// From 0, no colour, to 1.
    pub strength: f64,
    pub path: String,
}

pub struct Marks {
    pub buckets: Vec<Bucket>,
    /// A short stroke in each cell for which there is no figure.
    pub missing: String,
}

/// The cells' shapes; a value of `largest` has the strongest colour.
pub fn marks(cells: &[Cell], layout: &Layout, largest: f32) -> Marks {
    let mut paths = vec![String::new(); 2 * SHADES + 1];
    let mut missing = String::new();
    let (width, height) = layout.cell;
    for (i, cell) in cells.iter().enumerate() {
        let (x, y) = (layout.x(i % layout.columns), layout.y(i / layout.columns));
        if !cell.value.is_finite() {
            missing.push_str(&format!("M{:.1},{:.1}h6", x + width / 2.0 - 3.0, y + height / 2.0));
            continue;
        }
        let shade = (f64::from(cell.value / largest).clamp(-1.0, 1.0) * SHADES as f64).round();
        let (inset_x, inset_y) = if cell.is_exact { (GAP, GAP) } else { (width * ESTIMATE, height * ESTIMATE) };
        let (w, h) = (width - 2.0 * inset_x, height - 2.0 * inset_y);
        let path = &mut paths[(shade + SHADES as f64) as usize];
        path.push_str(&format!("M{:.1},{:.1}h{w:.1}v{h:.1}h-{w:.1}z", x + inset_x, y + inset_y));
    }
    let bucket = |(shade, path): (usize, String)| {
        let distance = shade.abs_diff(SHADES);
        Bucket {
            class: if shade < SHADES { "negative" } else { "positive" },
            strength: distance as f64 / SHADES as f64,
            path,
        }
    };
    let buckets = paths.into_iter().enumerate().filter(|(_, path)| !path.is_empty()).map(bucket).collect();
    Marks { buckets, missing }
}
