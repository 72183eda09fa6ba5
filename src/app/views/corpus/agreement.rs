//! Does congruence predict? The best mutual pairs' scores, got from weights alone, against what a corpus says of them.

use std::rc::Rc;

use yew::prelude::*;

use super::Reading;
use super::curve::{Curve, Line, name};
use super::pass::{Pass, Stage, use_pass};
use crate::analysis::corpus::rank::spearman;
use crate::app::charts::scale::{Scale, ticks};
use crate::app::client::Client;
use crate::app::corpora::hub_of;
use crate::app::format::{share_short, whole};
use crate::app::state::Dispatch;
use crate::app::views::congruence::to_weights;
use crate::app::widgets::failure::Notice;
use crate::app::widgets::scrolls::Scrolls;
use crate::app::widgets::shown::Shown;
use crate::app::widgets::width::use_room;
use crate::protocol::{
    Answer, Convention, CorpusAnswer, Event, Failure, FoundPair, Request, SearchKind, SearchOptions, StudyAnswer,
};

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    pub reading: Reading,
    /// The model's name, once there is one.
    pub model: Option<String>,
    pub dispatch: Dispatch,
}

/// Pairs that are measured, and of these, those with a curve.
const PAIRS: usize = 50;
const CURVES: usize = 5;

#[component]
pub fn Agreement(props: &Props) -> Html {
    let pairs = use_state(|| Rc::new(Vec::<FoundPair>::new()));
    let failure = use_state(|| None::<Failure>);
    let is_searching = use_state(|| false);
    let pass = use_pass(&props.client);
    {
        // another model's pairs are none of this one's
        let (pass, pairs, failure) = (pass.clone(), pairs.clone(), failure.clone());
        use_effect_with(props.model.clone(), move |_| {
            pass.discard();
            pairs.set(Rc::default());
            failure.set(None);
        });
    }
    let onclick = {
        let (client, reading, pass) = (props.client.clone(), props.reading.clone(), pass.clone());
        let (pairs, failure, is_searching) = (pairs.clone(), failure.clone(), is_searching.clone());
        Callback::from(move |_: MouseEvent| {
            let (reading, pass, pairs, failure) = (reading.clone(), pass.clone(), pairs.clone(), failure.clone());
            is_searching.set(true);
            failure.set(None);
            let is_searching = is_searching.clone();
            let options = SearchOptions { kind: SearchKind::Mutual, convention: Convention::default(), top: PAIRS };
            client.ask(None, Request::Search(options), move |event| match event {
                Event::Done(Answer::Pairs(found)) => {
                    is_searching.set(false);
                    let neurons =
                        found.iter().map(|pair| format!("{}:{}:#{}", pair.layer, pair.neuron, pair.id)).collect();
                    pairs.set(Rc::new(found));
                    pass.start(reading.files.clone(), reading.options(neurons, None), false, false);
                }
                Event::Failed(why) => {
                    is_searching.set(false);
                    failure.set(Some(why));
                }
                _ => {}
            });
        })
    };
    let is_working = *is_searching || pass.stage == Stage::Working;
    let said = failure.as_ref().or(pass.failure.as_ref()).cloned();
    html! {
        <div class="agreement">
            <h3 translate="yes">{ "Does congruence predict?" }</h3>
            <p class="caption">
                { format!("The {PAIRS} best mutual pairs of neuron and token, found from the weights alone, each measured on this text: the \
                   area under the ROC curve of the neuron's activation for the token being the top prediction (½ is chance). The post \
                   leaves the question open.") }
            </p>
            <button type="button" onclick={onclick} disabled={props.model.is_none() || props.reading.files.is_empty() || is_working}>{ "Measure the best pairs" }
                { for hub_of(&props.reading.files).map(|hub| format!(" on texts from {hub}")) }</button>
            { state(&pass, *is_searching) }
            <Notice id="agreement-failure" failure={said} />
            if let Some(answer) = &pass.answer {
                <Shown is_current={props.reading.is_of(&pass)}>{ found(&pairs, answer, &props.dispatch) }</Shown>
            }
        </div>
    }
}

fn state(pass: &Pass, is_searching: bool) -> Html {
    let said = match (is_searching, pass.stage, &pass.progress) {
        (true, ..) => "searching the weights …".to_owned(),
        (_, Stage::Working, Some(progress)) => format!("{} read", share_short(progress.share as f32)),
        (_, Stage::Working, None) => "reading …".to_owned(),
        _ => return html! {},
    };
    html! { <span class="agreement-state" role="status">{ said }</span> }
}

