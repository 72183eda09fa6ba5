//! A chart over named points, of lines or bars: several series, one cursor that mouse, finger and arrow keys move.

use std::ops::Range;

use web_sys::Element;
use yew::prelude::*;

use super::bars::bars;
use super::heat::Unit;
use super::scale::{Scale, ticks};
use crate::app::format::{share, signed};
use crate::app::widgets::cursor::{step_along, use_cursor};
use crate::app::widgets::width::use_room;

/// One line: `class` gives its colour, dash and mark.
#[derive(Clone, PartialEq)]
pub struct Series {
    pub name: &'static str,
    pub class: &'static str,
    pub values: Vec<f32>,
}

/// A point on the horizontal axis.
#[derive(Clone, PartialEq)]
pub struct Point {
    /// As the reading and a screen reader say it: `L0 attn`.
    pub name: String,
    /// As the axis says it, below the band's own label: `attn`.
    pub short: &'static str,
    /// The site's name in TransformerLens.
    pub site: String,
}

/// Neighbouring points that belong together: a layer.
#[derive(Clone, PartialEq)]
pub struct Band {
    pub name: String,
    pub points: Range<usize>,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub label: AttrValue,
    pub points: Vec<Point>,
    pub bands: Vec<Band>,
    pub series: Vec<Series>,
    /// What the vertical axis measures.
    pub title: AttrValue,
    #[prop_or(Unit::Logits)]
    pub unit: Unit,
    /// Bars instead of lines.
    #[prop_or_default]
    pub is_bars: bool,
}

const HEIGHT: f64 = 294.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 44.0;
/// Narrower steps than this have no room for a component's name under each point.
const ROOM_FOR_NAMES: f64 = 38.0;
/// And narrower bands than this none for a label each.
const ROOM_FOR_BAND: f64 = 26.0;

/// Where everything is, for one width.
struct Layout {
    width: f64,
    x: Scale,
    y: Scale,
    marks: Vec<f64>,
    decimals: usize,
}

impl Layout {
    fn of(props: &Props, width: f64) -> Self {
        let values = || {
            let all = props.series.iter().flat_map(|series| &series.values).map(|&value| f64::from(value));
            all.filter(|value| value.is_finite())
        };
        let ticks = ticks(values().fold(0.0, f64::min), values().fold(0.0, f64::max), 5);
        // the axis ends on its marks, of which there are always two
        let range = (ticks.values.first().copied().unwrap_or(0.0), ticks.values.last().copied().unwrap_or(1.0));
        let last = props.points.len().saturating_sub(1) as f64;
        let half_step = (width - LEFT - RIGHT) / (last + 1.0) / 2.0;
        Layout {
            width,
            x: Scale { from: (0.0, last), to: (LEFT + half_step, width - RIGHT - half_step) },
            y: Scale { from: range, to: (HEIGHT - BOTTOM, TOP) },
            marks: ticks.values,
            decimals: ticks.decimals,
        }
    }
}

#[component]
pub fn LineChart(props: &Props) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(640.0, |room| room.width.max(240.0));
    let layout = Layout::of(props, width);
    let last = props.points.len().saturating_sub(1);
    let find = {
        let (node, x) = (node.clone(), layout.x);
        move |event: &PointerEvent| {
            let left = node.cast::<Element>()?.get_bounding_client_rect().left();
            Some(x.nearest(f64::from(event.client_x()) - left, last))
        }
    };
    let cursor = use_cursor(last, find, move |at, event| step_along(at, last, event), |_| {});
    let active = cursor.active.map(|at| at.min(last));
    let at = active.unwrap_or(last);
    let spoken = spoken(props, at);
    html! {
        <div class="chart" ref={node}>
            { reading(props, active) }
            <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")}
                role="slider" tabindex="0" aria-label={props.label.clone()} aria-orientation="horizontal"
                aria-valuemin="0" aria-valuemax={last.to_string()} aria-valuenow={at.to_string()} aria-valuetext={spoken}
                onpointermove={cursor.onpointermove} onpointerdown={cursor.onpointerdown} onpointerleave={cursor.onpointerleave}
                onkeydown={cursor.onkeydown} onfocus={cursor.onfocus} onblur={cursor.onblur}>
                { bands(props, &layout) }
                { marks(&layout, props.unit) }
                { names(props, &layout) }
                if let Some(at) = active {
                    <line class="cursor" x1={layout.x.at(at as f64).to_string()} x2={layout.x.at(at as f64).to_string()}
                        y1={TOP.to_string()} y2={(HEIGHT - BOTTOM).to_string()} />
                }
                if props.is_bars {
                    { for props.series.iter().enumerate().map(|(i, series)| bars(series, (i, props.series.len()), layout.x, layout.y, active)) }
                } else {
                    { for props.series.iter().map(|series| line(series, &layout, active)) }
                }
            </svg>
        </div>
    }
}

fn written(value: f32, unit: Unit) -> String {
    match unit {
        Unit::Share => share(value),
        Unit::Logits => signed(value),
    }
}

