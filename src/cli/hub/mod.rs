//! Models that `--model` names by a hub's id: downloaded once, checked, kept in a folder, and found there again.
//!
//! The store does all of that; what is here gives it a network, files and a clock. All three block, so no future of the
//! store's ever waits and [`complete`] can run them.

mod device;
mod progress;
mod redirect;
mod root;
mod storage;
mod wire;

use std::path::Path;

use super::folder::is_file_of_a_model;
use super::inspect::{self, Inspection};
use crate::engine::{Unhurried, complete};
use crate::error::{Error, Result, StoreError};
use crate::model::WeightDtype;
use crate::protocol::{HubPlace, Place, Source, is_repo_id};
use crate::session::{AnySession, EngineKind, card};
use crate::store::Store;
use crate::store::address::Site;
use crate::store::line::Terms;
use crate::store::watch::Watch;
use device::Machine;
use progress::Bar;
use storage::Folders;
use wire::Http;

/// The source that `model` names, if it names a hub's: an id, perhaps with `@` and a revision. A folder that is there
/// comes before an id, and what can be nothing but a path is one, there or not.
pub fn source(model: &Path, dtype: WeightDtype) -> Option<Source> {
    let text = model.to_str().filter(|_| !model.is_dir() && !is_file_of_a_model(model))?;
    let (repo, revision) = text.split_once('@').map_or((text, None), |(repo, revision)| (repo, Some(revision)));
    if !is_repo_id(repo) {
        return None;
    }
    let place = HubPlace {
        host: root::said("HF_ENDPOINT"),
        repo: repo.to_owned(),
        revision: revision.map(str::to_owned),
        token: root::said("HF_TOKEN"),
    };
    Some(Source { name: text.to_owned(), place: Place::Hub(place), threads: None, dtype: Some(dtype), engine: None })
}

/// Loads a model that is kept, or downloads it first.
///
/// # Errors
/// [`StoreError`]; what is wrong with the model.
pub fn load(source: &Source, engine: EngineKind) -> Result<AnySession> {
    let (site, store, bar) = (site(source)?, store()?, Bar::new());
    let on_progress = |progress| bar.show(progress);
    let watch = Watch { control: &Unhurried, on_progress: &on_progress };
    complete(async {
        let held = store.fetch(source, &site, &watch).await?;
        let model = store.build(&held, source.dtype.unwrap_or_default(), engine.sink(card::open)?, &watch).await?;
        Ok(AnySession::of(source.name.clone(), model)?.from_origin(Some(held.manifest.origin())))
    })
}

/// Looks at a model: at what is kept of it, if all of it is, or else at its small files and its weights' headers.
///
/// # Errors
/// [`StoreError`].
pub fn inspect(source: &Source) -> Result<Inspection> {
    let (site, store) = (site(source)?, store()?);
    let watch = Watch { control: &Unhurried, on_progress: &|_| () };
    match complete(store.find(&site))? {
        Some((key, _)) => inspect::folder(&root::find()?.join("models").join(key)),
        None => Ok(inspect::survey(&complete(store.survey(&site, &watch))?)),
    }
}

fn site(source: &Source) -> Result<Site> {
    Site::of(&source.place)?.ok_or_else(|| Error::Unsupported("This is no model of a hub's.".into()))
}

fn store() -> Result<Store<Http, Folders, Machine>> {
    let (root, terms) = (root::find()?, terms());
    let (storage, device) = (Folders::at(root.join("models")), Machine::new(root.join("locks")));
    Ok(Store { wire: Http::new(terms.stall), storage, device, terms })
}

fn terms() -> Terms {
    Terms {
        // a piece blocks until it is there, so there is never a second one on its way
        in_flight: 1,
        // each time is a write that waits for the disk
        journal_bytes: 16 << 20,
        // the machine's memory is not a page's
        most_weights_bytes: u64::MAX,
        ..Terms::default()
    }
}

/// What an error's own words, which are the page's too, leave open on a command line.
pub fn hint(error: &Error) -> &'static str {
    match error {
        Error::Store(StoreError::NeedsToken { .. } | StoreError::TokenRefused { .. }) => {
            " Here the token is what HF_TOKEN holds; for a folder of your own, give a path like ./mine."
        }
        Error::Store(StoreError::NotThere { .. }) => " For a folder of your own, give a path like ./mine.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn repo(text: &str) -> Option<(String, Option<String>)> {
        match source(Path::new(text), WeightDtype::F32)?.place {
            Place::Hub(place) => Some((place.repo, place.revision)),
            _ => None,
        }
    }

    #[test]
    fn ids_are_told_from_paths() {
        for (text, id, revision) in [
            ("gpt2", "gpt2", None),
            ("openai-community/gpt2-large", "openai-community/gpt2-large", None),
            ("gpt2@main", "gpt2", Some("main")),
            ("a/b@refs/pr/1", "a/b", Some("refs/pr/1")),
        ] {
            assert_eq!(repo(text), Some((id.into(), revision.map(str::to_owned))));
        }
        for path in [
            "./gpt2",
            "../gpt2",
            "/gpt2",
            "gpt2/",
            "a/b/c",
            ".",
            "..",
            "~/gpt2",
            "C:\\gpt2",
            "src",
            "",
            "Cargo.toml",
            "a/model.safetensors",
        ] {
            assert_eq!(repo(path), None, "{path:?}");
        }
    }
}
