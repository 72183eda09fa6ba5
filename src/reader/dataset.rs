//! A data set on a hub: which parquet files it is, as the hub lists them for every public one.

use std::collections::BTreeMap;

use web_sys::Url;

use super::address;
use crate::error::{Error, Result};
use crate::protocol::DataFile;
use crate::store::address::host_of;

/// Files by configuration and by split.
type Listing = BTreeMap<String, BTreeMap<String, Vec<String>>>;

/// The files of a data set, whose `url` is its list's: of its `default` configuration, or else of the first; of the
/// split `train`, or else of the first.
///
/// All of them are addresses of the hub's own, which a person has named; a list that leads elsewhere is refused whole.
/// Where the hub itself sends a range's reader on to, as to its storage, is the hub's to say, and the browser follows:
/// nothing but the range is asked there, and no token is ever sent with it.
///
/// # Errors
/// [`Error::NotThere`], [`Error::Read`].
pub async fn files(dataset: &DataFile) -> Result<Vec<DataFile>> {
    let listing: Listing = serde_json::from_slice(&address::whole(&dataset.name, &dataset.url)?)
        .map_err(|_| unread(dataset, "the hub's list of its files can't be understood."))?;
    let files = preferred(listing, "default").and_then(|splits| preferred(splits, "train")).unwrap_or_default();
    if files.is_empty() {
        return Err(unread(dataset, "the hub has no parquet files of it."));
    }
    let origin = |url: &str| Url::new(url).map(|url| url.origin()).ok();
    let hub = origin(&dataset.url);
    if let Some(stray) = files.iter().find(|url| hub.is_none() || origin(url) != hub) {
        let why = format!("the hub's list of its files leads to another host, {}.", host_of(stray));
        return Err(unread(dataset, &why));
    }
    let file = |(at, url): (usize, String)| DataFile {
        name: format!("{}/{at}.parquet", dataset.name),
        url,
        bytes: None,
        is_dataset: false,
    };
    Ok(files.into_iter().enumerate().map(file).collect())
}

fn preferred<T>(mut map: BTreeMap<String, T>, name: &str) -> Option<T> {
    map.remove(name).or_else(|| map.pop_first().map(|(_, first)| first))
}

fn unread(dataset: &DataFile, why: &str) -> Error {
    Error::Read { what: dataset.name.clone(), why: why.to_owned() }
}
