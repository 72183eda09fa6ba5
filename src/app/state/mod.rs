//! What the page knows: everything the views draw, and the only ways it changes.

mod asking;
mod editing;
mod figure;
mod ids;
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
use crate::protocol::{
    Event, Failure, GenerateOptions, Generation, LensTable, LogitLens, ModelInfo, Prediction, RequestId, Token,
};
pub use asking::prompt_of;
pub use editing::{Editing, Outcome};
pub use figure::{Figure, Question, Shared, Stage, Sweep, Swept, Typed, is_cancelled};
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
    pub from: GoesOnFrom,
    /// How its tokens were chosen, in a sentence: the boxes may say something else by now.
    pub chosen: AttrValue,
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
    pub model: Option<Shared<ModelInfo>>,
    /// The text of the prompt it goes on from.
    pub after: AttrValue,
    pub is_corrupted: bool,
    /// What is asked, but for how it chooses; or why it can't be.
    pub options: Result<GenerateOptions, Failure>,
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
    /// Texts that a model without a tokenizer couldn't read.
    put_by: Option<ids::PutBy>,
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
        from: GoesOnFrom,
        chosen: AttrValue,
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
            put_by: None,
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
        let is_writing = self.writing.as_ref().is_some_and(|writing| writing.stage == WritingStage::Working);
        !self.prediction.is_working() && !self.lens.is_coming() && !self.table.is_working() && !is_writing
    }

    /// Whether there are two prompts and two tokens to patch with.
    pub fn has_contrast(&self) -> bool {
        self.prediction.is_current() && self.patching.contrast.is_current() && self.pair_found().is_some()
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
        let run = if editing.corrupted { &self.patching.contrast } else { &self.prediction };
        let has_failed = run.failure().is_some() || self.tokens.iter().any(|token| token.failure().is_some());
        !editing.edits.is_empty() && editing.edited.is_working() && self.model.is_some() && !has_failed
    }

    /// Whether the text without (0) or with (1) the edits is still to come.
    pub fn awaits_text(&self, which: usize) -> bool {
        let editing = &self.editing;
        editing.edited.is_current() && self.sees(View::Edits) && editing.goes_on[which].is_coming()
    }
}
