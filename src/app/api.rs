//! `window.peartree`: the page's abilities for scripts, with the command line's names and JSON.
//!
//! Typed in `www/peartree.d.ts`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Error as JsError, Float32Array, Function, Object, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use web_sys::{AbortSignal, File, Url};

use super::client::{Client, demo, folder};
use crate::error::Error;
use crate::protocol::json::{Json, PartialJson};
use crate::protocol::{
    Answer, Bench, BenchTask, CorpusRequest, DataFile, Event, Failure, Lane, Request, Source, SweepOptions,
};

/// What a model is called that was loaded from files.
pub const FROM_FILES: &str = "files from this device";

/// The object behind `window.peartree`.
#[wasm_bindgen]
pub struct Peartree {
    client: Client,
    ready: Promise,
}

/// Puts `window.peartree` on the page.
pub fn install(client: Client) {
    let ready = ready(&client);
    let peartree = JsValue::from(Peartree { client, ready });
    // setting a plain property of the window can't fail
    let _ = Reflect::set(&js_sys::global(), &"peartree".into(), &peartree);
}

/// Settles when the page's first model is there.
fn ready(client: &Client) -> Promise {
    let client = client.clone();
    Promise::new(&mut |resolve: Function, _| {
        let told = Cell::new(false);
        client.on_model(move |_| {
            if !told.replace(true) {
                let _ = resolve.call0(&JsValue::UNDEFINED);
            }
        });
    })
}

#[wasm_bindgen]
impl Peartree {
    /// Resolves when the page's first model is loaded.
    #[wasm_bindgen(getter)]
    pub fn ready(&self) -> Promise {
        self.ready.clone()
    }

    /// Loads `"demo"`, a folder's address on this origin, or an array of `File`s.
    pub fn load(&self, model: JsValue, options: Option<Object>) -> Promise {
        let call = Call::new(options);
        match call.load_options().and_then(|threads| Ok(Source { threads, ..source(&model)? })) {
            Ok(source) => call.send(&self.client, Some(Lane::Load), Request::Load(source)),
            Err(failure) => reject(&failure),
        }
    }

    pub fn predict(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Predict)
    }

    pub fn lens(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Lens)
    }

    pub fn generate(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Generate)
    }

    pub fn attribute(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Attribute)
    }

    pub fn patch(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Patch)
    }

    pub fn neurons(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Neurons)
    }

    pub fn edit(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Edit)
    }

    /// A pass over documents: `data` is a corpus of the site's, an address on it, or an array of addresses and `File`s.
    pub fn corpus(&self, options: Option<Object>) -> Promise {
        let call = Call::new(options);
        match call.corpus() {
            Ok(request) => call.send(&self.client, None, Request::Corpus(request)),
            Err(failure) => reject(&failure),
        }
    }

    /// One neuron of the pass made last.
    #[wasm_bindgen(js_name = corpusNeuron)]
    pub fn corpus_neuron(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::CorpusNeuron)
    }

    /// The comparison harness's tasks, on the loaded model.
    #[wasm_bindgen(getter)]
    pub fn bench(&self) -> Benchmark {
        Benchmark { client: self.client.clone() }
    }

    /// What runs here: version, engine, threads, model, memory.
    pub fn info(&self) -> Promise {
        Call::new(None).send(&self.client, None, Request::Info)
    }

    fn ask<O: DeserializeOwned + Serialize>(&self, options: Option<Object>, request: fn(O) -> Request) -> Promise {
        let call = Call::new(options);
        match call.read() {
            Ok(options) => call.send(&self.client, None, request(options)),
            Err(failure) => reject(&failure),
        }
    }
}

/// The object behind `peartree.bench`.
#[wasm_bindgen]
pub struct Benchmark {
    client: Client,
}

#[wasm_bindgen]
impl Benchmark {
    pub fn prefill(&self, ids: Vec<u32>) -> Promise {
        self.ask(BenchTask::Prefill { ids })
    }

    pub fn decode(&self, ids: Vec<u32>, n: usize) -> Promise {
        self.ask(BenchTask::Decode { ids, n })
    }

