//! Which of a folder's files hold the weights, and what to say where none do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use super::Config;
use super::small::unmarked;
use super::weights::{canonical, lacking_biases};
use crate::error::{Error, Result};

/// How weights are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Safetensors,
    /// PyTorch's own.
    Pickle,
}

/// Where weights lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    pub form: Form,
    /// One file of weights, or the index of several.
    pub file: &'static str,
    pub is_index: bool,
}

/// In the order in which they are taken where there are several.
pub const LAYOUTS: [Layout; 4] = [
    Layout { form: Form::Safetensors, file: "model.safetensors", is_index: false },
    Layout { form: Form::Safetensors, file: "model.safetensors.index.json", is_index: true },
    Layout { form: Form::Pickle, file: "pytorch_model.bin", is_index: false },
    Layout { form: Form::Pickle, file: "pytorch_model.bin.index.json", is_index: true },
];

/// No model comes in more files.
const MOST_PARTS: usize = 1000;

impl Layout {
    /// How a file of weights is called at its end.
    fn ending(&self) -> &'static str {
        match self.form {
            Form::Safetensors => ".safetensors",
            Form::Pickle => ".bin",
        }
    }
}

/// The first layout that a folder with these files has.
///
/// # Errors
/// [`Error::NoWeights`] saying what lies there instead, and what to do.
pub fn find<S: AsRef<str>>(names: &[S]) -> Result<Layout> {
    let has = |name: &str| names.iter().any(|other| other.as_ref() == name);
    LAYOUTS.into_iter().find(|layout| has(layout.file)).ok_or_else(|| Error::NoWeights(instead(names)))
}

/// What to do with what lies there.
fn instead<S: AsRef<str>>(names: &[S]) -> String {
    let first = |is_one: &dyn Fn(&str) -> bool| names.iter().map(AsRef::as_ref).filter(|name| is_one(name)).min();
    let wanted = "model.safetensors or pytorch_model.bin, whole or in parts with their index";
    if let Some(name) = first(&|name| name.starts_with("adapter_")) {
        return format!(
            "There is {name}, an adapter, which changes another model's weights: merge it into that model \
             (merge_and_unload in peft), save the result, and give its folder."
        );
    }
    let ending = |endings: &'static [&str]| move |name: &str| endings.iter().any(|ending| name.ends_with(ending));
    if let Some(name) = first(&|name| name.contains("-of-") && ending(&[".safetensors", ".bin"])(name)) {
        return format!("There is {name}, a part of a model, but not the parts' index. Get it too: {wanted}.");
    }
    let others =
        [".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf", ".onnx", ".index", ".npz"];
    let is_other = |name: &str| others.iter().any(|ending| name.ends_with(ending));
    match first(&is_other) {
        Some(name) => format!("There is {name}; what is read is {wanted}. Convert it, or rename it if it is one."),
        None if names.is_empty() => format!("There is nothing in it; wanted is config.json and {wanted}."),
        None => {
            let mut all: Vec<&str> = names.iter().map(AsRef::as_ref).collect();
            all.sort_unstable();
            all.truncate(8);
            format!("There is {}; wanted is {wanted}.", all.join(", "))
        }
    }
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// The files that an index names, in order.
///
/// # Errors
/// [`Error::WeightsIn`] for a damaged index, one that leads out of its folder, or one that lacks a parameter of the model.
pub fn parts(layout: &Layout, index_json: &[u8], config: &Config) -> Result<Vec<String>> {
    let bad = |problem: String| Error::WeightsIn { file: layout.file.to_owned(), problem };
    let index: Index = serde_json::from_slice(unmarked(index_json))
        .map_err(|e| bad(format!("can't be read ({e}). Get the file again.")))?;
    let files: BTreeSet<&str> = index.weight_map.values().map(String::as_str).collect();
    // by its ending it is told from the files that are kept beside it
    let is_plain = |name: &str| {
        name.ends_with(layout.ending()) && !name.starts_with('.') && !name.contains(['/', '\\', ':', '?', '#', '%'])
    };
    if let Some(file) = files.iter().find(|file| !is_plain(file)) {
        return Err(bad(format!("names the file {file:?}, which is none beside it. Get the file again.")));
    }
    if files.len() > MOST_PARTS {
        return Err(bad(format!(
            "names {} files; no model has more than {MOST_PARTS}. Get the file again.",
            files.len()
        )));
    }
    let names: BTreeSet<&str> = index.weight_map.keys().map(|name| canonical(name)).collect();
    lacking_biases(config, |name| names.contains(name)).map_err(bad)?;
    Ok(files.into_iter().map(str::to_owned).collect())
}

/// What is said of a file that git kept elsewhere.
pub const POINTER: &str = "is not here: git left a pointer in its place. Run `git lfs pull` in the folder.";

/// What stands in a file's place where git kept it elsewhere: it is told by its first bytes.
pub fn is_pointer(first: &[u8]) -> bool {
    first.starts_with(b"version https://git-lfs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::weights::parameters;

    #[test]
    fn safetensors_come_first() {
        let file = |names: &[&str]| find(names).unwrap().file;
        assert_eq!(file(&["pytorch_model.bin", "model.safetensors"]), "model.safetensors");
        assert_eq!(file(&["pytorch_model.bin", "model.safetensors.index.json"]), "model.safetensors.index.json");
        assert_eq!(
            file(&["pytorch_model.bin.index.json", "pytorch_model-00001-of-00002.bin"]),
            "pytorch_model.bin.index.json"
        );
    }

    #[test]
    fn what_lies_there_is_named() {
        for (names, words) in [
            (&["config.json", "adapter_model.safetensors"][..], "adapter_model.safetensors, an adapter"),
            (&["config.json", "model-00001-of-00002.safetensors"], "index"),
            (&["config.json", "tf_model.h5"], "tf_model.h5"),
            (&["readme.md"], "readme.md"),
            (&[], "nothing"),
        ] {
            let message = find(names).unwrap_err().to_string();
            assert!(message.contains(words), "{message}");
        }
    }

    #[test]
    fn an_index_leads_nowhere_else() {
        let config = br#"{"n_layer":1,"n_head":1,"n_embd":4,"n_positions":8,"vocab_size":9}"#;
        let config = Config::from_json(config).unwrap();
        let index = |file: &str, names: &[String]| {
            let map: serde_json::Map<_, _> = names.iter().map(|name| (name.clone(), file.into())).collect();
            parts(&LAYOUTS[1], serde_json::json!({ "weight_map": map }).to_string().as_bytes(), &config)
        };
        let names: Vec<String> = parameters(&config).map(|(name, _)| format!("module.{name}")).collect();
        assert_eq!(index("a.safetensors", &names).unwrap(), ["a.safetensors"]);
        for file in
            ["../a.safetensors", "/etc/passwd", "", "a/b.safetensors", "..", "http://x", "manifest.json", "a.bin"]
        {
            assert!(index(file, &names).is_err(), "{file:?} was accepted");
        }
        assert!(index("a.safetensors", &names[1..]).unwrap_err().to_string().contains("lacks the tensor wte.weight"));
        let weights: Vec<String> = names.iter().filter(|name| !name.ends_with("bias")).cloned().collect();
        assert_eq!(index("a.safetensors", &weights).unwrap(), ["a.safetensors"]);
    }
}
