//! Says, once, that the worker died and what was done about it.

use yew::prelude::*;

use crate::app::client::{Client, Life};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
}

#[component]
pub fn LifeNotice(props: &Props) -> Html {
    let said = use_state_eq(|| None::<Life>);
    {
        let (client, said) = (props.client.clone(), said.setter());
        use_effect_with((), move |()| client.on_life(move |life| said.set(Some(life.clone()))));
    }
    let on_dismiss = {
        let said = said.setter();
        Callback::from(move |_: MouseEvent| said.set(None))
    };
    let on_revive = {
        let (client, said) = (props.client.clone(), said.setter());
        Callback::from(move |_: MouseEvent| {
            said.set(None);
            client.revive();
        })
    };
    let button = |text: &'static str, onclick: &Callback<MouseEvent>| {
        html! { <button type="button" class="small" onclick={onclick.clone()}>{ text }</button> }
    };
    html! {
        // always there, as screen readers announce changes only in regions they know
        <div id="life" class={classes!("life-notice", said.is_none().then_some("empty"))} role="status" aria-live="polite">
            if let Some(life) = &*said {
                <p>{ match life {
                    Life::Again => "The part of the page that computes had stopped. It was started again, with what it had loaded, and was asked again whatever was open.".to_owned(),
                    Life::WithoutModel(failure) => format!("The part of the page that computes had stopped, and its model could not be loaded again. {}", failure.message),
                    Life::WithoutCard(failure) => format!("{} From now on the processor computes.", failure.message),
                    Life::Over(failure) => failure.message.clone(),
                } }</p>
                if let Life::Over(_) = life { { button("Start it again", &on_revive) } }
                { button("Dismiss", &on_dismiss) }
            }
        </div>
    }
}
