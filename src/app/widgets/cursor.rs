//! One place on a figure that mouse, finger and arrow keys move: what they point at is what the figure tells about.

use std::rc::Rc;

use yew::prelude::*;

/// The place pointed at, and the listeners that the figure's element takes.
pub struct Cursor<P> {
    /// Under the pointer, or else where the keys have led.
    pub active: Option<P>,
    pub onpointermove: Callback<PointerEvent>,
    pub onpointerdown: Callback<PointerEvent>,
    pub onpointerleave: Callback<PointerEvent>,
    pub onkeydown: Callback<KeyboardEvent>,
    pub onfocus: Callback<FocusEvent>,
    pub onblur: Callback<FocusEvent>,
}

/// A cursor that starts at `home` when the figure gets the focus.
///
/// `find` gives the place under the pointer, `step` where a key leads, and `on_step` may scroll there.
#[hook]
pub fn use_cursor<P: Copy + PartialEq + 'static>(
    home: P,
    find: impl Fn(&PointerEvent) -> Option<P> + 'static,
    step: impl Fn(P, &KeyboardEvent) -> Option<P> + 'static,
    on_step: impl Fn(P) + 'static,
) -> Cursor<P> {
    let hovered = use_state_eq(|| None::<P>);
    let cursor = use_state_eq(|| None::<P>);
    let active = hovered.or(*cursor);
    let find = Rc::new(find);
    let hover = hovered.setter();
    let onpointermove = {
        let (hover, find) = (hover.clone(), find.clone());
        Callback::from(move |event: PointerEvent| hover.set(find(&event)))
    };
    let onpointerdown = {
        let cursor = cursor.setter();
        Callback::from(move |event: PointerEvent| cursor.set(find(&event)))
    };
    let onpointerleave = {
        let hover = hover.clone();
        Callback::from(move |_: PointerEvent| hover.set(None))
    };
    let onkeydown = {
        let cursor = cursor.setter();
        Callback::from(move |event: KeyboardEvent| {
            if let Some(to) = step(active.unwrap_or(home), &event) {
                event.prevent_default();
                hover.set(None);
                cursor.set(Some(to));
                on_step(to);
            }
        })
    };
    let onfocus = {
        let cursor = cursor.clone();
        // a press has set it already
        Callback::from(move |_: FocusEvent| {
            if cursor.is_none() {
                cursor.set(Some(home));
            }
        })
    };
    let onblur = Callback::from(move |_: FocusEvent| cursor.set(None));
    Cursor { active, onpointermove, onpointerdown, onpointerleave, onkeydown, onfocus, onblur }
}

/// Where a key leads along a row of `last + 1` places.
pub fn step_along(at: usize, last: usize, event: &KeyboardEvent) -> Option<usize> {
    let at = at.min(last);
    Some(match event.key().as_str() {
        "ArrowLeft" | "ArrowUp" => at.saturating_sub(1),
        "ArrowRight" | "ArrowDown" => (at + 1).min(last),
        "Home" => 0,
        "End" => last,
        _ => return None,
    })
}
