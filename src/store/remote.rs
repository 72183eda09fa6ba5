//! What a source says of a model before its weights: the small files, the commit, lengths and hashes.

use serde::Deserialize;

use super::address::{CONFIG, Site};
use super::line::Line;
use super::storage::Device;
use super::transfer::Facts;
use super::wire::{Ask, Head, Wire, is_sha256};
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::{Config, SmallFiles};

/// A model's small files.
#[derive(Debug, Clone, PartialEq)]
pub struct Introduction {
    pub small: SmallFiles,
    pub config: Config,
    /// The hub's commit, where it says one.
    pub commit: Option<String>,
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
    let mut small = SmallFiles { config: config_json, ..SmallFiles::default() };
    let get = async |name: &str| {
        let url = site.url(name, commit.as_deref());
        line.whole(name, &Ask { url: &url, range: None, token, is_kept: true }).await
    };
    small.tokenizer = if_there(get("tokenizer.json").await)?;
    // only what the hub lists is asked for, if it lists anything: browsers report what isn't there
    let listed = listing(line, site, commit.as_deref()).await?;
    let is_listed = |name: &str| listed.iter().any(|other| other == name);
    if small.tokenizer.is_none() && (listed.is_empty() || is_listed("vocab.json")) {
        small.vocab = if_there(get("vocab.json").await)?;
        if small.vocab.is_some() {
            small.merges = if_there(get("merges.txt").await)?;
        }
    }
    // which token begins a text
    for name in ["tokenizer_config.json", "special_tokens_map.json", "generation_config.json"] {
        if is_listed(name)
            && let Some(place) = small.place(name)
        {
            *place = if_there(get(name).await)?;
        }
    }
    Ok(Introduction { small, config, commit })
}

fn if_there(read: Result<(Head, Vec<u8>)>) -> Result<Option<Vec<u8>>> {
    match read {
        Err(Error::Store(StoreError::NotThere { .. })) => Ok(None),
        read => Ok(Some(read?.1)),
    }
}

/// The files that the hub lists; none where it says nothing.
async fn listing<W: Wire, D: Device, C: Control>(
    line: &Line<'_, W, D, C>,
    site: &Site,
    commit: Option<&str>,
) -> Result<Vec<String>> {
    let Some(url) = site.metadata_url(commit) else { return Ok(vec![]) };
    let ask = Ask { url: &url, range: None, token: site.token(), is_kept: true };
    let metadata: Option<Metadata> = match line.whole("the model's metadata", &ask).await {
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(_) => None,
        Ok((_, json)) => serde_json::from_slice(&json).ok(),
    };
    Ok(metadata.map_or(vec![], |metadata| metadata.siblings.into_iter().map(|file| file.rfilename).collect()))
}

/// The hub's answer about a revision.
#[derive(Deserialize)]
struct Metadata {
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

/// Asks the hub for the weights' length and hash. Browsers don't show the headers of an answer that redirects, and that
/// is where the hub has them too. A hub, or a mirror of one, that says nothing makes no model unusable: it is kept
/// without that check, and the person is told so.
///
/// # Errors
/// [`Error::Cancelled`].
pub async fn weights_facts<W: Wire, D: Device, C: Control>(
    line: &Line<'_, W, D, C>,
    site: &Site,
    commit: Option<&str>,
    weights: &str,
) -> Result<Facts> {
    let Some(url) = site.metadata_url(commit) else { return Ok(Facts::default()) };
    let json = match line
        .whole("the model's metadata", &Ask { url: &url, range: None, token: site.token(), is_kept: true })
        .await
    {
        Err(Error::Cancelled) => return Err(Error::Cancelled),
        Err(_) => return Ok(Facts::default()),
        Ok((_, json)) => json,
    };
    Ok(facts(&json, weights).unwrap_or_default())
}

fn facts(json: &[u8], weights: &str) -> Option<Facts> {
    let metadata: Metadata = serde_json::from_slice(json).ok()?;
    let file = metadata.siblings.into_iter().find(|file| file.rfilename == weights)?;
    let lfs = file.lfs?;
    let sha256 = lfs.sha256.map(|hash| hash.to_ascii_lowercase()).filter(|hash| is_sha256(hash));
    Some(Facts { bytes: lfs.size.or(file.size), etag: None, sha256 })
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
        let expected = Facts { bytes: Some(12), etag: None, sha256: Some(hash) };
        assert_eq!(facts(json.as_bytes(), WEIGHTS), Some(expected));
        for wild in ["", "{}", "[]", r#"{"siblings":[]}"#, r#"{"siblings":[{"rfilename":"model.safetensors"}]}"#] {
            assert_eq!(facts(wild.as_bytes(), WEIGHTS), None, "{wild}");
        }
        let short = r#"{"siblings":[{"rfilename":"model.safetensors","lfs":{"sha256":"../..","size":1}}]}"#;
        assert_eq!(facts(short.as_bytes(), WEIGHTS).unwrap().sha256, None);
    }
}
