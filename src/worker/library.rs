//! The models that this browser can have: fetched, kept, loaded.

use std::cell::{OnceCell, RefCell};
use std::rc::Rc;

use super::card::OpenCard;
use super::device::Browser;
use super::files::Files;
use super::wire::Fetch;
use crate::engine::Control;
use crate::error::{Error, Result, StoreError};
use crate::model::Tensors;
use crate::protocol::{Answer, EngineWish, Event, Progress, Request, Source};
use crate::session::{AnySession, AnySink, EngineKind};
use crate::store::Store;
use crate::store::address::Site;
use crate::store::direct::Direct;
use crate::store::fit::{MOST_WEIGHTS_BYTES, weights_bytes};
use crate::store::line::Terms;
use crate::store::storage::{Device, Storage};
use crate::store::watch::Watch;

type BrowserStore = Store<Fetch, Files, Browser>;

/// Where models come from, and what they are loaded into.
#[derive(Default)]
pub struct Library {
    /// Opened when it is first needed: the demo model needs none of it.
    store: OnceCell<Rc<BrowserStore>>,
    /// Opened when a model is to use it.
    card: RefCell<Option<OpenCard>>,
}

impl Library {
    async fn store(&self) -> Rc<BrowserStore> {
        if let Some(store) = self.store.get() {
            return store.clone();
        }
        let storage = Files::open().await;
        let device = Browser { is_transient: storage.is_transient() };
        let store = Rc::new(Store { wire: Fetch, storage, device, terms: Terms::default() });
        // another request may have opened it meanwhile; one is as good as the other
        self.store.get_or_init(|| store).clone()
    }

    /// Gets a model from where `source` says. `loaded` is the one that answers till then; it makes way early where
    /// memory can't hold both.
    ///
    /// A card that was lost, or has no room for the model, is left: who asked for a card gets it opened anew, once, and who
    /// didn't gets the processor.
    ///
    /// # Errors
    /// [`StoreError`], what is wrong with the model, [`Error::Cancelled`].
    pub async fn load(
        &self,
        source: &Source,
        loaded: &RefCell<Option<Rc<AnySession>>>,
        control: &impl Control,
        on_event: &dyn Fn(Event),
    ) -> Result<AnySession> {
        let (mut wish, mut may_fail) = (source.engine, true);
        loop {
            let sink = self.sink(wish).await?;
            may_fail &= matches!(sink, AnySink::Card(_));
            match self.load_into(sink, source, loaded, control, on_event).await {
                Err(error) if may_fail && error.code() == "card_failed" => {
                    self.card.take();
                    (wish, may_fail) = (Some(wish.unwrap_or(EngineWish::Cpu)), false);
                }
                ended => return ended,
            }
        }
    }

    async fn load_into(
        &self,
        sink: AnySink,
        source: &Source,
        loaded: &RefCell<Option<Rc<AnySession>>>,
        control: &impl Control,
        on_event: &dyn Fn(Event),
    ) -> Result<AnySession> {
        let on_progress = |progress: Progress| on_event(Event::Progress(progress));
        let watch = Watch { control, on_progress: &on_progress };
        let dtype = source.dtype.unwrap_or_default();
        if let Some(direct) = Direct::of(&source.place, &Fetch, &watch) {
            return AnySession::of(source.name.clone(), direct.load(dtype, sink).await?);
        }
        let site = Site::of(&source.place)?.ok_or_else(not_a_site)?;
        let store = self.store().await;
        let held = store.fetch(source, &site, &watch).await?;
        let config = store.config(&held).await?;
        let is_tight = loaded.borrow().as_ref().is_some_and(|session| {
            let info = session.info();
            weights_bytes(&info.config, info.dtype) + weights_bytes(&config, dtype) > MOST_WEIGHTS_BYTES
        });
        if is_tight {
            loaded.take();
        }
        let model = store.build(&held, dtype, sink, &watch).await?;
        if store.storage.is_transient() {
            // it would take the model's memory once more
            store.storage.delete(&held.key).await?;
        }
        Ok(AnySession::of(source.name.clone(), model)?.from_origin(Some(held.manifest.origin())))
    }

    /// Where a model is loaded into: the card, if it is wished for, or in use and nothing was wished.
    async fn sink(&self, wish: Option<EngineWish>) -> Result<AnySink> {
        match wish {
            Some(EngineWish::WebGpu) => Ok(AnySink::Card(self.card(true).await?.sink())),
            Some(EngineWish::Cpu) => Ok(AnySink::Cpu(Tensors::new())),
            None => {
                let card = self.card.borrow().clone();
                Ok(card.map_or_else(|| AnySink::Cpu(Tensors::new()), |card| AnySink::Card(card.sink())))
            }
        }
    }

    /// The card, opened if it isn't yet.
    async fn card(&self, any: bool) -> Result<OpenCard> {
        if let Some(card) = self.card.borrow().clone() {
            return Ok(card);
        }
        let card = OpenCard::open(any).await?;
        *self.card.borrow_mut() = Some(card.clone());
        Ok(card)
    }

    /// The name of the card, once one was opened.
    pub fn card_name(&self) -> Option<String> {
        self.card.borrow().as_ref().map(|card| card.name().to_owned())
    }

    /// The model on the card; none if it is there already.
    ///
    /// # Errors
    /// [`Error::NoCard`], [`Error::Card`]; then no model is loaded onto it any more.
    pub async fn move_to_card(
        &self,
        session: &AnySession,
        any: bool,
        control: &impl Control,
    ) -> Result<Option<AnySession>> {
        if session.kind() != EngineKind::Cpu {
            return Ok(None);
        }
        let moved = session.move_to(self.card(any).await?.sink(), control).await;
        if moved.is_err() {
            self.card.take();
        }
        moved.map(Some)
    }

    /// Answers what is asked about kept models and those that could be.
    ///
    /// # Errors
    /// As [`Library::load`].
    pub async fn answer(&self, request: &Request, control: &impl Control, on_event: &dyn Fn(Event)) -> Result<Answer> {
        let on_progress = |progress: Progress| on_event(Event::Progress(progress));
        let watch = Watch { control, on_progress: &on_progress };
        let store = self.store().await;
        Ok(match request {
            Request::Describe(source) => {
                if let Some(direct) = Direct::of(&source.place, &Fetch, &watch) {
                    return Ok(Answer::Described(direct.describe(&source.name, store.device.room().await).await?));
                }
                let site = Site::of(&source.place)?.ok_or_else(not_a_site)?;
                Answer::Described(store.describe(source, &site, &watch).await?)
            }
            Request::Kept => Answer::Kept(store.kept().await?),
            Request::Forget { key } => Answer::Forgotten(store.forget(key, &watch).await?),
            Request::Verify { key } => Answer::Verified(store.verify(key, &watch).await?),
            _ => return Err(Error::Unsupported("This is no question about kept models.".into())),
        })
    }
}

fn not_a_site() -> Error {
    let why = "files and folders of this page's own are loaded, not described.";
    StoreError::BadAddress { text: "this page".into(), why }.into()
}
