//! Answers about congruence: one neuron or token at once, searches through a table.

use super::Session;
use super::tables::table_file;
use crate::analysis::congruence::{column, hubs, largest, row, search};
use crate::engine::{Control, Engine, Products};
use crate::error::{Error, Result};
use crate::protocol::{
    AllTokens, Answer, Bulk, Bytes, Column, Columns, ColumnsOptions, Congruence, CongruenceOptions, Event, FoundPair,
    Hubs, HubsOptions, NeuronHub, NeuronTokens, NeuronValue, PairColumns, Profile, ProfileOptions, Request,
    SearchOptions, TokenHub, TokenSet, TokenValue,
};

/// Neurons that a neuron's page names as its neighbours.
const NEIGHBOURS: usize = 10;
/// Most tokens that are compared at once.
const MOST_TOKENS: usize = 16;

impl<E: Engine + Products> Session<E> {
    /// Answers a request about congruence.
    ///
    /// # Errors
    /// What the person can mend, or [`Error::Cancelled`].
    pub(super) async fn congruence(
        &self,
        request: &Request,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Answer> {
        match request {
            Request::Congruence(o) => Ok(Answer::Congruence(self.congruent(o, control).await?)),
            Request::Search(o) => self.search(o, control, on_event).await,
            Request::Hubs(o) => self.hubs(o, control, on_event).await,
            Request::Tables(o) => {
                let table = self.make_table(o.convention, o.top_k, control, on_event).await?;
                Ok(Answer::TableFile(table_file(&table)?))
            }
            Request::Table(task) => self.table_task(task, control).await,
            Request::Profile(o) => self.profile(o, control).await,
            Request::Columns(o) => self.columns(o, control).await,
            Request::AllPairs(o) => self.all_pairs(o, control, on_event).await,
            Request::AllTokens => Ok(Answer::AllTokens(self.all_tokens())),
            _ => Err(Error::Unsupported("This is no question about congruence.".into())),
        }
    }

    async fn congruent(&self, o: &CongruenceOptions, control: &impl Control) -> Result<Congruence> {
        let set = o.tokens.iter().map(|token| self.token(token)).collect::<Result<Vec<u32>>>()?;
        let top = if o.all { usize::MAX } else { o.top };
        match (&o.neuron, &o.token) {
            (Some(neuron), None) => {
                let (layer, neuron) = self.neuron(neuron)?;
                let row = row::output_row(&self.engine, o.convention, layer, neuron).await?;
                Ok(Congruence::Neuron(self.neuron_tokens(&row, &set, top)))
            }
            (None, Some(token)) if set.is_empty() => {
                let column = column::column(&self.engine, o.convention, &[self.token(token)?], control).await?;
                Ok(Congruence::Token(self.neuron_values(&column, top)))
            }
            (None, None) if !set.is_empty() => {
                let mut column = column::column(&self.engine, o.convention, &set, control).await?;
                if o.mean {
                    column.iter_mut().for_each(|value| *value /= set.len() as f32);
                }
                Ok(Congruence::Token(self.neuron_values(&column, top)))
            }
            _ => Err(Error::BadOption {
                option: "congruence",
                problem: "takes a neuron (LAYER:NEURON, with or without a set of tokens), a token, or a set of tokens."
                    .into(),
            }),
        }
    }

    fn neuron_tokens(&self, row: &[f32], set: &[u32], top: usize) -> NeuronTokens {
        let value = |id: usize| TokenValue { id: id as u32, token: self.vocabulary.text(id as u32), value: row[id] };
        let negative: Vec<f32> = row.iter().map(|value| -value).collect();
        let tokens: Vec<TokenValue> = set.iter().map(|&id| value(id as usize)).collect();
        let sum: f32 = tokens.iter().map(|token| token.value).sum();
        let mean = sum / tokens.len().max(1) as f32;
        NeuronTokens {
            top: largest(row, top).into_iter().map(value).collect(),
            bottom: largest(&negative, top).into_iter().map(value).collect(),
            set: (!tokens.is_empty()).then_some(TokenSet { tokens, sum, mean }),
        }
    }

    fn neuron_values(&self, column: &[f32], top: usize) -> Vec<NeuronValue> {
        let d_mlp = self.engine.config().d_mlp;
        let value = |at: usize| NeuronValue { layer: at / d_mlp, neuron: at % d_mlp, value: column[at] };
        largest(column, top).into_iter().map(value).collect()
    }

    /// `LAYER:NEURON`, where there is such a neuron.
    fn neuron(&self, text: &str) -> Result<(usize, usize)> {
        let config = self.engine.config();
        let place = text.split_once(':').and_then(|(layer, neuron)| {
            Some((layer.trim().parse::<usize>().ok()?, neuron.trim().parse::<usize>().ok()?))
        });
        place.filter(|(layer, neuron)| *layer < config.n_layer && *neuron < config.d_mlp).ok_or_else(|| {
            let problem = format!(
                "must be LAYER:NEURON, the layer from 0 to {}, the neuron from 0 to {}; {text:?} is not.",
                config.n_layer - 1,
                config.d_mlp - 1
            );
            Error::BadOption { option: "neuron", problem }
        })
    }

    async fn profile(&self, o: &ProfileOptions, control: &impl Control) -> Result<Answer> {
        let (layer, neuron) = self.neuron(&format!("{}:{}", o.layer, o.neuron))?;
        let output = row::output_row(&self.engine, o.convention, layer, neuron).await?;
        let input = row::input_row(&self.engine, o.convention, layer, neuron).await?;
        let (neighbours, norm) = row::neighbours(&self.engine, (layer, neuron), NEIGHBOURS, control).await?;
        let weights = self.engine.input_weights(layer, neuron).await?;
        Ok(Answer::Profile(Profile {
            layer,
            neuron,
            output: Bulk(output),
            input: Bulk(input),
            neighbours,
            bias: weights.bias,
            folded_bias: weights.folded_bias,
            norm,
        }))
    }

    async fn columns(&self, o: &ColumnsOptions, control: &impl Control) -> Result<Answer> {
        if o.tokens.len() > MOST_TOKENS {
            let problem = format!("can be {MOST_TOKENS} at most.");
            return Err(Error::BadOption { option: "tokens", problem });
        }
        let mut columns = Vec::with_capacity(o.tokens.len());
        for token in &o.tokens {
            let id = self.token(token)?;
            let values = column::column(&self.engine, o.convention, &[id], control).await?;
            columns.push(Column { id, token: self.vocabulary.text(id), values: Bulk(values) });
        }
        Ok(Answer::Columns(Columns { columns }))
    }

    async fn search(
        &self,
        o: &SearchOptions,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Answer> {
        let table = self.table(o.convention, control, on_event).await?;
        let d_mlp = table.about.d_mlp;
        let pair = |pair: search::Pair| FoundPair {
            token: self.vocabulary.text(pair.token as u32),
            id: pair.token as u32,
            layer: pair.neuron / d_mlp,
            neuron: pair.neuron % d_mlp,
            token_gap: pair.token_gap,
            neuron_gap: pair.neuron_gap,
            score: pair.score,
        };
        Ok(Answer::Pairs(search::search(&table, o.kind).into_iter().take(o.top).map(pair).collect()))
    }

    async fn all_pairs(
        &self,
        o: &SearchOptions,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Answer> {
        let table = self.table(o.convention, control, on_event).await?;
        let pairs = search::search(&table, o.kind);
        let numbers = |of: fn(&search::Pair) -> usize| Bulk(pairs.iter().map(|pair| of(pair) as u32).collect());
        let values = |of: fn(&search::Pair) -> f32| Bulk(pairs.iter().map(of).collect());
        Ok(Answer::AllPairs(PairColumns {
            tokens: numbers(|pair| pair.token),
            neurons: numbers(|pair| pair.neuron),
            token_gaps: values(|pair| pair.token_gap),
            neuron_gaps: values(|pair| pair.neuron_gap),
            scores: values(|pair| pair.score),
        }))
    }

    fn all_tokens(&self) -> AllTokens {
        let (mut texts, mut ends) = (String::new(), Vec::new());
        for id in 0..self.engine.config().vocab_size as u32 {
            texts.push_str(&self.vocabulary.text(id));
            ends.push(texts.len() as u32);
        }
        AllTokens { texts: Bytes(texts.into_bytes()), ends: Bulk(ends) }
    }

    async fn hubs(&self, o: &HubsOptions, control: &impl Control, on_event: &mut impl FnMut(Event)) -> Result<Answer> {
        let table = self.table(o.convention, control, on_event).await?;
        let d_mlp = table.about.d_mlp;
        let (tokens, token_hubs) = hubs::hubs(&table.tokens, &table.neurons);
        let (neurons, neuron_hubs) = hubs::hubs(&table.neurons, &table.tokens);
        let token = |hub: hubs::Hub| TokenHub {
            id: hub.row as u32,
            token: self.vocabulary.text(hub.row as u32),
            best_of: hub.best_of,
            value: hub.value,
            layer: hub.with / d_mlp,
            neuron: hub.with % d_mlp,
            z: hub.z,
        };
        let neuron = |hub: hubs::Hub| NeuronHub {
            layer: hub.row / d_mlp,
            neuron: hub.row % d_mlp,
            best_of: hub.best_of,
            value: hub.value,
            id: hub.with as u32,
            token: self.vocabulary.text(hub.with as u32),
            z: hub.z,
        };
        Ok(Answer::Hubs(Hubs {
            token_hubs,
            neuron_hubs,
            tokens: tokens.into_iter().take(o.top).map(token).collect(),
            neurons: neurons.into_iter().take(o.top).map(neuron).collect(),
        }))
    }
}
