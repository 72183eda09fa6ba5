//! A model in a folder: which of its files are read, and how.

use std::cell::RefCell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{progress_bar, unreadable};
use crate::engine::complete;
use crate::error::{Error, Result};
use crate::model::layout::{self, Form, Layout, POINTER, is_pointer};
use crate::model::pytorch::{self, Bytes};
use crate::model::safetensors::{self, Header};
use crate::model::small::{BESIDE_CONFIG, SmallFiles};
use crate::model::weights::{HEAD, canonical};
use crate::model::{Config, Model, ModelLoader, Sink, WeightDtype};

/// One read of the weights.
const CHUNK_BYTES: usize = 4 << 20;
/// Above what any small file has.
const MOST_SMALL_BYTES: u64 = 64 << 20;
/// A file that git keeps elsewhere is a few lines.
const MOST_POINTER_BYTES: u64 = 1024;

/// What a folder holds of a model.
pub struct Found {
    folder: PathBuf,
    pub small: SmallFiles,
    pub layout: Layout,
    /// The files of weights, in order.
    pub parts: Vec<String>,
}

/// Loads the model in a folder, its weights as `dtype` into `sink`.
///
/// # Errors
/// What is wrong with the folder or its files.
pub fn load<K: Sink>(folder: &Path, dtype: WeightDtype, sink: K) -> Result<Model<K>> {
    let found = Found::look(folder)?;
    let mut loader = ModelLoader::from_files(&found.small, dtype, sink)?;
    let parts = found.parts.iter().map(|name| found.open(name)).collect::<Result<Vec<_>>>()?;
    if found.layout.is_index {
        let names = found.tensor_names()?;
        loader.expected().check_names(&names).map_err(|error| error.in_file(found.layout.file))?;
        loader.foresee(names.contains(HEAD));
    }
    let bar = progress_bar("loading {bar:32} {bytes} of {total_bytes}", parts.iter().map(|part| part.bytes).sum());
    for part in parts {
        let contents = match found.layout.form {
            Form::Safetensors => None,
            Form::Pickle => Some(part.contents(found.layout.form)?),
        };
        loader.begin(&part.name, part.bytes, contents, found.layout.is_index)?;
        part.read(|bytes| {
            bar.inc(bytes.len() as u64);
            loader.push(bytes)
        })?;
    }
    bar.finish_and_clear();
    loader.finish()
}

impl Found {
    /// Looks through a folder and reads its small files.
    ///
    /// # Errors
    /// [`Error::NotAFolder`], [`Error::NoWeights`]; what is wrong with the small files.
    pub fn look(folder: &Path) -> Result<Found> {
        if !folder.is_dir() {
            return Err(not_a_folder(folder));
        }
        let entries = std::fs::read_dir(folder).map_err(|e| unreadable(folder, &e))?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let names: Vec<String> = names.collect();
        let layout = layout::find(&names)?;
        let small = |name: &str| small(&folder.join(name));
        let mut files = SmallFiles { config: small("config.json")?, ..SmallFiles::default() };
        for name in BESIDE_CONFIG.into_iter().filter(|name| names.iter().any(|other| other == name)) {
            if let Some(place) = files.place(name) {
                *place = Some(small(name)?);
            }
        }
        let config = Config::from_json(&files.config)?;
        let parts = match layout.is_index {
            true => layout::parts(&layout, &small(layout.file)?, &config)?,
            false => vec![layout.file.to_owned()],
        };
        Ok(Found { folder: folder.to_owned(), small: files, layout, parts })
    }

    /// The canonical names of all tensors, whatever file they are in.
    ///
    /// # Errors
    /// As [`Found::open`] and [`Part::contents`].
    pub fn tensor_names(&self) -> Result<HashSet<String>> {
        let mut names = HashSet::new();
        for name in &self.parts {
            let contents = self.open(name)?.contents(self.layout.form)?;
            names.extend(contents.tensors.iter().map(|tensor| canonical(&tensor.name).to_owned()));
        }
        Ok(names)
    }

