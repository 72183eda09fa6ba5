//! A tap on a figure only reads it. What a mouse's click does there at once is, for a finger, on a button beside the
//! reading: nobody can point with a finger before pressing.

use yew::prelude::*;

/// The place that was tapped last, and the listeners that tell a tap from a click.
pub struct Tap<P> {
    pub at: Option<P>,
    /// Where a press begins, which is where it is meant: the page may move under it.
    pub onpress: Callback<(PointerEvent, Option<P>)>,
    /// A press at a place: a click picks it, a tap keeps it.
    pub onplace: Callback<P>,
}

/// A click goes to `onpick`; a press by anything else, or without a pointer, is a tap.
#[hook]
pub fn use_tap<P: Copy + PartialEq + 'static>(onpick: &Callback<P>) -> Tap<P> {
    let tapped = use_state_eq(|| None::<P>);
    let pressed = use_mut_ref(|| (false, None::<P>));
    let onpress = {
        let (pressed, tapped) = (pressed.clone(), tapped.setter());
        Callback::from(move |(event, place): (PointerEvent, Option<P>)| {
            let is_mouse = event.pointer_type() == "mouse";
            *pressed.borrow_mut() = (is_mouse, place);
            if is_mouse {
                tapped.set(None);
            }
        })
    };
    let onplace = {
        let (onpick, tapped) = (onpick.clone(), tapped.setter());
        Callback::from(move |place: P| match pressed.take() {
            (true, _) => onpick.emit(place),
            (false, began) => tapped.set(began.or(Some(place))),
        })
    };
    Tap { at: *tapped, onpress, onplace }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    /// What it does, and what it says when that is done and nothing near it shows so.
    pub says: AttrValue,
    #[prop_or_default]
    pub done: Option<AttrValue>,
    /// To what: for those who listen.
    pub to: AttrValue,
    pub onact: Callback<()>,
}

/// The button that does at the tapped place what a click does.
#[component]
pub fn Act(props: &Props) -> Html {
    let is_done = use_state_eq(|| false);
    let onclick = {
        let (is_done, onact, can_be_done) = (is_done.clone(), props.onact.clone(), props.done.is_some());
        Callback::from(move |_: MouseEvent| {
            if !*is_done {
                onact.emit(());
            }
            is_done.set(can_be_done);
        })
    };
    let done = props.done.as_ref().filter(|_| *is_done);
    html! {
        <button type="button" class="small act" aria-disabled={done.map(|_| "true")} {onclick}>
            { done.unwrap_or(&props.says) }<span class="unseen">{ &props.to }</span>
        </button>
    }
}
