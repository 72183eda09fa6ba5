//! Keeps a model's congruence tables: makes them, in one go or in pieces, and takes those that were made before.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use web_time::{Duration, Instant};

use super::Session;
use crate::analysis::congruence::table::Making;
use crate::analysis::tables::{self, About, Table, checkpoint};
use crate::engine::{Control, Engine, Products};
use crate::error::{Error, Result};
use crate::protocol::{Answer, Bytes, Convention, Event, Progress, Stage, TableFile, TableState, TableTask, Unit};

/// Kept of each row, unless it is said otherwise.
const TOP_K: usize = 16;
/// Between two reports of how far a table is.
const REPORT: Duration = Duration::from_millis(200);

/// Finished tables and those on their way, by convention.
#[derive(Default)]
pub struct Tables {
    hash: RefCell<Option<String>>,
    ready: RefCell<BTreeMap<Convention, Rc<Table>>>,
    making: RefCell<BTreeMap<Convention, Making>>,
}

impl<E: Engine + Products> Session<E> {
    /// The table that is there, or a new one.
    pub(super) async fn table(
        &self,
        convention: Convention,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Rc<Table>> {
        let ready = self.tables.ready.borrow().get(&convention).cloned();
        match ready {
            Some(table) => Ok(table),
            None => self.make_table(convention, TOP_K, control, on_event).await,
        }
    }

    /// Makes a table to its end, from where an earlier request left it.
    pub(super) async fn make_table(
        &self,
        convention: Convention,
        k: usize,
        control: &impl Control,
        on_event: &mut impl FnMut(Event),
    ) -> Result<Rc<Table>> {
        loop {
            if let Some(table) = self.work(convention, k, REPORT, control).await? {
                return Ok(table);
            }
            let making = self.tables.making.borrow();
            let (done, total) = making.get(&convention).map_or((0.0, 0.0), Making::progress);
            on_event(Event::Progress(Progress {
                what: "products".into(),
                done,
                total: Some(total),
                unit: Unit::Products,
                stage: Stage::Computing,
            }));
        }
    }

    /// Goes on with a table for about so long; the table, once it is finished. Whatever stops it, what was done stays.
    async fn work(
        &self,
        convention: Convention,
        k: usize,
        time: Duration,
        control: &impl Control,
    ) -> Result<Option<Rc<Table>>> {
        let ready = self.tables.ready.borrow().get(&convention).filter(|table| table.neurons.k() == k).cloned();
        if ready.is_some() {
            return Ok(ready);
        }
        let started = Instant::now();
        let kept = self.tables.making.borrow_mut().remove(&convention).filter(|making| making.k == k);
        let mut making = match kept {
            Some(making) => making,
            None => Making::new(&self.engine, convention, k, self.weights_hash(control).await?, control).await?,
        };
        let stopped = loop {
            match making.step(&self.engine).await {
                Ok(true) => break None,
                Ok(false) if started.elapsed() >= time => break Some(Ok(None)),
                Ok(false) => {}
                // the tile is lost half-way, and with it the table
                Err(error) => return Err(error),
            }
            if let Err(error) = control.breathe().await {
                break Some(Err(error));
            }
        };
        if let Some(stopped) = stopped {
            self.tables.making.borrow_mut().insert(convention, making);
            return stopped;
        }
        let table = Rc::new(making.finish()?);
        self.tables.ready.borrow_mut().insert(convention, table.clone());
        Ok(Some(table))
    }

    /// The hash of the model's weights, worked out once.
    ///
    /// # Errors
    /// From `control`.
    pub async fn weights_hash(&self, control: &impl Control) -> Result<String> {
        if let Some(hash) = &*self.tables.hash.borrow() {
            return Ok(hash.clone());
        }
        let hash = tables::model_hash(&self.engine, control).await?;
        *self.tables.hash.borrow_mut() = Some(hash.clone());
        Ok(hash)
    }

    pub(super) async fn table_task(&self, task: &TableTask, control: &impl Control) -> Result<Answer> {
        let tables = &self.tables;
        match task {
            TableTask::Look(convention) => Ok(Answer::TableState(self.table_state(*convention))),
            TableTask::Work { convention, milliseconds, model, products } => {
                // asked before another model took this one's place
                if *model != self.name || *products != self.table_state(*convention).products {
                    return Err(Error::Cancelled);
                }
                let time = Duration::from_millis(u64::from(*milliseconds));
                if !tables.ready.borrow().contains_key(convention) {
                    self.work(*convention, TOP_K, time, control).await?;
                }
                Ok(Answer::TableState(self.table_state(*convention)))
            }
            TableTask::Checkpoint(convention) => match tables.making.borrow().get(convention) {
                Some(making) => Ok(Answer::Bytes(Bytes(checkpoint::write(making)))),
                None => Err(Error::Unsupported("No such table is being made.".into())),
            },
            TableTask::Resume(bytes) => {
                let hash = self.weights_hash(control).await?;
                let making = checkpoint::resume(&self.engine, &bytes.0, &hash).await?;
                let convention = making.about.convention;
                tables.making.borrow_mut().insert(convention, making);
                Ok(Answer::TableState(self.table_state(convention)))
            }
            TableTask::Drop(convention) => {
                tables.making.borrow_mut().remove(convention);
                Ok(Answer::TableState(self.table_state(*convention)))
            }
            TableTask::File(convention) => match tables.ready.borrow().get(convention) {
                Some(table) => Ok(Answer::TableFile(table_file(table)?)),
                None => Err(Error::Unsupported("There is no such table yet.".into())),
            },
            TableTask::Open(bytes) => {
                let table = tables::read(&bytes.0)?;
                table.about.check(self.engine.config(), &self.weights_hash(control).await?)?;
                let convention = table.about.convention;
                tables.ready.borrow_mut().insert(convention, Rc::new(table));
                Ok(Answer::TableState(self.table_state(convention)))
            }
        }
    }

    fn table_state(&self, convention: Convention) -> TableState {
        let is_ready = self.tables.ready.borrow().contains_key(&convention);
        let making = self.tables.making.borrow();
        let about = About::of(self.engine.config(), convention, String::new());
        let products = about.n_neurons() as f64 * about.vocab as f64;
        let share = making.get(&convention).map_or(0.0, |making| making.progress().0 / products);
        TableState { convention, is_ready, done: if is_ready { 1.0 } else { share }, products }
    }
}

pub(super) fn table_file(table: &Table) -> Result<TableFile> {
    Ok(TableFile {
        bytes: Bytes(tables::write(table)?),
        convention: table.about.convention,
        top_k: table.neurons.k(),
        neurons: table.about.n_neurons(),
        tokens: table.about.vocab,
        model: table.about.model.clone(),
    })
}
