//! A model straight from three addresses of the page's own, nothing of it kept: they are as near as a copy would be.

use super::address::{CONFIG, TOKENIZER, WEIGHTS};
use super::wire::{Ask, Body, Head, Wire};
use crate::engine::Control;
use crate::error::{Error, Result};
use crate::model::{Model, ModelLoader};
use crate::protocol::{Progress, Stage, Unit, WeightDtype};

use super::watch::Watch;

/// The addresses of a model's files.
pub struct Files<'a> {
    pub config: &'a str,
    pub tokenizer: Option<&'a str>,
    pub weights: &'a str,
}

/// Loads the model, its weights held as `dtype`.
///
/// # Errors
/// [`Error::Read`] when a file can't be had, [`Error::NotThere`] when there is none; what [`ModelLoader`] finds wrong.
pub async fn load<W: Wire, C: Control>(
    wire: &W,
    files: &Files<'_>,
    dtype: WeightDtype,
    watch: &Watch<'_, C>,
) -> Result<Model> {
    let config = whole(wire, files.config, CONFIG, watch).await?;
    let tokenizer = match files.tokenizer {
        None => None,
        Some(url) => match whole(wire, url, TOKENIZER, watch).await {
            // a folder without a tokenizer is a model that reads ids only
            Err(Error::NotThere { .. }) => None,
            read => Some(read?),
        },
    };
    let mut weights = Download::open(wire, files.weights, WEIGHTS).await?;
    let mut loader = ModelLoader::new(&config, tokenizer.as_deref(), weights.total, dtype)?;
    while let Some(chunk) = weights.next(watch).await? {
        loader.push(&chunk)?;
    }
    loader.finish()
}

async fn whole<W: Wire, C: Control>(wire: &W, url: &str, what: &'static str, watch: &Watch<'_, C>) -> Result<Vec<u8>> {
    let mut download = Download::open(wire, url, what).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next(watch).await? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A file on its way.
struct Download<B> {
    what: &'static str,
    body: B,
    done: u64,
    /// Unknown where the server doesn't say, or says how long the *compressed* file is.
    total: Option<u64>,
}

impl<B: Body> Download<B> {
    async fn open<W: Wire<Body = B>>(wire: &W, url: &str, what: &'static str) -> Result<Self> {
        let unreadable = |why: &str| Error::Read { what: what.to_owned(), why: why.to_owned() };
        let answer = wire.get(&Ask { url, range: None, token: None, is_kept: false }).await;
        let (Head { status, length, .. }, body) =
            answer.map_err(|_| unreadable("the server did not answer. Check the connection and try again."))?;
        match status {
            200 => Ok(Download { what, body, done: 0, total: length }),
            404 | 410 => Err(Error::NotThere { what: what.to_owned() }),
            _ => Err(unreadable(&format!("the server answered {status}. Check the address."))),
        }
    }

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
