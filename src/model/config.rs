//! A model's shape, read from the hub's `config.json` and checked before anything is sized by it.

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::layout::{POINTER, is_pointer};
use super::small::{token_id, unmarked};
use super::variant::{Activation, Variant};
use crate::error::{Error, Result};

/// GPT-2's hyperparameters under their TransformerLens names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Config {
    pub n_layer: usize,
    pub n_head: usize,
    /// Width of the residual stream (`n_embd` on the hub).
    pub d_model: usize,
    /// Width of an MLP's hidden layer (`n_inner`, by default `4 * d_model`).
    pub d_mlp: usize,
    /// Longest sequence, in tokens (`n_positions`).
    pub n_ctx: usize,
    pub vocab_size: usize,
    /// Added to the variance in every LayerNorm.
    pub ln_eps: f64,
    /// Id of `<|endoftext|>`, put before every prompt.
    pub bos_token_id: Option<u32>,
    /// What is computed otherwise than OpenAI's do; that is what is meant by files in which nothing is said.
    #[serde(default)]
    pub variant: Variant,
}

/// `config.json` as the hub writes it; only what changes the arithmetic is read.
#[derive(Deserialize)]
struct HubConfig {
    model_type: Option<String>,
    n_layer: Option<usize>,
    n_head: Option<usize>,
    n_embd: Option<usize>,
    n_inner: Option<usize>,
    n_positions: Option<usize>,
    n_ctx: Option<usize>,
    /// The names that other architectures have for the same; transformers takes them for a GPT-2 too.
    num_hidden_layers: Option<usize>,
    num_attention_heads: Option<usize>,
    hidden_size: Option<usize>,
    max_position_embeddings: Option<usize>,
    vocab_size: usize,
    layer_norm_epsilon: Option<f64>,
    activation_function: Option<String>,
    /// An id, or whatever somebody wrote in its place.
    bos_token_id: Option<Value>,
    tie_word_embeddings: Option<bool>,
    scale_attn_weights: Option<bool>,
    scale_attn_by_inverse_layer_idx: Option<bool>,
    add_cross_attention: Option<bool>,
    is_encoder_decoder: Option<bool>,
    pruned_heads: Option<Map<String, Value>>,
    quantization_config: Option<IgnoredAny>,
}

/// Far above GPT-2 XL (48 layers, d 1600, vocabulary 50257); keeps products of sizes in range.
const MOST: usize = 1 << 20;

impl Config {
    /// Reads the hub's `config.json`.
    ///
    /// # Errors
    /// [`Error::Config`] when it is not JSON, not a GPT-2, or asks for a variant whose arithmetic differs.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        let hub = HubConfig::read(json)?;
        hub.refuse_others()?;
        let variant = hub.variant()?;
        let d_model = named("n_embd", hub.n_embd.or(hub.hidden_size))?;
        let config = Config {
            n_layer: named("n_layer", hub.n_layer.or(hub.num_hidden_layers))?,
            n_head: named("n_head", hub.n_head.or(hub.num_attention_heads))?,
            d_model,
            d_mlp: hub.n_inner.unwrap_or(d_model.saturating_mul(4)),
            n_ctx: named("n_positions", hub.n_positions.or(hub.max_position_embeddings).or(hub.n_ctx))?,
            vocab_size: hub.vocab_size,
            ln_eps: hub.layer_norm_epsilon.unwrap_or(1e-5),
            // some give the one after the last, which begins nothing
            bos_token_id: hub.bos_token_id.as_ref().and_then(token_id).filter(|&id| (id as usize) < hub.vocab_size),
            variant,
        };
        config.check()?;
        Ok(config)
    }

    /// Whether the hub's `config.json` says that the unembedding is the embedding, or that it isn't; often it says neither.
    pub(super) fn says_tied(json: &[u8]) -> Option<bool> {
        HubConfig::read(json).ok()?.tie_word_embeddings
    }

    /// What attention's scores of a layer are multiplied with.
    pub fn attention_scale(&self, layer: usize) -> f32 {
        self.variant.attention_scale(layer, self.d_head())
    }

    /// Width of one attention head.
    pub fn d_head(&self) -> usize {
        self.d_model / self.n_head
    }

    fn check(&self) -> Result<()> {
        let sizes = [
            ("n_layer", self.n_layer),
            ("n_head", self.n_head),
            ("n_embd", self.d_model),
            ("n_inner", self.d_mlp),
            ("n_positions", self.n_ctx),
            ("vocab_size", self.vocab_size),
        ];
        for (name, size) in sizes {
            if size == 0 || size > MOST {
                return Err(Error::Config(format!("gives {name} = {size}, which no GPT-2 has. Is it this model's?")));
            }
        }
        if !self.d_model.is_multiple_of(self.n_head) {
            return Err(Error::Config(format!(
                "gives n_embd = {} that n_head = {} does not divide. Is it this model's?",
                self.d_model, self.n_head
            )));
        }
        if !(self.ln_eps > 0.0 && self.ln_eps < 1.0) {
            return Err(Error::Config(format!("gives layer_norm_epsilon = {}, which is no epsilon.", self.ln_eps)));
        }
        Ok(())
    }
}

