//! How far a sweep is: estimates, exact figures so far, a button that stops it.

use yew::prelude::*;

use crate::app::format::whole;
use crate::app::state::{Action, Dispatch, Figure, Patched, Sweep, Swept};

/// One line under a figure that is swept. While it runs it counts; when it is done it says that it is exact.
pub fn status<A: Swept + 'static>(figure: &Figure<Sweep<A>>, which: Patched, dispatch: &Dispatch) -> Html {
    let Some(sweep) = figure.current() else { return html! { <p class="sweep" /> } };
    if sweep.is_complete() {
        return html! { <p class="sweep">{ "Exact." }</p> };
    }
    let (done, total) = sweep.counts();
    let click = |stop: bool| {
        let dispatch = dispatch.clone();
        Callback::from(move |_: MouseEvent| dispatch.dispatch(Action::Stop(which, stop)))
    };
    let count = format!("{} of {} exact, the others estimates", whole(done as u64), whole(total as u64));
    html! {
        <p class="sweep">
            if figure.is_working() {
                <progress max={total.to_string()} value={done.to_string()} aria-label="Exact figures so far" />
                <span>{ count }</span>
                <button type="button" class="small" onclick={click(true)}>{ "Stop" }</button>
            } else {
                <span>{ if figure.is_stopped() { "Stopped: " } else { "" } }{ count }</span>
                <button type="button" class="small" onclick={click(false)}>{ "Go on" }</button>
            }
        </p>
    }
}
