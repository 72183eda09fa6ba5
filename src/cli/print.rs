//! Answers as text: JSON for programs, tables for people.

use super::congruence;
use crate::protocol::json::Json;
use crate::protocol::{
    Answer, Attribution, Bench, BenchRow, BenchTable, Candidate, CorpusAnswer, Edited, Grid, LogitLens, Neurons, Patch,
    Prediction, StudyAnswer,
};

/// One JSON object.
pub fn json(answer: &Answer) -> String {
    // answers are structs of numbers, strings and lists: these always have a JSON form
    serde_json::to_string(&Json(answer)).unwrap_or_default()
}

/// A table for a terminal; where there is none, JSON.
pub fn table(answer: &Answer) -> String {
    match answer {
        Answer::Prediction(prediction) => predictions(prediction),
        Answer::Lens(lens) => lens_points(lens),
        Answer::Generation(generation) => generation.text.clone(),
        Answer::Attribution(attribution) => attributions(attribution),
        Answer::Patch(patch) => patches(patch),
        Answer::Neurons(neurons) => best_neurons(neurons),
        Answer::Edited(edited) => outcomes(edited),
        Answer::Congruence(answer) => congruence::congruences(answer),
        Answer::Pairs(pairs) => congruence::pairs(pairs),
        Answer::Hubs(hubs) => congruence::hubs(hubs),
        Answer::Bench(Bench::Table(table)) => benchmark(table),
        other => json(other),
    }
}

fn predictions(prediction: &Prediction) -> String {
    let head = format!("{} tokens: {}\n", prediction.ids.len(), prediction.tokens.join("|"));
    format!("{head}\n{}", candidates(&prediction.top))
}

fn candidates(top: &[Candidate]) -> String {
    let row = |candidate: &Candidate| {
        let token = format!("{:?}", candidate.token);
        format!("{token:20} #{:<6} {:7.3} % {:9.4}", candidate.id, candidate.prob * 100.0, candidate.logit)
    };
    top.iter().map(row).collect::<Vec<_>>().join("\n")
}

fn attributions(attribution: &Attribution) -> String {
    let mut lines = vec![
        format!("{:12} {:9.4}", "embed", attribution.embed),
        format!("{:12} {:9.4}", "pos_embed", attribution.pos_embed),
    ];
    for (layer, ((attn, mlp), heads)) in
        attribution.attn.iter().zip(&attribution.mlp).zip(&attribution.heads).enumerate()
    {
        let heads: Vec<String> = heads.iter().map(|head| format!("{head:8.4}")).collect();
        lines.push(format!("{:12} {attn:9.4}   heads {}", format!("L{layer} attn"), heads.join(" ")));
        lines.push(format!("{:12} {mlp:9.4}", format!("L{layer} mlp")));
    }
    lines.push(format!("{:12} {:9.4}", "bias", attribution.bias));
    lines.push(format!("{:12} {:9.4}", "total", attribution.total));
    lines.join("\n")
}

fn patches(patch: &Patch) -> String {
    let Grid { columns, values, .. } = &patch.values;
    let row = |(layer, row): (usize, &[f32])| {
        let cells: Vec<String> = row.iter().map(|value| cell(100.0 * value, 7, 1)).collect();
        format!("L{layer:<4}{}", cells.join(" "))
    };
    let head = format!(
        "logit difference: clean {:.4}, corrupted {:.4}; recovered, in per cent:",
        patch.clean, patch.corrupted
    );
    std::iter::once(head)
        .chain(values.0.chunks_exact((*columns).max(1)).enumerate().map(row))
        .collect::<Vec<_>>()
        .join("\n")
}

/// A figure in a table; a dash where there is none, as where only one of two prompts has a position.
fn cell(value: f32, width: usize, digits: usize) -> String {
    if value.is_finite() { format!("{value:width$.digits$}") } else { format!("{:>width$}", "–") }
}

/// Neurons listed on a terminal.
const LISTED: usize = 20;

