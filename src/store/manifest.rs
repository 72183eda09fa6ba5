//! What is written down of a model that is whole. Its presence is what makes a folder a kept model.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::address::{CONFIG, hex};
use crate::model::layout::LAYOUTS;
use crate::model::small::BESIDE_CONFIG;
use crate::protocol::{KeptModel, Origin};

/// The file's name.
pub const MANIFEST: &str = "manifest.json";
const VERSION: u32 = 1;

/// Where a folder's files came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// What the person called the model.
    pub name: String,
    /// The hub, or the folder's address.
    pub base: String,
    pub repo: Option<String>,
    /// What was asked for.
    pub revision: Option<String>,
    /// What the hub answered with.
    pub commit: Option<String>,
}

impl Provenance {
    /// A model of which nothing is known but where it comes from.
    pub fn kept(self, key: &str) -> KeptModel {
        let Provenance { name, base, repo, revision, commit } = self;
        KeptModel {
            key: key.to_owned(),
            name,
            host: base,
            repo,
            revision,
            commit,
            file_dtype: None,
            bytes: None,
            bytes_here: 0,
            whole: false,
            sha256: None,
            attested: false,
            date_ms: None,
        }
    }
}

/// One file as it was when it was whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    pub name: String,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
    pub etag: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    pub provenance: Provenance,
    pub files: Vec<FileFacts>,
    /// Element type of the weights in the file.
    pub file_dtype: String,
    /// Whether the source said the weights' hash too.
    pub attested: bool,
    /// When it became whole, in milliseconds since 1970.
    pub date_ms: u64,
}

impl Manifest {
    pub fn new(
        provenance: Provenance,
        files: Vec<FileFacts>,
        file_dtype: String,
        attested: bool,
        date_ms: u64,
    ) -> Manifest {
        Manifest { version: VERSION, provenance, files, file_dtype, attested, date_ms }
    }

    /// As text, its own hash in the last line: a manifest that was only half written is none.
    pub fn write(&self) -> Vec<u8> {
        // structs of texts and numbers always have a JSON form
        let mut text = serde_json::to_vec_pretty(self).unwrap_or_default();
        let hash = hex(&Sha256::digest(&text));
        text.push(b'\n');
        text.extend_from_slice(hash.as_bytes());
        text.push(b'\n');
        text
    }

    /// None unless every byte is as it was written.
    pub fn read(text: &[u8]) -> Option<Manifest> {
        let text = text.strip_suffix(b"\n")?;
        let (json, hash) = text.split_at_checked(text.len().checked_sub(64)?)?;
        let json = json.strip_suffix(b"\n")?;
        if hex(&Sha256::digest(json)).as_bytes() != hash {
            return None;
        }
        serde_json::from_slice(json).ok().filter(|manifest: &Manifest| manifest.version == VERSION)
    }

    pub fn file(&self, name: &str) -> Option<&FileFacts> {
        self.files.iter().find(|file| file.name == name)
    }

    /// The files of weights, in their order.
    pub fn weights(&self) -> impl Iterator<Item = &FileFacts> {
        let is_index = |name: &str| LAYOUTS.iter().any(|layout| layout.is_index && layout.file == name);
        let is_small = move |name: &str| name == CONFIG || BESIDE_CONFIG.contains(&name) || is_index(name);
        self.files.iter().filter(move |file| !is_small(&file.name))
    }

    /// Whether the weights lie in the files that an index names.
    pub fn is_in_parts(&self) -> bool {
        LAYOUTS.iter().any(|layout| layout.is_index && self.file(layout.file).is_some())
    }

    pub fn weights_sha256(&self) -> String {
        let hashes: Vec<&str> = self.weights().map(|file| file.sha256.as_str()).collect();
        one_hash(&hashes)
    }

    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    pub fn origin(&self) -> Origin {
        let Provenance { base, repo, revision, commit, .. } = self.provenance.clone();
        let sha256 = self.weights_sha256();
        Origin { host: base, repo, revision, commit, sha256, attested: self.attested }
    }

    pub fn kept(&self, key: &str) -> KeptModel {
        KeptModel {
            file_dtype: Some(self.file_dtype.clone()),
            bytes: Some(self.bytes()),
            bytes_here: self.bytes(),
            whole: true,
            sha256: Some(self.weights_sha256()),
            attested: self.attested,
            date_ms: Some(self.date_ms),
            ..self.provenance.clone().kept(key)
        }
    }
}

/// What names weights: their file's SHA-256, or, of several files, that of their hashes, one a line.
pub fn one_hash(hashes: &[&str]) -> String {
    match hashes {
        [one] => (*one).to_owned(),
        several => hex(&Sha256::digest(several.iter().map(|hash| format!("{hash}\n")).collect::<String>())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::address::WEIGHTS;
    use super::*;

    fn manifest() -> Manifest {
        let provenance = Provenance {
            name: "org/name".into(),
            base: "https://hub.example".into(),
            repo: Some("org/name".into()),
            revision: Some("main".into()),
            commit: Some("0123456789".into()),
        };
        let file = FileFacts { name: WEIGHTS.into(), bytes: 12, sha256: "ab".repeat(32), etag: None };
        Manifest::new(provenance, vec![file], "f32".into(), true, 1_700_000_000_000)
    }

    #[test]
    fn reads_what_it_wrote() {
        assert_eq!(Manifest::read(&manifest().write()), Some(manifest()));
    }

    #[test]
    fn half_a_manifest_or_a_changed_one_is_none() {
        let whole = manifest().write();
        for cut in 0..whole.len() {
            assert_eq!(Manifest::read(&whole[..cut]), None, "cut at {cut}");
            let mut changed = whole.clone();
            changed[cut] ^= 1;
            assert_eq!(Manifest::read(&changed), None, "changed at {cut}");
        }
        assert_eq!(Manifest::read(&[whole.as_slice(), b"\n"].concat()), None);
    }
}
