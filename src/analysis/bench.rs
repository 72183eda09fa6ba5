//! How fast the engine is: plain tasks, timed, nothing kept from one to the next.

use web_time::Instant;

use super::sample::likeliest;
use crate::engine::edit::{Change, Edit, Part, Positions};
use crate::engine::site::{BlockSite, Site, SiteSet};
use crate::engine::{Activation, Control, Engine, FinalNorm};
use crate::error::{Error, Result};
use crate::model::Config;
use crate::protocol::{Bench, BenchRow, BenchTable, BenchTask, Bulk, Decoded, SweepOptions, Timed};

/// Tokens of the prompts that are made up here.
const PROMPT: usize = 20;
/// The layer whose neurons are edited and captured, if there are so many.
const LAYER: usize = 8;
/// Most runs, tokens or repetitions of one task: above, somebody has mistyped.
const MOST: usize = 4096;

/// Does one task.
///
/// # Errors
/// For ids or sizes that the model can't take, or from `control`.
pub async fn bench<E: Engine>(engine: &E, task: &BenchTask, control: &impl Control) -> Result<Bench> {
    match task {
        BenchTask::Prefill { ids } => {
            let resid = engine.last_resid(&[ids], &[], control).await?;
            let logits = engine.unembed(&resid, FinalNorm::Own, control).await?;
            Ok(Bench::Logits(Bulk(logits.data)))
        }
        BenchTask::Decode { ids, n } => decode(engine, ids, sensible("n", *n)?, control).await,
        BenchTask::Batch { rows } => {
            let rows: Vec<&[u32]> = rows.iter().map(|row| &row[..]).collect();
            Ok(Bench::Batch(batch(engine, &rows, &[], control).await?))
        }
        BenchTask::Sweep(o) => {
            let (runs, reps) = (sensible("B", o.b)?, sensible("reps", o.reps)?);
            let (ids, edits) = (prompt(engine.config()), edits(engine.config(), runs));
            let rows = vec![&ids[..]; runs];
            let start = Instant::now();
            for _ in 0..reps {
                batch(engine, &rows, &edits, control).await?;
            }
            Ok(Bench::Timed(Timed { ms: ms_since(start) / (reps * runs) as f64, b: runs }))
        }
        BenchTask::Tail(o) => {
            let (runs, reps) = (sensible("B", o.b)?, sensible("reps", o.reps)?);
            let (ids, edits) = (prompt(engine.config()), edits(engine.config(), runs));
            let base = engine.base(&ids, None, &SiteSet::none(), control).await?;
            let tokens = (0, engine.config().vocab_size as u32 - 1);
            let start = Instant::now();
            for _ in 0..reps {
                engine.sweep(&base, &edits, tokens, control, |_, _| {}).await?;
            }
            Ok(Bench::Timed(Timed { ms: ms_since(start) / (reps * runs) as f64, b: runs }))
        }
        BenchTask::Capture {} => capture(engine, control).await,
        BenchTask::Table {} => table(engine, control).await,
    }
}

/// Greedy, with a cache; the time is that of the `n` steps after the prompt's.
async fn decode<E: Engine>(engine: &E, ids: &[u32], n: usize, control: &impl Control) -> Result<Bench> {
    let mut cache = engine.cache();
    let mut tokens = Vec::with_capacity(n + 1);
    let mut next = ids.to_vec();
    let mut start = Instant::now();
    for step in 0..=n {
        let end = engine.extend(&mut cache, &next, &[], control).await?;
        let logits = engine.unembed(&end.resid, FinalNorm::Own, control).await?;
        let token = likeliest(&logits.data);
        tokens.push(token);
        next = vec![token];
        if step == 0 {
            start = Instant::now();
        }
    }
    Ok(Bench::Decoded(Decoded { tokens, steps: n, ms: ms_since(start) }))
}

/// Whole passes of rows of equal length, each with its edits; the likeliest next token of each.
async fn batch<E: Engine>(
    engine: &E,
    rows: &[&[u32]],
    edits: &[Vec<Edit>],
    control: &impl Control,
) -> Result<Vec<u32>> {
    let resid = engine.last_resid(rows, edits, control).await?;
    let logits = engine.unembed(&resid, FinalNorm::Own, control).await?;
    Ok(logits.data.chunks_exact(engine.config().vocab_size).map(likeliest).collect())
}

