//! A heat map of layers by positions or heads: colours diverge from zero; mouse, finger and arrow keys read a cell. A
//! click, Enter, or after a tap the button beside the reading opens it.

use wasm_bindgen::JsCast;
use web_sys::{Element, SvgElement};
use yew::prelude::*;

use super::heat_cells::{Marks, marks};
use super::scale::round_up;
use crate::app::format::{share_short, signed};
use crate::app::widgets::cursor::use_cursor;
use crate::app::widgets::device::has_coarse_pointer;
use crate::app::widgets::scrolls::Scrolls;
use crate::app::widgets::tap::{Act, Tap, use_tap};
use crate::app::widgets::width::use_room;

/// What a cell holds. An estimate is drawn smaller than an exact figure.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    pub value: f32,
    pub is_exact: bool,
}

/// A column's name on the axis.
#[derive(Clone, PartialEq)]
pub struct Column {
    pub name: String,
    /// The prompts differ here.
    pub is_marked: bool,
}

/// What the values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Shares of the difference between two runs, written in per cent.
    Share,
    Logits,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub id: &'static str,
    pub label: AttrValue,
    pub columns: Vec<Column>,
    /// Row by row, the first layer first.
    pub cells: Vec<Cell>,
    pub unit: Unit,
    /// What a cell is, in words: for the line under the map and for screen readers.
    pub describe: Callback<(usize, usize), String>,
    /// What the line under the map says while nothing is pointed at.
    pub hint: AttrValue,
    /// How far the figures are, beside the legend.
    #[prop_or_default]
    pub status: Html,
    /// Without it, cells can only be read.
    #[prop_or_default]
    pub onpick: Option<Callback<(usize, usize)>>,
    /// What that does, on the button for a finger, and what the button says afterwards.
    #[prop_or_default]
    pub act: &'static str,
    #[prop_or_default]
    pub done: Option<&'static str>,
}

const LEFT: f64 = 30.0;
const RIGHT: f64 = 2.0;
const TOP: f64 = 1.0;
/// Room for a token written upwards.
const TOKENS: f64 = 80.0;
const NUMBERS: f64 = 20.0;
const CELL_WIDTH: (f64, f64) = (12.0, 46.0);
/// What a finger can hit.
const FINGER: f64 = 24.0;
/// From this width on a cell has room for its figure.
const ROOM_FOR_FIGURE: f64 = 35.0;
/// From these shares of the strongest colour on, a figure on it is written in another ink.
const MIDDLE: f32 = 12.5 / 24.0;
const STRONG: f32 = 19.5 / 24.0;
const LONGEST_NAME: usize = 10;

/// Where everything is.
pub struct Layout {
    pub columns: usize,
    pub rows: usize,
    pub cell: (f64, f64),
    are_tokens: bool,
}

impl Layout {
    /// A finger needs larger cells than a mouse; the map scrolls where they don't fit.
    fn of(props: &Props, width: f64, is_for_fingers: bool) -> Self {
        let columns = props.columns.len().max(1);
        let rows = props.cells.len() / columns;
        let room = (width - LEFT - RIGHT) / columns as f64;
        let (narrowest, lowest) = if is_for_fingers { (FINGER, FINGER) } else { (CELL_WIDTH.0, 15.0) };
        let height = if rows <= 14 { 26.0 } else { lowest };
        let are_tokens = props.columns.iter().any(|column| column.name.parse::<u32>().is_err());
        Layout { columns, rows, cell: (room.clamp(narrowest, CELL_WIDTH.1), height), are_tokens }
    }

    pub fn x(&self, column: usize) -> f64 {
        LEFT + column as f64 * self.cell.0
    }

    pub fn y(&self, row: usize) -> f64 {
        TOP + row as f64 * self.cell.1
    }

    fn size(&self) -> (f64, f64) {
        let axis = if self.are_tokens { TOKENS } else { NUMBERS };
        (self.x(self.columns) + RIGHT, self.y(self.rows) + axis)
    }
}

