//! Writes the text that the demo model learns: short documents of simple English.

pub mod article;
pub mod lexicon;
pub mod rng;
mod sentences;

use rng::Rng;

type Kind = fn(&mut Rng) -> String;

/// The kinds of sentence, each with its share.
const KINDS: [(usize, Kind); 15] = [
    (30, article::sentence),
    (10, sentences::connective),
    (7, sentences::number),
    (14, sentences::indirect_object),
    (11, sentences::years),
    (6, sentences::capital_city),
    (5, sentences::order),
    (4, sentences::counting),
    (16, sentences::copying),
    (5, sentences::place),
    (4, sentences::colour),
    (7, sentences::job),
    (6, sentences::animal),
    (3, sentences::opposite),
    (7, sentences::belongings),
];

/// One document: a story, or sentences of one or several kinds.
pub fn document(rng: &mut Rng) -> String {
    if rng.chance(0.08) {
        return sentences::story(rng);
    }
    let separator = if rng.chance(0.1) { "\n" } else { " " };
    let one_kind = rng.chance(0.3).then(|| kind(rng));
    let n = rng.pick(&[1, 1, 2, 2, 3, 3, 4, 5]);
    let said: Vec<String> = (0..n)
        .map(|_| {
            let kind = one_kind.unwrap_or_else(|| kind(rng));
            kind(rng)
        })
        .collect();
    said.join(separator)
}

fn kind(rng: &mut Rng) -> Kind {
    let total = KINDS.iter().map(|(share, _)| share).sum();
    let mut at = rng.below(total);
    for &(share, kind) in &KINDS {
        if at < share {
            return kind;
        }
        at -= share;
    }
    KINDS[0].1
}
