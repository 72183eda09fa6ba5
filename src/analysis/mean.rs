//! A site's mean over a corpus: what a component is at when nothing particular is going on (mean ablation).

use crate::engine::edit::width;
use crate::engine::site::Site;
use crate::engine::{Control, Engine};
use crate::error::{Error, Result};

/// The mean over all positions of all documents, `<|endoftext|>` included: `[width of the site]`.
///
/// # Errors
/// What the engine fails with; [`Error::Unsupported`] for a site without rows of one width.
pub async fn mean<E: Engine>(
    engine: &E,
    site: Site,
    documents: &[Vec<u32>],
    control: &impl Control,
) -> Result<Vec<f32>> {
    let width = width(site, engine.config());
    if width == 0 {
        return Err(Error::Unsupported(format!("{site} has no mean: its width differs from prompt to prompt.")));
    }
    let sites = [site].into_iter().collect();
    // in f64: a corpus has more positions than f32 can count one by one
    let (mut sums, mut n) = (vec![0.0f64; width], 0usize);
    for ids in documents {
        let base = engine.base(ids, None, &sites, control).await?;
        for row in engine.read(&base, &sites, 0, control).await?.at(site)?.data.chunks_exact(width) {
            sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
            n += 1;
        }
    }
    Ok(sums.into_iter().map(|sum| (sum / n.max(1) as f64) as f32).collect())
}