/// A size that there must be.
fn named(name: &str, size: Option<usize>) -> Result<usize> {
    size.ok_or_else(|| Error::Config(format!("names no {name}. Get the model's config.json again.")))
}

impl HubConfig {
    fn read(json: &[u8]) -> Result<Self> {
        if is_pointer(json) {
            return Err(Error::Config(POINTER.into()));
        }
        serde_json::from_slice(unmarked(json))
            .map_err(|e| Error::Config(format!("can't be read ({e}). Get the model's config.json again.")))
    }

    fn variant(&self) -> Result<Variant> {
        let usual = Variant::default();
        let activation = self.activation_function.as_deref().map(Activation::parse).transpose()?;
        Ok(Variant {
            activation_function: activation.unwrap_or(usual.activation_function),
            scale_attn_weights: self.scale_attn_weights.unwrap_or(usual.scale_attn_weights),
            scale_attn_by_inverse_layer_idx: self
                .scale_attn_by_inverse_layer_idx
                .unwrap_or(usual.scale_attn_by_inverse_layer_idx),
            tie_word_embeddings: self.tie_word_embeddings.unwrap_or(usual.tie_word_embeddings),
        })
    }

    /// Computing on with another architecture's formula would give wrong numbers in silence.
    fn refuse_others(&self) -> Result<()> {
        let refuse = |what: String| Err(Error::Config(format!("{what}; Peartree runs GPT-2's own architecture only.")));
        if let Some(kind) = self.model_type.as_deref().filter(|&kind| kind != "gpt2") {
            return refuse(format!("says the model is a {kind:?}"));
        }
        if self.add_cross_attention == Some(true) {
            return refuse("asks for add_cross_attention, which reads from another model".into());
        }
        if self.is_encoder_decoder == Some(true) {
            return refuse("says is_encoder_decoder".into());
        }
        if self.pruned_heads.as_ref().is_some_and(|heads| !heads.is_empty()) {
            return refuse("names pruned_heads".into());
        }
        if self.quantization_config.is_some() {
            return refuse("has a quantization_config: the weights are packed in a way of their own".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = r#"{"model_type":"gpt2","n_layer":2,"n_head":2,"n_embd":8,"n_positions":16,"vocab_size":50,
        "activation_function":"gelu_new","bos_token_id":49}"#;

    fn with(change: &str, to: &str) -> Result<Config> {
        Config::from_json(SMALL.replace(change, to).as_bytes())
    }

    #[test]
    fn reads_the_hubs_names() {
        let config = Config::from_json(SMALL.as_bytes()).unwrap();
        assert_eq!((config.d_model, config.d_mlp, config.d_head(), config.n_ctx), (8, 32, 4, 16));
        assert_eq!(config.ln_eps, 1e-5);
    }

    #[test]
    fn a_beginning_outside_the_vocabulary_and_a_mark_in_front_are_passed_over() {
        assert_eq!(with(":49", ":50").unwrap().bos_token_id, None);
        assert_eq!(with("{", "\u{feff}{").unwrap(), with("", "").unwrap());
    }

    #[test]
    fn what_is_no_beginning_is_passed_over_and_a_list_gives_its_first() {
        for (given, id) in [("-1", None), ("null", None), ("[7,8]", Some(7)), ("[]", None), ("\"a\"", None)] {
            assert_eq!(with(":49", &format!(":{given}")).unwrap().bos_token_id, id, "{given}");
        }
    }

    #[test]
    fn the_names_of_other_architectures_are_known_and_gpt2s_own_go_first() {
        let others = [
            ("n_layer", "num_hidden_layers"),
            ("n_head", "num_attention_heads"),
            ("n_embd", "hidden_size"),
            ("n_positions", "max_position_embeddings"),
        ];
        let json = others.iter().fold(SMALL.to_owned(), |json, (own, other)| json.replace(own, other));
        assert_eq!(Config::from_json(json.as_bytes()).unwrap(), with("", "").unwrap());
        assert_eq!(with("\"n_layer\"", "\"num_hidden_layers\":9,\"n_layer\"").unwrap().n_layer, 2);
        let message = with("\"n_layer\"", "\"layers\"").unwrap_err().to_string();
        assert!(message.contains("names no n_layer"), "{message}");
    }

    #[test]
    fn a_pointer_of_gits_is_told_as_one() {
        let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n";
        assert!(Config::from_json(pointer).unwrap_err().to_string().contains("git lfs pull"));
    }

    #[test]
    fn n_ctx_stands_in_for_n_positions() {
        assert_eq!(with("n_positions", "n_ctx").unwrap().n_ctx, 16);
    }

    #[test]
    fn reads_every_variant_that_is_run() {
        let variant = |keys: &str| with("\"bos_token_id\":49", keys).unwrap().variant;
        let usual = Variant::default();
        assert_eq!(variant("\"reorder_and_upcast_attn\":true,\"add_cross_attention\":false"), usual);
        let by_layer = variant("\"scale_attn_by_inverse_layer_idx\":true,\"pruned_heads\":{}");
        assert_eq!(by_layer, Variant { scale_attn_by_inverse_layer_idx: true, ..usual });
        assert_eq!(variant("\"scale_attn_weights\":false"), Variant { scale_attn_weights: false, ..usual });
        assert_eq!(variant("\"tie_word_embeddings\":false"), Variant { tie_word_embeddings: false, ..usual });
        let relu = with("gelu_new", "relu").unwrap();
        assert_eq!(relu.variant, Variant { activation_function: Activation::Relu, ..usual });
        assert_eq!(with("\"n_embd\"", "\"n_inner\":20,\"n_embd\"").unwrap().d_mlp, 20);
        // what was written before there were variants is read as usual
        let mut json = serde_json::to_value(&relu).unwrap();
        assert_eq!(json["variant"]["activation_function"], "relu");
        json.as_object_mut().unwrap().remove("variant");
        assert_eq!(serde_json::from_value::<Config>(json).unwrap(), with("", "").unwrap());
    }

    #[test]
    fn what_is_refused_is_named() {
        for (change, to, name) in [
            ("gelu_new", "mish", "\"mish\""),
            ("\"bos_token_id\":49", "\"add_cross_attention\":true", "add_cross_attention"),
            ("\"bos_token_id\":49", "\"pruned_heads\":{\"0\":[1]}", "pruned_heads"),
        ] {
            let message = with(change, to).unwrap_err().to_string();
            assert!(message.contains(name), "{message}");
        }
    }

    #[test]
    fn refuses_what_would_compute_wrong_numbers() {
        for (change, to) in [
            ("\"gpt2\"", "\"llama\""),
            ("gelu_new", "mish"),
            ("gelu_new", "Relu"),
            ("\"n_head\":2", "\"n_head\":3"),
            ("\"n_layer\":2", "\"n_layer\":0"),
            ("\"n_layer\":2", "\"n_layer\":99999999999"),
            ("\"n_layer\":2", "\"n_layer\":-1"),
            ("\"bos_token_id\":49", "\"add_cross_attention\":true"),
            ("\"bos_token_id\":49", "\"is_encoder_decoder\":true"),
            ("\"bos_token_id\":49", "\"pruned_heads\":{\"0\":[1]}"),
            ("\"bos_token_id\":49", "\"quantization_config\":{\"bits\":4}"),
            ("\"bos_token_id\":49", "\"layer_norm_epsilon\":0"),
        ] {
            assert!(matches!(with(change, to), Err(Error::Config(_))), "{change} -> {to} was accepted");
        }
        assert!(matches!(Config::from_json(b"<html>"), Err(Error::Config(_))));
    }
}
