//! Names beside points: on the side with more room, else on the other, and none over another.

/// Width of a letter and height of a line of `.outlier`, in pixels; a little more than most need.
const LETTER: f64 = 7.5;
const LINE: f64 = 13.0;
/// Between a point and its name.
const APART: f64 = 8.0;

/// Where a name stands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Label {
    pub x: f64,
    pub y: f64,
    /// It ends at `x`; otherwise it begins there.
    pub is_leftwards: bool,
}

/// A place for each name, in their order, from `left` to `right`; none for a name that would lie over an earlier one.
pub fn place<'a>(points: impl Iterator<Item = (f64, f64, &'a str)>, (left, right): (f64, f64)) -> Vec<Option<Label>> {
    let mut taken: Vec<[f64; 3]> = Vec::new();
    let mut place_one = |(x, y, name): (f64, f64, &str)| {
        let width = name.chars().count() as f64 * LETTER;
        let is_leftwards = x >= f64::midpoint(left, right);
        [is_leftwards, !is_leftwards].into_iter().find_map(|is_leftwards| {
            let x = if is_leftwards { x - APART } else { x + APART };
            let (from, to) = if is_leftwards { (x - width, x) } else { (x, x + width) };
            let is_over = |other: &[f64; 3]| from < other[1] && other[0] < to && (y - other[2]).abs() < LINE;
            if from < left || to > right || taken.iter().any(is_over) {
                return None;
            }
            taken.push([from, to, y]);
            Some(Label { x, y, is_leftwards })
        })
    };
    points.map(&mut place_one).collect()
}

#[cfg(test)]
mod tests {
    use wasm_bindgen_test::wasm_bindgen_test as test;

    use super::*;

    #[test]
    fn a_name_gives_way_to_the_other_side_and_then_to_the_earlier() {
        let points =
            [(300.0, 50.0, "L1 N245"), (305.0, 52.0, "L2 N10"), (302.0, 54.0, "L0 N1"), (300.0, 90.0, "L3 N2")];
        let places = place(points.into_iter(), (50.0, 400.0));
        let leftwards: Vec<_> = places.iter().map(|label| label.map(|label| label.is_leftwards)).collect();
        assert_eq!(leftwards, [Some(true), Some(false), None, Some(true)]);
    }

    #[test]
    fn a_name_stays_within_the_chart() {
        let places = place([(60.0, 5.0, "a long name"), (390.0, 5.0, "another")].into_iter(), (50.0, 400.0));
        assert_eq!(places.iter().flatten().map(|label| label.is_leftwards).collect::<Vec<_>>(), [false, true]);
        assert_eq!(place([(10.0, 5.0, "too wide for it")].into_iter(), (0.0, 40.0)), [None]);
    }
}
