//! What the model would predict at each position if it ended after each component.

use yew::prelude::*;

use super::lens::{Convention, FINAL, OWN};
use super::lens_grid::LensGrid;
use crate::app::state::{Action, Dispatch, Figure, Table};
use crate::app::widgets::failure::Notice;
use crate::app::widgets::section::Heading;
use crate::app::widgets::shown::Shown;
use crate::link::View;
use crate::protocol::Failure;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub table: Figure<Table>,
    pub final_ln: bool,
    /// What the prompt's own box says already.
    pub said: Option<Failure>,
    pub dispatch: Dispatch,
}

#[component]
pub fn LensTableFigure(props: &Props) -> Html {
    let failure = props.table.failure().filter(|failure| props.said.as_ref() != Some(failure));
    let choice = |convention: Convention, final_ln: bool| {
        let dispatch = props.dispatch.clone();
        let onchange = Callback::from(move |_: Event| dispatch.dispatch(Action::TableFinalLn(final_ln)));
        html! {
            <label>
                <input type="radio" name="table-convention" checked={props.final_ln == final_ln} {onchange} />
                <span>{ convention.name }</span>
            </label>
        }
    };
    let made_by = |table: &Table| if table.final_ln { FINAL } else { OWN };
    html! {
        <section class="figure lens-table" id={View::Table.word()} aria-labelledby="table-title" aria-busy={props.table.is_working().to_string()}>
            <Heading view={View::Table} title="Top token by layer and position" />
            <p class="caption" translate="yes">
                { "Each cell is the likeliest next token if the model ended there: after the row's component, at the \
                   column's position. The deeper the shade, the higher its probability. The last row is the model's own prediction." }
            </p>
            <fieldset class="choice"><legend>{ "Convention" }</legend>{ choice(OWN, false) }{ choice(FINAL, true) }</fieldset>
            <Notice id="table-failure" {failure} />
            <Shown class="table-frame" is_current={props.table.is_current()}>
                if let Some(table) = props.table.current() {
                    <LensGrid table={table.clone()} convention={made_by(table).name} />
                }
            </Shown>
        </section>
    }
}
