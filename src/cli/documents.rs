//! Documents from files: `.txt` (one), `.json` (a list of strings), `.jsonl` (objects with `text`).

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::read_file;
use crate::error::{Error, Result};

/// One line of a `.jsonl` file; what else it holds is left alone.
#[derive(Deserialize)]
struct Line {
    text: String,
}

/// The texts in all of the files, in order.
///
/// # Errors
/// [`Error::Read`] naming the file and what is wrong with it.
pub fn read(files: &[PathBuf]) -> Result<Vec<String>> {
    let mut documents = Vec::new();
    for path in files {
        let bad = |why: String| Error::Read { what: path.display().to_string(), why };
        let text = String::from_utf8(read_file(path)?).map_err(|_| bad("it is not UTF-8 text.".into()))?;
        let not_documents = |e: serde_json::Error| {
            bad(format!("{e}. A .json file is a list of strings, a .jsonl file has a \"text\" in each line."))
        };
        match extension(path) {
            "json" => documents.extend(serde_json::from_str::<Vec<String>>(&text).map_err(not_documents)?),
            "jsonl" => {
                for line in text.lines().filter(|line| !line.trim().is_empty()) {
                    documents.push(serde_json::from_str::<Line>(line).map_err(not_documents)?.text);
                }
            }
            "txt" => documents.push(text),
            _ => return Err(bad("its name ends in neither .txt, .json nor .jsonl.".into())),
        }
    }
    Ok(documents)
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|extension| extension.to_str()).unwrap_or("")
}
