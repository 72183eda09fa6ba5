//! What the page knows: everything the views draw, and the only ways it changes.

mod editing;
mod figure;
mod loading;
mod models;
mod opening;
mod patching;
mod reduce;
mod weights;

use yew::prelude::*;

use crate::engine::edit::{EditText, TextChange};
pub use crate::link::corpus::Part as Corpus;
use crate::link::{FIRST_PAIR, FIRST_PROMPT, Layer, LensShown, Link, Order, View};
use crate::protocol::{Event, Failure, Generation, LensTable, LogitLens, ModelInfo, Prediction, RequestId, Token};
pub use editing::{Editing, Outcome};
pub use figure::{Figure, Shared, Stage, Sweep, Swept, Typed, is_cancelled};
pub use loading::{Load, Loading};
pub use models::{Found, LookedAt, Models, ModelsAction, Spot, Work};
pub use opening::Opened;
pub use patching::{LAYER_SITES, Patched, Patching, SITES};
pub use weights::{Weights, WeightsChange};

/// A logit lens and the two tokens it compares.
#[derive(PartialEq)]
pub struct Lens {
    pub pair: [Token; 2],
    pub points: LogitLens,
}

/// A table of top tokens and the convention that made it.
#[derive(PartialEq)]
pub struct Table {
    pub final_ln: bool,
    pub cells: LensTable,
}

/// The text being written on from a prompt.
#[derive(Clone, PartialEq)]
pub struct Writing {
    /// Numbers the generations, so that a stopped one's last events find nobody.
    pub edition: u32,
    /// The prompt it goes on from.
    pub after: AttrValue,
    pub generation: Generation,
    pub stage: WritingStage,
}

#[derive(Clone, PartialEq)]
pub enum WritingStage {
    Working,
    Done,
    Stopped,
    Failed(Failure),
}

/// What a generation goes on from: the prompt, or the run that the edits are made in.
#[derive(Clone, PartialEq)]
pub struct GoesOnFrom {
    pub prompt: Typed,
    pub is_corrupted: bool,
    pub bos: bool,
    pub reads_text: bool,
    pub set: Vec<String>,
    pub corpus: Vec<String>,
    /// The run that patches take their values from.
    pub other: Option<Typed>,
}

/// Where the views send what happens.
pub type Dispatch = UseReducerDispatcher<State>;

#[derive(Clone)]
pub struct State {
    pub prompt: Typed,
    pub bos: bool,
    pub pair: [Typed; 2],
    pub lens_shown: LensShown,
    pub table_final_ln: bool,
    pub model: Option<Shared<ModelInfo>>,
    pub loading: Loading,
    pub models: Models,
    pub prediction: Figure<Prediction>,
    pub tokens: [Figure<Token>; 2],
    pub lens: Figure<Lens>,
    pub table: Figure<Table>,
    pub patching: Patching,
    pub editing: Editing,
    pub writing: Option<Writing>,
    pub weights: Weights,
    /// What is read, and which neuron is looked at in it.
    pub corpus: Corpus,
    /// Which figures are on screen, or nearly: the long ones are worked out only then.
    pub seen: Vec<View>,
    pub opened: Opened,
    /// Counts the deliberate changes, each of which Back undoes.
    pub steps: u32,
}

