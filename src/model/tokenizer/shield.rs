//! Keeps a panic inside the tokenizers crate from ending the program. What is known to make it panic is refused before
//! (see [`super::file`]); this is for what isn't known. Where panics abort, as in the browser, it changes nothing: there
//! the page starts its worker again.

use crate::error::{Error, Result};

/// Runs what calls into the crate.
///
/// # Errors
/// [`Error::Tokenizer`] where the crate panicked.
pub fn shielded<T>(run: impl FnOnce() -> T) -> Result<T> {
    caught(run).ok_or_else(|| Error::Tokenizer("Its rules broke the program that follows them.".into()))
}

#[cfg(panic = "unwind")]
/// What `run` comes to; none where it panicked.
pub fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
    use std::sync::Once;

    thread_local!(static IS_SHIELDED: Cell<bool> = const { Cell::new(false) });
    static QUIET: Once = Once::new();

    // a caught panic is an error that is told as one: nothing else is printed of it
    QUIET.call_once(|| {
        let usual = take_hook();
        set_hook(Box::new(move |panic| {
            if !IS_SHIELDED.get() {
                usual(panic);
            }
        }));
    });
    let before = IS_SHIELDED.replace(true);
    // whatever the crate leaves half done is its own caches, which it takes anew
    let caught = catch_unwind(AssertUnwindSafe(run));
    IS_SHIELDED.set(before);
    caught.ok()
}

#[cfg(not(panic = "unwind"))]
pub fn caught<T>(run: impl FnOnce() -> T) -> Option<T> {
    Some(run())
}

#[cfg(all(test, panic = "unwind"))]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_and_the_next_call_works() {
        let error = shielded(|| Vec::<u8>::new()[1]).unwrap_err();
        assert_eq!(error.code(), "bad_tokenizer");
        assert_eq!(shielded(|| 7).unwrap(), 7);
    }
}
