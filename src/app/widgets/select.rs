//! A list to choose from, which shows what the state is. A browser shows what a person chose last, and goes on doing so
//! where the state took another way (Back, a link, a choice that was refused): so its value is set after every choice.

use web_sys::HtmlSelectElement;
use yew::prelude::*;

#[derive(Properties, PartialEq)]
pub struct Props {
    #[prop_or_default]
    pub id: Option<AttrValue>,
    /// What it is called where no label of its own stands beside it.
    #[prop_or_default]
    pub label: Option<AttrValue>,
    /// The state's own choice, one of the options' values.
    pub value: AttrValue,
    pub onchoice: Callback<String>,
    /// Its options.
    pub children: Html,
}

#[component]
pub fn Select(props: &Props) -> Html {
    let node = use_node_ref();
    let choices = use_state(|| 0_u32);
    let onchange = {
        let (onchoice, choices) = (props.onchoice.clone(), choices.clone());
        Callback::from(move |event: Event| {
            if let Some(select) = event.target_dyn_into::<HtmlSelectElement>() {
                onchoice.emit(select.value());
                choices.set(choices.wrapping_add(1));
            }
        })
    };
    // the options too: a value can't be shown before its option is there
    let shown = (props.value.clone(), *choices, props.children.clone());
    use_effect_with((shown, node.clone()), |((value, ..), node)| {
        if let Some(select) = node.cast::<HtmlSelectElement>() {
            select.set_value(value);
        }
    });
    html! {
        <select ref={node} id={props.id.clone()} aria-label={props.label.clone()} {onchange}>{ props.children.clone() }</select>
    }
}
