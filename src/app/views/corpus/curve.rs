//! The share of top predictions by activation, with its confidence band, and how many positions there are of each.

use yew::prelude::*;

use crate::app::charts::scale::{Scale, ticks};
use crate::app::format::whole;
use crate::app::widgets::scrolls::Scrolls;
use crate::app::widgets::width::use_room;
use crate::protocol::{BinAnswer, StudyAnswer};

/// One pair's curve.
#[derive(Clone, PartialEq)]
pub struct Line {
    pub name: String,
    pub bins: Vec<BinAnswer>,
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub label: AttrValue,
    pub lines: Vec<Line>,
    /// What else the caption says.
    #[prop_or_default]
    pub note: AttrValue,
    /// Whether each bin's two counts are written under it.
    pub has_counts: bool,
}

pub const HEIGHT: f64 = 280.0;
pub const LEFT: f64 = 46.0;
pub const RIGHT: f64 = 14.0;
pub const TOP: f64 = 10.0;
pub const BOTTOM: f64 = 44.0;
/// A bin narrower than this has no room for its counts.
const ROOM_FOR_COUNTS: f64 = 66.0;

/// What a pair is called.
pub fn name(study: &StudyAnswer) -> String {
    format!("L{} N{} and {:?}", study.layer, study.neuron, study.token)
}

fn share(bin: &BinAnswer) -> f64 {
    bin.top as f64 / bin.count.max(1) as f64
}

#[component]
pub fn Curve(props: &Props) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(600.0, |room| room.width.max(240.0));
    let bins = || props.lines.iter().flat_map(|line| &line.bins);
    let (low, high) = bins().fold((0.0f64, 0.2f64), |(low, high), bin| (low.min(bin.from), high.max(bin.from + 0.2)));
    let x = Scale { from: (low, high), to: (LEFT, width - RIGHT) };
    let y = Scale { from: (0.0, 1.0), to: (HEIGHT - BOTTOM, TOP) };
    let marks = ticks(low, high, 8);
    let middle = |bin: &BinAnswer| x.at(bin.from + 0.1);
    let has_counts = props.has_counts && x.at(0.2) - x.at(0.0) >= ROOM_FOR_COUNTS;
    let line = |(index, line): (usize, &Line)| {
        let at = |bin: &BinAnswer, share: f64| format!("{:.1},{:.1}", middle(bin), y.at(share));
        let upper = line.bins.iter().map(|bin| at(bin, bin.high));
        let lower = line.bins.iter().rev().map(|bin| at(bin, bin.low));
        let band = upper.chain(lower).collect::<Vec<_>>().join(" ");
        let points = line.bins.iter().map(|bin| at(bin, share(bin))).collect::<Vec<_>>().join(" ");
        let dot = |bin: &BinAnswer| {
            let said = format!("{:.1} to {:.1}: {} of {}", bin.from, bin.from + 0.2, whole(bin.top), whole(bin.count));
            html! { <circle cx={middle(bin).to_string()} cy={y.at(share(bin)).to_string()} r="3"><title>{ said }</title></circle> }
        };
        html! {
            <g class={format!("curve-line series-{index}")}>
                <polygon points={band} />
                <polyline points={points} />
                { for line.bins.iter().map(dot) }
            </g>
        }
    };
    let counts = |bin: &BinAnswer| {
        html! {
            <text x={middle(bin).to_string()} y={(HEIGHT - 6.0).to_string()} class="middle">
                { format!("{}/{}", bin.top, bin.count) }
            </text>
        }
    };
    html! {
        <figure class="chart corpus-curve" ref={node}>
            <figcaption>{ "Share that is the top prediction, with its 95 % band, by activation" }{ props.note.clone() }</figcaption>
            <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")} role="img" aria-label={props.label.clone()}>
                { for [0.0, 0.25, 0.5, 0.75, 1.0].map(|mark: f64| html! {
                    <g class="grid"><line x1={LEFT.to_string()} x2={(width - RIGHT).to_string()} y1={y.at(mark).to_string()} y2={y.at(mark).to_string()} />
                    <text class="end" x={(LEFT - 6.0).to_string()} y={(y.at(mark) + 4.0).to_string()}>{ format!("{:.0} %", mark * 100.0) }</text></g>
                }) }
                { for marks.values.iter().filter(|&&mark| mark >= low && mark <= high).map(|&mark| html! {
                    <text class="middle" x={x.at(mark).to_string()} y={(HEIGHT - BOTTOM + 18.0).to_string()}>{ format!("{mark:.0$}", marks.decimals) }</text>
                }) }
                { for props.lines.iter().enumerate().map(line) }
                if has_counts { { for bins().map(counts) } }
            </svg>
            if props.lines.len() > 1 {
                <ul class="corpus-key">{ for props.lines.iter().enumerate().map(|(index, line)| html! { <li><i class={format!("series-{index}")} />{ &line.name }</li> }) }</ul>
            } else {
                { table(&props.lines) }
            }
        </figure>
    }
}

/// The same in numbers.
fn table(lines: &[Line]) -> Html {
    let row = |bin: &BinAnswer| {
        html! {
            <tr>
                <th scope="row">{ format!("{:.1} to {:.1}", bin.from, bin.from + 0.2) }</th>
                <td>{ whole(bin.count) }</td><td>{ whole(bin.top) }</td><td>{ format!("{:.1} %", 100.0 * share(bin)) }</td>
                <td>{ format!("{:.1} to {:.1} %", 100.0 * bin.low, 100.0 * bin.high) }</td>
            </tr>
        }
    };
    html! {
        <details class="corpus-table">
            <summary>{ "Counts" }</summary>
            <Scrolls class="corpus-table-scroll"><table>
                <thead><tr><th scope="col">{ "Activation" }</th><th scope="col">{ "Positions" }</th><th scope="col">{ "Top predictions" }</th><th scope="col">{ "Share" }</th><th scope="col">{ "95 %" }</th></tr></thead>
                <tbody>{ for lines.iter().flat_map(|line| &line.bins).map(row) }</tbody>
            </table></Scrolls>
        </details>
    }
}
