//! What a source says of a model before its weights: the small files, the commit, lengths and hashes.

use serde::Deserialize;

use super::address::{CONFIG, Site};
use super::line::Line;
use super::storage::Device;
use super::transfer::Facts;
use super::wire::{Ask, Head, Wire, is_sha256};
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::layout::{self, LAYOUTS, Layout};
use crate::model::small::{FORMS_OF_TOKENIZERS, SAYS_BEGINNING};
use crate::model::{Config, SmallFiles};

/// A model's small files.
#[derive(Debug, Clone, PartialEq)]
pub struct Introduction {
    pub small: SmallFiles,
    pub config: Config,
    /// The hub's commit, where it says one.
    pub commit: Option<String>,
    /// The files that the hub lists; none where it says nothing.
    listed: Vec<Sibling>,
}

impl Introduction {
    /// Where the weights may lie, to be tried in this order. A hub that lists its files leaves nothing to try.
    ///
    /// # Errors
    /// [`Error::NoWeights`] saying what lies there instead.
    pub fn layouts(&self) -> Result<Vec<Layout>> {
        if self.listed.is_empty() {
            return Ok(LAYOUTS.to_vec());
        }
        let names: Vec<&str> = self.listed.iter().map(|file| file.rfilename.as_str()).collect();
        Ok(vec![layout::find(&names)?])
    }

    /// What the hub says of a file of weights. (Browsers don't show the headers of an answer that redirects, where the
    /// hub has it too.) A hub, or a mirror of one, that says nothing makes no model unusable: it is kept without that
    /// check, and the person is told so.
    pub fn facts(&self, name: &str) -> Facts {
        let file = self.listed.iter().find(|file| file.rfilename == name);
        let Some((file, lfs)) = file.and_then(|file| Some((file, file.lfs.as_ref()?))) else { return Facts::default() };
        let sha256 = lfs.sha256.as_ref().map(|hash| hash.to_ascii_lowercase()).filter(|hash| is_sha256(hash));
        Facts { bytes: lfs.size.or(file.size), etag: None, sha256 }
    }
}

/// Gets the small files.
///
/// # Errors
/// [`StoreError`]; [`Error::Config`] where the model is no GPT-2.
pub async fn introduce<W: Wire, D: Device, C: Control>(line: &Line<'_, W, D, C>, site: &Site) -> Result<Introduction> {
    let token = site.token();
    let (head, config_json) =
        line.whole(CONFIG, &Ask { url: &site.url(CONFIG, None), range: None, token, is_kept: true }).await?;
    let config = Config::from_json(&config_json)?;
    // a folder's header is not a commit of anything
    let commit = head.commit.filter(|_| site.repo.is_some());
    // only what the hub lists is asked for, if it lists anything: browsers report what isn't there
    let listed = listing(line, site, commit.as_deref()).await?;
    let mut small = SmallFiles { config: config_json, ..SmallFiles::default() };
    for names in FORMS_OF_TOKENIZERS.into_iter().chain([&SAYS_BEGINNING[..]]) {
        if names != SAYS_BEGINNING && small.has_tokenizer() {
            continue;
        }
        for &name in names {
            let may_be_there = listed.is_empty() || listed.iter().any(|file| file.rfilename == name);
            if may_be_there && let Some(place) = small.place(name) {
                let url = site.url(name, commit.as_deref());
                *place = if_there(line.whole(name, &Ask { url: &url, range: None, token, is_kept: true }).await)?;
            }
        }
    }
    Ok(Introduction { small, config, commit, listed })
}

/// The names of the files of weights, in order, and the index that says them, if they are several.
///
/// # Errors
/// [`StoreError::NotThere`] where there is no such index, [`Error::WeightsIn`] for a damaged one.
pub async fn parts<W: Wire, D: Device, C: Control>(
    line: &Line<'_, W, D, C>,
    site: &Site,
    introduction: &Introduction,
    layout: &Layout,
) -> Result<(Vec<String>, Option<Vec<u8>>)> {
    if !layout.is_index {
        return Ok((vec![layout.file.to_owned()], None));
    }
    let url = site.url(layout.file, introduction.commit.as_deref());
    let ask = Ask { url: &url, range: None, token: site.token(), is_kept: true };
    let (_, index) = line.whole(layout.file, &ask).await?;
    Ok((layout::parts(layout, &index, &introduction.config)?, Some(index)))
}

fn if_there(read: Result<(Head, Vec<u8>)>) -> Result<Option<Vec<u8>>> {
    match read {
        Err(Error::Store(StoreError::NotThere { .. })) => Ok(None),
        read => Ok(Some(read?.1)),
    }
}

async fn listing<W: Wire, D: Device, C: Control>(
    line: &Line<'_, W, D, C>,
    site: &Site,
    commit: Option<&str>,
) -> Result<Vec<Sibling>> {
    let Some(url) = site.metadata_url(commit) else { return Ok(vec![]) };
    let ask = Ask { url: &url, range: None, token: site.token(), is_kept: true };
    match line.whole("the model's metadata", &ask).await {
        Err(Error::Cancelled) => Err(Error::Cancelled),
        Err(_) => Ok(vec![]),
        Ok((_, json)) => Ok(siblings(&json)),
    }
}

/// None where the answer is no hub's.
fn siblings(json: &[u8]) -> Vec<Sibling> {
    serde_json::from_slice(json).map_or(vec![], |metadata: Metadata| metadata.siblings)
}

/// The hub's answer about a revision.
#[derive(Deserialize)]
struct Metadata {
    siblings: Vec<Sibling>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::super::address::WEIGHTS;
    use super::*;

    #[test]
    fn reads_the_hubs_metadata_and_nothing_wild() {
        let hash = "0f".repeat(32);
        let json = format!(
            r#"{{"id":"a/b","sha":"c","siblings":[{{"rfilename":"config.json","size":3}},
            {{"rfilename":"model.safetensors","size":12,"blobId":"d","lfs":{{"sha256":"{hash}","size":12,"pointerSize":3}}}}]}}"#
        );
        let facts = |json: &str| {
            let config = br#"{"n_layer":1,"n_head":1,"n_embd":4,"n_positions":8,"vocab_size":9}"#;
            let config = Config::from_json(config).unwrap();
            let small = SmallFiles::default();
            Introduction { small, config, commit: None, listed: siblings(json.as_bytes()) }.facts(WEIGHTS)
        };
        let expected = Facts { bytes: Some(12), etag: None, sha256: Some(hash) };
        assert_eq!(facts(&json), expected);
        for wild in ["", "{}", "[]", r#"{"siblings":[]}"#, r#"{"siblings":[{"rfilename":"model.safetensors"}]}"#] {
            assert_eq!(facts(wild), Facts::default(), "{wild}");
        }
        let short = r#"{"siblings":[{"rfilename":"model.safetensors","lfs":{"sha256":"../..","size":1}}]}"#;
        assert_eq!(facts(short).sha256, None);
    }
}
