//! Which rows or columns of a long scroll box are in sight: only those are drawn.

use std::ops::Range;

/// Drawn beyond each edge, so that a quick scroll finds something there.
const SPARE: usize = 3;

/// The cells to draw along one axis, in a box `room` pixels long that is scrolled by whole `first` cells.
pub fn in_sight(first: usize, room: f64, cell: f64, count: usize) -> Range<usize> {
    let seen = (room / cell).ceil().max(0.0) as usize + 1;
    first.saturating_sub(SPARE).min(count)..(first + seen + SPARE).min(count)
}

/// Where to scroll, from `offset`, so that cell `at` can be seen whole.
pub fn scroll_to_see(at: usize, offset: f64, room: f64, cell: f64) -> f64 {
    let (start, end) = (at as f64 * cell, (at + 1) as f64 * cell);
    if start < offset {
        start
    } else if end > offset + room {
        end - room
    } else {
        offset
    }
}
