//! `window.peartree`: the page's abilities for scripts, with the command line's names and JSON.
//!
//! Typed in `www/peartree.d.ts`.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use js_sys::{Array, Error as JsError, Float32Array, Function, JSON, Object, Promise, Reflect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wasm_bindgen::prelude::*;
use web_sys::AbortSignal;

use super::client::Client;
use super::corpora::{data_file, folder_address, reader_call};
use super::sources::{HubOptions, source};
use crate::error::Error;
use crate::protocol::json::{Json, PartialJson};
use crate::protocol::{
    Answer, Bench, BenchTask, Bytes, EngineWish, Event, Failure, Lane, Request, Source, SweepOptions, TableTask,
    WeightDtype,
};

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

    /// Loads `"demo"`, a hub's id, an address, `{base: address}` or an array of `File`s.
    pub fn load(&self, model: JsValue, options: Option<Object>) -> Promise {
        self.get(&model, options, |client, call, source| call.send(client, Some(Lane::Load), Request::Load(source)))
    }

    /// Says what a model is, before it is loaded.
    pub fn describe(&self, model: JsValue, options: Option<Object>) -> Promise {
        self.get(&model, options, |client, call, source| call.send(client, None, Request::Describe(source)))
    }

    /// Which models this device keeps.
    pub fn kept(&self) -> Promise {
        Call::new(None).send(&self.client, None, Request::Kept)
    }

    /// Deletes what is kept under a name or key.
    pub fn forget(&self, key: String, options: Option<Object>) -> Promise {
        self.errand(options, Request::Forget { key })
    }

    /// Hashes a kept model's weights again.
    pub fn verify(&self, key: String, options: Option<Object>) -> Promise {
        self.errand(options, Request::Verify { key })
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
        let task = call.corpus().map(|task| reader_task("pass", &task));
        self.ask_reader(call, task)
    }

    /// One neuron of the pass made last, or of a published folder.
    #[wasm_bindgen(js_name = corpusNeuron)]
    pub fn corpus_neuron(&self, options: Option<Object>) -> Promise {
        let call = Call::new(options);
        let task = call.corpus_neuron().map(|task| reader_task("neuron", &task));
        self.ask_reader(call, task)
    }

    /// One neuron against all tokens, or one token against all neurons.
    pub fn congruence(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Congruence)
    }

    /// Neurons and tokens that belong together, `kind: "exclusive" | "mutual"`.
    pub fn search(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Search)
    }

    /// How often each token is some neuron's best, and each neuron some token's.
    pub fn hubs(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Hubs)
    }

    /// The table of all neurons and tokens, as a file's bytes.
    pub fn tables(&self, options: Option<Object>) -> Promise {
        self.ask(options, Request::Tables)
    }

    /// Takes a table that was made before, so that searches need not make it.
    #[wasm_bindgen(js_name = openTable)]
    pub fn open_table(&self, bytes: Vec<u8>) -> Promise {
        Call::new(None).send(&self.client, None, Request::Table(TableTask::Open(Bytes(bytes))))
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

    fn get(
        &self,
        model: &JsValue,
        options: Option<Object>,
        send: impl FnOnce(&Client, Call, Source) -> Promise,
    ) -> Promise {
        let call = Call::new(options);
        let source = call.load_options().and_then(|LoadOptions { threads, dtype, engine, hub }| {
            let source = source(model, hub).map_err(|error| Failure::from(&error))?;
            Ok(Source { threads, dtype, engine, ..source })
        });
        match source {
            Ok(source) => send(&self.client, call, source),
            Err(failure) => reject(&failure),
        }
    }

    /// What takes no options but the listeners.
    fn errand(&self, options: Option<Object>, request: Request) -> Promise {
        let call = Call::new(options);
        match call.takes_only(&[]) {
            Ok(()) => call.send(&self.client, None, request),
            Err(failure) => reject(&failure),
        }
    }

    fn ask_reader(&self, call: Call, task: Result<String, Failure>) -> Promise {
        match task {
            Ok(task) => call.send(&self.client, None, reader_call(task)),
            Err(failure) => reject(&failure),
        }
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

/// How a model is to be loaded, as far as that is said.
struct LoadOptions {
    threads: Option<u32>,
    dtype: Option<WeightDtype>,
    engine: Option<EngineWish>,
    hub: HubOptions,
}

impl Call {
    fn new(options: Option<Object>) -> Self {
        // a copy: the caller's object stays as it is. Made of its entries: assigning `__proto__` would give it a parent
        let options = options.unwrap_or_default();
        let options = Object::from_entries(&Object::entries(&options)).unwrap_or_default();
        let mut call = Call { options, on_progress: None, signal: None };
        call.on_progress = call.take("onProgress").dyn_into().ok();
        call.signal = call.take("signal").dyn_into().ok();
        call
    }

    fn read<O: DeserializeOwned + Serialize>(&self) -> Result<O, Failure> {
        has_whole_characters(&self.options)?;
        let read: O =
            serde_wasm_bindgen::from_value(self.options.clone().into()).map_err(|e| unreadable(&e.to_string()))?;
        // serde-wasm-bindgen looks only for the names it knows; a misspelt option must not be dropped in silence
        let known = Object::from(plain(&read));
        // every object has a parent with names like `constructor`; an option has one of its own
        self.refuse_others(|name| Object::has_own(&known, name))?;
        Ok(read)
    }

    /// Refuses options that `is_known` doesn't name.
    fn refuse_others(&self, is_known: impl Fn(&JsValue) -> bool) -> Result<(), Failure> {
        match Object::keys(&self.options).iter().find(|name| !is_known(name)) {
            Some(unknown) => {
                Err(unreadable(&format!("there is no option {:?}", unknown.as_string().unwrap_or_default())))
            }
            None => Ok(()),
        }
    }

    /// The same where only some options are taken.
    fn takes_only(&self, names: &[&str]) -> Result<(), Failure> {
        self.refuse_others(|name| name.as_string().is_some_and(|name| names.contains(&name.as_str())))
    }

    /// `load`'s own options.
    fn load_options(&self) -> Result<LoadOptions, Failure> {
        self.takes_only(&["engine", "dtype", "threads", "hub", "revision", "token"])?;
        let read = |name: &str| {
            let value = Reflect::get(&self.options, &name.into()).unwrap_or(JsValue::UNDEFINED);
            (!value.is_undefined()).then_some(value)
        };
        let bad = |option, problem: &str| Failure::from(&Error::BadOption { option, problem: problem.into() });
        let engine = read("engine").map(serde_wasm_bindgen::from_value).transpose();
        let engine = engine.map_err(|_| bad("engine", "must be \"cpu\" or \"webgpu\"."))?;
        let dtype = read("dtype").map(serde_wasm_bindgen::from_value).transpose();
        let dtype = dtype.map_err(|_| bad("dtype", "must be \"f32\" or \"f16\"."))?;
        let threads = read("threads").map(|threads| match threads.as_f64() {
            Some(threads) if threads.fract() == 0.0 && (1.0..=32.0).contains(&threads) => Ok(threads as u32),
            _ => Err(bad("threads", "must be a whole number from 1 to 32.")),
        });
        let text = |name: &'static str| {
            let text = read(name).map(|value| value.as_string().ok_or_else(|| bad(name, "must be a text.")));
            text.transpose()
        };
        let hub = HubOptions { host: text("hub")?, revision: text("revision")?, token: text("token")? };
        Ok(LoadOptions { threads: threads.transpose()?, dtype, engine, hub })
    }

    /// Takes an option out.
    fn take(&self, name: &str) -> JsValue {
        let value = Reflect::get(&self.options, &name.into()).unwrap_or(JsValue::UNDEFINED);
        let _ = Reflect::delete_property(&self.options, &name.into());
        value
    }

    /// A pass for the reader; what is wrong with its options is for that one to say.
    fn corpus(&self) -> Result<Object, Failure> {
        has_whole_characters(&self.options)?;
        let (data, resume) = (self.take("data"), self.take("resume"));
        let data = data.dyn_into::<Array>().unwrap_or_else(|one| Array::of1(&one));
        let files = data.iter().map(|data| data_file(&data).map(|file| plain(&file))).collect::<Result<Array, _>>()?;
        Ok(object(&[
            ("files", files.into()),
            ("options", (&self.options).into()),
            ("resume", resume.is_truthy().into()),
            ("keep", true.into()),
        ]))
    }

    fn corpus_neuron(&self) -> Result<Object, Failure> {
        let folder = self.take("folder");
        let address = || folder_address(&folder.as_string().unwrap_or_default());
        let folder = if folder.is_undefined() { JsValue::NULL } else { address()?.into() };
        Ok(object(&[("options", (&self.options).into()), ("folder", folder)]))
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
                    Event::Read(json) => call_back(&on_progress, &parsed(&json)),
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
    call_back(listener, &plain(what));
}

fn call_back(listener: &Option<Function>, what: &JsValue) {
    if let Some(listener) = listener {
        let _ = listener.call1(&JsValue::UNDEFINED, what);
    }
}

/// What the reader wrote as JSON.
fn parsed(json: &str) -> JsValue {
    JSON::parse(json).unwrap_or(JsValue::UNDEFINED)
}

fn object(entries: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in entries {
        // setting a plain property of a plain object can't fail
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}

/// The JSON of a reader's task.
fn reader_task(name: &str, task: &Object) -> String {
    let task = JSON::stringify(&object(&[(name, task.into())])).map(String::from);
    // what can't be written is no task, and the reader says so
    task.unwrap_or_default()
}

/// An answer as JavaScript gets it.
fn value(answer: &Answer) -> JsValue {
    let logits = match answer {
        Answer::Bench(Bench::Logits(logits)) => logits,
        Answer::Read(json) => return parsed(json),
        answer => return plain(&Json(answer)),
    };
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
