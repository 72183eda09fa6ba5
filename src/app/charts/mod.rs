//! Charts, drawn as SVG by the page itself; where marks are very many, on a canvas under it.

pub mod bars;
pub mod dots;
pub mod heat;
mod heat_cells;
pub mod histogram;
mod labels;
pub mod line;
pub mod scale;
pub mod scatter;
mod scatter_layout;
pub mod window;
