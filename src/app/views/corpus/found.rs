//! What has been found of one neuron: by the last pass, or in a published folder.

use yew::prelude::*;

use super::curve::{Curve, Line, name};
use super::examples::Examples;
use super::histogram::Histogram;
use super::pass::{Pass, Stage};
use crate::app::client::Client;
use crate::app::corpora::{Told, ask, folder_address};
use crate::app::format::whole;
use crate::app::state::{Dispatch, Shared};
use crate::app::views::neurons::Neuron;
use crate::app::widgets::failure::Notice;
use crate::app::widgets::shown::Shown;
use crate::protocol::{
    Bins, CorpusNeuronOptions, Failure, FolderAnswer, ModelInfo, NeuronAnswer, ReaderTask, StudyAnswer,
};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub model: Option<Shared<ModelInfo>>,
    pub neuron: Neuron,
    pub bins: Bins,
    /// The address of a published folder; otherwise it is the pass's.
    pub folder: Option<AttrValue>,
    /// The pass is of the texts that are chosen now, or the folder is.
    pub is_current: bool,
    /// The token that is chosen.
    pub token: AttrValue,
    pub pass: Pass,
    pub dispatch: Dispatch,
}

/// What the reader says of the neuron.
#[derive(Clone, PartialEq, Default)]
enum Said {
    #[default]
    Nothing,
    Neuron(Shared<NeuronAnswer>),
    Failed(Failure),
}

#[component]
pub fn Found(props: &Props) -> Html {
    let said = use_state(Said::default);
    let summary = use_state(|| None::<Shared<FolderAnswer>>);
    let is_read = matches!(props.pass.stage, Stage::Done | Stage::Paused);
    let model = props.model.as_ref().map(|model| model.name.clone());
    let source = match &props.folder {
        // no address has been given yet
        Some(folder) if folder.is_empty() => None,
        Some(folder) => Some(Some(folder.clone())),
        None => is_read.then_some(None),
    };
    let source = source.filter(|_| model.is_some());
    {
        let (client, said, summary) = (props.client.clone(), said.clone(), summary.clone());
        let positions = props.pass.answer.as_ref().map(|answer| answer.positions);
        use_effect_with((source, props.neuron, model, positions), move |(source, (layer, neuron), ..)| {
            said.set(Said::Nothing);
            summary.set(None);
            let Some(folder) = source else { return };
            let folder = match folder.as_ref().map(|folder| folder_address(folder)).transpose() {
                Ok(folder) => folder,
                Err(failure) => return said.set(Said::Failed(failure)),
            };
            if let Some(folder) = folder.clone() {
                ask(&client, &ReaderTask::Folder { folder }, move |told| {
                    if let Told::Done(answer) = told {
                        summary.set(Some(Shared::new(answer)));
                    }
                });
            }
            let options = CorpusNeuronOptions { layer: *layer, neuron: *neuron };
            ask(&client, &ReaderTask::Neuron { options, folder }, move |told| match told {
                Told::Done(answer) => said.set(Said::Neuron(Shared::new(answer))),
                Told::Failed(failure) => said.set(Said::Failed(failure)),
                Told::Progress(_) => {}
            });
        });
    }
    {
        let pass = props.pass.clone();
        use_effect_with((props.bins, props.pass.stage), move |(bins, stage)| {
            // a pass that is paused has answered nothing yet
            if *stage == Stage::Paused || *stage == Stage::Done && pass.bins != *bins {
                pass.bin(*bins);
            }
        });
    }
    let (layer, neuron) = props.neuron;
    let is_it = |study: &&StudyAnswer| (study.layer, study.neuron) == props.neuron;
    let answer = props.pass.answer.as_ref().filter(|_| props.folder.is_none());
    let studies = match &*summary {
        Some(summary) => &summary.studies[..],
        None => answer.map_or(&[][..], |answer| &answer.studies[..]),
    };
    let study = studies.iter().find(is_it);
    let counted = match &*summary {
        Some(summary) => Some((summary.documents, summary.positions, 0)),
        None => answer.map(|answer| (answer.documents, answer.positions, answer.replaced_bytes)),
    };
    let found = match &*said {
        Said::Neuron(found) if (found.layer, found.neuron) == props.neuron => Some(found.clone()),
        _ => None,
    };
    let failure = match &*said {
        Said::Failed(failure) if study.is_none() => Some(failure.clone()),
        _ => None,
    };
    // a folder's studies are of its own tokens
    let is_its_token = |study: &StudyAnswer| props.folder.is_some() || is_named(&props.token, study);
    let is_current = props.is_current && study.is_none_or(is_its_token);
    let examples = found.as_ref().map(|found| &found.top_documents).or(study.map(|study| &study.top_documents));
    html! {
        <>
        <Notice id="corpus-neuron-failure" {failure} />
        <Shown {is_current}>
        if let (Some((documents, positions, replaced)), true) = (counted, found.is_some() || study.is_some()) {
            <p class="corpus-summary" role="status">
                { format!("L{layer} N{neuron} in {} documents, {} tokens", whole(documents), whole(positions)) }
                if let Some(summary) = &*summary { { format!(" of {}", summary.files.join(", ")) } }
                { ". " }
                if replaced > 0 { { format!("{} bytes that are no UTF-8 were replaced. ", whole(replaced)) } }
                { facts(study, found.as_deref()) }
            </p>
        }
        <div class="corpus-charts">
            if let Some(study) = study {
                <Curve label={format!("Share of positions at which {:?} is the likeliest next token, by activation", study.token)}
                    lines={vec![Line { name: name(study), bins: study.bins.clone() }]} has_counts={true} note={counts(study)} />
            }
            if let Some(found) = &found {
                <Histogram bins={found.histogram.clone()} />
            }
        </div>
        if let Some(examples) = examples {
            <Examples client={props.client.clone()} contexts={Shared::new(examples.clone())} is_whole={found.is_some()} dispatch={props.dispatch.clone()} />
        }
        </Shown>
        </>
    }
}

/// Whether a token is written so: by its text or its id.
fn is_named(token: &str, study: &StudyAnswer) -> bool {
    token == study.token || token.strip_prefix('#').unwrap_or(token) == study.id.to_string()
}

/// The two counts that the curve is made of.
fn counts(study: &StudyAnswer) -> String {
    let (occurs, predicted) = (whole(study.occurrences), whole(study.top_predictions));
    format!(": {:?} occurs {occurs} times, and is the top prediction {predicted} times", study.token)
}

/// The figures of one neuron and one token, in a sentence each.
fn facts(study: Option<&StudyAnswer>, found: Option<&NeuronAnswer>) -> String {
    let mut said = String::new();
    if let Some(found) = found {
        let fires = 100.0 * found.firing_rate;
        said +=
            &format!("Mean {:.3}, maximum {:.3}, above zero at {fires:.1} %. ", found.mean, found.max.unwrap_or(0.0));
    }
    if let Some(study) = study {
        said +=
            &study.auc.map_or(String::new(), |auc| format!("Area under the ROC curve for {:?} {auc:.4}.", study.token));
    }
    said
}
