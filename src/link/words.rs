//! The words of a link that stand for a choice of the page.

/// A closed list of words, the first of which goes unsaid in a link.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($variant),+ }

        impl $name {
            pub const ALL: &'static [$name] = &[$($name::$variant),+];

            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word),+ }
            }

            pub(super) fn read(word: &str) -> Option<$name> {
                $name::ALL.iter().copied().find(|value| value.word() == word)
            }
        }
    };
}

words! {
    /// The figures of the page; the word is also the element's id.
    View {
        Lens = "lens", Table = "table", Prompts = "prompts", Maps = "maps", Layers = "layers", Neurons = "neurons",
        Edits = "edits", Generation = "generation", Weights = "weights", Tokens = "tokens", Pairs = "pairs",
        Corpus = "corpus",
    }
}
words! {
    /// Which conventions the lens draws.
    LensShown { Both = "both", Final = "final", Own = "own", Neither = "neither" }
}
words! {
    /// How the neurons are laid out.
    Order { Index = "index", Value = "value", Direct = "direct" }
}
words! {
    /// What is looked for among all neurons and tokens.
    Find { Mutual = "mutual", Exclusive = "exclusive", TokenHubs = "tokens", NeuronHubs = "neurons" }
}
