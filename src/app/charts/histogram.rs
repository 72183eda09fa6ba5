//! A histogram of very many values, counts on a logarithmic scale, so that single outliers can be seen and named.

use yew::prelude::*;

use super::scale::{Scale, ticks};
use crate::app::format::{number, whole};
use crate::app::widgets::width::use_room;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub label: AttrValue,
    pub values: crate::app::state::Shared<Vec<f32>>,
    /// Values with their names written above their bars, the most important first.
    pub named: Vec<(f32, AttrValue)>,
    pub title: AttrValue,
}

const HEIGHT: f64 = 250.0;
const TOP: f64 = 62.0;
const BOTTOM: f64 = 34.0;
const SIDE: f64 = 14.0;
const BARS: usize = 72;
/// Between names, one above the other.
const LINE: f64 = 14.0;
/// Pixels of a character, about: names that would touch stand one above the other.
const CHARACTER: f64 = 7.5;

struct Bins {
    low: f64,
    width: f64,
    counts: Vec<u32>,
}

impl Bins {
    fn of(values: &[f32]) -> Self {
        let ends = values.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
        let (low, high) = if values.is_empty() { (0.0, 1.0) } else { (f64::from(ends.0), f64::from(ends.1)) };
        let width = ((high - low) / BARS as f64).max(1e-9);
        let mut counts = vec![0; BARS];
        for &value in values {
            counts[(((f64::from(value) - low) / width) as usize).min(BARS - 1)] += 1;
        }
        Bins { low, width, counts }
    }
}

#[component]
pub fn Histogram(props: &Props) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(640.0, |room| room.width.max(240.0));
    let bins = use_memo(props.values.clone(), |values| Bins::of(values));
    let high = bins.low + bins.width * BARS as f64;
    let x = Scale { from: (bins.low, high), to: (SIDE, width - SIDE) };
    let most = bins.counts.iter().copied().max().unwrap_or(1);
    let y = Scale { from: (0.0, f64::from(most).ln_1p()), to: (HEIGHT - BOTTOM, TOP) };
    let top_of = |count: u32| y.at(f64::from(count).ln_1p());
    let bar = |(at, &count): (usize, &u32)| {
        let (left, right) = (x.at(bins.low + bins.width * at as f64), x.at(bins.low + bins.width * (at + 1) as f64));
        html! {
            <rect x={format!("{left:.1}")} y={format!("{:.1}", top_of(count))} width={format!("{:.1}", (right - left - 0.7).max(0.7))}
                height={format!("{:.1}", HEIGHT - BOTTOM - top_of(count))} />
        }
    };
    let ticks = ticks(bins.low, high, ((width / 90.0) as usize).max(2));
    let is_inside = |value: &&f64| **value >= bins.low - 1e-9 && **value <= high + 1e-9;
    let mark = |&value: &f64| {
        html! {
            <text class="point-name" x={format!("{:.1}", x.at(value))} y={(HEIGHT - BOTTOM + 15.0).to_string()}>{ number(value as f32) }</text>
        }
    };
    let spoken = spoken(props, most);
    html! {
        <div class="chart histogram" ref={node}>
            <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")} role="img" aria-label={spoken}>
                <g class="bars">{ for bins.counts.iter().enumerate().filter(|(_, count)| **count > 0).map(bar) }</g>
                <line class="zero" x1={SIDE.to_string()} x2={(width - SIDE).to_string()} y1={(HEIGHT - BOTTOM).to_string()} y2={(HEIGHT - BOTTOM).to_string()} />
                { for ticks.values.iter().filter(is_inside).map(mark) }
                <text class="point-name" x={(width / 2.0).to_string()} y={(HEIGHT - 3.0).to_string()}>{ &props.title }</text>
                { for names(props, x, width, HEIGHT - BOTTOM) }
            </svg>
        </div>
    }
}

/// Names over their values, each on the lowest line that is free there, with a thread down to the axis.
fn names(props: &Props, x: Scale, width: f64, floor: f64) -> Vec<Html> {
    let mut taken: Vec<(usize, f64, f64)> = Vec::new();
    let mut drawn = Vec::new();
    for (value, name) in &props.named {
        let at = x.at(f64::from(*value));
        let half = name.chars().count() as f64 * CHARACTER / 2.0 + 4.0;
        let middle = at.clamp(half.min(width / 2.0), (width - half).max(width / 2.0));
        let is_free = |line: usize| {
            taken.iter().all(|(other, from, to)| *other != line || middle + half < *from || middle - half > *to)
        };
        let Some(line) = (0..4).find(|&line| is_free(line)) else { continue };
        taken.push((line, middle - half, middle + half));
        let base = TOP - 8.0 - line as f64 * LINE;
        drawn.push(html! {
            <>
            <line class="thread" x1={format!("{at:.1}")} x2={format!("{at:.1}")} y1={(base + 3.0).to_string()} y2={floor.to_string()} />
            <text class="outlier middle" x={format!("{middle:.1}")} y={base.to_string()}>{ name }</text>
            </>
        });
    }
    drawn
}

fn spoken(props: &Props, most: u32) -> String {
    let named: Vec<String> = props.named.iter().map(|(value, name)| format!("{name} {}", number(*value))).collect();
    format!(
        "{}. The fullest of {BARS} bars holds {}. Far outside: {}.",
        props.label,
        whole(u64::from(most)),
        named.join(", ")
    )
}
