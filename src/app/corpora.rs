//! Which files a corpus is read from: the site's own, others on the same origin, a hub's data set, or the person's; and
//! how the reader is asked.

use serde::de::DeserializeOwned;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{File, Url};

use super::client::Client;
use super::site;
use super::sources::page_hub;
use crate::error::Error;
use crate::protocol::{
    Answer, CorpusProgress, DataFile, Event, Failure, HUB, ReaderCall, ReaderTask, Request, RequestId, is_repo_id,
};
use crate::store::address::host_of;

/// Corpora that are part of the site: what they are called in addresses, and what people call them.
pub const CORPORA: [(&str, &str); 2] =
    [("demo", "the demo's grammar, held out"), ("english", "English: stories, speeches, countries")];

/// A file of documents: a `File`, the name of a corpus of the site's, a data set's id on the hub, or an address on this
/// origin.
pub fn data_file(data: &JsValue) -> Result<DataFile, Failure> {
    if let Some(dropped) = data.dyn_ref::<File>() {
        return dropped_file(dropped);
    }
    let text = data.as_string().unwrap_or_default();
    if let Some(file) = built_in(&text) {
        return Ok(file);
    }
    let is_file = text.rsplit_once('.').is_some_and(|(_, ending)| ENDINGS.contains(&ending));
    if is_repo_id(&text) && text.contains('/') && !is_file {
        return Ok(dataset(&text));
    }
    own_address(&text).map(|url| file(name_in(&url).to_owned(), url.clone())).ok_or_else(|| {
        Failure::from(&Error::Unsupported(
            "data takes \"demo\", \"english\", a data set's id on the hub, an address on this site, a File, or an array of these.".into(),
        ))
    })
}

/// How the names of files of documents end.
const ENDINGS: [&str; 7] = ["txt", "jsonl", "ndjson", "json", "parquet", "gz", "zst"];

fn file(name: String, url: String) -> DataFile {
    DataFile { name, url, bytes: None, is_dataset: false }
}

/// A corpus of the site's.
pub fn built_in(name: &str) -> Option<DataFile> {
    let (name, _) = CORPORA.iter().find(|(known, _)| *known == name)?;
    let address = site::named(&format!("corpus-{name}")).unwrap_or_else(|| format!("./corpora/{name}.jsonl.gz"));
    Some(file(format!("{name}.jsonl.gz"), own_address(&address)?))
}

/// A data set on the hub.
pub fn dataset(id: &str) -> DataFile {
    let host = page_hub().unwrap_or_else(|| HUB.to_owned());
    let url = format!("{}/api/datasets/{id}/parquet", host.trim_end_matches('/'));
    DataFile { is_dataset: true, ..file(id.to_owned(), url) }
}

/// A file from the person's disk.
pub fn dropped_file(file: &File) -> Result<DataFile, Failure> {
    let url = Url::create_object_url_with_blob(file)
        .map_err(|_| Failure::from(&Error::Read { what: file.name(), why: "the browser gave no access.".into() }))?;
    Ok(DataFile { name: file.name(), url, bytes: Some(file.size()), is_dataset: false })
}

/// The whole address of a published folder, with a slash at its end.
pub fn folder_address(folder: &str) -> Result<String, Failure> {
    let folder = folder.trim();
    let url = here().and_then(|(_, page)| Url::new_with_base(folder, &page).ok()).map(|url| url.href());
    match url.filter(|url| !folder.is_empty() && url.starts_with("http")) {
        Some(url) => Ok(format!("{}/", url.trim_end_matches('/'))),
        None => Err(Failure::from(&Error::Unsupported("folder takes the address of a published folder.".into()))),
    }
}

/// The host of a folder that lies elsewhere than this site.
pub fn other_host(folder: &str) -> Option<String> {
    let url = Url::new(&folder_address(folder).ok()?).ok()?;
    (Some(url.origin()) != here().map(|(origin, _)| origin)).then(|| url.host())
}

/// The hub that files are read from, where one of them is a data set's.
pub fn hub_of(files: &[DataFile]) -> Option<&str> {
    Some(host_of(&files.iter().find(|file| file.is_dataset)?.url))
}

/// An address on the page's own origin, in full.
fn own_address(address: &str) -> Option<String> {
    let (origin, page) = here()?;
    let url = Url::new_with_base(address, &page).ok().filter(|url| !address.is_empty() && url.origin() == origin)?;
    Some(url.href())
}

/// The page's origin and its address.
fn here() -> Option<(String, String)> {
    let location = web_sys::window()?.location();
    Some((location.origin().ok()?, location.href().ok()?))
}

fn name_in(url: &str) -> &str {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    path.rsplit('/').next().unwrap_or_default()
}

/// A task's way to the reader.
pub fn reader_call(task: String) -> Request {
    let program = site::named("reader").unwrap_or_default();
    Request::Read(ReaderCall { program: own_address(&program).unwrap_or_default(), task, again: false })
}

/// What comes back from the reader.
pub enum Told<A> {
    Progress(Box<CorpusProgress>),
    Done(A),
    Failed(Failure),
}

/// Asks the reader.
pub fn ask<A: DeserializeOwned>(client: &Client, task: &ReaderTask, tell: impl Fn(Told<A>) + 'static) -> RequestId {
    // numbers and texts can always be written
    let call = reader_call(serde_json::to_string(task).unwrap_or_default());
    client.ask(None, call, move |event| match event {
        Event::Read(json) => {
            if let Ok(progress) = serde_json::from_str(&json) {
                tell(Told::Progress(Box::new(progress)));
            }
        }
        Event::Done(Answer::Read(json)) => match serde_json::from_str(&json) {
            Ok(answer) => tell(Told::Done(answer)),
            // page and reader are built together
            Err(e) => {
                tell(Told::Failed((&Error::Unsupported(format!("The reader's answer can't be read: {e}."))).into()))
            }
        },
        Event::Failed(failure) => tell(Told::Failed(failure)),
        _ => {}
    })
}
