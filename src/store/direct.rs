//! A model straight from files of the page's own, nothing of it kept: they are as near as a copy would be.

use std::cell::Cell;

use super::address::CONFIG;
use super::describe::file_of;
use super::fit;
use super::look::file_dtype;
use super::watch::Watch;
use super::wire::{Ask, Body, Head, Wire};
use crate::engine::Control;
use crate::error::{Error, Result};
use crate::model::layout::{self, Form, LAYOUTS, Layout, is_pointer};
use crate::model::load::has_head;
use crate::model::pytorch::{self, Bytes};
use crate::model::safetensors::{Header, header_bytes};
use crate::model::small::{FORMS_OF_TOKENIZERS, SAYS_BEGINNING, SmallFiles};
use crate::model::weights::n_parameters;
use crate::model::{Config, Expected, Model, ModelLoader, Sink};
use crate::protocol::{
    Beginning, Description, FileOfModel, Place, PlacedFile, Progress, Room, Stage, Unit, WeightDtype,
};

/// Where a server has no ranges, so many bytes are read only to come to those that are wanted.
const MOST_SKIPPED_BYTES: u64 = 32 << 20;

/// The files of a model, and how they are had.
pub struct Direct<'a, W, C> {
    wire: &'a W,
    files: Files<'a>,
    watch: &'a Watch<'a, C>,
}