#[component]
pub fn HeatMap(props: &Props) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(540.0, |room| room.width.max(200.0));
    let is_for_fingers = use_memo((), |()| has_coarse_pointer());
    let layout = Layout::of(props, width, *is_for_fingers);
    let corner = (layout.rows.saturating_sub(1), layout.columns - 1);
    let cell = layout.cell;
    let find = move |event: &PointerEvent| {
        place_under(event.target()?.dyn_ref()?, event.client_x(), event.client_y(), cell, corner)
    };
    let scroll = {
        let node = node.clone();
        move |(_, column): (usize, usize)| {
            if let Some(element) = node.cast::<Element>() {
                let (from, room) = (f64::from(element.scroll_left()), f64::from(element.client_width()));
                let at = LEFT + column as f64 * cell.0;
                if at < from + LEFT || at + cell.0 > from + room {
                    element.set_scroll_left((at - room / 2.0) as i32);
                }
            }
        }
    };
    let home = strongest(&props.cells, layout.columns).unwrap_or((0, 0));
    // where the map is wider than its box, its strongest cell is what is seen first
    use_effect_with((layout.columns, width as u32), {
        let scroll = scroll.clone();
        move |_| scroll(home)
    });
    let cursor = use_cursor(home, find, move |at, event| moved(at, corner, event), scroll);
    let picked = use_memo(props.onpick.clone(), |onpick| onpick.clone().unwrap_or_default());
    let Tap { at: tapped, onpress, onplace } = use_tap(&picked);
    let within = |(row, column): (usize, usize)| (row.min(corner.0), column.min(corner.1));
    let tapped = tapped.map(within);
    let active = cursor.active.map(within).or(tapped);
    let onpointerdown = {
        let down = cursor.onpointerdown;
        Callback::from(move |event: PointerEvent| {
            onpress.emit((event.clone(), find(&event)));
            down.emit(event);
        })
    };
    let onkeydown = {
        let (onpick, move_) = (props.onpick.clone(), cursor.onkeydown);
        Callback::from(move |event: KeyboardEvent| match (event.key().as_str(), &onpick, active) {
            ("Enter" | " ", Some(onpick), Some(at)) => {
                event.prevent_default();
                onpick.emit(at);
            }
            _ => move_.emit(event),
        })
    };
    let onclick = {
        Callback::from(move |event: MouseEvent| {
            let target = event.target();
            let element = target.as_ref().and_then(|target| target.dyn_ref::<Element>());
            let at = element.and_then(|element| place_under(element, event.client_x(), event.client_y(), cell, corner));
            if let Some(at) = at {
                onplace.emit(at);
            }
        })
    };
    // what is read may have gone on to another cell, by the keys
    let act = props.onpick.as_ref().zip(tapped).filter(|_| active == tapped).map(|(onpick, at)| {
        let onact = onpick.reform(move |()| at);
        html! { <Act key={format!("{at:?}")} says={props.act} done={props.done} to={props.describe.emit(at)} {onact} /> }
    });
    let at = active.unwrap_or(home);
    let spoken = props.describe.emit(at);
    let (width, height) = layout.size();
    let largest = domain(&props.cells);
    let shown: Marks = marks(&props.cells, &layout, largest);
    html! {
        <div class="heat" id={props.id}>
            <Scrolls class="heat-scroll" {node} names={row_names(&layout)}>
                <svg width={width.to_string()} height={height.to_string()} viewBox={format!("0 0 {width} {height}")}
                    class={props.onpick.as_ref().map(|_| "opens")} role="slider" tabindex="0" aria-label={props.label.clone()}
                    aria-roledescription="heat map" aria-valuemin="0" aria-valuemax={props.cells.len().saturating_sub(1).to_string()}
                    aria-valuenow={(at.0 * layout.columns + at.1).to_string()} aria-valuetext={spoken.clone()}
                    onpointermove={cursor.onpointermove} {onpointerdown} {onclick}
                    onpointerleave={cursor.onpointerleave} {onkeydown} onfocus={cursor.onfocus} onblur={cursor.onblur}>
                    <rect class="ground" x={LEFT.to_string()} y={TOP.to_string()} width={(layout.columns as f64 * cell.0).to_string()}
                        height={(layout.rows as f64 * cell.1).to_string()} />
                    <g aria-hidden="true">
                        { for shown.buckets.into_iter().map(|bucket| html! {
                            <path class={bucket.class} style={format!("--v:{:.3}", bucket.strength)} d={bucket.path} />
                        }) }
                        <path class="none" d={shown.missing} />
                        if cell.0 >= ROOM_FOR_FIGURE && props.cells.len() <= 600 { { figures(props, &layout, largest) } }
                        { axis(props, &layout, active) }
                    </g>
                    if let Some((row, column)) = active {
                        <rect class="cell-cursor" x={layout.x(column).to_string()} y={layout.y(row).to_string()}
                            width={cell.0.to_string()} height={cell.1.to_string()} />
                    }
                </svg>
            </Scrolls>
            <div class="heat-foot">{ legend(largest, props.unit) }{ props.status.clone() }</div>
            <div class="heat-reading">
                <p class="readout" aria-hidden="true">{ if active.is_some() { spoken } else { props.hint.to_string() } }</p>
                { act }
            </div>
        </div>
    }
}

