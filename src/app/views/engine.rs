//! Says, at the end of the model's line, what computes: the processor, or the graphics card by its name.

use yew::prelude::*;

use crate::app::client::Client;
use crate::protocol::Info;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
}

#[component]
pub fn EngineLine(props: &Props) -> Html {
    let info = use_state_eq(|| None::<Info>);
    {
        let (client, info) = (props.client.clone(), info.setter());
        use_effect_with((), move |()| client.on_engine(move |said| info.set(Some(said.clone()))));
    }
    html! {
        // empty until it is known
        <span class="engine" id="engine">{ info.as_ref().map(words).unwrap_or_default() }</span>
    }
}

fn words(info: &Info) -> String {
    match info.adapter.as_deref() {
        Some("") => ". Computed on the graphics card.".to_owned(),
        Some(card) => format!(". Computed on the graphics card: {card}."),
        None => ". Computed on the processor.".to_owned(),
    }
}
