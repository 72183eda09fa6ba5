//! Answers as the command line and `window.peartree` give them: plain JSON, large arrays spelt out.

use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::{Answer, Bench, Grid, Neurons, Partial, Patch};

/// An answer, to be serialised as plain JSON.
pub struct Json<'a>(pub &'a Answer);

/// Part of a sweep's answer, likewise.
pub struct PartialJson<'a>(pub &'a Partial);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Answer::Loaded(answer) => answer.serialize(serializer),
            Answer::Described(answer) => answer.serialize(serializer),
            Answer::Kept(answer) | Answer::Forgotten(answer) => answer.serialize(serializer),
            Answer::Verified(answer) => answer.serialize(serializer),
            Answer::Prediction(answer) => answer.serialize(serializer),
            Answer::Lens(answer) => answer.serialize(serializer),
            Answer::LensTable(answer) => answer.serialize(serializer),
            Answer::Generation(answer) => answer.serialize(serializer),
            Answer::Attribution(answer) => answer.serialize(serializer),
            Answer::Patch(answer) => PatchJson::from(answer).serialize(serializer),
            Answer::Neurons(answer) => NeuronsJson::from(answer).serialize(serializer),
            Answer::Edited(answer) => answer.serialize(serializer),
            Answer::Token(answer) => answer.serialize(serializer),
            Answer::Congruence(answer) => answer.serialize(serializer),
            Answer::Pairs(answer) => answer.serialize(serializer),
            Answer::Hubs(answer) => answer.serialize(serializer),
            Answer::TableFile(answer) => answer.serialize(serializer),
            Answer::TableState(answer) => answer.serialize(serializer),
            Answer::Bytes(answer) => answer.serialize(serializer),
            Answer::Profile(answer) => answer.serialize(serializer),
            Answer::Columns(answer) => answer.serialize(serializer),
            Answer::AllPairs(answer) => answer.serialize(serializer),
            Answer::AllTokens(answer) => answer.serialize(serializer),
            Answer::Bench(Bench::Logits(logits)) => serializer.collect_map([("logits", &logits.0)]),
            Answer::Bench(Bench::Batch(argmax)) => serializer.collect_map([("argmax", argmax)]),
            Answer::Bench(Bench::Decoded(answer)) => answer.serialize(serializer),
            Answer::Bench(Bench::Timed(answer)) => answer.serialize(serializer),
            Answer::Bench(Bench::Captured { ms, .. }) => serializer.collect_map([("ms", ms)]),
            Answer::Bench(Bench::Table(answer)) => answer.serialize(serializer),
            Answer::Read(json) => json.serialize(serializer),
            Answer::Info(answer) => answer.serialize(serializer),
        }
    }
}

impl Serialize for PartialJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Partial::PatchEstimate(patch) => PatchJson::from(patch).serialize(serializer),
            Partial::NeuronsEstimate(neurons) => NeuronsJson::from(neurons).serialize(serializer),
            Partial::Exact { first, figures } => Exact { first: *first, figures: &figures.0 }.serialize(serializer),
        }
    }
}

#[derive(Serialize)]
struct Exact<'a> {
    first: usize,
    figures: &'a [f32],
}

#[derive(Serialize)]
struct PatchJson<'a> {
    clean: f32,
    corrupted: f32,
    values: Rows<'a>,
    estimate: Rows<'a>,
}

impl<'a> From<&'a Patch> for PatchJson<'a> {
    fn from(patch: &'a Patch) -> Self {
        PatchJson {
            clean: patch.clean,
            corrupted: patch.corrupted,
            values: Rows(&patch.values),
            estimate: Rows(&patch.estimate),
        }
    }
}

#[derive(Serialize)]
struct NeuronsJson<'a> {
    clean: f32,
    corrupted: f32,
    values: Rows<'a>,
    estimate: Rows<'a>,
    direct: Rows<'a>,
    direct_share: Rows<'a>,
}

impl<'a> From<&'a Neurons> for NeuronsJson<'a> {
    fn from(neurons: &'a Neurons) -> Self {
        NeuronsJson {
            clean: neurons.clean,
            corrupted: neurons.corrupted,
            values: Rows(&neurons.values),
            estimate: Rows(&neurons.estimate),
            direct: Rows(&neurons.direct),
            direct_share: Rows(&neurons.direct_share),
        }
    }
}

/// A grid as a list of rows, or as a list.
struct Rows<'a>(&'a Grid);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Grid { columns, is_list, values } = self.0;
        if *is_list {
            return values.0.serialize(serializer);
        }
        let rows = values.0.chunks_exact((*columns).max(1));
        let mut list = serializer.serialize_seq(Some(rows.len()))?;
        for row in rows {
            list.serialize_element(row)?;
        }
        list.end()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bulk;
    use super::*;

    #[test]
    fn a_grid_is_a_list_or_a_list_of_lists() {
        let grid = |is_list| Grid { columns: 2, is_list, values: Bulk(vec![1.0, 2.0, 3.0, f32::NAN]) };
        assert_eq!(serde_json::to_string(&Rows(&grid(true))).unwrap(), "[1.0,2.0,3.0,null]");
        assert_eq!(serde_json::to_string(&Rows(&grid(false))).unwrap(), "[[1.0,2.0],[3.0,null]]");
    }
}