pub enum Action {
    Prompt(Typed),
    /// A likely next token becomes part of the prompt.
    Append(Token),
    Bos(bool),
    /// One of the pair's two boxes changed.
    Pair(usize, Typed),
    LensShown(LensShown),
    TableFinalLn(bool),
    Corrupted(Typed),
    /// Both prompts and the pair at once.
    Example {
        prompts: [&'static str; 2],
        pair: [&'static str; 2],
    },
    Reversed(bool),
    Layer(Option<Layer>),
    AllLayers,
    Neuron(Option<(usize, usize)>),
    Order(Order),
    Stop(Patched, bool),
    Edit(EditText),
    ChangeEdit(usize, TextChange),
    SwitchEdit(usize, bool),
    RemoveEdit(usize),
    EditCorrupted(bool),
    Weights(WeightsChange),
    Corpus(Corpus),
    /// A neuron is looked at in real text.
    ReadNeuron((usize, usize)),
    Seen(View, bool),
    /// A link, or a step back or forward.
    Open(Option<Link>, Vec<String>),
    /// A notice about the link has been read.
    Dismiss,
    Model(ModelInfo),
    LoadStarted(Box<Load>),
    /// What happened to the load of this number, at so many milliseconds of it.
    Load(RequestId, Event, f64),
    LoadPaused,
    LoadStopped,
    Models(ModelsAction),
    // answers, with the edition of the figure that asked
    Predicted(u32, Event),
    TokenFound(u32, usize, Event),
    Lensed(u32, Event),
    Tabled(u32, Event),
    Patched(Patched, u32, Vec<Event>),
    Edited(Outcome, u32, Event),
    WritingStarted {
        edition: u32,
        after: AttrValue,
    },
    Wrote(u32, Event),
    /// The generated text becomes part of the prompt.
    KeepWriting,
}

impl Default for State {
    /// The page as it opens, before its first model is there.
    fn default() -> Self {
        State {
            prompt: FIRST_PROMPT.into(),
            bos: true,
            pair: FIRST_PAIR.map(Typed::from),
            lens_shown: LensShown::Both,
            table_final_ln: false,
            model: None,
            loading: Loading::Beginning,
            models: Models::default(),
            prediction: Figure::waiting(),
            tokens: [Figure::waiting(), Figure::waiting()],
            lens: Figure::waiting(),
            table: Figure::waiting(),
            patching: Patching::default(),
            editing: Editing::default(),
            writing: None,
            weights: Weights::default(),
            corpus: Corpus::default(),
            seen: Vec::new(),
            opened: Opened::default(),
            steps: 0,
        }
    }
}

impl State {
    /// The pair's ids, once both boxes hold a token.
    pub fn pair_found(&self) -> Option<[Token; 2]> {
        let found = |figure: &Figure<Token>| figure.current().map(|token| Token::clone(token));
        Some([found(&self.tokens[0])?, found(&self.tokens[1])?])
    }

    /// Whether the model takes text; without a tokenizer it takes ids.
    pub fn reads_text(&self) -> bool {
        self.model.as_ref().is_none_or(|model| model.has_tokenizer)
    }

    /// Whether a figure is on screen, or nearly.
    pub fn sees(&self, view: View) -> bool {
        self.seen.contains(&view)
    }

    /// Whether everything above the patches is there: nothing long is begun before.
    pub fn is_at_rest(&self) -> bool {
        let lens_is_coming = self.pair_found().is_some() && self.lens.is_working();
        let is_writing = self.writing.as_ref().is_some_and(|writing| writing.stage == WritingStage::Working);
        !self.prediction.is_working() && !lens_is_coming && !self.table.is_working() && !is_writing
    }

    /// Whether there are two prompts and two tokens to patch with.
    pub fn has_contrast(&self) -> bool {
        let there = |figure: &Figure<Prediction>| figure.is_current() && figure.failure().is_none();
        there(&self.prediction) && there(&self.patching.contrast) && self.pair_found().is_some()
    }

    /// Whether the prompts or the pair are such that nothing can be patched between them.
    fn is_blocked(&self) -> bool {
        let predictions = [&self.prediction, &self.patching.contrast];
        predictions.iter().any(|figure| figure.failure().is_some())
            || self.tokens.iter().any(|token| token.failure().is_some())
    }

    /// Whether a figure on screen is waiting for an answer.
    pub fn works_on(&self, view: View) -> bool {
        let patching = &self.patching;
        let layers_are_coming = patching.layers.iter().any(Figure::is_working);
        let is_working = match view {
            View::Prompts => patching.contrast.is_working(),
            View::Maps => patching.maps.iter().any(Figure::is_working),
            View::Layers => layers_are_coming || patching.attributions.iter().any(Figure::is_working),
            View::Neurons => match patching.shown_layer {
                None => layers_are_coming,
                Some(Layer::All) => patching.all_asked && patching.neurons.is_working(),
                Some(Layer::One(_)) => patching.neurons.is_working(),
            },
            View::Edits => self.awaits_edits() || self.awaits_text(0) || self.awaits_text(1),
            // what these figures wait for is their own to know
            View::Weights | View::Tokens | View::Pairs | View::Corpus => false,
            View::Lens | View::Table | View::Generation => false,
        };
        is_working && self.sees(view) && !self.is_blocked()
    }

    /// Whether the edits' predictions are still to come.
    pub fn awaits_edits(&self) -> bool {
        let editing = &self.editing;
        !editing.edits.is_empty() && editing.edited.is_working() && self.model.is_some() && !self.is_blocked()
    }

    /// Whether the text without (0) or with (1) the edits is still to come.
    pub fn awaits_text(&self, which: usize) -> bool {
        let editing = &self.editing;
        let is_wanted = !editing.edits.is_empty() && editing.edited.is_current() && self.sees(View::Edits);
        is_wanted && editing.goes_on[which].is_working() && !self.is_blocked()
    }

    /// The prompt that the edits are made in.
    pub fn edited_prompt(&self) -> &Typed {
        if self.editing.corrupted { &self.patching.corrupted } else { &self.prompt }
    }

    pub fn generation_prompt(&self) -> GoesOnFrom {
        let set = self.editing.set();
        let is_corrupted = self.editing.corrupted && !set.is_empty();
        let (prompt, other) = if is_corrupted {
            (&self.patching.corrupted, &self.prompt)
        } else {
            (&self.prompt, &self.patching.corrupted)
        };
        GoesOnFrom {
            prompt: prompt.clone(),
            is_corrupted,
            bos: self.bos,
            reads_text: self.reads_text(),
            other: (!set.is_empty() && self.has_contrast()).then(|| other.clone()),
            set,
            corpus: self.editing.corpus(),
        }
    }
}
