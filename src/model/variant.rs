//! What a GPT-2 may do otherwise than OpenAI's own and be run all the same: the one list of it, for the config, the engine,
//! and for who says what a model is.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Where a model's arithmetic is its own choice, by the names of the hub's `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Variant {
    pub activation_function: Activation,
    /// Whether attention's scores are divided by the root of a head's width.
    pub scale_attn_weights: bool,
    /// Whether they are divided by the layer's number too, the first being 1.
    pub scale_attn_by_inverse_layer_idx: bool,
    /// Whether the unembedding is the embedding. What `config.json` says before the weights are here; what they are then.
    pub tie_word_embeddings: bool,
}

/// The keys of `config.json` that a person is told of; `reorder_and_upcast_attn` changes no figure.
pub const KEYS: [&str; 5] = [
    "activation_function",
    "scale_attn_weights",
    "scale_attn_by_inverse_layer_idx",
    "reorder_and_upcast_attn",
    "tie_word_embeddings",
];

impl Default for Variant {
    /// OpenAI's, which is also what is meant where nothing is said.
    fn default() -> Self {
        Variant {
            activation_function: Activation::GeluNew,
            scale_attn_weights: true,
            scale_attn_by_inverse_layer_idx: false,
            tie_word_embeddings: true,
        }
    }
}

impl Variant {
    /// What attention's scores of layer `layer` are multiplied with.
    pub fn attention_scale(&self, layer: usize, d_head: usize) -> f32 {
        let scale = if self.scale_attn_weights { 1.0 / (d_head as f32).sqrt() } else { 1.0 };
        if self.scale_attn_by_inverse_layer_idx { scale / (layer + 1) as f32 } else { scale }
    }

    /// What is otherwise than usual, in a few words each.
    pub fn words(&self) -> Vec<String> {
        let usual = Variant::default();
        let activation = self.activation_function;
        [
            (activation != usual.activation_function).then(|| format!("activation {}", activation.name())),
            (!self.scale_attn_weights).then(|| "attention unscaled".to_owned()),
            self.scale_attn_by_inverse_layer_idx.then(|| "attention scaled by layer".to_owned()),
            (!self.tie_word_embeddings).then(|| "an unembedding of its own".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// What an MLP's neurons do with what they read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// GPT-2's own: gelu's tanh form.
    GeluNew,
    /// The exact one, by the error function.
    Gelu,
    /// The exact one, held between -10 and 10.
    #[serde(rename = "gelu_10")]
    Gelu10,
    /// `x` times the logistic function of `1.702 x`.
    QuickGelu,
    Relu,
    /// `x` times the logistic function of `x`.
    Silu,
    Tanh,
}

/// The names that `config.json` may have for them. Several are one function, written differently.
const NAMES: [(&str, Activation); 13] = [
    ("gelu_new", Activation::GeluNew),
    ("gelu_pytorch_tanh", Activation::GeluNew),
    ("gelu_python_tanh", Activation::GeluNew),
    ("gelu_fast", Activation::GeluNew),
    ("gelu_accurate", Activation::GeluNew),
    ("gelu", Activation::Gelu),
    ("gelu_python", Activation::Gelu),
    ("gelu_10", Activation::Gelu10),
    ("quick_gelu", Activation::QuickGelu),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
    ("swish", Activation::Silu),
    ("tanh", Activation::Tanh),
];

impl Activation {
    pub const ALL: [Activation; 7] = [
        Activation::GeluNew,
        Activation::Gelu,
        Activation::Gelu10,
        Activation::QuickGelu,
        Activation::Relu,
        Activation::Silu,
        Activation::Tanh,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Activation::GeluNew => "gelu_new",
            Activation::Gelu => "gelu",
            Activation::Gelu10 => "gelu_10",
            Activation::QuickGelu => "quick_gelu",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
            Activation::Tanh => "tanh",
        }
    }

    /// # Errors
    /// [`Error::Config`] naming an activation that isn't run, and those that are.
    pub fn parse(name: &str) -> Result<Self> {
        let found = NAMES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, activation)| activation).ok_or_else(|| {
            let known = Activation::ALL.map(Activation::name).join(", ");
            Error::Config(format!("asks for the activation {name:?}; Peartree runs {known}."))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_activation_is_found_by_its_own_name_and_written_by_it() {
        for activation in Activation::ALL {
            assert_eq!(Activation::parse(activation.name()).unwrap(), activation);
            assert_eq!(serde_json::to_value(activation).unwrap(), activation.name());
        }
        for (other, name) in [("swish", "silu"), ("gelu_fast", "gelu_new"), ("gelu_pytorch_tanh", "gelu_new")] {
            assert_eq!(Activation::parse(other).unwrap().name(), name);
        }
        let refused = Activation::parse("mish").unwrap_err().to_string();
        assert!(refused.contains("\"mish\"") && refused.contains("quick_gelu"), "{refused}");
    }

    #[test]
    fn what_is_usual_goes_without_words_and_what_is_not_said_is_usual() {
        assert!(Variant::default().words().is_empty());
        assert_eq!(serde_json::from_str::<Variant>("{}").unwrap(), Variant::default());
        let other = Variant {
            activation_function: Activation::Relu,
            scale_attn_weights: false,
            scale_attn_by_inverse_layer_idx: true,
            tie_word_embeddings: false,
        };
        let words = ["activation relu", "attention unscaled", "attention scaled by layer", "an unembedding of its own"];
        assert_eq!(other.words(), words);
    }

    #[test]
    fn scores_are_divided_by_what_is_asked_for() {
        let scale = |root, by_layer| {
            let variant =
                Variant { scale_attn_weights: root, scale_attn_by_inverse_layer_idx: by_layer, ..Variant::default() };
            variant.attention_scale(2, 16)
        };
        let all = [scale(true, false), scale(false, false), scale(false, true), scale(true, true)];
        assert_eq!(all, [0.25, 1.0, 1.0 / 3.0, 0.25 / 3.0]);
    }
}
