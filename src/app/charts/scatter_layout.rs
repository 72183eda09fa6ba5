//! Where a scatter's points are, at one size and zoom, and which of them is nearest to the pointer.

use std::cell::OnceCell;

use super::scale::{Scale, ticks};

/// The points of a scatter and the orders in which keys walk them.
pub struct Points {
    pub x: Vec<f32>,
    pub y: Vec<f32>,
    pub exact: Vec<bool>,
    /// Indices from left to right; sorted when a key first asks, as a sweep makes new points many times a second.
    by_x: OnceCell<Vec<u32>>,
    /// Indices of those that stand out, the farthest from zero first.
    outliers: Vec<u32>,
}

/// Up and down walk along so many.
const OUTLIERS: usize = 100;

impl Points {
    pub fn new(x: Vec<f32>, y: Vec<f32>, exact: Vec<bool>) -> Self {
        let mut outliers: Vec<u32> = there(&x, &y).collect();
        let size = |&a: &u32, &b: &u32| y[b as usize].abs().total_cmp(&y[a as usize].abs()).then(a.cmp(&b));
        if outliers.len() > OUTLIERS {
            outliers.select_nth_unstable_by(OUTLIERS, size);
            outliers.truncate(OUTLIERS);
        }
        outliers.sort_unstable_by(size);
        Points { x, y, exact, by_x: OnceCell::new(), outliers }
    }

    pub fn count(&self) -> usize {
        self.y.len()
    }

    /// The points that stand out most.
    pub fn outliers(&self) -> impl Iterator<Item = usize> + '_ {
        self.outliers.iter().map(|&i| i as usize)
    }

    fn by_x(&self) -> &[u32] {
        self.by_x.get_or_init(|| {
            let mut order: Vec<u32> = there(&self.x, &self.y).collect();
            order.sort_by(|&a, &b| self.x[a as usize].total_cmp(&self.x[b as usize]));
            order
        })
    }

    /// Where a key leads: left and right along the axis, up and down to the next larger and smaller.
    pub fn step(&self, at: usize, key: &str) -> Option<usize> {
        let page = |order: &[u32]| (order.len() as i64 / 20).max(1);
        let (order, by) = match key {
            "ArrowLeft" => (self.by_x(), -1),
            "ArrowRight" => (self.by_x(), 1),
            "PageUp" => (self.by_x(), -page(self.by_x())),
            "PageDown" => (self.by_x(), page(self.by_x())),
            "ArrowUp" => (&self.outliers[..], -1),
            "ArrowDown" => (&self.outliers[..], 1),
            "Home" => return self.by_x().first().map(|&i| i as usize),
            "End" => return self.by_x().last().map(|&i| i as usize),
            _ => return None,
        };
        let last = i64::try_from(order.len()).ok()? - 1;
        let place = order.iter().position(|&i| i as usize == at).map_or(0, |place| place as i64 + by);
        order.get(usize::try_from(place.clamp(0, last.max(0))).ok()?).map(|&i| i as usize)
    }
}

/// The indices of the points that have a place.
fn there<'a>(x: &'a [f32], y: &'a [f32]) -> impl Iterator<Item = u32> + 'a {
    let pairs = (0u32..).zip(x.iter().zip(y));
    pairs.filter(|(_, (x, y))| x.is_finite() && y.is_finite()).map(|(i, _)| i)
}

/// The stretch of both axes that is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    pub x: (f64, f64),
    pub y: (f64, f64),
}

pub const LEFT: f64 = 52.0;
pub const RIGHT: f64 = 16.0;
pub const TOP: f64 = 14.0;
pub const BOTTOM: f64 = 34.0;
pub const HEIGHT: f64 = 340.0;
/// A pointer this near to a point's middle points at it.
const NEAR: f64 = 18.0;

/// From values to pixels.
pub struct Layout {
    pub width: f64,
    pub x: Scale,
    pub y: Scale,
}

impl Layout {
    pub fn of(window: Window, width: f64) -> Self {
        Layout {
            width,
            x: Scale { from: window.x, to: (LEFT, width - RIGHT) },
            y: Scale { from: window.y, to: (HEIGHT - BOTTOM, TOP) },
        }
    }

    /// Where a point stands; none where it is out of sight.
    pub fn place(&self, points: &Points, i: usize) -> Option<(f64, f64)> {
        let (x, y) = (self.x.at(f64::from(*points.x.get(i)?)), self.y.at(f64::from(*points.y.get(i)?)));
        let is_inside =
            (LEFT - 1.0..=self.width - RIGHT + 1.0).contains(&x) && (TOP - 1.0..=HEIGHT - BOTTOM + 1.0).contains(&y);
        is_inside.then_some((x, y))
    }

    /// The point that a pixel is at.
    pub fn nearest(&self, points: &Points, (x, y): (f64, f64)) -> Option<usize> {
        let distance = |i: usize| self.place(points, i).map(|(px, py)| (px - x).hypot(py - y));
        let near = (0..points.count()).filter_map(|i| Some((i, distance(i)?))).filter(|(_, distance)| *distance < NEAR);
        near.min_by(|a, b| a.1.total_cmp(&b.1)).map(|(i, _)| i)
    }

    /// A rectangle of pixels as a stretch of both axes.
    pub fn window(&self, from: (f64, f64), to: (f64, f64)) -> Window {
        let back = |scale: Scale, a: f64, b: f64| {
            let back = Scale { from: scale.to, to: scale.from };
            let (a, b) = (back.at(a), back.at(b));
            (a.min(b), a.max(b))
        };
        Window { x: back(self.x, from.0, to.0), y: back(self.y, from.1, to.1) }
    }
}

impl Window {
    /// All points, zero, and a little room.
    pub fn whole(points: &Points) -> Self {
        let range = |values: &[f32]| {
            let finite = values.iter().map(|&value| f64::from(value)).filter(|value| value.is_finite());
            finite.fold((0.0f64, 0.0f64), |(low, high), value| (low.min(value), high.max(value)))
        };
        let roomy = |(low, high): (f64, f64), share: f64| {
            let room = (high - low).max(1e-6) * share;
            (low - room, high + room)
        };
        let y = range(&points.y);
        let ends = ticks(y.0, y.1, 6).values;
        let y = (ends.first().copied().unwrap_or(y.0), ends.last().copied().unwrap_or(y.1));
        Window { x: roomy(range(&points.x), 0.02), y: roomy(y, 0.0) }
    }

    /// Nearer (`factor` below 1) or farther, about a place, and never farther than `whole`.
    pub fn zoomed(self, factor: f64, about: (f64, f64), whole: Window) -> Self {
        let axis = |(low, high): (f64, f64), about: f64, whole: (f64, f64)| {
            let about = about.clamp(low, high);
            ((about - (about - low) * factor).max(whole.0), (about + (high - about) * factor).min(whole.1))
        };
        Window { x: axis(self.x, about.0, whole.x), y: axis(self.y, about.1, whole.y) }
    }
}