    pub fn batch(&self, rows: JsValue) -> Promise {
        match serde_wasm_bindgen::from_value(rows) {
            Ok(rows) => self.ask(BenchTask::Batch { rows }),
            Err(error) => reject(&unreadable(&error.to_string())),
        }
    }

    pub fn sweep(&self, options: Option<Object>) -> Promise {
        self.ask_sweep(options, BenchTask::Sweep)
    }

    pub fn tail(&self, options: Option<Object>) -> Promise {
        self.ask_sweep(options, BenchTask::Tail)
    }

    pub fn capture(&self) -> Promise {
        self.ask(BenchTask::Capture {})
    }

    fn ask_sweep(&self, options: Option<Object>, task: fn(SweepOptions) -> BenchTask) -> Promise {
        match Call::new(options).read() {
            Ok(options) => self.ask(task(options)),
            Err(failure) => reject(&failure),
        }
    }

    fn ask(&self, task: BenchTask) -> Promise {
        Call::new(None).send(&self.client, None, Request::Bench(task))
    }
}

fn unreadable(what: &str) -> Failure {
    Failure {
        code: "bad_option".into(),
        message: format!("The options can't be read: {what}. See peartree.d.ts for what each call takes."),
    }
}

/// One call's options, its listeners taken out.
struct Call {
    options: Object,
    on_progress: Option<Function>,
    signal: Option<AbortSignal>,
}

