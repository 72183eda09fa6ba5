//! What every figure asks of the model in a state. Worked out anew after each change, whatever changed, so that no figure
//! can go on showing another state's answer as its own.

use super::figure::{Asks, Question, Typed};
use super::{Editing, GoesOnFrom, LAYER_SITES, Patching, SITES, Shared, State};
use crate::analysis::pair::counterparts;
use crate::app::presets::PRESETS;
use crate::engine::edit::{EditText, TextChange};
use crate::error::Error;
use crate::link::Layer;
use crate::protocol::{
    AttributeOptions, EditOptions, Failure, GenerateOptions, LayerArgument, LensOptions, LensTableOptions, ModelInfo,
    NeuronsOptions, PatchOptions, PatchSite, PredictOptions, Prompt, Request, TokenArgument,
};

/// Tokens written on to show what the edits do: enough for a sentence's end.
const GOES_ON: usize = 14;

type Pair = (TokenArgument, TokenArgument);
type Read = Result<Prompt, Failure>;

/// The prompt as the model takes it: text, or the ids written in it.
///
/// # Errors
/// What is no id, where the model came without a tokenizer.
pub fn prompt_of(prompt: &Typed, reads_text: bool) -> Result<Prompt, Failure> {
    let Typed::Text(text) = prompt else { return Err(Failure::from(&Error::BrokenText)) };
    if reads_text {
        return Ok(Prompt::Text(text.to_string()));
    }
    let words = text.split([' ', ',', '\n', '\t']).filter(|word| !word.is_empty());
    let id = |word: &str| {
        let digits = word.strip_prefix('#').unwrap_or(word);
        digits.parse().map_err(|_| Failure::from(&Error::BadTokenId { text: word.to_owned() }))
    };
    words.map(id).collect::<Result<_, _>>().map(Prompt::Ids)
}

impl State {
    /// Tells every figure what it asks now. Before there is a model nothing is asked.
    pub(super) fn ask(&mut self) {
        let Some(model) = self.model.clone() else { return };
        let (no_bos, reads_text) = (!self.bos, self.reads_text());
        let read = |typed: &Typed| prompt_of(typed, reads_text);
        let prompts = [read(&self.prompt), read(&self.patching.corrupted)];
        let question = |request: Request| Question { model: model.clone(), request };
        let of_prompt = |which: usize, request: &dyn Fn(Prompt) -> Request| -> Asks {
            Some(prompts[which].clone().map(|prompt| question(request(prompt))))
        };
        let predict = |prompt| Request::Predict(PredictOptions { prompt, top: 10, no_bos });
        self.prediction.ask(of_prompt(0, &predict));
        self.patching.contrast.ask(of_prompt(1, &predict));
        for (token, typed) in self.tokens.iter_mut().zip(&self.pair) {
            token.ask(Some(match typed {
                Typed::Text(text) => Ok(question(Request::Token { text: text.to_string() })),
                Typed::Broken => Err(Failure::from(&Error::BrokenText)),
            }));
        }
        let final_ln = self.table_final_ln;
        self.table.ask(of_prompt(0, &|prompt| Request::LensTable(LensTableOptions { prompt, final_ln, no_bos })));

        let pair = self.pair_found().map(|[first, second]| (TokenArgument::Id(first.id), TokenArgument::Id(second.id)));
        let lens = |tokens: &Pair| {
            of_prompt(0, &|prompt| Request::Lens(LensOptions { prompt, tokens: tokens.clone(), no_bos }))
        };
        let asks = pair.as_ref().and_then(lens);
        self.lens.ask(asks);
        self.patching.ask(&model, &prompts, pair.as_ref(), no_bos);
        self.ask_edits(&model, &prompts, pair);
    }

    /// The edits, and how the text goes on without them and with them.
    fn ask_edits(&mut self, model: &Shared<ModelInfo>, prompts: &[Read; 2], pair: Option<Pair>) {
        let problems = self.problems(model);
        let is_known = problems.is_some();
        self.editing.problems = problems.unwrap_or_default();
        let question = |request: Request| Some(Ok(Question { model: model.clone(), request }));
        let own = prompts[usize::from(self.editing.corrupted)].as_ref().ok();
        let own = own.filter(|_| is_known && !self.editing.edits.is_empty());
        let plain = own.map(|prompt| self.writes(prompt.clone(), prompts, false));
        let edited = own.map(|prompt| self.writes(prompt.clone(), prompts, true));
        let edit = edited.clone().zip(pair).and_then(|(options, tokens)| {
            let GenerateOptions { prompt, set, clean, corrupted, corpus, no_bos, .. } = options;
            question(Request::Edit(EditOptions { prompt, tokens, set, clean, corrupted, corpus, top: 5, no_bos }))
        });
        self.editing.edited.ask(edit);
        // always the same continuation, so that what differs is the edits' doing
        let goes_on = |options: Option<GenerateOptions>| {
            options.and_then(|options| question(Request::Generate(GenerateOptions { max: GOES_ON, ..options })))
        };
        self.editing.goes_on[0].ask(goes_on(plain));
        self.editing.goes_on[1].ask(goes_on(edited));
    }

