//! Reads a model's files from addresses on the page's own origin, as streams.

use js_sys::{Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReadableStreamDefaultReader, Response, WorkerGlobalScope};

use crate::engine::Control;
use crate::error::{Error, Result};
use crate::model::{Model, ModelLoader};
use crate::protocol::{Place, Progress, Source, Stage, Unit};

/// Loads the model at `source`, telling `on_progress` how many bytes of which file have come.
///
/// # Errors
/// [`Error::Read`] when a file can't be had; what [`ModelLoader`] finds wrong in it.
pub async fn model(source: &Source, control: &impl Control, on_progress: impl Fn(Progress)) -> Result<Model> {
    let Place::Files { config, tokenizer, weights } = &source.place else {
        return Err(Error::Unsupported("Models from a hub can't be loaded yet.".into()));
    };
    let config = whole(config, "config.json", control, &on_progress).await?;
    let tokenizer = match tokenizer {
        None => None,
        Some(url) => match whole(url, "tokenizer.json", control, &on_progress).await {
            // a folder without a tokenizer is a model that reads ids only
            Err(Error::NotThere { .. }) => None,
            read => Some(read?),
        },
    };
    let mut weights = Download::open(weights, "model.safetensors").await?;
    let mut loader = ModelLoader::new(&config, tokenizer.as_deref(), weights.total, source.dtype.unwrap_or_default())?;
    while let Some(chunk) = weights.next(&on_progress).await? {
        loader.push(&chunk)?;
        control.breathe().await?;
    }
    loader.finish()
}

async fn whole(
    url: &str,
    what: &'static str,
    control: &impl Control,
    on_progress: &impl Fn(Progress),
) -> Result<Vec<u8>> {
    let mut download = Download::open(url, what).await?;
    let mut bytes = Vec::new();
    while let Some(chunk) = download.next(on_progress).await? {
        bytes.extend_from_slice(&chunk);
        control.breathe().await?;
    }
    Ok(bytes)
}

/// A file on its way.
struct Download {
    what: &'static str,
    reader: ReadableStreamDefaultReader,
    done: u64,
    /// Unknown where the server doesn't say, or says how long the *compressed* file is.
    total: Option<u64>,
}

impl Download {
    async fn open(url: &str, what: &'static str) -> Result<Self> {
        let unreadable = |why: &str| Error::Read { what: what.to_owned(), why: why.to_owned() };
        let scope: WorkerGlobalScope = js_sys::global().unchecked_into();
        let response = JsFuture::from(scope.fetch_with_str(url))
            .await
            .map_err(|_| unreadable("the server did not answer. Check the connection and try again."))?;
        let response: Response = response.unchecked_into();
        match response.status() {
            200 => {}
            404 | 410 => return Err(Error::NotThere { what: what.to_owned() }),
            status => return Err(unreadable(&format!("the server answered {status}. Check the address."))),
        }
        let header = |name: &str| response.headers().get(name).ok().flatten();
        let total = match header("content-encoding") {
            None => header("content-length").and_then(|length| length.parse().ok()),
            Some(_) => None,
        };
        let body = response.body().ok_or_else(|| unreadable("the answer had no content."))?;
        let reader = body.get_reader().unchecked_into();
        Ok(Download { what, reader, done: 0, total })
    }

    /// The next bytes; none at the end.
    async fn next(&mut self, on_progress: &impl Fn(Progress)) -> Result<Option<Vec<u8>>> {
        let broken = |_: JsValue| Error::Read {
            what: self.what.to_owned(),
            why: format!("the connection broke after {} bytes. Try again.", self.done),
        };
        let result = JsFuture::from(self.reader.read()).await.map_err(broken)?;
        if Reflect::get(&result, &"done".into()).map_err(broken)?.is_truthy() {
            return Ok(None);
        }
        let chunk: Uint8Array = Reflect::get(&result, &"value".into()).map_err(broken)?.unchecked_into();
        self.done += u64::from(chunk.byte_length());
        on_progress(Progress {
            what: self.what.to_owned(),
            done: self.done as f64,
            total: self.total.map(|total| total as f64),
            unit: Unit::Bytes,
            stage: Stage::Downloading,
        });
        Ok(Some(chunk.to_vec()))
    }
}

impl Drop for Download {
    fn drop(&mut self) {
        // given up half-way (an error, a newer request): the network should stop too. The promise's outcome changes
        // nothing, but a rejection that nobody takes would be printed.
        let cancelled = self.reader.cancel();
        wasm_bindgen_futures::spawn_local(async move {
            let _ = JsFuture::from(cancelled).await;
        });
    }
}
