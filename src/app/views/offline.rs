//! Whether the page starts without a network, how many threads it may use, and the notice of a new version.

use yew::prelude::*;

use crate::app::offline::{Keeper, Kept, Offline, Threads};

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The first prediction is there: what comes now delays nothing.
    pub begins: bool,
}

#[component]
pub fn OfflineControls(props: &Props) -> Html {
    let said = use_state_eq(Offline::default);
    let is_put_off = use_state_eq(|| false);
    let keeper = use_mut_ref(|| None::<Keeper>);
    {
        let (said, keeper) = (said.setter(), keeper.clone());
        use_effect_with(props.begins, move |&begins| {
            if begins && keeper.borrow().is_none() {
                let begun = Keeper::begin(Callback::from(move |now| said.set(now)));
                *keeper.borrow_mut() = begun;
            }
        });
    }
    let act = |act: fn(&Keeper)| {
        let keeper = keeper.clone();
        Callback::from(move |_: MouseEvent| {
            if let Some(keeper) = &*keeper.borrow() {
                act(keeper);
            }
        })
    };
    let switch = |says: &'static str, onclick: Callback<MouseEvent>| {
        html! { <>{ " " }<button type="button" class="link" {onclick}>{ says }</button></> }
    };
    let onlater = {
        let is_put_off = is_put_off.clone();
        Callback::from(move |_: MouseEvent| is_put_off.set(true))
    };
    html! {
        <>
        <p class="offline">
            <span role="status">{ match said.kept {
                Kept::Unknown => "",
                Kept::SwitchedOff => "This page is not kept on this device: it needs a network to start.",
                Kept::AskedToLeave => "This address asks that the page be not kept on this device.",
                Kept::Coming => "This page is being kept on this device …",
                Kept::Ready => "This page is kept on this device: it starts without a network too.",
                Kept::Failed => "This page could not be kept on this device. It works; it only needs a network to start.",
            } }</span>
            { match said.kept {
                Kept::AskedToLeave => html! {
                    <>{ switch("Don’t keep it", act(|keeper| keeper.switch(false))) }{ switch("Keep it", act(|keeper| keeper.switch(true))) }</>
                },
                Kept::Ready => switch("Don’t keep it", act(|keeper| keeper.switch(false))),
                Kept::SwitchedOff => switch("Keep it", act(|keeper| keeper.switch(true))),
                Kept::Failed => switch("Try again", act(|keeper| keeper.switch(true))),
                Kept::Unknown | Kept::Coming => Html::default(),
            } }
        </p>
        if said.threads != Threads::Given {
            <p class="offline">
                { match said.threads {
                    Threads::Several => "It computes on several threads.",
                    Threads::One | Threads::Given => "It computes on one thread, as this site’s host does not allow more by itself.",
                } }
                { if said.threads == Threads::Several {
                    switch("Use one thread", act(|keeper| keeper.isolate(false)))
                } else {
                    switch("Use more threads (loads the page anew)", act(|keeper| keeper.isolate(true)))
                } }
            </p>
        }
        // always there, as screen readers announce changes only in regions they know
        <div class="newer" role="status" aria-live="polite">
            if said.is_newer_ready && !*is_put_off {
                <p>{ "A new version of this page is ready." }</p>
                <button type="button" class="primary" onclick={act(Keeper::take_newer)}>{ "Reload" }</button>
                <button type="button" onclick={onlater}>{ "Later" }</button>
            }
        </div>
        </>
    }
}
