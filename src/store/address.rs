//! Where a model's files are, read from text that nobody vouches for: ids, revisions, addresses.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::error::{Result, StoreError};
use crate::protocol::{HUB, HubPlace, Place, is_repo_id};

pub const CONFIG: &str = "config.json";
pub const TOKENIZER: &str = "tokenizer.json";
pub const WEIGHTS: &str = "model.safetensors";

const MOST_SHOWN: usize = 96;
const MOST_REVISION: usize = 120;
const MOST_ADDRESS: usize = 500;

/// A checked place to get a model from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// `https://host/path`, without a slash at its end: the hub, or the folder itself.
    pub base: String,
    pub repo: Option<Repo>,
}

/// A repository of a hub.
#[derive(Clone, PartialEq, Eq)]
pub struct Repo {
    pub id: String,
    pub revision: Option<String>,
    pub token: Option<String>,
}

impl std::fmt::Debug for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{:?}", self.id, self.revision)
    }
}

impl Site {
    /// Checks a place; none for addresses of the page's own, from which nothing is kept.
    ///
    /// # Errors
    /// [`StoreError`] saying which part of it can't be one.
    pub fn of(place: &Place) -> Result<Option<Site>> {
        match place {
            Place::Files { .. } | Place::Folder { .. } => Ok(None),
            Place::Base { url } => Ok(Some(Site { base: address(url)?, repo: None })),
            Place::Hub(HubPlace { host, repo, revision, token }) => {
                let base = address(host.as_deref().unwrap_or(HUB))?;
                let token = token.as_ref().filter(|token| !token.is_empty()).cloned();
                if token.is_some() && !is_private_line(&base) {
                    return Err(StoreError::TokenInTheClear { host: host_of(&base).into() }.into());
                }
                let revision = revision.as_deref().map(revision_of).transpose()?;
                Ok(Some(Site { base, repo: Some(Repo { id: repo_id(repo)?, revision, token }) }))
            }
        }
    }

    /// What a person calls the host.
    pub fn host(&self) -> &str {
        host_of(&self.base)
    }

    pub fn token(&self) -> Option<&str> {
        self.repo.as_ref()?.token.as_deref()
    }

    /// The revision to ask the hub for.
    pub fn revision(&self) -> Option<&str> {
        Some(self.repo.as_ref()?.revision.as_deref().unwrap_or("main"))
    }

    /// A file's address; in a repository, at `commit` once that is known, so that all files are of one commit.
    pub fn url(&self, file: &str, commit: Option<&str>) -> String {
        match &self.repo {
            None => format!("{}/{file}", self.base),
            Some(repo) => {
                let revision = escaped(commit.or(self.revision()).unwrap_or_default());
                format!("{}/{}/resolve/{revision}/{file}", self.base, repo.id)
            }
        }
    }

    /// Where the hub tells its files' lengths and hashes.
    pub fn metadata_url(&self, commit: Option<&str>) -> Option<String> {
        let repo = self.repo.as_ref()?;
        let revision = escaped(commit.or(self.revision())?);
        Some(format!("{}/api/models/{}/revision/{revision}?blobs=true", self.base, repo.id))
    }

    /// Names the folder on this device: one for each commit of each repository of each hub.
    pub fn key(&self, commit: Option<&str>) -> String {
        let id = self.repo.as_ref().map_or("", |repo| repo.id.as_str());
        let revision = commit.or(self.revision()).unwrap_or_default();
        hex(&Sha256::digest(format!("{}\n{id}\n{revision}", self.base)))[..24].to_owned()
    }
}

/// A hub's id: `org/name`, or `name` alone.
///
/// # Errors
/// [`StoreError::BadRepo`].
pub fn repo_id(text: &str) -> Result<String> {
    if is_repo_id(text) {
        return Ok(text.to_owned());
    }
    Err(StoreError::BadRepo { text: text.chars().take(MOST_SHOWN).collect() }.into())
}

/// A branch, tag or commit.
///
/// # Errors
/// [`StoreError::BadRevision`].
pub fn revision_of(text: &str) -> Result<String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte);
    let is_one = !text.is_empty() && text.len() <= MOST_REVISION && text.bytes().all(is_letter);
    if is_one && !text.contains("..") && !text.starts_with('/') && !text.ends_with('/') {
        return Ok(text.to_owned());
    }
    Err(StoreError::BadRevision { text: text.chars().take(MOST_REVISION).collect() }.into())
}

