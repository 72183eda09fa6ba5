//! Which columns a parquet file has, and which of them is the texts'.

use super::thrift::Struct;
use crate::documents::json::Key;

/// Columns that a message lists, characters of each, and how deep they may lie.
const LISTED: usize = 20;
const LISTED_CHARS: usize = 60;
const DEEPEST: usize = 16;

/// Physical type of texts: byte arrays.
const BYTES: i64 = 6;
const OPTIONAL: i64 = 1;
const REPEATED: i64 = 2;

/// A column that holds texts.
#[derive(Debug, Clone)]
pub struct TextColumn {
    pub path: Vec<String>,
    /// See [`super::page::Column::highest`].
    pub highest: u32,
}

impl TextColumn {
    pub fn name(&self) -> String {
        self.path.join(".")
    }
}

/// What encloses the elements that are read now.
struct Group {
    name: String,
    highest: u32,
    repeats: bool,
    /// Elements of it that are still to come.
    left: u64,
}

/// All columns of texts that have one value, or none, in each row; and the names of what lies at the top.
pub fn columns(footer: &Struct) -> (Vec<TextColumn>, Vec<String>) {
    let (mut columns, mut tops) = (Vec::new(), Vec::new());
    let mut groups: Vec<Group> = Vec::new();
    for element in footer.structs(2).skip(1) {
        let name = element.text(4).unwrap_or_default().to_owned();
        if groups.is_empty() && tops.len() < 10 * LISTED {
            tops.push(name.clone());
        }
        let (highest, repeats) = groups.last().map_or((0, false), |group| (group.highest, group.repeats));
        let highest = highest.saturating_add(u32::from(element.number(3) == Some(OPTIONAL)));
        let repeats = repeats || element.number(3) == Some(REPEATED);
        let left = element.number(5).and_then(|n| u64::try_from(n).ok()).unwrap_or(0);
        if left > 0 {
            groups.push(Group { name, highest, repeats, left });
            continue;
        }
        if element.number(1) == Some(BYTES) && !repeats && groups.len() < DEEPEST {
            let path = groups.iter().map(|group| group.name.clone()).chain([name]).collect();
            columns.push(TextColumn { path, highest });
        }
        while let Some(group) = groups.last_mut() {
            group.left -= 1;
            if group.left > 0 {
                break;
            }
            groups.pop();
        }
    }
    (columns, tops)
}

/// The column under the key. One of another name is never taken for it.
pub fn text_column(footer: &Struct, key: &Key) -> Result<TextColumn, String> {
    let (mut columns, tops) = columns(footer);
    if let Some(at) = columns.iter().position(|column| column.name() == key.name()) {
        return Ok(columns.swap_remove(at));
    }
    let nested = columns.iter().filter(|column| column.path.len() > 1).map(TextColumn::name);
    let short = |name: String| format!("{:?}", name.chars().take(LISTED_CHARS).collect::<String>());
    let names: Vec<String> = tops.into_iter().chain(nested).take(LISTED).map(short).collect();
    Err(format!(
        "it has no column {:?} of texts. Its columns: {}. Choose one of texts: on the page with \"Texts are under\", on the \
         command line with --text-key.",
        key.name(),
        names.join(", ")
    ))
}