/// The layers' names: they stay where they are when the map scrolls.
fn row_names(layout: &Layout) -> Html {
    let (height, middle) = (layout.y(layout.rows), layout.cell.1 / 2.0);
    let named = (0..layout.rows).filter(|row| layout.rows <= 14 || row % 4 == 0);
    html! {
        <div class="row-names" style={format!("height:{height}px")} aria-hidden="true">
            { for named.map(|row| html! {
                <span class="row-label" style={format!("top:{}px", layout.y(row) + middle)}>{ format!("L{row}") }</span>
            }) }
        </div>
    }
}

/// The names under the columns; tokens stand upwards.
fn axis(props: &Props, layout: &Layout, active: Option<(usize, usize)>) -> Html {
    let foot = layout.y(layout.rows);
    let name = |(i, column): (usize, &Column)| {
        let middle = layout.x(i) + layout.cell.0 / 2.0;
        let is_active = active.is_some_and(|(_, column)| column == i);
        let class = classes!(
            "column-label",
            column.is_marked.then_some("marked"),
            is_active.then_some("active"),
            layout.are_tokens.then_some("token")
        );
        let place = if layout.are_tokens {
            format!("translate({:.1} {:.1}) rotate(-62)", middle + 3.0, foot + 9.0)
        } else {
            format!("translate({middle:.1} {:.1})", foot + 14.0)
        };
        html! { <text {class} transform={place}>{ shortened(&column.name) }</text> }
    };
    html! { { for props.columns.iter().enumerate().map(name) } }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(LONGEST_NAME) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}

/// Each cell's figure, where there is room.
fn figures(props: &Props, layout: &Layout, largest: f32) -> Html {
    let figure = |(i, cell): (usize, &Cell)| {
        let (row, column) = (i / layout.columns, i % layout.columns);
        let text = match props.unit {
            _ if !cell.value.is_finite() => return html! {},
            Unit::Share => share_short(cell.value),
            Unit::Logits => signed(cell.value),
        };
        let ink = match cell.value.abs() / largest {
            // an estimate's colour doesn't fill the cell
            _ if !cell.is_exact => None,
            STRONG.. => Some("strong"),
            MIDDLE.. => Some("middle"),
            _ => None,
        };
        html! {
            <text class={classes!("figure-in-cell", ink)} x={(layout.x(column) + layout.cell.0 / 2.0).to_string()}
                y={(layout.y(row) + layout.cell.1 / 2.0).to_string()} dy="0.35em">{ text }</text>
        }
    };
    html! { { for props.cells.iter().enumerate().map(figure) } }
}

/// What the colours mean: from the strongest against to the strongest for.
fn legend(largest: f32, unit: Unit) -> Html {
    let text = |value: f32| match unit {
        Unit::Share => format!("{}\u{202f}%", share_short(value)),
        Unit::Logits => signed(value),
    };
    html! {
        <p class="heat-legend" aria-hidden="true"><span>{ text(-largest) }</span><i /><span>{ text(largest) }</span></p>
    }
}

/// The colours' end: a round number that hardly any value exceeds.
fn domain(cells: &[Cell]) -> f32 {
    let largest = cells.iter().map(|cell| cell.value.abs()).filter(|value| value.is_finite()).fold(0.0, f32::max);
    round_up(largest.max(0.02))
}

fn strongest(cells: &[Cell], columns: usize) -> Option<(usize, usize)> {
    let finite = cells.iter().enumerate().filter(|(_, cell)| cell.value.is_finite());
    let (at, _) = finite.max_by(|a, b| a.1.value.abs().total_cmp(&b.1.value.abs()))?;
    Some((at / columns, at % columns))
}

/// The cell under a point on the screen.
fn place_under(target: &Element, x: i32, y: i32, cell: (f64, f64), corner: (usize, usize)) -> Option<(usize, usize)> {
    let svg = target.closest("svg").ok()??.dyn_into::<SvgElement>().ok()?;
    let bounds = svg.get_bounding_client_rect();
    let column = ((f64::from(x) - bounds.left() - LEFT) / cell.0).floor();
    let row = ((f64::from(y) - bounds.top() - TOP) / cell.1).floor();
    let is_inside = column >= 0.0 && row >= 0.0 && column <= corner.1 as f64 && row <= corner.0 as f64;
    is_inside.then_some((row as usize, column as usize))
}

/// Where a key leads.
fn moved((row, column): (usize, usize), corner: (usize, usize), event: &KeyboardEvent) -> Option<(usize, usize)> {
    let (row, column) = (row.min(corner.0), column.min(corner.1));
    Some(match event.key().as_str() {
        "ArrowLeft" => (row, column.saturating_sub(1)),
        "ArrowRight" => (row, (column + 1).min(corner.1)),
        "ArrowUp" => (row.saturating_sub(1), column),
        "ArrowDown" => ((row + 1).min(corner.0), column),
        "Home" => (row, 0),
        "End" => (row, corner.1),
        _ => return None,
    })
}
