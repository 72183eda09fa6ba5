//! Which files a corpus is read from: the site's own, others on the same origin, or the person's.

use wasm_bindgen::{JsCast, JsValue};
use web_sys::{File, Url};

use crate::error::Error;
use crate::protocol::{DataFile, Failure};

/// Corpora that are part of the site: what they are called, and their files.
pub const CORPORA: [(&str, &str); 2] = [("demo", "./corpora/demo.jsonl.gz"), ("english", "./corpora/english.jsonl.gz")];

/// A file of documents: a `File`, the name of a corpus of the site's, or an address on this origin.
pub fn data_file(data: &JsValue) -> Result<DataFile, Failure> {
    let file = |name: String, url: String| DataFile { name, url };
    if let Some(dropped) = data.dyn_ref::<File>() {
        return dropped_file(dropped);
    }
    let address = data.as_string().unwrap_or_default();
    let address = CORPORA.iter().find(|(name, _)| *name == address).map_or(&address[..], |(_, url)| url);
    let location = web_sys::window().map(|window| window.location());
    let here = location.and_then(|location| Some((location.origin().ok()?, location.href().ok()?)));
    let url =
        here.and_then(|(origin, page)| Url::new_with_base(address, &page).ok().filter(|url| url.origin() == origin));
    match url {
        Some(url) if !address.is_empty() => {
            let path = url.pathname();
            Ok(file(path.rsplit('/').next().unwrap_or_default().to_owned(), url.href()))
        }
        _ => Err(Failure::from(&Error::Unsupported(
            "data takes \"demo\", \"english\", an address on this site, a File, or an array of these.".into(),
        ))),
    }
}

/// A file from the person's disk.
pub fn dropped_file(file: &File) -> Result<DataFile, Failure> {
    let url = Url::create_object_url_with_blob(file)
        .map_err(|_| Failure::from(&Error::Read { what: file.name(), why: "the browser gave no access.".into() }))?;
    Ok(DataFile { name: file.name(), url })
}