/// Every residual stream, one layer's neurons and the logits of one prompt.
async fn capture<E: Engine>(engine: &E, control: &impl Control) -> Result<Bench> {
    let config = engine.config();
    let residuals = (0..config.n_layer).map(|layer| Site::Block(layer, BlockSite::ResidPre));
    let end = Site::Block(config.n_layer - 1, BlockSite::ResidPost);
    let sites: SiteSet = residuals.chain([Site::Block(layer(config), BlockSite::MlpPost)]).collect();
    let start = Instant::now();
    let base = engine.base(&prompt(config), None, &sites, control).await?;
    let captured = engine.read(&base, &sites, 0, control).await?;
    let resid = engine.read(&base, &[end].into_iter().collect(), 0, control).await?;
    let last = Activation::rows(resid.at(end)?.last_row().to_vec(), config.d_model);
    let logits = engine.unembed(&last, FinalNorm::Own, control).await?;
    let captured = captured.0.values().chain(resid.0.values()).chain([&logits]);
    let values = captured.flat_map(|activation| activation.data.iter().copied()).collect();
    Ok(Bench::Captured { values: Bulk(values), ms: ms_since(start) })
}

/// All tasks in turn, with what they come to in arithmetic and in reading weights.
async fn table<E: Engine>(engine: &E, control: &impl Control) -> Result<Bench> {
    let config = engine.config();
    let long = config.n_ctx.min(512);
    let ids = |n: usize| prompt(config).into_iter().cycle().take(n).collect::<Vec<_>>();
    let steps = 32.min(config.n_ctx.saturating_sub(PROMPT));
    let prompt = prompt(config).len();
    // multiply-adds of a token's way through the blocks, and of its logits; each is one weight read
    let blocks = config.n_layer * (4 * config.d_model * config.d_model + 2 * config.d_model * config.d_mlp);
    let above = (config.n_layer - 1 - layer(config)) * (blocks / config.n_layer);
    let head = config.d_model * config.vocab_size;
    let bytes = engine.dtype().bytes() as usize;
    let reps = |b| SweepOptions { b, reps: 1 };
    // name, task, units the time is divided by, and a unit's multiply-adds and weights
    let tasks = [
        (format!("prefill{prompt}"), BenchTask::Prefill { ids: ids(prompt) }, 1, prompt * blocks + head, blocks + head),
        (format!("prefill{long}"), BenchTask::Prefill { ids: ids(long) }, 1, long * blocks + head, blocks + head),
        ("decode".into(), BenchTask::Decode { ids: ids(prompt), n: steps }, steps, blocks + head, blocks + head),
        (
            "batch32".into(),
            BenchTask::Batch { rows: vec![ids(prompt); 32] },
            1,
            32 * (prompt * blocks + head),
            blocks + head,
        ),
        ("sweep32".into(), BenchTask::Sweep(reps(32)), 1, prompt * blocks + head, (blocks + head) / 32),
        ("tail32".into(), BenchTask::Tail(reps(32)), 1, above, above / 32),
        ("capture".into(), BenchTask::Capture {}, 1, prompt * blocks + head, blocks + head),
    ];
    let mut rows = Vec::new();
    for (name, task, units, multiply_adds, weights) in tasks {
        let mut times = Vec::new();
        // the first warms up
        for _ in 0..4 {
            let start = Instant::now();
            let done = Box::pin(bench(engine, &task, control)).await?;
            let whole = ms_since(start);
            times.push(match done {
                Bench::Timed(Timed { ms, .. }) | Bench::Decoded(Decoded { ms, .. }) | Bench::Captured { ms, .. } => ms,
                _ => whole,
            });
        }
        times.remove(0);
        times.sort_by(f64::total_cmp);
        let ms = times[times.len() / 2] / units.max(1) as f64;
        let per_second = |amount: usize| amount as f64 / ms.max(1e-6) / 1e6;
        rows.push(BenchRow {
            task: name,
            ms,
            gflops: per_second(2 * multiply_adds),
            gbytes: per_second(bytes * weights),
        });
    }
    Ok(Bench::Table(BenchTable { threads: engine.threads(), dtype: engine.dtype(), rows }))
}

/// A prompt of ids alone, the same each time.
fn prompt(config: &Config) -> Vec<u32> {
    (0..PROMPT.min(config.n_ctx)).map(|i| ((65 + 7 * i) % config.vocab_size) as u32).collect()
}

fn layer(config: &Config) -> usize {
    LAYER.min(config.n_layer - 1)
}

/// For each run one neuron of the layer zeroed at the last position.
fn edits(config: &Config, runs: usize) -> Vec<Vec<Edit>> {
    let site = Site::Block(layer(config), BlockSite::MlpPost);
    let at = Positions::These(vec![PROMPT.min(config.n_ctx) - 1]);
    let edit = |run| Edit { site, part: Part::Neuron(run % config.d_mlp), at: at.clone(), change: Change::Set(0.0) };
    (0..runs).map(|run| vec![edit(run)]).collect()
}

fn sensible(option: &'static str, value: usize) -> Result<usize> {
    match value {
        1..=MOST => Ok(value),
        _ => Err(Error::BadOption { option, problem: format!("must be from 1 to {MOST}.") }),
    }
}

fn ms_since(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1000.0
}
