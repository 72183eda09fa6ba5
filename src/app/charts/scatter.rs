//! A scatter of very many points: dots on a canvas, and over it, as SVG, the axes, the names of what stands out, the
//! cursor. Zoom by dragging a rectangle, by the buttons, or with + and −.

use std::ops::Range;

use web_sys::{Element, HtmlCanvasElement};
use yew::prelude::*;

use super::dots::{Dot, paint};
use super::labels::{self, Label};
use super::scale::ticks;
pub use super::scatter_layout::Points;
use super::scatter_layout::{BOTTOM, HEIGHT, LEFT, Layout, RIGHT, TOP, Window};
use crate::app::state::Shared;
use crate::app::widgets::cursor::use_cursor;
use crate::app::widgets::tap::{Act, Tap, use_tap};
use crate::app::widgets::theme::use_dark;
use crate::app::widgets::width::use_room;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub label: AttrValue,
    pub points: Shared<Points>,
    /// Points with their names written beside them.
    pub named: Vec<(usize, String)>,
    pub selected: Option<usize>,
    pub titles: [AttrValue; 2],
    /// Marks of the horizontal axis where nothing is zoomed: value and name.
    pub x_marks: Vec<(f64, String)>,
    /// How the horizontal axis's other marks are written.
    pub x_text: Callback<f64, String>,
    /// How the vertical axis's marks are written: as shares, unless it is said otherwise.
    #[prop_or_default]
    pub y_text: Option<Callback<f64, String>>,
    /// Points of as many equal parts, one after the other, each in a colour of its own.
    #[prop_or(1)]
    pub series: usize,
    /// What a point is, in words.
    pub describe: Callback<usize, String>,
    pub onpick: Callback<usize>,
    /// What that does, on the button for a finger.
    pub act: &'static str,
}

/// A shorter way of the pointer between press and release is a click.
const DRAG: f64 = 6.0;

