//! What names a model: ids, addresses and files, as scripts, links and people give them.

use js_sys::{Array, Reflect};
use wasm_bindgen::{JsCast, JsValue};
use web_sys::Url;

use super::client::demo;
use super::picked::Picked;
use super::site;
use crate::error::Error;
use crate::protocol::{HubPlace, Place, PlacedFile, Source, is_commit, is_repo_id};

/// What a model is called that was loaded from files.
pub const FROM_FILES: &str = "files from this device";

/// How a hub is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HubOptions {
    /// `https://host`; the page's, or else the default one, if not said.
    pub host: Option<String>,
    pub revision: Option<String>,
    pub token: Option<String>,
}

/// What `load`'s first argument names.
///
/// # Errors
/// What is wrong with it, for a person; so for all of these.
pub fn source(model: &JsValue, hub: HubOptions) -> Result<Source, Error> {
    if let Some(files) = model.dyn_ref::<Array>() {
        let files: Vec<Picked> = files.iter().filter_map(|file| Some(Picked::of(file.dyn_into().ok()?))).collect();
        return from_files(&files);
    }
    let base = Reflect::get(model, &"base".into()).ok().and_then(|base| base.as_string());
    match (base, model.as_string()) {
        (Some(base), _) => from_base(&base),
        (None, Some(text)) => from_text(&text, hub),
        (None, None) => Err(Error::Unsupported(
            "load takes \"demo\", a model's id on the hub, an address, {base: address} or an array of files.".into(),
        )),
    }
}

/// What a person or a script calls a model: `demo`, a hub's id, perhaps with `@commit`, a folder of this site, or the
/// whole address of a folder elsewhere.
pub fn from_text(text: &str, hub: HubOptions) -> Result<Source, Error> {
    let text = text.trim();
    if text == demo().name {
        return Ok(demo());
    }
    let (repo, commit) = text.split_once('@').map_or((text, None), |(repo, commit)| (repo, Some(commit)));
    if is_repo_id(repo) && commit.is_none_or(is_commit) {
        let revision = hub.revision.or_else(|| commit.map(str::to_owned));
        return Ok(from_hub(repo, HubOptions { revision, ..hub }));
    }
    let is_elsewhere = (text.starts_with("https://") || text.starts_with("http://")) && !is_own(text);
    if is_elsewhere { from_base(text) } else { from_address(text) }
}

/// A hub's repository.
pub fn from_hub(repo: &str, hub: HubOptions) -> Source {
    let HubOptions { host, revision, token } = hub;
    let place = HubPlace { host: host.or_else(page_hub), repo: repo.to_owned(), revision, token };
    Source { name: repo.to_owned(), place: Place::Hub(place), threads: None, dtype: None, engine: None }
}

/// The hub that the page's maker named in its head, where that isn't the usual one.
pub fn page_hub() -> Option<String> {
    site::named("peartree-hub").filter(|host| !host.is_empty())
}

/// A folder of another site, or of this one.
fn from_base(address: &str) -> Result<Source, Error> {
    if is_own(address) {
        return from_address(address);
    }
    let address = address.trim().trim_end_matches('/');
    let place = Place::Base { url: address.to_owned() };
    Ok(Source { name: address.to_owned(), place, threads: None, dtype: None, engine: None })
}

fn is_own(address: &str) -> bool {
    let origin = web_sys::window().and_then(|window| window.location().origin().ok());
    Url::new(address.trim()).is_ok_and(|url| Some(url.origin()) == origin)
}

/// A folder on the page's own origin.
///
/// # Errors
/// [`Error::Unsupported`] for another origin.
pub fn from_address(address: &str) -> Result<Source, Error> {
    let location = web_sys::window().map(|window| window.location());
    let (origin, page) = location
        .and_then(|location| Some((location.origin().ok()?, location.href().ok()?)))
        .ok_or_else(|| Error::Unsupported("This page has no address of its own.".into()))?;
    let address = address.trim();
    let url = Url::new_with_base(address, &page)
        .map_err(|_| Error::Unsupported(format!("{address:?} is no address. Give a folder on this site.")))?;
    if address.is_empty() || url.origin() != origin {
        return Err(Error::Unsupported(format!(
            "{address:?} is not on this site. Models come from this site's own folders or from files on your disk; \
             download the files and drop them onto the page."
        )));
    }
    let path = url.pathname();
    let path = if path.ends_with('/') { path } else { format!("{path}/") };
    let place = Place::Folder { url: format!("{origin}{path}") };
    Ok(Source { name: address.to_owned(), place, threads: None, dtype: None, engine: None })
}

/// A model's files, picked or dropped, in any order; of a folder's, those that lie beside the config.
///
/// # Errors
/// [`Error::Read`] where the browser gives no access to one.
pub fn from_files(files: &[Picked]) -> Result<Source, Error> {
    let folder_of = |file: &Picked| file.path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
    let is_config = |file: &&Picked| file.file.name() == "config.json";
    let depth = |file: &&Picked| file.path.matches('/').count();
    let first = files.iter().filter(is_config).min_by_key(depth).or(files.iter().min_by_key(depth));
    let folder = first.map(folder_of).unwrap_or_default();
    let mut placed = Vec::new();
    for picked in files.iter().filter(|file| folder_of(file) == folder) {
        let name = picked.file.name();
        let url = Url::create_object_url_with_blob(&picked.file)
            .map_err(|_| Error::Read { what: name.clone(), why: "the browser gave no access to it.".into() })?;
        placed.push(PlacedFile { name, url });
    }
    Ok(Source {
        name: FROM_FILES.into(),
        place: Place::Files { files: placed },
        threads: None,
        dtype: None,
        engine: None,
    })
}
