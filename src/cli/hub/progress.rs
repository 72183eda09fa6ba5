//! How far a download is, on standard error.

use indicatif::ProgressBar;

use super::super::progress_bar;
use crate::error::plain::{Form, plain};
use crate::protocol::{Progress, Stage};

/// A bar that goes when it is dropped, however the download ends.
pub struct Bar(ProgressBar);

impl Bar {
    pub fn new() -> Bar {
        Bar(progress_bar("{msg} {bar:32} {bytes} of {total_bytes}, {eta} left", 0))
    }

    pub fn show(&self, progress: Progress) {
        let doing = match progress.stage {
            Stage::Downloading => "downloading",
            Stage::Waiting => "waiting for another peartree that gets",
            Stage::Checking => "checking",
            Stage::Computing | Stage::Reading => "loading",
        };
        let message = format!("{doing} {}", plain(&progress.what, Form::Line));
        if self.0.message() != message {
            // the time left is guessed from this stage's speed alone
            self.0.reset();
            self.0.set_message(message);
        }
        self.0.set_length(progress.total.unwrap_or(0.0) as u64);
        self.0.set_position(progress.done as u64);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
