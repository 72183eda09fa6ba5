//! Reads a table's file, which may come from anywhere.

use safetensors::SafeTensors;

use super::bytes::{Source, damaged};
use super::write::CODES;
use super::{About, FORMAT, Table, VERSION};
use crate::engine::extremes::{BINS, Entry, Extremes, Spread};
use crate::error::{Error, Result};
use crate::protocol::Convention;

/// Sizes beyond any GPT-2's, so that products of them can't overflow.
const MOST: usize = 1 << 20;

/// The table in a file. Whether it is the loaded model's is for [`About::check`] to say.
///
/// # Errors
/// [`Error::Table`] naming the first thing that is wrong.
pub fn read(file: &[u8]) -> Result<Table> {
    let (about, k) = about(file)?;
    let source = Source::open(file)?;
    let ids = source.ids("neuron.ids", &[about.n_neurons(), 2, k], about.vocab)?;
    let neurons = rows(&source, "neuron", about.n_neurons(), about.vocab, &ids, k)?;
    let layers = source.u8("token.layers", &[about.vocab, 2, k])?;
    let numbers = source.ids("token.neurons", &[about.vocab, 2, k], 1 << 16)?;
    let mut ids = Vec::with_capacity(numbers.len());
    for (&layer, &number) in layers.iter().zip(&numbers) {
        if usize::from(layer) >= about.n_layer || number as usize >= about.d_mlp {
            return Err(damaged(&format!("it names neuron {number} of layer {layer}")));
        }
        ids.push((usize::from(layer) * about.d_mlp) as u32 + number);
    }
    let tokens = rows(&source, "token", about.vocab, about.n_neurons(), &ids, k)?;
    Ok(Table { about, neurons, tokens })
}

/// What a file is of, and how many it keeps.
pub fn about(file: &[u8]) -> Result<(About, usize)> {
    let (_, header) =
        SafeTensors::read_metadata(file).map_err(|e| damaged(&format!("it is no table, or cut short ({e})")))?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let word = |key: &str| metadata.get(key).map_or("", String::as_str);
    if word("format") != FORMAT {
        return Err(damaged("it is not a table of congruences"));
    }
    if word("version") != VERSION {
        return Err(Error::Table(format!(
            "has version {:?}; this program reads version {VERSION}. Compute it here, or get one that was made by it.",
            word("version")
        )));
    }
    let number = |key: &str| match word(key).parse::<usize>() {
        Ok(number) if (1..=MOST).contains(&number) => Ok(number),
        _ => Err(damaged(&format!("its {key} is {:?}", word(key)))),
    };
    let convention = Convention::parse(word("convention"))
        .ok_or_else(|| damaged(&format!("its convention is {:?}", word("convention"))))?;
    let about = About {
        model: word("model").to_owned(),
        convention,
        n_layer: number("n_layer")?,
        d_mlp: number("d_mlp")?,
        vocab: number("vocab")?,
    };
    let k = number("k")?;
    if k > 64 || about.n_layer.checked_mul(about.d_mlp).is_none_or(|neurons| neurons > 1 << 26) {
        return Err(damaged("its sizes are beyond any model's"));
    }
    Ok((about, k))
}

/// Rows of `len` products each, of which `ids [n, 2, k]` are kept.
fn rows(source: &Source<'_>, name: &str, n: usize, len: usize, ids: &[u32], k: usize) -> Result<Extremes> {
    let at = |part: &str| format!("{name}.{part}");
    let values = values(source, name, n, k)?;
    let (mean, width) = (source.f32(&at("mean"), &[n])?, source.f32(&at("width"), &[n])?);
    let sd = source.f32(&at("sd"), &[n])?;
    let counts = source.ids(&at("counts"), &[n, BINS], len + 1)?;
    let mut spreads = Vec::with_capacity(n);
    for (row, counts) in counts.as_chunks::<BINS>().0.iter().enumerate() {
        if counts.iter().map(|&count| count as usize).sum::<usize>() != len {
            return Err(damaged(&format!("the counts of row {row} by {name} don't add up to {len}")));
        }
        if width[row] <= 0.0 || sd[row] < 0.0 {
            return Err(damaged(&format!("row {row} by {name} has no width")));
        }
        let squares = (f64::from(sd[row]) / f64::from(width[row])).powi(2) * len as f64;
        spreads.push(Spread { mean: mean[row], width: width[row], squares, counts: *counts });
    }
    let entries: Vec<Entry> = values.iter().zip(ids).map(|(&value, &id)| Entry { value, id }).collect();
    for (row, entries) in entries.chunks_exact(2 * k).enumerate() {
        let (largest, smallest) = entries.split_at(k);
        let in_order =
            |side: &[Entry], fits: fn(f32, f32) -> bool| side.windows(2).all(|pair| fits(pair[0].value, pair[1].value));
        if !in_order(largest, |a, b| a >= b) || !in_order(smallest, |a, b| a <= b) {
            return Err(damaged(&format!("the values of row {row} by {name} aren't in order")));
        }
    }
    Extremes::from_parts(k, spreads, entries).ok_or_else(|| damaged("its rows and values don't belong together"))
}

fn values(source: &Source<'_>, name: &str, n: usize, k: usize) -> Result<Vec<f32>> {
    let at = |part: &str| format!("{name}.{part}");
    let ends = source.f32(&at("ends"), &[n, 2, 2])?;
    let codes = source.ids(&at("codes"), &[n, 2, k], 1 << 16)?;
    let mut values: Vec<f32> = Vec::with_capacity(codes.len());
    for (ends, codes) in ends.as_chunks::<2>().0.iter().zip(codes.chunks_exact(k)) {
        let [first, last] = ends.map(f64::from);
        values.extend(codes.iter().map(|&code| (first + (last - first) * f64::from(code) / f64::from(CODES)) as f32));
    }
    let n_wide = source.len(&at("wide_rows"))?;
    let wide_rows = source.u32(&at("wide_rows"), &[n_wide])?;
    let wide_values = source.f32(&at("wide_values"), &[n_wide, 2, k])?;
    for (&row, wide) in wide_rows.iter().zip(wide_values.chunks_exact(2 * k)) {
        match values.get_mut(row as usize * 2 * k..(row as usize + 1) * 2 * k) {
            Some(values) => values.copy_from_slice(wide),
            None => return Err(damaged(&format!("it has wide values for row {row} by {name}"))),
        }
    }
    Ok(values)
}
