//! The benchmark, on pages opened with `?bench`: the comparison harness's tasks on the loaded model, in a table.

use yew::prelude::*;

use crate::app::client::Client;
use crate::app::site;
use crate::app::widgets::failure::Notice;
use crate::protocol::{Answer, Bench, BenchTable, BenchTask, Event, Failure, Request};

/// Whether the page's address asks for the benchmark.
pub fn is_wanted() -> bool {
    site::asked("bench").is_some()
}

#[derive(Properties, PartialEq)]
pub struct Props {
    pub client: Client,
    /// A model is loaded.
    pub ready: bool,
}

/// What there is to see.
#[derive(Clone, PartialEq)]
enum Run {
    No,
    Running,
    Done(BenchTable),
    Failed(Failure),
}

#[component]
pub fn BenchFigure(props: &Props) -> Html {
    let run = use_state_eq(|| Run::No);
    let onclick = {
        let (client, run) = (props.client.clone(), run.clone());
        Callback::from(move |_: MouseEvent| {
            run.set(Run::Running);
            let run = run.clone();
            client.ask(None, Request::Bench(BenchTask::Table {}), move |event| match event {
                Event::Done(Answer::Bench(Bench::Table(table))) => run.set(Run::Done(table)),
                Event::Failed(failure) => run.set(Run::Failed(failure)),
                _ => {}
            });
        })
    };
    let is_running = *run == Run::Running;
    let failure = if let Run::Failed(failure) = &*run { Some(failure.clone()) } else { None };
    html! {
        <section class="figure bench" aria-labelledby="bench-title" aria-busy={is_running.to_string()}>
            <h2 id="bench-title" translate="yes">{ "Benchmark" }</h2>
            <p class="caption" translate="yes">
                { "How long the loaded model takes here, the median of three runs after one to warm up: 20 tokens and 512 (or as \
                   many as it can take) to the next token's logits; one more token with the keys and values kept; 32 prompts at \
                   once; one whole pass, and one resumed pass, for each of 32 edited neurons; every residual stream brought back." }
            </p>
            <button type="button" {onclick} disabled={is_running || !props.ready}>
                { if is_running { "Running…" } else { "Run the benchmark" } }
            </button>
            <Notice id="bench-failure" {failure} />
            if let Run::Done(table) = &*run {
                { figures(table) }
            }
        </section>
    }
}

fn figures(table: &BenchTable) -> Html {
    let row = |row: &crate::protocol::BenchRow| {
        html! {
            <tr>
                <th scope="row">{ &row.task }</th>
                <td>{ format!("{:.2}", row.ms) }</td>
                <td>{ format!("{:.1}", row.gflops) }</td>
                <td>{ format!("{:.1}", row.gbytes) }</td>
            </tr>
        }
    };
    let threads = if table.threads == 1 { "1 thread".to_owned() } else { format!("{} threads", table.threads) };
    html! {
        <table>
            <caption>{ format!("On {threads}, weights in {}", table.dtype.name()) }</caption>
            <thead>
                <tr>
                    <th scope="col">{ "Task" }</th>
                    <th scope="col">{ "ms" }</th>
                    <th scope="col">{ "GFLOP/s" }</th>
                    <th scope="col">{ "GB/s" }</th>
                </tr>
            </thead>
            <tbody>{ for table.rows.iter().map(row) }</tbody>
        </table>
    }
}