    /// Why each edit can't be made, if it can't; none before that can be said.
    fn problems(&self, model: &ModelInfo) -> Option<Vec<Option<Failure>>> {
        let runs = [&self.prediction, &self.patching.contrast];
        let ids = runs.map(|run| run.current().map(|prediction| &prediction.ids));
        let own = ids[usize::from(self.editing.corrupted)]?;
        let problem = |edit: &EditText| -> Option<Result<(), Failure>> {
            let made = |aligned: &[(usize, usize)]| {
                edit.can_be_made(&model.config, own.len(), aligned).map_err(|error| Failure::from(&error))
            };
            let from = match edit.change {
                TextChange::Clean => 0,
                TextChange::Corrupted => 1,
                TextChange::Mean if !model.has_tokenizer => return Some(Err(Failure::from(&Error::NoTokenizer))),
                _ => return Some(made(&[])),
            };
            match (ids[from], runs[from].failure()) {
                (Some(other), _) => Some(made(&counterparts(other, own))),
                (None, Some(failure)) => Some(Err(failure)),
                (None, None) => None,
            }
        };
        self.editing.edits.iter().map(|switched| problem(&switched.edit).map(Result::err)).collect()
    }

    /// What writing on asks, but for how it chooses.
    fn writes(&self, prompt: Prompt, prompts: &[Read; 2], is_edited: bool) -> GenerateOptions {
        let plain = Editing::default();
        let editing = if is_edited { &self.editing } else { &plain };
        let source = |change: TextChange, which: usize| {
            editing.made().any(|edit| edit.change == change).then(|| prompts[which].clone().ok()).flatten()
        };
        // over the prompts of all examples
        let takes_mean = editing.made().any(|edit| edit.change == TextChange::Mean);
        let corpus = PRESETS.iter().filter(|_| takes_mean).flat_map(|preset| [preset.clean, preset.corrupted]);
        GenerateOptions {
            prompt,
            max: 0,
            temperature: 0.0,
            top_k: None,
            top_p: None,
            seed: 0,
            set: editing.made().map(ToString::to_string).collect(),
            clean: source(TextChange::Clean, 0),
            corrupted: source(TextChange::Corrupted, 1),
            corpus: corpus.map(str::to_owned).collect(),
            no_bos: !self.bos,
        }
    }

    /// What a generation would go on from: the prompt, or the run that the edits are made in.
    pub fn goes_on_from(&self) -> GoesOnFrom {
        let is_corrupted = self.editing.corrupted && self.editing.made().next().is_some();
        let typed = if is_corrupted { &self.patching.corrupted } else { &self.prompt };
        let prompts = [&self.prompt, &self.patching.corrupted].map(|typed| prompt_of(typed, self.reads_text()));
        let prompt = prompt_of(typed, self.reads_text());
        GoesOnFrom {
            model: self.model.clone(),
            after: typed.text().to_owned().into(),
            is_corrupted,
            options: prompt.map(|prompt| self.writes(prompt, &prompts, true)),
        }
    }
}

impl Patching {
    fn ask(&mut self, model: &Shared<ModelInfo>, prompts: &[Read; 2], pair: Option<&Pair>, no_bos: bool) {
        let between = match (prompts, pair) {
            ([Ok(clean), Ok(corrupted)], Some(tokens)) => Some((clean, corrupted, tokens)),
            _ => None,
        };
        let question = |request: Request| Question { model: model.clone(), request };
        for (side, attribution) in self.attributions.iter_mut().enumerate() {
            attribution.ask(between.map(|(clean, corrupted, tokens)| {
                let prompt = if side == 0 { clean } else { corrupted }.clone();
                Ok(question(Request::Attribute(AttributeOptions { prompt, tokens: tokens.clone(), no_bos })))
            }));
        }
        // patches from the corrupted run into the clean one are patches between them the other way round
        let is_reversed = self.reversed;
        let turned = between.map(|(clean, corrupted, tokens)| {
            let (clean, corrupted) = if is_reversed { (corrupted, clean) } else { (clean, corrupted) };
            (clean.clone(), corrupted.clone(), tokens.clone())
        });
        let patch = |site: PatchSite, whole_layer: bool| -> Asks {
            turned.clone().map(|(clean, corrupted, tokens)| {
                Ok(question(Request::Patch(PatchOptions { clean, corrupted, tokens, site, whole_layer, no_bos })))
            })
        };
        for (site, map) in SITES.into_iter().zip(&mut self.maps) {
            map.ask(patch(site, false));
        }
        for (site, layers) in LAYER_SITES.into_iter().zip(&mut self.layers) {
            if layers.ask(patch(site, true)) {
                self.all_asked = false;
            }
        }
        self.settle_layer();
        let layer = match self.shown_layer {
            Some(Layer::One(layer)) => Some(LayerArgument::One(layer)),
            Some(Layer::All) => Some(LayerArgument::Word("all".to_owned())),
            None => None,
        };
        let neurons = turned.zip(layer).map(|((clean, corrupted, tokens), layer)| {
            question(Request::Neurons(NeuronsOptions { clean, corrupted, tokens, layer, no_bos }))
        });
        // every layer is asked for by hand only, unless it has been answered already
        let is_started = self.shown_layer != Some(Layer::All) || self.all_asked;
        let neurons = neurons.filter(|question| is_started || self.neurons.has_answered(question));
        self.neurons.ask(neurons.map(Ok));
    }
}
