//! From links to the state, and back.

use super::{Shared, State, Typed};
use crate::app::client::demo;
use crate::app::sources::FROM_FILES;
use crate::link::{Link, Model, View};
use crate::protocol::{ModelInfo, Origin};

/// What the last link brought that is not in the figures.
#[derive(Clone, PartialEq, Default)]
pub struct Opened {
    /// Counts the links opened, so that the address isn't written in answer to itself.
    pub count: u32,
    /// What of it was not used, and why.
    pub notices: Vec<String>,
    /// The link names another model than the one loaded: a person may load it, and then the link is opened again.
    pub offered: Option<Box<Link>>,
    /// The figure to scroll to, once.
    pub view: Option<View>,
}

impl Opened {
    pub fn dismiss(&mut self) {
        self.notices.clear();
        self.offered = None;
    }
}

impl State {
    /// The page as it opens with a link's fragment.
    pub fn from_fragment(fragment: &str) -> State {
        let mut state = State::default();
        let (link, refused) = Link::read(fragment);
        state.open(link, refused.iter().map(ToString::to_string).collect());
        state
    }

    /// What a link to the page as it is says, but for the figure it leads to.
    pub fn link(&self) -> Link {
        let text = |typed: &Typed| typed.text().to_owned();
        Link {
            model: self.model.as_ref().map_or(Model::Demo, |model| named(model)),
            prompt: text(&self.prompt),
            corrupted: text(&self.patching.corrupted),
            bos: self.bos,
            pair: [text(&self.pair[0]), text(&self.pair[1])],
            reversed: self.patching.reversed,
            lens: self.lens_shown,
            table_final_ln: self.table_final_ln,
            view: None,
            layer: self.patching.layer,
            neuron: self.patching.neuron,
            order: self.patching.order,
            edit_corrupted: self.editing.corrupted,
            edits: self.editing.edits.clone(),
            congruence: self.weights.clone(),
            corpus: self.corpus.clone(),
        }
    }

    /// Shows what a link says. A model that it names is offered, never loaded.
    pub(super) fn open(&mut self, mut link: Link, mut notices: Vec<String>) {
        let is_here = link.model.is(&self.model.as_ref().map_or(Model::Demo, |model| named(model)));
        self.opened.offered = (!is_here).then(|| Box::new(link.clone()));
        if is_here && let Some(model) = &self.model {
            notices.extend(link.fit(&model.config).iter().map(ToString::to_string));
        }
        self.opened.count += 1;
        self.opened.notices = notices;
        self.prompt = link.prompt.as_str().into();
        self.bos = link.bos;
        self.pair = [link.pair[0].as_str().into(), link.pair[1].as_str().into()];
        self.lens_shown = link.lens;
        self.table_final_ln = link.table_final_ln;
        self.patching.corrupted = link.corrupted.as_str().into();
        self.patching.reversed = link.reversed;
        self.patching.layer = link.layer;
        self.patching.neuron = link.neuron;
        self.patching.order = link.order;
        self.editing.corrupted = link.edit_corrupted;
        self.editing.edits = link.edits;
        self.weights = link.congruence;
        self.corpus = link.corpus;
        if let Some(view) = link.view {
            self.opened.view = Some(view);
        }
    }

    /// Takes a model that has been loaded; true where there was another one before.
    pub(super) fn take_model(&mut self, model: ModelInfo) -> bool {
        let is_first = self.model.is_none();
        let name = named(&model);
        let offered = self.opened.offered.take_if(|link| link.model.is(&name));
        let mut link = offered.map_or_else(|| self.link(), |link| *link);
        let refused = link.fit(&model.config);
        (self.patching.layer, self.patching.neuron) = (link.layer, link.neuron);
        self.weights = link.congruence;
        self.corpus = link.corpus;
        let read = self.as_read();
        self.model = Some(Shared::new(model));
        self.opened.notices.extend(refused.iter().map(ToString::to_string));
        self.patching.shown_layer = None;
        self.fit_texts(read);
        !is_first
    }
}

/// How a link names a model.
fn named(model: &ModelInfo) -> Model {
    if let Some(Origin { repo: Some(repo), commit, .. }) = &model.origin {
        return Model::Hub { repo: repo.clone(), commit: commit.clone() };
    }
    match model.name.as_str() {
        name if name == demo().name => Model::Demo,
        FROM_FILES => Model::Files,
        folder => Model::Folder(folder.to_owned()),
    }
}
