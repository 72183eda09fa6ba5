//! Prompt pairs to begin with: the post's, the field's usual ones, and some that the demo model knows.

pub struct Preset {
    pub name: &'static str,
    pub clean: &'static str,
    pub corrupted: &'static str,
    pub pair: [&'static str; 2],
    /// What the pair asks, and what the demo model makes of it.
    pub note: &'static str,
}

/// Whether two runs answer differently, by their logit differences of the same two tokens: one of them prefers the
/// first, the other the second.
pub fn answers_differ(clean: f32, corrupted: f32) -> bool {
    clean > 0.0 && corrupted < 0.0 || clean < 0.0 && corrupted > 0.0
}

pub const PRESETS: [Preset; 8] = [
    Preset {
        name: "an or a",
        clean: crate::link::FIRST_PROMPT,
        corrupted: crate::link::FIRST_CORRUPTED,
        pair: [" an", " a"],
        note: "The post's pair: the article depends on a noun that comes only after it. The demo model was trained so that one \
               neuron decides it (its card, www/demo/README.md, says how); GPT-2 found such a neuron by itself.",
    },
    Preset {
        name: "Number agreement",
        clean: "The key near the tables",
        corrupted: "The keys near the tables",
        pair: [" is", " are"],
        note: "The verb agrees with the first noun, not with the nearer one. The demo model knows this.",
    },
    Preset {
        name: "Capital city",
        clean: "The capital of France is",
        corrupted: "The capital of Germany is",
        pair: [" Paris", " Berlin"],
        note: "A fact about a word. The demo model knows two dozen capitals.",
    },
    Preset {
        name: "Indirect object",
        clean: "When Mary and John went to the store, John gave a book to",
        corrupted: "When Mary and John went to the store, Mary gave a book to",
        pair: [" Mary", " John"],
        note: "Whoever has not been named twice. The demo model knows this: a head of it finds the name.",
    },
    Preset {
        name: "Greater than",
        clean: "The war lasted from the year 1742 to the year 17",
        corrupted: "The war lasted from the year 1782 to the year 17",
        pair: ["73", "91"],
        note: "A war ends after it has begun: after 1742 both years are possible, after 1782 it can't have ended in 1773. The \
               demo model knows this for most years.",
    },
    Preset {
        name: "Hungry, thirsty",
        clean: "Mary was hungry, so she",
        corrupted: "Mary was thirsty, so she",
        pair: [" ate", " drank"],
        note: "What follows from a state. One of the demo model's own sentences.",
    },
    Preset {
        name: "Colour of a fruit",
        clean: "The lemon was ripe. The colour of the lemon was",
        corrupted: "The plum was ripe. The colour of the plum was",
        pair: [" yellow", " purple"],
        note: "The fruit stands there twice, so the prompts differ at two positions. The demo model knows its fruits.",
    },
    Preset {
        name: "Opposites",
        clean: "The opposite of hot is",
        corrupted: "The opposite of wet is",
        pair: [" cold", " dry"],
        note: "One word decides. The demo model knows sixteen pairs.",
    },
];
