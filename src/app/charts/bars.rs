//! Bars beside each other at each point of a chart: what a line chart draws where points don't follow each other.

use yew::prelude::*;

use super::line::Series;
use super::scale::Scale;

/// Of a point's room, what its bars fill.
const FILLED: f64 = 0.72;

/// One series' bars, the `which`th of `count` at every point.
pub fn bars(series: &Series, (which, count): (usize, usize), x: Scale, y: Scale, active: Option<usize>) -> Html {
    let room = x.step().abs() * FILLED;
    let width = room / count.max(1) as f64;
    let zero = y.at(0.0);
    let bar = |(i, &value): (usize, &f32)| {
        let end = y.at(f64::from(value));
        let left = x.at(i as f64) - room / 2.0 + which as f64 * width;
        let is_active = active == Some(i);
        html! {
            <rect class={classes!("a-bar", is_active.then_some("active"))} x={format!("{left:.1}")} y={format!("{:.1}", end.min(zero))}
                width={format!("{:.1}", (width - 1.0).max(0.8))} height={format!("{:.1}", (end - zero).abs())} />
        }
    };
    let finite = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
    html! { <g class={classes!("series", series.class)} aria-hidden="true">{ for finite.map(bar) }</g> }
}
