//! What the figures about weights have in common: their answers, the vocabulary, names.

pub mod answer;
pub mod export;
pub mod find;
pub mod keep;
pub mod making;
pub mod matcher;
pub mod vocabulary;

use crate::protocol::Convention;

/// A convention in a sentence of a caption.
pub fn said(convention: Convention) -> &'static str {
    match convention {
        Convention::Notebook => "the notebook’s: output weights and embedding, each less its mean over d_model",
        Convention::Raw => "raw: output weights and embedding as the file has them",
        Convention::Unembed => {
            "unembed: output weights less their mean, and the unembedding with the final LayerNorm folded in and centred"
        }
        Convention::NotebookUnembedding => {
            "the notebook’s with the unembedding: output weights and unembedding, each less its mean over d_model"
        }
        Convention::RawUnembedding => "raw with the unembedding: output weights and unembedding as the file has them",
    }
}

/// What of a token is multiplied with.
pub fn rows(convention: Convention) -> &'static str {
    if convention.takes_unembedding() { "unembedding" } else { "embedding" }
}

/// `L31 N892`.
pub fn name((layer, neuron): (usize, usize)) -> String {
    format!("L{layer} N{neuron}")
}

/// `31:892`, `L31 N892`, `31 892`: a neuron as a person types it, perhaps not to its end.
pub fn typed_neuron(text: &str) -> (Option<usize>, Option<usize>) {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty() && digits.len() < 7);
    let mut next = || numbers.next().and_then(|digits| digits.parse().ok());
    (next(), next())
}
