//! Edits carried out where the values lie.

use super::super::buffers::Buffer;
use super::super::tape::{Call, Card};
use super::Kernel;
use crate::engine::edit::{Change, Edit, Positions};

pub const EDIT: Kernel = Kernel { name: "edit", needs: &[], text: include_str!("edit.wgsl"), access: "rw" };

/// Changes of a site's rows, in the form that the kernel reads.
#[derive(Default)]
pub struct Changes {
    /// By changed row: its number, and its changes (column, columns, kind, value).
    rows: Vec<(usize, Vec<[u32; 4]>)>,
    values: Vec<f32>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// What `edits` do to row `row`, which stands at position `pos`; `columns` says where in the row each edit's part lies.
    pub fn add<'a>(
        &mut self,
        row: usize,
        pos: usize,
        edits: impl Iterator<Item = &'a Edit>,
        columns: impl Fn(&Edit) -> std::ops::Range<usize>,
    ) {
        let edits: Vec<&Edit> = edits.filter(|edit| edit.at.contains(pos)).collect();
        let changes: Vec<[u32; 4]> = edits.into_iter().map(|edit| self.change(edit, pos, &columns(edit))).collect();
        if !changes.is_empty() {
            self.rows.push((row, changes));
        }
    }

    fn change(&mut self, edit: &Edit, pos: usize, columns: &std::ops::Range<usize>) -> [u32; 4] {
        let (kind, value) = match &edit.change {
            Change::Set(value) => (0, value.to_bits()),
            Change::Add(value) => (1, value.to_bits()),
            Change::Scale(factor) => (2, factor.to_bits()),
            Change::Row(values) => (3, self.keep(values)),
            Change::Rows(rows) => {
                let place = match &edit.at {
                    Positions::These(these) => these.binary_search(&pos).unwrap_or(0),
                    Positions::All => 0,
                };
                (3, self.keep(&rows[place * columns.len()..(place + 1) * columns.len()]))
            }
        };
        [columns.start as u32, columns.len() as u32, kind, value]
    }

    fn keep(&mut self, values: &[f32]) -> u32 {
        self.values.extend_from_slice(values);
        (self.values.len() - values.len()) as u32
    }
}

impl Card {
    /// Makes changes in `rows [.., stride]`.
    pub fn edit(&self, changes: &Changes, stride: usize, rows: &Buffer) {
        let mut table = Vec::new();
        let mut first = 0;
        for (row, changes) in &changes.rows {
            table.extend([*row as u32, first, changes.len() as u32, 0]);
            first += changes.len() as u32;
        }
        let at_changes = table.len() as u32;
        table.extend(changes.rows.iter().flat_map(|(_, changes)| changes.iter().flatten()));
        let at_values = table.len() as u32;
        table.extend(changes.values.iter().map(|value| value.to_bits()));
        self.run(&Call {
            kernel: &EDIT,
            consts: &[],
            buffers: &[&self.upload(&table), rows],
            params: &[stride as u32, at_changes, at_values],
            groups: (changes.rows.len() as u32, 1),
            work: table.len() as u64,
        });
    }
}
