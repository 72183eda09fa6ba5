//! The lens table's grid: scrolls both ways, draws only the cells in sight, and is walked with the arrow keys.

use wasm_bindgen::JsCast;
use web_sys::Element;
use yew::prelude::*;

use crate::app::charts::window::{in_sight, scroll_to_see};
use crate::app::format::{component, percent};
use crate::app::state::{Shared, Table};
use crate::app::widgets::cursor::use_cursor;
use crate::app::widgets::scrolls::{More, use_more};
use crate::app::widgets::token;
use crate::app::widgets::width::{Room, USUAL_REM, use_room};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub table: Shared<Table>,
    /// The convention that made the table.
    pub convention: &'static str,
}

// Sizes in rem, given to the style sheet as variables; a cell may be wider.
const CELL: f64 = 5.25;
const ROW: f64 = 1.75;
const ROW_NAMES: f64 = 4.75;
const HEADER: f64 = 2.625;

/// Row and column of a cell.
type Place = (usize, usize);

#[component]
pub fn LensGrid(props: &Props) -> Html {
    let node = use_node_ref();
    let Room { width, height, rem } = use_room(&node).unwrap_or(Room { width: 960.0, height: 480.0, rem: USUAL_REM });
    let room = (width - ROW_NAMES * rem, height - HEADER * rem);
    let row = ROW * rem;
    // whole columns fill the width, so that none is cut off at either end
    let cell = room.0.max(CELL * rem) / (room.0 / (CELL * rem)).floor().max(1.0);
    // the first row and column in sight
    let first = use_state_eq(|| (0, 0));
    let cells = &props.table.cells;
    let (n_rows, n_columns) = (cells.labels.len(), cells.tokens.len());
    let corner = (n_rows.saturating_sub(1), n_columns.saturating_sub(1));
    let scroll_to = {
        let node = node.clone();
        move |to: Place| {
            if let Some(element) = node.cast::<Element>() {
                let (left, top) = (f64::from(element.scroll_left()), f64::from(element.scroll_top()));
                element.set_scroll_left(scroll_to_see(to.1, left, room.0, cell).round() as i32);
                element.set_scroll_top(scroll_to_see(to.0, top, room.1, row).round() as i32);
            }
        }
    };
    let within = move |(row, column): Place| (row.min(corner.0), column.min(corner.1));
    let cursor = use_cursor(corner, place_under, move |at, event| moved(within(at), corner, event), scroll_to);
    let active = cursor.active.map(within);

    // New tokens come at the end; whoever looks at the end goes on seeing it.
    let at_end = use_mut_ref(|| true);
    // how long the table was when it was last brought to its end
    let length = use_mut_ref(|| 0);
    let More { edges, onscroll: show_more } = use_more(&node);
    use_effect_with((n_columns, width as i64), {
        let (node, at_end, length) = (node.clone(), at_end.clone(), length.clone());
        move |_| {
            if let Some(element) = node.cast::<Element>() {
                *length.borrow_mut() = element.scroll_width();
                if *at_end.borrow() {
                    element.set_scroll_left(element.scroll_width());
                }
            }
        }
    });
    let onscroll = {
        let first = first.setter();
        Callback::from(move |event: Event| {
            if let Some(element) = event.target_dyn_into::<Element>() {
                let (left, top) = (element.scroll_left(), element.scroll_top());
                // what scrolls a table that has just become longer is the table, and no person
                if element.scroll_width() == *length.borrow() {
                    *at_end.borrow_mut() = left + element.client_width() + 2 >= element.scroll_width();
                }
                let cells = |offset: i32, size: f64| (f64::from(offset) / size).max(0.0) as usize;
                first.set((cells(top, row), cells(left, cell)));
            }
            show_more.emit(event);
        })
    };
    let rows = in_sight(first.0, room.1, row, n_rows);
    let columns = in_sight(first.1, room.0, cell, n_columns);
    let before = format!("width:{}px", columns.start as f64 * cell);
    let draw_row = |r: usize| {
        html! {
            <div class="row" role="row" aria-rowindex={(r + 2).to_string()} key={r}>
                <span class="row-name" role="rowheader">{ component(r) }</span>
                <i style={before.clone()} />
                { for columns.clone().map(|c| draw_cell(&props.table, (r, c), active)) }
            </div>
        }
    };
    let header = |c: usize| {
        let is_active = active.is_some_and(|(_, column)| column == c);
        html! {
            <span class={classes!("column-name", is_active.then_some("active"))} role="columnheader"
                aria-colindex={(c + 2).to_string()} key={c}>
                <small>{ c }</small>{ token::visible(&cells.tokens[c]) }
            </span>
        }
    };
    let sizes =
        format!("--cell:{cell}px;--row:{ROW}rem;--names:{ROW_NAMES}rem;--header:{HEADER}rem;--columns:{n_columns}");
    html! {
        <>
        <div class="scrolls" style={sizes}>
        <div class="grid" ref={node} tabindex="0" role="grid"
            aria-label="Top token by component and position; arrow keys move along it"
            aria-rowcount={(n_rows + 1).to_string()} aria-colcount={(n_columns + 1).to_string()}
            aria-activedescendant={active.map(|(r, c)| format!("cell-{r}-{c}"))}
            {onscroll} onpointermove={cursor.onpointermove} onpointerdown={cursor.onpointerdown}
            onpointerleave={cursor.onpointerleave} onkeydown={cursor.onkeydown} onfocus={cursor.onfocus} onblur={cursor.onblur}>
            <div class="row header" role="row" aria-rowindex="1">
                <span class="row-name" role="columnheader">{ "after" }</span>
                <i style={before.clone()} />
                { for columns.clone().map(header) }
            </div>
            <i class="space" style={format!("height:{}px", rows.start as f64 * row)} />
            { for rows.clone().map(draw_row) }
            <i class="space" style={format!("height:{}px", (n_rows - rows.end) as f64 * row)} />
        </div>
        { edges }
        </div>
        <p class="readout">{ readout(props, active) }</p>
        </>
    }
}

