//! A figure's frame: its name, what it shows, a link to it; it tells when it comes on screen.

use yew::prelude::*;

use super::copy_link::CopyLink;
use super::seen::use_seen;
use crate::app::state::{Action, Dispatch};
use crate::link::View;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub view: View,
    pub title: &'static str,
    #[prop_or_default]
    pub caption: Html,
    pub is_busy: bool,
    pub dispatch: Dispatch,
    pub children: Html,
}

#[component]
pub fn Section(props: &Props) -> Html {
    let node = use_node_ref();
    let (view, dispatch) = (props.view, props.dispatch.clone());
    use_seen(&node, Callback::from(move |seen| dispatch.dispatch(Action::Seen(view, seen))));
    let word = view.word();
    html! {
        <section class={classes!("figure", word)} id={word} ref={node} aria-labelledby={format!("{word}-title")}
            aria-busy={props.is_busy.to_string()}>
            <Heading view={view} title={props.title} />
            <p class="caption">{ props.caption.clone() }</p>
            { props.children.clone() }
        </section>
    }
}

#[derive(Properties, PartialEq)]
pub struct HeadingProps {
    pub view: View,
    pub title: &'static str,
}

/// A figure's name with a link to it.
#[component]
pub fn Heading(props: &HeadingProps) -> Html {
    html! {
        <div class="heading">
            <h2 id={format!("{}-title", props.view.word())} translate="yes">{ props.title }</h2>
            <CopyLink to={Some((props.view, props.title))} />
        </div>
    }
}
