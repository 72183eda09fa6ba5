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
pub mod sum;

use crate::documents::Documents;
use crate::engine::{Control, Engine};
use crate::error::{Error, Result};
use crate::model::Vocabulary;
use batch::{Group, Groups, Row, passages};
pub use findings::Findings;
use plan::{Plan, Shards};

/// A pass under way.
pub struct Pass<'a, E> {
    engine: &'a E,
    groups: Groups<'a>,
    findings: Findings,
}

impl<'a, E: Engine> Pass<'a, E> {
    /// A new pass, or one that goes on from what it had found when it was stopped.
    ///
    /// # Errors
    /// [`Error::BadOption`] for a plan that the model can't follow; [`Error::Checkpoint`] for another plan's findings.
    pub fn new(
        engine: &'a E,
        vocabulary: &'a Vocabulary,
        documents: Documents,
        (plan, shards): (Plan, Shards),
        before: Option<Findings>,
    ) -> Result<Self> {
        plan.check()?;
        let groups = Groups::new(documents, vocabulary, engine.config().n_ctx);
        let findings = match before {
            None => Findings::new(plan, shards),
            Some(before) if before.plan == plan && before.shards == shards => before,
            Some(_) => return Err(Error::Checkpoint),
        };
        Ok(Pass { engine, groups, findings })
    }

    pub fn findings(&self) -> &Findings {
        &self.findings
    }

    /// Bytes of the files read so far.
    pub fn read_bytes(&self) -> u64 {
        self.groups.read_bytes()
    }

    /// Runs the next group of documents; false when there is none. If it is stopped, the findings are those of whole
    /// batches, from where another pass can go on.
    ///
    /// # Errors
    /// What is wrong with a file, or from `control`.
    pub async fn step(&mut self, control: &impl Control) -> Result<bool> {
        let (before, shards) = (self.findings.groups, &self.findings.shards);
        let wanted = |group| group >= before && shards.contains(group);
        let Some(group) = self.groups.next_group(&self.findings.plan, wanted)? else { return Ok(false) };
        control.breathe().await?;
        if self.groups.next <= before {
            return Ok(true);
        }
        for rows in group.batches().into_iter().skip(self.findings.batches) {
            self.run(rows, control).await?;
            self.findings.batches += 1;
        }
        self.end(&group);
        Ok(true)
    }

    /// The findings at the end.
    pub fn finish(mut self) -> Findings {
        self.findings.settle();
        self.findings
    }

    async fn run(&mut self, rows: &[Row], control: &impl Control) -> Result<()> {
        let prompts: Vec<&[u32]> = rows.iter().map(|row| &row.tokens[..]).collect();
        let passages = passages(rows);
        let Findings { plan, layers, studies, .. } = &self.findings;
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
        let to_end = !plan.pairs.is_empty();
        let resid = self.engine.neurons(&prompts, &plan.watched(), to_end, control, on_layer).await?;
        let mut tokens: Vec<u32> = plan.pairs.iter().map(|pair| pair.token).collect();
        tokens.sort_unstable();
        tokens.dedup();
        let likeliest = if to_end { self.engine.likeliest_among(&resid, &tokens, control).await? } else { Vec::new() };
        // from here on nothing can stop it: a batch counts whole or not at all
        let Findings { plan, layers, studies, .. } = &mut self.findings;
        for (layer, counts) in counts {
            if let Some(tally) = layers.get_mut(&layer) {
                tally.add(counts, plan.top);
            }
        }
        for (study, column) in studies.iter_mut().zip(&columns) {
            study.observe(column, &likeliest, &passages, plan.top);
        }
        self.findings.positions += rows.iter().map(|row| row.tokens.len() as u64).sum::<u64>();
        Ok(())
    }

    fn end(&mut self, group: &Group) {
        let findings = &mut self.findings;
        findings.documents += group.documents;
        findings.groups = self.groups.next;
        findings.batches = 0;
        findings.layers.values_mut().for_each(layer::LayerTally::end_group);
        findings.studies.iter_mut().for_each(study::Study::end_group);
    }
}