#[component]
pub fn Scatter(props: &Props) -> Html {
    let node = use_node_ref();
    let canvases = use_memo(props.series, |series| (0..*series).map(|_| NodeRef::default()).collect::<Vec<_>>());
    let width = use_room(&node).map_or(720.0, |room| room.width.max(240.0));
    let zoom = use_state_eq(|| None::<Window>);
    let drag = use_state_eq(|| None::<[(f64, f64); 2]>);
    let points = props.points.clone();
    let whole = Window::whole(&points);
    let window = zoom.unwrap_or(whole);
    let layout = std::rc::Rc::new(Layout::of(window, width));
    let is_dark = use_dark();

    use_effect_with((points.clone(), width as i64, *zoom, is_dark), {
        let (canvases, layout) = (canvases.clone(), layout.clone());
        move |(points, ..)| {
            let part = points.count() / canvases.len().max(1);
            for (series, canvas) in canvases.iter().enumerate() {
                if let Some(canvas) = canvas.cast::<HtmlCanvasElement>() {
                    // without a canvas the names and the list still say what stands out
                    let dots = dots(points, &layout, series * part..(series + 1) * part);
                    let _ = paint(&canvas, (layout.width, HEIGHT), dots);
                }
            }
        }
    });

    let at_pointer = {
        let node = node.clone();
        move |event: &MouseEvent| {
            let bounds = node.cast::<Element>()?.get_bounding_client_rect();
            Some((f64::from(event.client_x()) - bounds.left(), f64::from(event.client_y()) - bounds.top()))
        }
    };
    let home = points.outliers().next().unwrap_or(0);
    let find = {
        let (layout, points, at_pointer) = (layout.clone(), points.clone(), at_pointer.clone());
        move |event: &PointerEvent| layout.nearest(&points, at_pointer(event)?)
    };
    let step = {
        let points = points.clone();
        move |at: usize, event: &KeyboardEvent| points.step(at, &event.key())
    };
    let cursor = use_cursor(props.selected.unwrap_or(home), find, step, |_| {});
    let Tap { at: tapped, onpress, onplace } = use_tap(&props.onpick);
    let tapped = tapped.filter(|&at| at < points.count());
    let active = cursor.active.filter(|&at| at < points.count()).or(tapped);
    let at = active.or(props.selected).unwrap_or(home);
    let change = {
        let (zoom, points, layout) = (zoom.setter(), points.clone(), layout.clone());
        Callback::from(move |factor: f64| {
            let about = match active.or(Some(home)).and_then(|i| Some((*points.x.get(i)?, *points.y.get(i)?))) {
                Some((x, y)) if layout.place(&points, at).is_some() => (f64::from(x), f64::from(y)),
                _ => ((window.x.0 + window.x.1) / 2.0, (window.y.0 + window.y.1) / 2.0),
            };
            let next = window.zoomed(factor, about, whole);
            zoom.set((next != whole && factor > 0.0).then_some(next));
        })
    };
    let reset = {
        let zoom = zoom.setter();
        Callback::from(move |()| zoom.set(None))
    };
    let onkeydown = {
        let (onpick, move_, change, reset) = (props.onpick.clone(), cursor.onkeydown, change.clone(), reset.clone());
        Callback::from(move |event: KeyboardEvent| match event.key().as_str() {
            "Enter" | " " => {
                event.prevent_default();
                onpick.emit(at);
            }
            "+" | "=" => change.emit(0.5),
            "-" => change.emit(2.0),
            "0" => reset.emit(()),
            _ => move_.emit(event),
        })
    };
    let onpointerdown = {
        let (drag, at_pointer, down) = (drag.setter(), at_pointer.clone(), cursor.onpointerdown);
        let (layout, points) = (layout.clone(), points.clone());
        Callback::from(move |event: PointerEvent| {
            // a finger scrolls the page
            if event.pointer_type() != "touch" {
                drag.set(at_pointer(&event).map(|at| [at, at]));
            }
            let place = at_pointer(&event).and_then(|at| layout.nearest(&points, at));
            onpress.emit((event.clone(), place));
            down.emit(event);
        })
    };
    let onpointermove = {
        let (drag, at_pointer, moved) = (drag.clone(), at_pointer.clone(), cursor.onpointermove);
        Callback::from(move |event: PointerEvent| match (*drag, at_pointer(&event)) {
            (Some([from, _]), Some(to)) if event.buttons() & 1 == 1 => drag.set(Some([from, to])),
            _ => {
                drag.set(None);
                moved.emit(event);
            }
        })
    };
    let onclick = {
        let (drag, zoom, layout) = (drag.clone(), zoom.setter(), layout.clone());
        let points = points.clone();
        Callback::from(move |event: MouseEvent| {
            match *drag {
                Some([from, to]) if (from.0 - to.0).abs() > DRAG && (from.1 - to.1).abs() > DRAG => {
                    zoom.set(Some(layout.window(from, to)));
                }
                _ => {
                    if let Some(at) = at_pointer(&event).and_then(|at| layout.nearest(&points, at)) {
                        onplace.emit(at);
                    }
                }
            }
            drag.set(None);
        })
    };
    let click = |to: Callback<f64>, factor: f64| Callback::from(move |_: MouseEvent| to.emit(factor));
    let spoken = props.describe.emit(at);
    // what is read may have gone on to another point, by the keys
    let act = tapped.filter(|_| active == tapped).map(|at| {
        let onact = props.onpick.reform(move |()| at);
        html! { <Act key={at} says={props.act} to={spoken.clone()} {onact} /> }
    });
    html! {
        <div class="chart scatter">
            <div class="scatter-head">
                <p class="reading" aria-hidden="true">{ if active.is_some() { spoken.clone() } else { props.titles[1].to_string() } }</p>
                { act }
                <div class="zoom" role="group" aria-label="Zoom">
                    <button type="button" class="small" aria-label="Zoom in" onclick={click(change.clone(), 0.5)}>{ "+" }</button>
                    <button type="button" class="small" aria-label="Zoom out" disabled={zoom.is_none()} onclick={click(change, 2.0)}>{ "−" }</button>
                    <button type="button" class="small" disabled={zoom.is_none()} onclick={Callback::from(move |_: MouseEvent| reset.emit(()))}>{ "Whole" }</button>
                </div>
            </div>
            <div class="scatter-plot" ref={node} style={format!("height:{HEIGHT}px")}>
                { for canvases.iter().enumerate().map(|(series, canvas)| html! {
                    <canvas key={series} ref={canvas} class={format!("series-{series}")} aria-hidden="true" style={format!("width:{width}px;height:{HEIGHT}px")} />
                }) }
                <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")}
                    role="slider" tabindex="0" aria-label={props.label.clone()} aria-roledescription="scatter"
                    aria-valuemin="0" aria-valuemax={points.count().saturating_sub(1).to_string()} aria-valuenow={at.to_string()}
                    aria-valuetext={spoken} {onpointermove} {onpointerdown} {onclick} onpointerleave={cursor.onpointerleave}
                    {onkeydown} onfocus={cursor.onfocus} onblur={cursor.onblur}>
                    <g aria-hidden="true">
                        { axes(props, &layout, window, zoom.is_some()) }
                        { names(&props.named, active, &layout, &points) }
                        if let Some((x, y)) = props.selected.and_then(|i| layout.place(&points, i)) {
                            <circle class="selected" cx={x.to_string()} cy={y.to_string()} r="6" />
                        }
                        if let Some((x, y)) = active.and_then(|i| layout.place(&points, i)) {
                            <circle class="pointed" cx={x.to_string()} cy={y.to_string()} r="5" />
                        }
                        if let Some([from, to]) = *drag {
                            <rect class="drag" x={from.0.min(to.0).to_string()} y={from.1.min(to.1).to_string()}
                                width={(from.0 - to.0).abs().to_string()} height={(from.1 - to.1).abs().to_string()} />
                        }
                    </g>
                </svg>
            </div>
        </div>
    }
}