fn found(pairs: &[FoundPair], answer: &CorpusAnswer, dispatch: &Dispatch) -> Html {
    let lines = answer.studies.iter().take(CURVES).map(|study| Line { name: name(study), bins: study.bins.clone() });
    let measured: Vec<(f64, f64, String)> = pairs
        .iter()
        .zip(&answer.studies)
        .filter_map(|(pair, study)| Some((f64::from(pair.score), study.auc?, name(study))))
        .collect();
    let points: Vec<(f64, f64)> = measured.iter().map(|(score, auc, _)| (*score, *auc)).collect();
    let correlation = match spearman(&points) {
        Some(c) => format!(
            "Spearman's rank correlation of score and area: {:+.2}, 95 % interval {:+.2} to {:+.2}, over {} pairs whose token is predicted \
             at least once.",
            c.rho,
            c.low,
            c.high,
            points.len()
        ),
        None => format!("Only {} of these tokens are predicted in this text: too few to correlate.", points.len()),
    };
    html! {
        <>
            <p class="readout agreement-correlation">{ correlation }</p>
            <div class="corpus-charts">
                <Curve label="Share of top predictions by activation, of the five best mutual pairs" lines={lines.collect::<Vec<_>>()} has_counts={false} />
                <Scores {measured} />
            </div>
            { table(pairs, answer, dispatch) }
        </>
    }
}

/// The same in numbers.
fn table(pairs: &[FoundPair], answer: &CorpusAnswer, dispatch: &Dispatch) -> Html {
    let row = |(pair, study): (&FoundPair, &StudyAnswer)| {
        let neuron = (study.layer, study.neuron);
        html! {
            <tr>
                <th scope="row"><button type="button" class="link" onclick={to_weights(dispatch, neuron)}>{ name(study) }</button></th>
                <td>{ format!("{:.3}", pair.score) }</td>
                <td>{ study.auc.map_or("–".into(), |auc| format!("{auc:.3}")) }</td>
                <td>{ whole(study.occurrences) }</td><td>{ whole(study.top_predictions) }</td>
            </tr>
        }
    };
    html! {
        <details class="corpus-table">
            <summary>{ "All pairs" }</summary>
            <Scrolls class="corpus-table-scroll"><table>
                <thead><tr><th scope="col">{ "Pair" }</th><th scope="col">{ "Score" }</th><th scope="col">{ "Area" }</th><th scope="col">{ "Occurrences" }</th><th scope="col">{ "Top predictions" }</th></tr></thead>
                <tbody>{ for pairs.iter().zip(&answer.studies).map(row) }</tbody>
            </table></Scrolls>
        </details>
    }
}

#[derive(Properties, PartialEq)]
struct ScoresProps {
    /// Score, area and name of each.
    measured: Vec<(f64, f64, String)>,
}

const HEIGHT: f64 = 280.0;
const LEFT: f64 = 46.0;

#[component]
fn Scores(props: &ScoresProps) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(400.0, |room| room.width.max(200.0));
    let most = props.measured.iter().map(|(score, ..)| *score).fold(1e-6, f64::max);
    let marks = ticks(0.0, most, 5);
    let x = Scale { from: (0.0, marks.values.last().copied().unwrap_or(most)), to: (LEFT, width - 14.0) };
    let y = Scale { from: (0.0, 1.0), to: (HEIGHT - 44.0, 10.0) };
    html! {
        <figure class="chart corpus-scores" ref={node}>
            <figcaption>{ "Area under the ROC curve, by congruence score" }</figcaption>
            <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")} role="img"
                aria-label="Congruence score against area under the ROC curve, one point a pair">
                { for [0.0, 0.5, 1.0].map(|mark: f64| html! {
                    <g class="grid"><line x1={LEFT.to_string()} x2={(width - 14.0).to_string()} y1={y.at(mark).to_string()} y2={y.at(mark).to_string()} />
                    <text class="end" x={(LEFT - 6.0).to_string()} y={(y.at(mark) + 4.0).to_string()}>{ mark.to_string() }</text></g>
                }) }
                { for marks.values.iter().map(|&mark| html! {
                    <text class="middle" x={x.at(mark).to_string()} y={(HEIGHT - 26.0).to_string()}>{ format!("{mark:.0$}", marks.decimals) }</text>
                }) }
                { for props.measured.iter().map(|(score, auc, name)| html! {
                    <circle cx={x.at(*score).to_string()} cy={y.at(*auc).to_string()} r="4"><title>{ format!("{name}: score {score:.3}, area {auc:.3}") }</title></circle>
                }) }
            </svg>
        </figure>
    }
}