impl Call {
    fn new(options: Option<Object>) -> Self {
        // a copy: the caller's object stays as it is
        let options = Object::assign(&Object::new(), &options.unwrap_or_default());
        let take = |name: &str| {
            let value = Reflect::get(&options, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let _ = Reflect::delete_property(&options, &name.into());
            value
        };
        let (on_progress, signal) = (take("onProgress"), take("signal"));
        Call { options, on_progress: on_progress.dyn_into().ok(), signal: signal.dyn_into().ok() }
    }

    fn read<O: DeserializeOwned + Serialize>(&self) -> Result<O, Failure> {
        has_whole_characters(&self.options)?;
        let read: O =
            serde_wasm_bindgen::from_value(self.options.clone().into()).map_err(|e| unreadable(&e.to_string()))?;
        // serde-wasm-bindgen looks only for the names it knows; a misspelt option must not be dropped in silence
        let known = Object::from(plain(&read));
        match Object::keys(&self.options).iter().find(|name| !Reflect::has(&known, name).unwrap_or(false)) {
            Some(unknown) => {
                Err(unreadable(&format!("there is no option {:?}", unknown.as_string().unwrap_or_default())))
            }
            None => Ok(read),
        }
    }

    /// `load`'s own options: two name what there is a single choice of as yet; the third is how many threads.
    fn load_options(&self) -> Result<Option<u32>, Failure> {
        let read = |name: &str| {
            let value = Reflect::get(&self.options, &name.into()).unwrap_or(JsValue::UNDEFINED);
            (!value.is_undefined()).then_some(value)
        };
        for (name, only) in [("engine", "cpu"), ("dtype", "f32")] {
            if read(name).is_some_and(|value| value.as_string().as_deref() != Some(only)) {
                let message = format!("This version runs models with {name} {only:?} only. Leave {name} out.");
                return Err(Failure::from(&Error::Unsupported(message)));
            }
        }
        let Some(threads) = read("threads") else { return Ok(None) };
        match threads.as_f64() {
            Some(threads) if threads.fract() == 0.0 && (1.0..=32.0).contains(&threads) => Ok(Some(threads as u32)),
            _ => {
                let problem = "must be a whole number from 1 to 32.".into();
                Err(Failure::from(&Error::BadOption { option: "threads", problem }))
            }
        }
    }

    /// `corpus`'s options, its files' addresses made out.
    fn corpus(&self) -> Result<CorpusRequest, Failure> {
        let take = |name: &str| {
            let value = Reflect::get(&self.options, &name.into()).unwrap_or(JsValue::UNDEFINED);
            let _ = Reflect::delete_property(&self.options, &name.into());
            value
        };
        let (data, resume) = (take("data"), take("resume"));
        let data = data.dyn_into::<Array>().unwrap_or_else(|one| Array::of1(&one));
        let files = data.iter().map(|data| data_file(&data)).collect::<Result<_, _>>()?;
        Ok(CorpusRequest { files, options: self.read()?, resume: resume.is_truthy() })
    }

    fn send(self, client: &Client, lane: Option<Lane>, request: Request) -> Promise {
        if self.signal.as_ref().is_some_and(AbortSignal::aborted) {
            return reject(&Failure::from(&Error::Cancelled));
        }
        Promise::new(&mut |resolve: Function, refuse: Function| {
            let on_progress = self.on_progress.clone();
            let abort: Rc<RefCell<Option<Abort>>> = Rc::default();
            let abort_of_call = abort.clone();
            let id = client.ask(lane, request.clone(), move |event| {
                let settle = |how: &Function, value: &JsValue| {
                    abort_of_call.borrow_mut().take();
                    let _ = how.call1(&JsValue::UNDEFINED, value);
                };
                match event {
                    Event::Progress(progress) => tell(&on_progress, &progress),
                    Event::Generated(so_far) => tell(&on_progress, &so_far),
                    Event::Corpus(progress) => tell(&on_progress, &progress),
                    Event::Partial(partial) => tell(&on_progress, &PartialJson(&partial)),
                    Event::Done(answer) => settle(&resolve, &value(&answer)),
                    Event::Failed(failure) => settle(&refuse, &js_error(&failure)),
                }
            });
            if let Some(signal) = &self.signal {
                let client = client.clone();
                *abort.borrow_mut() = Some(Abort::new(signal, move || client.cancel(id)));
            }
        })
    }
}

/// Listens to an `AbortSignal` for as long as the call lives.
struct Abort {
    signal: AbortSignal,
    listener: Closure<dyn FnMut()>,
}

impl Abort {
    fn new(signal: &AbortSignal, on_abort: impl FnMut() + 'static) -> Self {
        let listener = Closure::<dyn FnMut()>::new(on_abort);
        let _ = signal.add_event_listener_with_callback("abort", listener.as_ref().unchecked_ref());
        Abort { signal: signal.clone(), listener }
    }
}

impl Drop for Abort {
    fn drop(&mut self) {
        let _ = self.signal.remove_event_listener_with_callback("abort", self.listener.as_ref().unchecked_ref());
    }
}

fn tell(listener: &Option<Function>, what: &impl Serialize) {
    if let Some(listener) = listener {
        let _ = listener.call1(&JsValue::UNDEFINED, &plain(what));
    }
}

/// An answer as JavaScript gets it.
fn value(answer: &Answer) -> JsValue {
    let Answer::Bench(Bench::Logits(logits)) = answer else { return plain(&Json(answer)) };
    let object = Object::new();
    // setting a plain property of a plain object can't fail
    let _ = Reflect::set(&object, &"logits".into(), &Float32Array::from(&logits.0[..]));
    object.into()
}

fn plain(value: &impl Serialize) -> JsValue {
    value.serialize(&serde_wasm_bindgen::Serializer::json_compatible()).unwrap_or(JsValue::UNDEFINED)
}

/// Half a surrogate pair would turn into U+FFFD on the way into Rust, and the prompt would silently be another.
fn has_whole_characters(options: &Object) -> Result<(), Failure> {
    let whole = |value: &JsValue| value.dyn_ref::<js_sys::JsString>().is_none_or(|text| text.is_valid_utf16());
    let all = Object::values(options).iter().all(|value| match value.dyn_ref::<Array>() {
        Some(list) => list.iter().all(|value| whole(&value)),
        None => whole(&value),
    });
    if all { Ok(()) } else { Err(Failure::from(&Error::BrokenText)) }
}

fn js_error(failure: &Failure) -> JsValue {
    let error = JsError::new(&failure.message);
    let _ = Reflect::set(&error, &"code".into(), &failure.code.as_str().into());
    error.into()
}

fn reject(failure: &Failure) -> Promise {
    Promise::reject(&js_error(failure))
}

/// What `load`'s first argument names.
fn source(model: &JsValue) -> Result<Source, Failure> {
    if let Some(files) = model.dyn_ref::<Array>() {
        let files: Vec<File> = files.iter().filter_map(|file| file.dyn_into().ok()).collect();
        return from_files(&files).map_err(|error| Failure::from(&error));
    }
    match model.as_string().as_deref() {
        Some("demo") => Ok(demo()),
        Some(url) => from_address(url).map_err(|error| Failure::from(&error)),
        None => Err(Failure::from(&Error::Unsupported(
            "load takes \"demo\", a folder's address on this site, or an array of files.".into(),
        ))),
    }
}

/// A folder on the page's own origin.
///
/// # Errors
/// [`Error::Unsupported`] for another origin or a hub's id: nothing is fetched from there as yet.
pub fn from_address(address: &str) -> Result<Source, Error> {
    let location = web_sys::window().map(|window| window.location());
    let (origin, page) = location
        .and_then(|location| Some((location.origin().ok()?, location.href().ok()?)))
        .ok_or_else(|| Error::Unsupported("This page has no address of its own.".into()))?;
    let address = address.trim();
    let url = Url::new_with_base(address, &page)
        .map_err(|_| Error::Unsupported(format!("{address:?} is no address. Give a folder on this site.")))?;
    if address.is_empty() || url.origin() != origin {
        return Err(Error::Unsupported(format!(
            "{address:?} is not on this site. Models come from this site's own folders or from files on your disk; \
             download the files and drop them onto the page."
        )));
    }
    let path = url.pathname();
    let path = if path.ends_with('/') { path } else { format!("{path}/") };
    Ok(folder(address, &format!("{origin}{path}")))
}

/// The three files of a model, picked or dropped, in any order.
///
/// # Errors
/// [`Error::NotThere`] naming the file that is missing.
pub fn from_files(files: &[File]) -> Result<Source, Error> {
    let find = |name: &str| files.iter().find(|file| file.name() == name);
    let address = |file: &File, what: &str| {
        Url::create_object_url_with_blob(file)
            .map_err(|_| Error::Read { what: what.into(), why: "the browser gave no access to it.".into() })
    };
    let needed = |name: &str| {
        let file = find(name).ok_or_else(|| Error::NotThere { what: format!("{name} among the files") })?;
        address(file, name)
    };
    let config = needed("config.json")?;
    let weights = needed("model.safetensors")?;
    let tokenizer = find("tokenizer.json").map(|file| address(file, "tokenizer.json")).transpose()?;
    Ok(Source { name: FROM_FILES.into(), config, tokenizer, weights, threads: None })
}

/// Corpora that are part of the site: what they are called, and their files.
pub const CORPORA: [(&str, &str); 2] = [("demo", "./corpora/demo.jsonl.gz"), ("english", "./corpora/english.jsonl.gz")];

/// A file of documents: a `File`, the name of a corpus of the site's, or an address on this origin.
pub fn data_file(data: &JsValue) -> Result<DataFile, Failure> {
    let file = |name: String, url: String| DataFile { name, url };
    if let Some(dropped) = data.dyn_ref::<File>() {
        let url = Url::create_object_url_with_blob(dropped).map_err(|_| {
            Failure::from(&Error::Read { what: dropped.name(), why: "the browser gave no access.".into() })
        })?;
        return Ok(file(dropped.name(), url));
    }
    let address = data.as_string().unwrap_or_default();
    let address = CORPORA.iter().find(|(name, _)| *name == address).map_or(&address[..], |(_, url)| url);
    let location = web_sys::window().map(|window| window.location());
    let here = location.and_then(|location| Some((location.origin().ok()?, location.href().ok()?)));
    let url =
        here.and_then(|(origin, page)| Url::new_with_base(address, &page).ok().filter(|url| url.origin() == origin));
    match url {
        Some(url) if !address.is_empty() => {
            let path = url.pathname();
            Ok(file(path.rsplit('/').next().unwrap_or_default().to_owned(), url.href()))
        }
        _ => Err(Failure::from(&Error::Unsupported(
            "data takes \"demo\", \"english\", an address on this site, a File, or an array of these.".into(),
        ))),
    }
}