/// An `http` or `https` address of a folder, without the slash at its end.
///
/// # Errors
/// [`StoreError::BadAddress`].
pub fn address(text: &str) -> Result<String> {
    let text = text.trim();
    let bad = |why| StoreError::BadAddress { text: text.chars().take(80).collect(), why };
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let rest = rest.ok_or(bad("it must begin with https:// or http://."))?;
    if text.len() > MOST_ADDRESS {
        return Err(bad("it is too long.").into());
    }
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&byte);
    if !rest.bytes().all(is_plain) {
        return Err(bad("it holds characters that no address has.").into());
    }
    if rest.contains(['?', '#', '@']) {
        return Err(bad("it may hold no ?, # or @. Give the address of the folder alone.").into());
    }
    if rest.starts_with(['/', ':']) || rest.is_empty() || rest.split('/').any(|part| part == "..") {
        return Err(bad("it names no host, or leads out of its folder.").into());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// `host:port` of an address.
pub fn host_of(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

/// Whether nobody can listen on the way to `base`.
fn is_private_line(base: &str) -> bool {
    let host = host_of(base);
    let name = host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |p| p.0);
    base.starts_with("https://") || matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// A branch may hold slashes, which the hub wants escaped.
fn escaped(revision: &str) -> String {
    revision.replace('/', "%2F")
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // writing to a string can't fail
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(host: Option<&str>, repo: &str, revision: Option<&str>, token: Option<&str>) -> Result<Site> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        let place = HubPlace { host: owned(host), repo: repo.into(), revision: owned(revision), token: owned(token) };
        Ok(Site::of(&Place::Hub(place))?.expect("a hub is no page's own"))
    }

    #[test]
    fn builds_the_hubs_addresses() {
        let site = hub(None, "openai-community/gpt2-large", None, None).unwrap();
        let main = "https://huggingface.co/openai-community/gpt2-large/resolve/main/config.json";
        assert_eq!(site.url(CONFIG, None), main);
        assert_eq!(site.url(CONFIG, Some("abc")), main.replace("main", "abc"));
        let metadata = "https://huggingface.co/api/models/openai-community/gpt2-large/revision/abc?blobs=true";
        assert_eq!(site.metadata_url(Some("abc")).unwrap(), metadata);
        let branch = hub(Some("http://localhost:8080/"), "gpt2", Some("refs/pr/1"), None).unwrap();
        assert_eq!(branch.url(WEIGHTS, None), "http://localhost:8080/gpt2/resolve/refs%2Fpr%2F1/model.safetensors");
        let base = Site::of(&Place::Base { url: "https://a.example/gpt2/".into() }).unwrap().unwrap();
        assert_eq!(base.url(WEIGHTS, None), "https://a.example/gpt2/model.safetensors");
        assert_eq!((base.host(), base.metadata_url(None)), ("a.example", None));
    }

    #[test]
    fn every_commit_of_every_repository_of_every_hub_has_a_folder_of_its_own() {
        let keys = [
            hub(None, "a/b", None, None).unwrap().key(Some("c")),
            hub(None, "a/b", None, None).unwrap().key(Some("d")),
            hub(None, "a/c", None, None).unwrap().key(Some("c")),
            hub(Some("https://mirror.example"), "a/b", None, None).unwrap().key(Some("c")),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(key.len() == 24 && key.bytes().all(|byte| byte.is_ascii_hexdigit()));
            assert!(!keys[..i].contains(key));
        }
    }

    #[test]
    fn refuses_what_could_lead_elsewhere() {
        for repo in ["", "/", "a/", "/a", "a/b/c", "../a", "a/..", ".a/b", "a b/c", "a/b?x", "a/b#x", "a%2Fb", "ä/b"] {
            assert!(hub(None, repo, None, None).is_err(), "{repo:?} was accepted");
        }
        for revision in ["", "..", "a/../b", "/a", "a/", "a?b", "a b", "a%2F"] {
            assert!(hub(None, "a/b", Some(revision), None).is_err(), "{revision:?} was accepted");
        }
        for host in [
            "",
            "ftp://a.example",
            "https://",
            "https:///x",
            "https://u@a.example",
            "https://a.example/?x=",
            "javascript:alert(1)",
            "https://a.example/../b",
            "https://a example",
        ] {
            assert!(hub(Some(host), "a/b", None, None).is_err(), "{host:?} was accepted");
        }
    }

    #[test]
    fn a_token_goes_over_private_lines_only_and_is_never_printed() {
        assert!(hub(Some("http://hub.example"), "a/b", None, Some("hf_secret")).is_err());
        assert!(hub(Some("http://hub.example"), "a/b", None, Some("")).is_ok());
        for host in ["http://localhost:1234", "https://hub.example", "http://127.0.0.1"] {
            let site = hub(Some(host), "a/b", None, Some("hf_secret")).unwrap();
            assert_eq!(site.token(), Some("hf_secret"));
            assert!(!format!("{site:?}").contains("secret"));
        }
    }
}
