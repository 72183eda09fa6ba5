//! The neuron on real text: in one pass over documents, every wanted neuron's highest contexts, mean, firing and
//! histogram, and for pairs of a neuron and a token, how the activation goes with the token being predicted.
//!
//! What is counted adds up exactly: any division of the documents into shards, merged in any order, gives the bits of
//! one run.

mod batch;
pub mod examples;
pub mod findings;
pub mod folder;
pub mod layer;
pub mod plan;
pub mod rank;
pub mod study;
pub mod subject;
pub mod sum;

use futures_util::future::join;

use crate::documents::Documents;
use crate::engine::Control;
use crate::error::{Error, Result};
use batch::{Group, Groups, Row, passages};
pub use findings::Findings;
use plan::{Plan, Shards};
use subject::{Subject, Watch};

/// A pass under way.
pub struct Pass<S> {
    subject: S,
    groups: Groups,
    /// Read while the one before it was run.
    ahead: Option<Result<Option<Group>>>,
    /// Groups that another pass has left behind.
    before: u64,
    watch: Watch,
    plan: Plan,
    findings: Findings,
}

impl<S: Subject> Pass<S> {
    /// A new pass, or one that goes on from what it had found when it was stopped.
    ///
    /// # Errors
    /// [`Error::BadOption`] for a plan that the model can't follow; [`Error::Checkpoint`] for another plan's findings.
    pub fn new(
        subject: S,
        documents: Documents,
        (plan, shards): (Plan, Shards),
        before: Option<Findings>,
    ) -> Result<Self> {
        plan.check()?;
        let groups = Groups::new(documents.cut_at(subject.cut()), subject.config().n_ctx);
        let findings = match before {
            None => Findings::new(plan.clone(), shards),
            Some(before) if before.plan == plan && before.shards == shards => before,
            Some(_) => return Err(Error::Checkpoint),
        };
        let (watch, before) = (plan.watch(), findings.groups);
        Ok(Pass { subject, groups, ahead: None, before, watch, plan, findings })
    }

    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Runs the next group of documents; false when there is none. If it is stopped, the findings are those of whole
    /// batches, from where another pass can go on.
    ///
    /// # Errors
    /// What is wrong with a file, or from `control`.
    pub async fn step(&mut self, control: &impl Control) -> Result<bool> {
        let Pass { subject, groups, ahead, before, watch, plan, findings } = self;
        let shards = findings.shards.clone();
        let wanted = |group: u64| group >= *before && shards.contains(group);
        let group = match ahead.take() {
            Some(group) => group?,
            None => {
                let group = groups.next_group(subject, plan, wanted, control).await?;
                group.iter().for_each(|group| subject.foresee(&group.prompts(findings.batches), watch));
                group
            }
        };
        // of the files, not of what is run of them: each shard reads all
        findings.replaced_bytes = findings.replaced_bytes.max(groups.replaced_bytes());
        let Some(group) = group else { return Ok(false) };
        control.breathe().await?;
        if group.number < *before {
            return Ok(true);
        }
        // the next one is unpacked and becomes tokens while the model is busy with this one, if it is another worker's
        let next = async {
            let next = groups.next_group(subject, plan, wanted, control).await;
            next.iter().flatten().for_each(|group| subject.foresee(&group.prompts(0), watch));
            next
        };
        let (ran, next) = join(run(subject, findings, &group, watch, control), next).await;
        *ahead = Some(next);
        ran?;
        end(findings, &group);
        Ok(true)
    }

    /// The findings at the end.
    pub fn finish(mut self) -> Findings {
        self.findings.settle();
        self.findings
    }
}

/// Runs what is left of a group.
async fn run(
    subject: &impl Subject,
    findings: &mut Findings,
    group: &Group,
    watch: &Watch,
    control: &impl Control,
) -> Result<()> {
    let prompts = group.prompts(findings.batches);
    let left = group.batches().into_iter().skip(findings.batches);
    for (rows, prompts) in left.zip(&prompts) {
        look(subject, findings, (rows, prompts), watch, control).await?;
        findings.batches += 1;
    }
    Ok(())
}

/// Runs one batch and counts it.
async fn look(
    subject: &impl Subject,
    findings: &mut Findings,
    (rows, prompts): (&[Row], &[&[u32]]),
    watch: &Watch,
    control: &impl Control,
) -> Result<()> {
    let passages = passages(rows);
    let Findings { plan, layers, studies, .. } = &*findings;
    let d_mlp = plan.model.d_mlp;
    let mut columns: Vec<Vec<f32>> = vec![Vec::new(); studies.len()];
    let mut counts = Vec::new();
    let on_layer = |layer: usize, activations: &[f32]| {
        if let Some(tally) = layers.get(&layer) {
            counts.push((layer, tally.look(activations, &passages, plan.top)));
        }
        for (study, column) in studies.iter().zip(&mut columns).filter(|(study, _)| study.pair.layer == layer) {
            *column = activations.chunks_exact(d_mlp).map(|row| row[study.pair.neuron]).collect();
        }
    };
    let likeliest = subject.look(prompts, watch, control, on_layer).await?;
    // from here on nothing can stop it: a batch counts whole or not at all
    let Findings { plan, layers, studies, .. } = &mut *findings;
    for (layer, counts) in counts {
        if let Some(tally) = layers.get_mut(&layer) {
            tally.add(counts, plan.top);
        }
    }
    for (study, column) in studies.iter_mut().zip(&columns) {
        study.observe(column, &likeliest, &passages, plan.top);
    }
    findings.positions += rows.iter().map(|row| row.tokens.len() as u64).sum::<u64>();
    Ok(())
}

/// A group is behind.
fn end(findings: &mut Findings, group: &Group) {
    findings.documents += group.documents;
    findings.groups = group.number + 1;
    findings.batches = 0;
    findings.layers.values_mut().for_each(layer::LayerTally::end_group);
    findings.studies.iter_mut().for_each(study::Study::end_group);
}
