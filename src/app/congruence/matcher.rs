//! Which tokens a person's regular expression fits. It is the browser's own, which can take for ever, so it runs in a
//! worker of its own (`www/matcher.js`) and is ended when it takes too long.

use std::cell::Cell;
use std::rc::Rc;

use gloo_timers::callback::Timeout;
use js_sys::{Array, RegExp, Uint8Array};
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, Worker};
use yew::prelude::*;

use super::vocabulary::Vocabulary;
use crate::app::site;
use crate::app::state::Shared;

const PATIENCE_MS: u32 = 2000;

/// What is known of the tokens.
#[derive(Clone, PartialEq)]
pub enum Matched {
    /// No regular expression was given.
    Plain,
    Waiting,
    /// By token: not 0 where it fits.
    Tokens(Rc<Vec<u8>>),
    Failed(String),
}

/// A regular expression between slashes, and its flags.
fn expression(text: &str) -> Option<(&str, &str)> {
    let pattern = text.strip_prefix('/')?;
    Some(pattern.rsplit_once('/').unwrap_or((pattern, "")))
}

/// Matches the tokens against `text`, if it is a regular expression.
#[hook]
pub fn use_matched(words: &Shared<Vocabulary>, text: &str) -> Matched {
    let question = (words.clone(), text.to_owned());
    let answer = use_state(|| None::<((Shared<Vocabulary>, String), Matched)>);
    let setter = answer.setter();
    use_effect_with(question.clone(), move |question| {
        let about = question.clone();
        let tell = move |matched| setter.set(Some((about.clone(), matched)));
        let run =
            expression(&question.1).and_then(|expression| match Run::start(&question.0, expression, tell.clone()) {
                Ok(run) => Some(run),
                Err(problem) => {
                    tell(Matched::Failed(problem));
                    None
                }
            });
        move || drop(run)
    });
    match &*answer {
        _ if expression(text).is_none() => Matched::Plain,
        Some((about, matched)) if *about == question => matched.clone(),
        _ => Matched::Waiting,
    }
}

/// One attempt; dropping it ends it.
struct Run {
    worker: Worker,
    _hears: Closure<dyn FnMut(MessageEvent)>,
    _deadline: Timeout,
}

impl Run {
    fn start(
        words: &Vocabulary,
        (pattern, flags): (&str, &str),
        tell: impl Fn(Matched) + Clone + 'static,
    ) -> Result<Run, String> {
        if !flags.chars().all(|flag| "imsu".contains(flag)) {
            return Err(format!("There is no flag in {flags:?} that is understood here: i, m, s and u are."));
        }
        // RegExp throws at what is no pattern
        js_sys::Reflect::construct(
            &js_sys::Reflect::get(&js_sys::global(), &"RegExp".into()).map(js_sys::Function::from).unwrap_or_default(),
            &Array::of2(&pattern.into(), &flags.into()),
        )
        .map(RegExp::from)
        .map_err(|_| format!("/{pattern}/ is no regular expression."))?;
        let failed = |_| "The browser could not try it.".to_owned();
        let worker = Worker::new(&site::named("matcher").unwrap_or_default()).map_err(failed)?;
        let (heard, is_answered) = (tell.clone(), Rc::new(Cell::new(false)));
        let in_time = is_answered.clone();
        let hears = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            is_answered.set(true);
            heard(Matched::Tokens(Rc::new(Uint8Array::new(&event.data()).to_vec())));
        });
        worker.set_onmessage(Some(hears.as_ref().unchecked_ref()));
        let (texts, ends) = words.as_bytes();
        worker
            .post_message(&Array::of4(&pattern.into(), &flags.into(), &texts.into(), &ends.into()))
            .map_err(failed)?;
        let (ended, pattern) = (worker.clone(), pattern.to_owned());
        let deadline = Timeout::new(PATIENCE_MS, move || {
            ended.terminate();
            if in_time.get() {
                return;
            }
            tell(Matched::Failed(format!("/{pattern}/ takes too long and was stopped. Try a simpler one.")));
        });
        Ok(Run { worker, _hears: hears, _deadline: deadline })
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}