fn best_neurons(neurons: &Neurons) -> String {
    let values = &neurons.values.values.0;
    let mut order: Vec<usize> = (0..values.len()).collect();
    // what has no figure comes last
    let size = |at: usize| if values[at].is_nan() { -1.0 } else { values[at].abs() };
    order.sort_by(|&a, &b| size(b).total_cmp(&size(a)));
    let columns = neurons.values.columns.max(1);
    let row = |&at: &usize| {
        let place =
            if neurons.values.is_list { format!("N{at}") } else { format!("L{} N{}", at / columns, at % columns) };
        let share = |grid: &Grid| 100.0 * grid.values.0[at];
        format!(
            "{place:12} {} % {} % {} %",
            cell(share(&neurons.values), 8, 2),
            cell(share(&neurons.estimate), 8, 2),
            cell(share(&neurons.direct_share), 8, 2)
        )
    };
    let head = format!("{:12} {:>10} {:>10} {:>10}", "neuron", "recovers", "estimate", "directly");
    std::iter::once(head).chain(order.iter().take(LISTED).map(row)).collect::<Vec<_>>().join("\n")
}

fn outcomes(edited: &Edited) -> String {
    let outcome = |name: &str, outcome: &crate::protocol::Outcome| {
        format!("{name}: logit difference {:.4}\n{}", outcome.diff, candidates(&outcome.top))
    };
    format!("{}\n\n{}", outcome("before", &edited.before), outcome("after", &edited.after))
}

fn benchmark(table: &BenchTable) -> String {
    let head = format!(
        "{:12} {:>10} {:>9} {:>9}   {} threads, weights in {}",
        "task",
        "ms",
        "GFLOP/s",
        "GB/s",
        table.threads,
        table.dtype.name()
    );
    let row = |row: &BenchRow| format!("{:12} {:10.2} {:9.1} {:9.1}", row.task, row.ms, row.gflops, row.gbytes);
    std::iter::once(head).chain(table.rows.iter().map(row)).collect::<Vec<_>>().join("\n")
}

fn lens_points(lens: &LogitLens) -> String {
    let head = format!("{:28} {:>9} {:>9}", "point", "final_ln", "own_ln");
    let rows = lens.labels.iter().zip(lens.final_ln.iter().zip(&lens.own_ln));
    let rows = rows.map(|(label, (final_ln, own_ln))| format!("{label:28} {final_ln:9.4} {own_ln:9.4}"));
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}

pub fn studies(corpus: &CorpusAnswer) -> String {
    let head = format!("{} documents, {} positions", corpus.documents, corpus.positions);
    std::iter::once(head).chain(corpus.studies.iter().map(study)).collect::<Vec<_>>().join("\n\n")
}

fn study(study: &StudyAnswer) -> String {
    let mut lines = vec![format!(
        "L{} N{} and {:?}: {} occurrences, {} top predictions; mean {:.4}, max {:.4}, AUC {}",
        study.layer,
        study.neuron,
        study.token,
        study.occurrences,
        study.top_predictions,
        study.mean,
        study.max.unwrap_or(0.0),
        study.auc.map_or("none".into(), |auc| format!("{auc:.4}"))
    )];
    lines.push(format!("{:>8} {:>10} {:>10} {:>9}   95 %", "from", "count", "top", "share"));
    lines.extend(study.bins.iter().map(|bin| {
        let share = |x: f64| 100.0 * x;
        let of_all = bin.top as f64 / bin.count.max(1) as f64;
        format!(
            "{:8.1} {:10} {:10} {:7.2} %   {:.2} to {:.2} %",
            bin.from,
            bin.count,
            bin.top,
            share(of_all),
            share(bin.low),
            share(bin.high)
        )
    }));
    lines.extend(study.top_documents.iter().map(|context| {
        let text = context.context.tokens.concat().replace('\n', " ");
        format!("{:8.4} {:>8}:{:<5} {:?}   {text}", context.value, context.document, context.position, context.token)
    }));
    lines.join("\n")
}