/// What a screen reader says at a point.
fn spoken(props: &Props, at: usize) -> String {
    let name = props.points.get(at).map_or("", |point| point.name.as_str());
    let value =
        |series: &Series| series.values.get(at).map(|&value| format!("{} {}", series.name, written(value, props.unit)));
    let values: Vec<String> = props.series.iter().filter_map(value).collect();
    format!("{name}: {}", values.join(", "))
}

/// The line above the chart: what the axis measures, or what is under the cursor. It stands beside the lines rather
/// than over them.
fn reading(props: &Props, active: Option<usize>) -> Html {
    let Some((at, point)) = active.and_then(|at| Some((at, props.points.get(at)?))) else {
        return html! { <p class="reading">{ &props.title }</p> };
    };
    let value = |series: &Series| {
        let value = *series.values.get(at)?;
        Some(html! {
            <span class={classes!("value", series.class)}>
                <svg width="22" height="8"><line x1="0" x2="22" y1="4" y2="4" /></svg>
                { series.name }<b>{ written(value, props.unit) }</b>
            </span>
        })
    };
    html! {
        <p class="reading" aria-hidden="true">
            <strong>{ &point.name }</strong>
            <code>{ &point.site }</code>
            { for props.series.iter().filter_map(value) }
        </p>
    }
}

/// Every other band is shaded; each has its name under the axis, where there is room for it.
fn bands(props: &Props, layout: &Layout) -> Html {
    let step = layout.x.step();
    let names_every = props.bands.first().map_or(1, |band| {
        let room = band.points.len() as f64 * step;
        ((ROOM_FOR_BAND / room.max(1.0)).ceil() as usize).max(1)
    });
    let band = |(i, band): (usize, &Band)| {
        let from = layout.x.at(band.points.start as f64) - step / 2.0;
        let width = band.points.len() as f64 * step;
        html! {
            <>
            if i % 2 == 0 {
                <rect class="band" x={from.to_string()} y={TOP.to_string()} width={width.to_string()}
                    height={(HEIGHT - BOTTOM - TOP).to_string()} />
            }
            if i % names_every == 0 {
                <text class="band-name" x={(from + width / 2.0).to_string()} y={(HEIGHT - 10.0).to_string()}>
                    { &band.name }
                </text>
            }
            </>
        }
    };
    html! { <g aria-hidden="true">{ for props.bands.iter().enumerate().map(band) }</g> }
}

/// The vertical axis: a hairline and a number a mark, zero stronger.
fn marks(layout: &Layout, unit: Unit) -> Html {
    let mark = |&value: &f64| {
        let y = layout.y.at(value).to_string();
        let is_zero = value == 0.0;
        let decimals = layout.decimals;
        let text = match unit {
            _ if is_zero => "0".to_owned(),
            Unit::Share => format!("{:+.0}\u{202f}%", value * 100.0).replace('-', "−"),
            Unit::Logits => format!("{value:+.decimals$}").replace('-', "−"),
        };
        html! {
            <>
            <line class={if is_zero { "zero" } else { "gridline" }} x1={LEFT.to_string()} y1={y.clone()}
                x2={(layout.width - RIGHT).to_string()} y2={y.clone()} />
            <text class="mark" x={(LEFT - 8.0).to_string()} {y} dy="0.35em">{ text }</text>
            </>
        }
    };
    html! { <g aria-hidden="true">{ for layout.marks.iter().map(mark) }</g> }
}

/// The components' names under their points, where there is room.
fn names(props: &Props, layout: &Layout) -> Html {
    if layout.x.step() < ROOM_FOR_NAMES {
        return html! {};
    }
    let name = |(i, point): (usize, &Point)| {
        html! {
            <text class="point-name" x={layout.x.at(i as f64).to_string()} y={(HEIGHT - BOTTOM + 16.0).to_string()}>
                { point.short }
            </text>
        }
    };
    html! { <g aria-hidden="true">{ for props.points.iter().enumerate().map(name) }</g> }
}

fn line(series: &Series, layout: &Layout, active: Option<usize>) -> Html {
    // a wild model may overflow; such a point has no place
    let finite = series.values.iter().enumerate().filter(|(_, value)| value.is_finite());
    let points: Vec<(usize, String, String)> = finite
        .map(|(i, &value)| {
            (i, format!("{:.1}", layout.x.at(i as f64)), format!("{:.1}", layout.y.at(f64::from(value))))
        })
        .collect();
    let path: Vec<String> = points.iter().map(|(_, x, y)| format!("{x},{y}")).collect();
    let dot = |(i, x, y): (usize, String, String)| {
        let radius = if active == Some(i) { "5" } else { "3" };
        html! { <circle cx={x} cy={y} r={radius} /> }
    };
    html! {
        <g class={classes!("series", series.class)} aria-hidden="true">
            <polyline points={path.join(" ")} />
            { for points.into_iter().map(dot) }
        </g>
    }
}
