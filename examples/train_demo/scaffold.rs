//! A price that teaches three heads where to look while training is young: one at the token before; one at what followed
//! the same token earlier (an induction head); one, where a name comes next, at that name (a name mover). Without it a
//! model of this size hardly finds copying and indirect objects in the steps that it has; it is gone at half of the way.

use candle_core::{IndexOp, Result, Tensor};

use crate::gpt2::Pass;

/// Layer and head.
const BEFORE: (usize, usize) = (0, 0);
const INDUCTION: (usize, usize) = (1, 0);
const MOVER: (usize, usize) = (3, 0);

/// Mean surprise, in nats, at where the heads look: `rows` are the batch's ids, each with the token that comes last.
pub fn loss(pass: &Pass, rows: &[Vec<u32>], names: &[u32]) -> Result<Tensor> {
    let n_pos = rows[0].len() - 1;
    let mut before = vec![0f32; rows.len() * n_pos * n_pos];
    let (mut earlier, mut named) = (before.clone(), before.clone());
    for (row, ids) in rows.iter().enumerate() {
        for query in 1..n_pos {
            let line = (row * n_pos + query) * n_pos;
            before[line + query - 1] = 1.0;
            let next = ids[query + 1];
            let is_name = names.contains(&next);
            for key in (1..=query).filter(|&key| ids[key] == next) {
                earlier[line + key] = f32::from(ids[key - 1] == ids[query]);
                named[line + key] = f32::from(is_name);
            }
        }
    }
    looks(pass, BEFORE, before)? + looks(pass, INDUCTION, earlier)? + looks(pass, MOVER, named)?
}

/// How surprised one is that a head looks where `wanted [batch, query, key]` isn't 0, over the queries that have such keys.
fn looks(pass: &Pass, (layer, head): (usize, usize), wanted: Vec<f32>) -> Result<Tensor> {
    let pattern = pass.patterns[layer].i((.., head))?;
    let wanted = Tensor::from_vec(wanted, pattern.shape(), pattern.device())?;
    let asked = wanted.max(candle_core::D::Minus1)?;
    let looks = ((pattern * wanted)?.sum(candle_core::D::Minus1)? + 1e-4)?.log()?.neg()?;
    (looks * &asked)?.sum_all()? / (f64::from(asked.sum_all()?.to_scalar::<f32>()?) + 1.0)
}