/// Top token's text and probability at a place; none outside the table.
fn top(table: &Table, (row, column): Place) -> Option<(&str, f32)> {
    let cells = &table.cells;
    let index = row * cells.tokens.len() + column;
    let (id, prob) = (*cells.ids.0.get(index)?, *cells.probs.0.get(index)?);
    let at = cells.texts.binary_search_by_key(&id, |token| token.id).ok()?;
    Some((cells.texts[at].token.as_str(), prob))
}

fn draw_cell(table: &Table, place: Place, active: Option<Place>) -> Html {
    let (text, prob) = top(table, place).unwrap_or(("", 0.0));
    let (row, column) = place;
    let is_active = active == Some(place);
    html! {
        <span class={classes!("cell", is_active.then_some("active"))} id={format!("cell-{row}-{column}")} role="gridcell"
            aria-colindex={(column + 2).to_string()} style={format!("--p:{prob:.3}")} key={column}>
            { token::plain(text) }
        </span>
    }
}

fn readout(props: &Props, active: Option<Place>) -> Html {
    let shown = active.and_then(|place| Some((place, top(&props.table, place)?)));
    let Some(((row, column), (text, prob))) = shown else {
        return html! { <>{ "Made by the " }{ props.convention }{ " convention. Point at a cell, tap it, or use the arrow keys, to read it." }</> };
    };
    html! {
        <>
        { "After " }<b>{ component(row) }</b>{ ", at position " }{ column }{ " " }
        { token::inline(&props.table.cells.tokens[column]) }{ ": " }{ token::inline(text) }{ " " }<b>{ percent(prob) }</b>
        { format!(" ({})", props.convention) }
        </>
    }
}

/// Where a key leads from `at`.
fn moved((row, column): Place, corner: Place, event: &KeyboardEvent) -> Option<Place> {
    Some(match (event.key().as_str(), event.ctrl_key()) {
        ("ArrowLeft", _) => (row, column.saturating_sub(1)),
        ("ArrowRight", _) => (row, (column + 1).min(corner.1)),
        ("ArrowUp", _) => (row.saturating_sub(1), column),
        ("ArrowDown", _) => ((row + 1).min(corner.0), column),
        ("PageUp", _) => (row.saturating_sub(8), column),
        ("PageDown", _) => ((row + 8).min(corner.0), column),
        ("Home", false) => (row, 0),
        ("End", false) => (row, corner.1),
        ("Home", true) => (0, 0),
        ("End", true) => corner,
        _ => return None,
    })
}

/// The cell under the pointer.
fn place_under(event: &PointerEvent) -> Option<Place> {
    let element: Element = event.target()?.dyn_into().ok()?;
    let id = element.closest(".cell").ok()??.id();
    let (row, column) = id.strip_prefix("cell-")?.split_once('-')?;
    Some((row.parse().ok()?, column.parse().ok()?))
}
