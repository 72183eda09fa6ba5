//! How many positions have which activation, each step of the axis ten times as many.

use yew::prelude::*;

use super::curve::{BOTTOM, HEIGHT, LEFT, RIGHT, TOP};
use crate::app::charts::scale::{Scale, ticks};
use crate::app::format::whole;
use crate::app::widgets::width::use_room;
use crate::protocol::HistogramBin;

#[derive(Properties, PartialEq)]
pub struct Props {
    pub bins: Vec<HistogramBin>,
}

/// The lowest activation of GELU is -0.17.
const LOWEST: f64 = -0.2;

#[component]
pub fn Histogram(props: &Props) -> Html {
    let node = use_node_ref();
    let width = use_room(&node).map_or(400.0, |room| room.width.max(200.0));
    let from = |bin: &HistogramBin| bin.from.map_or(LOWEST, f64::from);
    let to = |bin: &HistogramBin| bin.to.map_or(from(bin) * 1.2, f64::from);
    let high = props.bins.iter().map(to).fold(0.2f64, f64::max);
    let most = props.bins.iter().map(|bin| bin.count).max().unwrap_or(1).max(10) as f64;
    let powers = most.log10().ceil();
    let x = Scale { from: (LOWEST, high), to: (LEFT, width - RIGHT) };
    let y = Scale { from: (-0.15, powers), to: (HEIGHT - BOTTOM, TOP) };
    let marks = ticks(LOWEST, high, 6);
    let bar = |bin: &HistogramBin| {
        let top = y.at((bin.count.max(1) as f64).log10());
        let said = format!("{:.3} to {:.3}: {} positions", from(bin), to(bin), whole(bin.count));
        html! {
            <rect x={x.at(from(bin)).to_string()} y={top.to_string()} width={(x.at(to(bin)) - x.at(from(bin)) - 0.5).max(1.0).to_string()}
                height={(HEIGHT - BOTTOM - top).max(0.0).to_string()}><title>{ said }</title></rect>
        }
    };
    html! {
        <figure class="chart corpus-histogram" ref={node}>
            <figcaption>{ "Positions by activation, on a logarithmic scale" }</figcaption>
            <svg width={width.to_string()} height={HEIGHT.to_string()} viewBox={format!("0 0 {width} {HEIGHT}")} role="img" aria-label="Histogram of the neuron's activation">
                { for (0..=powers as u32).map(|power| html! {
                    <g class="grid"><line x1={LEFT.to_string()} x2={(width - RIGHT).to_string()} y1={y.at(power.into()).to_string()} y2={y.at(power.into()).to_string()} />
                    <text class="end" x={(LEFT - 6.0).to_string()} y={(y.at(power.into()) + 4.0).to_string()}>{ power_of_ten(power) }</text></g>
                }) }
                { for marks.values.iter().filter(|&&mark| mark >= LOWEST && mark <= high).map(|&mark| html! {
                    <text class="middle" x={x.at(mark).to_string()} y={(HEIGHT - BOTTOM + 18.0).to_string()}>{ format!("{mark:.0$}", marks.decimals) }</text>
                }) }
                <g class="bars">{ for props.bins.iter().filter(|bin| bin.count > 0).map(bar) }</g>
            </svg>
        </figure>
    }
}

/// 1,000, but 10⁴.
fn power_of_ten(power: u32) -> String {
    const SUPERSCRIPTS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    match power {
        0..=3 => whole(10u64.pow(power)),
        4..=9 => format!("10{}", SUPERSCRIPTS[power as usize]),
        _ => format!("10¹{}", SUPERSCRIPTS[power as usize % 10]),
    }
}
