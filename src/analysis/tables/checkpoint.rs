//! A table on its way as bytes, so that another session can go on with it. Everything is kept as it is: what comes out in
//! the end has the same bits as without the break.

use safetensors::tensor::Dtype;

use super::bytes::{Part, Source, damaged, file};
use super::read::about;
use super::write::metadata;
use crate::analysis::congruence::table::{Making, Parts};
use crate::engine::Products;
use crate::engine::extremes::{BINS, Entry, Extremes, Spread};
use crate::error::{Error, Result};

/// What has been made so far.
pub fn write(making: &Making) -> Vec<u8> {
    let (neurons, tokens, current) = making.parts();
    let mut parts = raw("neuron", neurons);
    parts.extend(raw("token", tokens));
    let next = match current {
        Some((found, next_token)) => {
            parts.extend(raw("current", found));
            next_token as u32
        }
        None => 0,
    };
    parts.push(Part::u32("next_token", &[1], std::iter::once(next)));
    file(&parts, metadata(&making.about, making.k))
}

/// Goes on from a checkpoint of the loaded model, whose hash is `hash`.
///
/// # Errors
/// [`Error::Table`] for a checkpoint that is damaged or another model's.
pub async fn resume<E: Products>(engine: &E, bytes: &[u8], hash: &str) -> Result<Making> {
    let (about, k) = about(bytes)?;
    about.check(engine.config(), hash)?;
    let source = Source::open(bytes)?;
    let done = source.len("neuron.mean")?;
    let next_token = source.u32("next_token", &[1])?[0] as usize;
    let n_neurons = about.n_neurons();
    if k < 2 || k > about.vocab.min(n_neurons) || done > n_neurons || next_token >= about.vocab {
        return Err(damaged("it claims to be beyond its end"));
    }
    let current = match next_token {
        0 => None,
        _ if done == n_neurons => return Err(damaged("it claims to be beyond its end")),
        next => Some((read(&source, "current", Making::block_after(&about, done), k)?, next)),
    };
    // whether they name what there is shows when the table is finished
    let parts =
        Parts { neurons: read(&source, "neuron", done, k)?, tokens: read(&source, "token", about.vocab, k)?, current };
    Making::resumed(engine, about, parts).await
}

fn raw(name: &str, rows: &Extremes) -> Vec<Part> {
    let (n, k) = (rows.spreads().len(), rows.k());
    let at = |part: &str| format!("{name}.{part}");
    let (entries, spreads) = (|| rows.entries().iter(), || rows.spreads().iter());
    vec![
        Part::u32(&at("ids"), &[n, 2, k], entries().map(|entry| entry.id)),
        Part::new(&at("values"), Dtype::U32, &[n, 2, k], entries().flat_map(|entry| entry.value.to_le_bytes())),
        Part::f32(&at("mean"), &[n], spreads().map(|spread| spread.mean)),
        Part::f32(&at("width"), &[n], spreads().map(|spread| spread.width)),
        Part::new(&at("squares"), Dtype::F64, &[n], spreads().flat_map(|spread| spread.squares.to_le_bytes())),
        Part::u32(&at("counts"), &[n, BINS], spreads().flat_map(|spread| spread.counts)),
    ]
}

fn read(source: &Source<'_>, name: &str, n: usize, k: usize) -> Result<Extremes> {
    let at = |part: &str| format!("{name}.{part}");
    let (ids, values) = (source.u32(&at("ids"), &[n, 2, k])?, source.u32(&at("values"), &[n, 2, k])?);
    let (mean, width) = (source.f32(&at("mean"), &[n])?, source.f32(&at("width"), &[n])?);
    let (squares, counts) = (source.f64(&at("squares"), &[n])?, source.u32(&at("counts"), &[n, BINS])?);
    let mut spreads = Vec::with_capacity(n);
    for (row, counts) in counts.as_chunks::<BINS>().0.iter().enumerate() {
        if width[row] <= 0.0 || !squares[row].is_finite() {
            return Err(damaged(&format!("row {row} by {name} has no width")));
        }
        spreads.push(Spread { mean: mean[row], width: width[row], squares: squares[row], counts: *counts });
    }
    // places that nothing has taken yet hold infinities
    let entries = ids.iter().zip(&values).map(|(&id, &bits)| Entry { value: f32::from_bits(bits), id }).collect();
    Extremes::from_parts(k, spreads, entries)
        .ok_or_else(|| Error::Table("can't be used: its rows and values don't belong together.".into()))
}