/// The more points, the smaller; an estimate is fainter than an exact figure.
fn dots<'a>(points: &'a Points, layout: &'a Layout, which: Range<usize>) -> impl Iterator<Item = Dot> + 'a {
    let radius = match points.count() {
        0..600 => 3.0,
        600..6_000 => 2.1,
        _ => 1.4,
    };
    which.filter_map(move |i| {
        let (x, y) = layout.place(points, i)?;
        let is_exact = points.exact[i];
        Some(Dot {
            x,
            y,
            radius: if is_exact { radius } else { radius * 0.7 },
            opacity: if is_exact { 0.72 } else { 0.38 },
        })
    })
}

/// The names of points that are in sight; the active point's is read out above.
fn names(named: &[(usize, String)], active: Option<usize>, layout: &Layout, points: &Points) -> Html {
    let seen: Vec<(f64, f64, &str)> = named
        .iter()
        .filter(|(i, _)| active != Some(*i))
        .filter_map(|(i, name)| layout.place(points, *i).map(|(x, y)| (x, y, name.as_str())))
        .collect();
    let places = labels::place(seen.iter().copied(), (LEFT, layout.width));
    let text = |((_, _, name), place): (&(f64, f64, &str), Option<Label>)| {
        place.map(|label| {
            html! {
                <text class={classes!("outlier", label.is_leftwards.then_some("leftwards"))} x={label.x.to_string()}
                    y={label.y.to_string()} dy="0.35em">{ *name }</text>
            }
        })
    };
    html! { <>{ for seen.iter().zip(places).filter_map(text) }</> }
}

fn axes(props: &Props, layout: &Layout, window: Window, is_zoomed: bool) -> Html {
    let inside = |value: f64, (low, high): (f64, f64)| value >= low - 1e-9 && value <= high + 1e-9;
    let y_ticks = ticks(window.y.0, window.y.1, 6);
    let decimals = y_ticks.decimals.saturating_sub(2);
    let y_mark = |&value: &f64| {
        let y = layout.y.at(value).to_string();
        let is_zero = value.abs() < 1e-12;
        let text = match &props.y_text {
            _ if is_zero => "0".to_owned(),
            Some(y_text) => y_text.emit(value),
            None => format!("{:+.decimals$}\u{202f}%", value * 100.0).replace('-', "−"),
        };
        html! {
            <>
            <line class={if is_zero { "zero" } else { "gridline" }} x1={LEFT.to_string()} y1={y.clone()} x2={(layout.width - RIGHT).to_string()} y2={y.clone()} />
            <text class="mark" x={(LEFT - 8.0).to_string()} {y} dy="0.35em">{ text }</text>
            </>
        }
    };
    let own: Vec<(f64, String)> = if is_zoomed || props.x_marks.is_empty() {
        let count = ((layout.width - LEFT) / 90.0).max(2.0) as usize;
        ticks(window.x.0, window.x.1, count).values.into_iter().map(|value| (value, props.x_text.emit(value))).collect()
    } else {
        props.x_marks.clone()
    };
    let x_mark = |(value, text): &(f64, String)| {
        html! {
            <>
            <line class="gridline" x1={layout.x.at(*value).to_string()} x2={layout.x.at(*value).to_string()} y1={TOP.to_string()} y2={(HEIGHT - BOTTOM).to_string()} />
            <text class="point-name" x={layout.x.at(*value).to_string()} y={(HEIGHT - BOTTOM + 15.0).to_string()}>{ text }</text>
            </>
        }
    };
    html! {
        <>
        { for own.iter().filter(|(value, text)| inside(*value, window.x) && !text.is_empty()).map(x_mark) }
        { for y_ticks.values.iter().filter(|value| inside(**value, window.y)).map(y_mark) }
        <text class="point-name axis-title" x={((LEFT + layout.width - RIGHT) / 2.0).to_string()} y={(HEIGHT - 3.0).to_string()}>{ &props.titles[0] }</text>
        </>
    }
}
