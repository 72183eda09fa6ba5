//! Writes a table's file.

use safetensors::tensor::Dtype;

use super::bytes::{Part, file};
use super::{About, FORMAT, Table, VERSION};
use crate::engine::extremes::{BINS, Extremes};
use crate::error::{Error, Result};

/// What a value may be off after it was turned into a code and back.
pub const MOST_ERROR: f32 = 5e-5;
/// The largest code.
pub const CODES: f32 = 65535.0;

/// The table as a file.
///
/// # Errors
/// [`Error::Unsupported`] for a model with more layers or wider ones than the file has numbers for.
pub fn write(table: &Table) -> Result<Vec<u8>> {
    let Table { about, neurons, tokens } = table;
    if about.n_layer > 1 << 8 || about.d_mlp > 1 << 16 {
        return Err(Error::Unsupported("A table's file has room for 256 layers of 65,536 neurons.".into()));
    }
    let k = neurons.k();
    let mut parts = rows("neuron", neurons, about.vocab)?;
    parts.extend(rows("token", tokens, about.n_neurons())?);
    let ids = neurons.entries().iter().map(|entry| entry.id);
    parts.push(Part::ids("neuron.ids", &[about.n_neurons(), 2, k], about.vocab, ids));
    let places = || tokens.entries().iter().map(|entry| entry.id as usize);
    let layers = places().map(|place| (place / about.d_mlp) as u8);
    parts.push(Part::new("token.layers", Dtype::U8, &[about.vocab, 2, k], layers));
    let numbers = places().flat_map(|place| ((place % about.d_mlp) as u16).to_le_bytes());
    parts.push(Part::new("token.neurons", Dtype::U16, &[about.vocab, 2, k], numbers));
    // the wider types first, so that each tensor begins at a multiple of its type's size
    parts.sort_by_key(|part| std::cmp::Reverse(part.dtype.bitsize()));
    Ok(file(&parts, metadata(about, k)))
}

/// What any of our files says of the table it holds.
pub fn metadata(about: &About, k: usize) -> [(&'static str, String); 8] {
    [
        ("format", FORMAT.to_owned()),
        ("version", VERSION.to_owned()),
        ("model", about.model.clone()),
        ("convention", about.convention.name().to_owned()),
        ("k", k.to_string()),
        ("n_layer", about.n_layer.to_string()),
        ("d_mlp", about.d_mlp.to_string()),
        ("vocab", about.vocab.to_string()),
    ]
}

/// Everything about rows but whom their products are with; a row is `len` products long.
fn rows(name: &str, rows: &Extremes, len: usize) -> Result<Vec<Part>> {
    let (n, k) = (rows.spreads().len(), rows.k());
    let at = |part: &str| format!("{name}.{part}");
    let (mut ends, mut codes) = (Vec::with_capacity(4 * n), Vec::with_capacity(2 * k * n));
    let (mut wide_rows, mut wide_values) = (Vec::new(), Vec::new());
    for (row, entries) in rows.entries().chunks_exact(2 * k).enumerate() {
        let mut is_wide = false;
        for side in entries.chunks_exact(k) {
            let (first, last) = (side[0].value, side[k - 1].value);
            if !(first.is_finite() && last.is_finite()) {
                return Err(Error::Table(format!("can't be made: row {row} by {name} holds what is no number.")));
            }
            ends.extend([first, last]);
            codes.extend(side.iter().map(|entry| code(entry.value, first, last)));
            is_wide |= (last - first).abs() > 2.0 * CODES * MOST_ERROR;
        }
        if is_wide {
            wide_rows.push(row as u32);
            wide_values.extend(entries.iter().map(|entry| entry.value));
        }
    }
    let n_wide = wide_rows.len();
    let spreads = || rows.spreads().iter();
    let counts = spreads().flat_map(|spread| spread.counts);
    Ok(vec![
        Part::f32(&at("ends"), &[n, 2, 2], ends.into_iter()),
        Part::new(&at("codes"), Dtype::U16, &[n, 2, k], codes.into_iter().flat_map(u16::to_le_bytes)),
        Part::u32(&at("wide_rows"), &[n_wide], wide_rows.into_iter()),
        Part::f32(&at("wide_values"), &[n_wide, 2, k], wide_values.into_iter()),
        Part::f32(&at("mean"), &[n], spreads().map(|spread| spread.mean)),
        Part::f32(&at("sd"), &[n], spreads().map(|spread| spread.deviation())),
        Part::f32(&at("width"), &[n], spreads().map(|spread| spread.width)),
        // a count may be the whole length
        Part::ids(&at("counts"), &[n, BINS], len + 1, counts),
    ])
}

fn code(value: f32, first: f32, last: f32) -> u16 {
    let share = (f64::from(value) - f64::from(first)) / (f64::from(last) - f64::from(first));
    // a side of equal values has no span, and its share is no number: code 0
    (share * f64::from(CODES)).round() as u16
}