enum Files<'a> {
    /// These and no others.
    Listed(&'a [PlacedFile]),
    /// Whichever lie under this address.
    Folder(&'a str),
}

impl<'a, W: Wire, C: Control> Direct<'a, W, C> {
    /// None for places from which models are kept.
    pub fn of(place: &'a Place, wire: &'a W, watch: &'a Watch<'a, C>) -> Option<Self> {
        let files = match place {
            Place::Files { files } => Files::Listed(files),
            Place::Folder { url } => Files::Folder(url),
            Place::Hub(_) | Place::Base { .. } => return None,
        };
        Some(Direct { wire, files, watch })
    }

    /// Loads the model, its weights as `dtype` into `sink`.
    ///
    /// # Errors
    /// [`Error::Read`] when a file can't be had, [`Error::NotThere`] when there is none; [`Error::NoWeights`]; what
    /// [`ModelLoader`] finds wrong.
    pub async fn load<K: Sink>(&self, dtype: WeightDtype, sink: K) -> Result<Model<K>> {
        let mut loader = ModelLoader::from_files(&self.small().await?, dtype, sink)?;
        let (layout, names) = self.weights(loader.expected().config()).await?;
        if layout.is_index
            && let Some(head) = self.any_has_head(&layout, &names).await
        {
            loader.foresee(head);
        }
        for name in &names {
            let contents = match layout.form {
                Form::Pickle => Some(self.contents(name, &layout, true).await?.0),
                Form::Safetensors => None,
            };
            let mut file = self.open(name).await?;
            loader.begin(name, file.total, contents, layout.is_index)?;
            while let Some(chunk) = file.next(self.watch).await? {
                loader.push(&chunk)?;
            }
        }
        loader.finish()
    }

    /// What the model is, by its small files and the headers of its weights.
    ///
    /// # Errors
    /// As [`Direct::load`].
    pub async fn describe(&self, name: &str, room: Room) -> Result<Description> {
        let small = self.small().await?;
        let mut expected = Expected::from_files(&small)?;
        let (layout, names) = self.weights(expected.config()).await?;
        let mut files: Vec<_> = small.all().map(|(name, bytes)| file_of(name, bytes.len() as u64)).collect();
        let mut dtype = None;
        for name in names {
            let (header, bytes, whole) = self.contents(&name, &layout, false).await?;
            expected.check(&name, bytes, &header, whole, layout.is_index)?;
            dtype = dtype.or(file_dtype(&header));
            files.push(FileOfModel { name, bytes });
        }
        let config = expected.config().clone();
        let bytes = files.iter().fold(0, |sum: u64, file| sum.saturating_add(file.bytes));
        Ok(Description {
            name: name.to_owned(),
            parameters: n_parameters(&config),
            has_tokenizer: small.has_tokenizer(),
            file_dtype: dtype.unwrap_or("f32").to_owned(),
            repo: None,
            commit: None,
            bytes,
            bytes_here: bytes,
            kept: false,
            memory: fit::needs(&config),
            room,
            files,
            beginning: Beginning::of(&expected, &small),
            config,
        })
    }

    async fn small(&self) -> Result<SmallFiles> {
        let mut small = SmallFiles { config: self.whole(CONFIG).await?, ..SmallFiles::default() };
        for names in FORMS_OF_TOKENIZERS.into_iter().chain([&SAYS_BEGINNING[..]]) {
            if names != SAYS_BEGINNING && small.has_tokenizer() {
                continue;
            }
            for &name in names {
                let read = match self.whole(name).await {
                    // all but the config may be missing
                    Err(Error::NotThere { .. }) => continue,
                    read => read?,
                };
                if let Some(place) = small.place(name) {
                    *place = Some(read);
                }
            }
        }
        Ok(small)
    }

    /// The files of weights, in order.
    async fn weights(&self, config: &Config) -> Result<(Layout, Vec<String>)> {
        let layout = match self.files {
            Files::Listed(files) => layout::find(&files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>())?,
            Files::Folder(_) => self.try_layouts().await?,
        };
        let names = match layout.is_index {
            true => layout::parts(&layout, &self.whole(layout.file).await?, config)?,
            false => vec![layout.file.to_owned()],
        };
        Ok((layout, names))
    }

    /// Whether any part has a head; unknown where a table of contents can't be had, which is said when the part is read.
    async fn any_has_head(&self, layout: &Layout, parts: &[String]) -> Option<bool> {
        let mut any = false;
        for name in parts {
            any |= has_head(&self.contents(name, layout, false).await.ok()?.0);
        }
        Some(any)
    }

    async fn try_layouts(&self) -> Result<Layout> {
        for layout in LAYOUTS {
            let range = Some(0..1);
            match self.ask(layout.file, range).await {
                Err(Error::NotThere { .. }) => {}
                Err(error) => return Err(error),
                Ok((_, mut body)) => {
                    // read to its end, since an answer that is dropped is told as a failure
                    let _ = body.next().await;
                    return Ok(layout);
                }
            }
        }
        Err(Error::NotThere { what: LAYOUTS[0].file.to_owned() })
    }

    /// Which tensors a file holds, the bytes it has, and those it should have.
    async fn contents(&self, name: &str, layout: &Layout, is_exact: bool) -> Result<(Header, u64, u64)> {
        let ranges = Ranges { direct: self, name, total: Cell::new(None) };
        let mut first = [0; 8];
        ranges.read_at(0, &mut first).await?;
        let unknown = || Error::Read {
            what: name.to_owned(),
            why: "the server does not say how long it is. Download the files and drop them onto the page.".to_owned(),
        };
        let named = |error: Error| error.in_file(name);
        let total = ranges.total.get();
        if layout.form == Form::Pickle {
            let len = total.ok_or_else(unknown)?;
            let header = match is_exact {
                true => pytorch::contents(&ranges, len).await,
                false => pytorch::rough_contents(&ranges, len).await,
            };
            return Ok((header.map_err(named)?, len, len));
        }
        let len = header_bytes(first).map_err(|error| match is_pointer(&first) {
            true => Error::Weights("is not here: git left a pointer in its place. Run `git lfs pull`.".into()),
            false => error,
        });
        let len = len.map_err(named)?;
        let mut json = vec![0; len];
        ranges.read_at(8, &mut json).await?;
        let header = Header::parse(&json).map_err(named)?;
        let whole = header.data_bytes.saturating_add(8 + len as u64);
        Ok((header, total.unwrap_or(whole), whole))
    }

    async fn whole(&self, name: &str) -> Result<Vec<u8>> {
        let mut download = self.open(name).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = download.next(self.watch).await? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    async fn open(&self, name: &str) -> Result<Download<W::Body>> {
        let (head, body) = self.ask(name, None).await?;
        Ok(Download { what: name.to_owned(), body, done: 0, total: head.length })
    }

    /// The answer to a request for a file, or a range of it.
    async fn ask(&self, name: &str, range: Option<std::ops::Range<u64>>) -> Result<(Head, W::Body)> {
        let not_there = || Error::NotThere { what: name.to_owned() };
        let url = match self.files {
            Files::Listed(files) => files.iter().find(|file| file.name == name).map(|file| file.url.clone()),
            Files::Folder(base) => Some(format!("{base}{name}")),
        };
        let url = url.ok_or_else(not_there)?;
        let answer = self.wire.get(&Ask { url: &url, range, token: None, is_kept: false }).await;
        let unreadable = |why: &str| Error::Read { what: name.to_owned(), why: why.to_owned() };
        let (head, body) =
            answer.map_err(|_| unreadable("the server did not answer. Check the connection and try again."))?;
        match head.status {
            200 | 206 => Ok((head, body)),
            404 | 410 => Err(not_there()),
            status => Err(unreadable(&format!("the server answered {status}. Check the address."))),
        }
    }
}

/// A file of which parts are read.
struct Ranges<'a, W, C> {
    direct: &'a Direct<'a, W, C>,
    name: &'a str,
    /// Its length, once an answer has said it.
    total: Cell<Option<u64>>,
}

impl<W: Wire, C: Control> Bytes for Ranges<'_, W, C> {
    async fn read_at(&self, at: u64, into: &mut [u8]) -> Result<()> {
        if into.is_empty() {
            return Ok(());
        }
        let end = at.saturating_add(into.len() as u64);
        let (head, mut body) = self.direct.ask(self.name, Some(at..end)).await?;
        self.total.set(self.total.get().or(head.total));
        let start = if head.status == 206 { head.start.unwrap_or(at) } else { 0 };
        if start > at || at - start > MOST_SKIPPED_BYTES {
            let why = "the server has no ranges of files. Download the files and drop them onto the page.".to_owned();
            return Err(Error::Read { what: self.name.to_owned(), why });
        }
        let (mut come, mut done) = (start, 0);
        while done < into.len() {
            let Ok(Some(chunk)) = body.next().await else {
                return Err(Error::Weights("is cut short. Get the file again.".into()).in_file(self.name));
            };
            // what comes before is passed over; it is less than MOST_SKIPPED_BYTES, so it can be counted in memory
            let skipped = (at.saturating_sub(come) as usize).min(chunk.len());
            let wanted = &chunk[skipped..];
            let len = wanted.len().min(into.len() - done);
            into[done..done + len].copy_from_slice(&wanted[..len]);
            done += len;
            come += chunk.len() as u64;
            self.direct.watch.control.breathe().await?;
        }
        Ok(())
    }
}

/// A file on its way.
struct Download<B> {
    what: String,
    body: B,
    done: u64,
    /// Unknown where the server doesn't say, or says how long the *compressed* file is.
    total: Option<u64>,
}

impl<B: Body> Download<B> {
    /// The next bytes; none at the end.
    async fn next<C: Control>(&mut self, watch: &Watch<'_, C>) -> Result<Option<Vec<u8>>> {
        let broken = |_| Error::Read {
            what: self.what.to_owned(),
            why: format!("the connection broke after {} bytes. Try again.", self.done),
        };
        let Some(chunk) = self.body.next().await.map_err(broken)? else { return Ok(None) };
        self.done += chunk.len() as u64;
        (watch.on_progress)(Progress {
            what: self.what.to_owned(),
            done: self.done as f64,
            total: self.total.map(|total| total as f64),
            unit: Unit::Bytes,
            stage: Stage::Downloading,
        });
        watch.control.breathe().await?;
        Ok(Some(chunk))
    }
}
