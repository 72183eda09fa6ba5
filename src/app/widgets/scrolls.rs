//! A box that scrolls sideways and shows it: where there is more, its edge fades and an arrow stands there.

use web_sys::Element;
use yew::prelude::*;

use super::width::use_room;

/// What stands beside the scrolling element in a frame of class `scrolls`, and what the element takes.
pub struct More {
    pub edges: Html,
    pub onscroll: Callback<Event>,
}

/// Which of its sides an element can be scrolled to: measured with every rendering, every change of its size, every scroll.
#[hook]
pub fn use_more(node: &NodeRef) -> More {
    let more = use_state_eq(|| (false, false));
    // another size is another rendering
    use_room(node);
    let measure = {
        let (setter, node) = (more.setter(), node.clone());
        move || {
            if let Some(element) = node.cast::<Element>() {
                let (at, end) = (element.scroll_left(), element.scroll_width() - element.client_width());
                setter.set((at > 1, at + 1 < end));
            }
        }
    };
    use_effect(measure.clone());
    let (before, after) = *more;
    More {
        edges: html! {
            <>
            if before { <i class="edge before" aria-hidden="true">{ "‹" }</i> }
            if after { <i class="edge after" aria-hidden="true">{ "›" }</i> }
            </>
        },
        onscroll: Callback::from(move |_| measure()),
    }
}

#[derive(Properties, PartialEq)]
pub struct Props {
    /// The box's own class.
    pub class: &'static str,
    /// Where the caller needs the box itself.
    #[prop_or_default]
    pub node: Option<NodeRef>,
    /// What stays at its left edge, over what scrolls beneath it.
    #[prop_or_default]
    pub names: Html,
    pub children: Html,
}

#[component]
pub fn Scrolls(props: &Props) -> Html {
    let own = use_node_ref();
    let node = props.node.clone().unwrap_or(own);
    let More { edges, onscroll } = use_more(&node);
    html! {
        <div class="scrolls">
            <div class={props.class} ref={node} {onscroll}>{ props.children.clone() }</div>
            { props.names.clone() }
            { edges }
        </div>
    }
}