    /// Opens a file of weights.
    ///
    /// # Errors
    /// [`Error::WeightsIn`] for one that isn't here; what opening fails with.
    pub fn open(&self, name: &str) -> Result<Part> {
        let path = self.folder.join(name);
        let file = File::open(&path).map_err(|e| unreadable(&path, &e))?;
        let about = file.metadata().map_err(|e| unreadable(&path, &e))?;
        if !about.is_file() {
            let why = "it is no file of weights. Check the folder.".to_owned();
            return Err(Error::Read { what: path.display().to_string(), why });
        }
        let part = Part { name: name.to_owned(), path, bytes: about.len(), file: RefCell::new(file) };
        if part.bytes <= MOST_POINTER_BYTES {
            let mut first = vec![0; part.bytes as usize];
            complete(part.read_at(0, &mut first))?;
            if is_pointer(&first) {
                return Err(Error::WeightsIn { file: name.to_owned(), problem: POINTER.into() });
            }
        }
        Ok(part)
    }
}

/// A file of weights.
pub struct Part {
    pub name: String,
    path: PathBuf,
    pub bytes: u64,
    file: RefCell<File>,
}

impl Part {
    /// Which tensors are in it.
    ///
    /// # Errors
    /// [`Error::WeightsIn`] saying what is wrong with it.
    pub fn contents(&self, form: Form) -> Result<Header> {
        let contents = match form {
            Form::Pickle => complete(pytorch::contents(self, self.bytes)),
            Form::Safetensors => complete(safetensors::contents(self)),
        };
        contents.map_err(|error| error.in_file(&self.name))
    }

    /// Reads it from its beginning to its end.
    ///
    /// # Errors
    /// What reading fails with, or `take`.
    pub fn read(&self, mut take: impl FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let mut file = self.file.borrow_mut();
        let mut chunk = vec![0; CHUNK_BYTES];
        file.seek(SeekFrom::Start(0)).map_err(|e| unreadable(&self.path, &e))?;
        loop {
            let read = file.read(&mut chunk).map_err(|e| unreadable(&self.path, &e))?;
            if read == 0 {
                return Ok(());
            }
            take(&chunk[..read])?;
        }
    }

    /// The length of a safetensors file's header, as it says itself.
    pub fn header_bytes(&self) -> u64 {
        let mut first = [0; 8];
        let len = complete(self.read_at(0, &mut first)).ok().and_then(|()| safetensors::header_bytes(first).ok());
        len.map_or(0, |len| 8 + len as u64)
    }
}

impl Bytes for Part {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        let mut file = self.file.borrow_mut();
        let read = file.seek(SeekFrom::Start(at)).and_then(|_| file.read_exact(into));
        read.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => Error::Weights("is cut short. Get the file again.".into()),
            _ => unreadable(&self.path, &e),
        })
    }
}

/// Whether a text is a path to a model's file, there or not: no server is asked for that.
pub fn is_file_of_a_model(path: &Path) -> bool {
    const ENDINGS: [&str; 9] = ["safetensors", "bin", "json", "pt", "pth", "ckpt", "gguf", "h5", "txt"];
    let ending = path.extension().and_then(|ending| ending.to_str());
    path.is_file() || ending.is_some_and(|ending| ENDINGS.contains(&ending))
}

fn not_a_folder(path: &Path) -> Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if is_file_of_a_model(path) {
        let (path, folder) = (path.display().to_string(), folder.display().to_string());
        return Error::NotAFolder { path, folder };
    }
    let why = "there is no such folder. Check the path; without --model the demo model is used.".into();
    Error::Read { what: path.display().to_string(), why }
}

/// A small file's content.
fn small(path: &Path) -> Result<Vec<u8>> {
    let file = File::open(path).map_err(|e| unreadable(path, &e))?;
    let mut bytes = Vec::new();
    file.take(MOST_SMALL_BYTES + 1).read_to_end(&mut bytes).map_err(|e| unreadable(path, &e))?;
    if bytes.len() as u64 > MOST_SMALL_BYTES {
        let why = format!("it has more than {} MB, which no such file has.", MOST_SMALL_BYTES >> 20);
        return Err(Error::Read { what: path.display().to_string(), why });
    }
    Ok(bytes)
}
