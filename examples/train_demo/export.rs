//! Writes the model as the hub has it: f16 weights under GPT-2's names, no unembedding (it is `wte`), no mask buffers.

use std::collections::HashMap;
use std::error::Error;

use half::f16;
use peartree::model::Config;
use safetensors::tensor::{Dtype, TensorView, serialize};
use serde_json::json;

use crate::train::Vars;

pub fn config_json(config: &Config) -> Result<String, Box<dyn Error>> {
    let eot = config.vocab_size - 1;
    let json = json!({
        "activation_function": "gelu_new",
        "architectures": ["GPT2LMHeadModel"],
        "attn_pdrop": 0.0,
        "bos_token_id": eot,
        "embd_pdrop": 0.0,
        "eos_token_id": eot,
        "initializer_range": 0.02,
        "layer_norm_epsilon": config.ln_eps,
        "model_type": "gpt2",
        "n_ctx": config.n_ctx,
        "n_embd": config.d_model,
        "n_head": config.n_head,
        "n_inner": config.d_mlp,
        "n_layer": config.n_layer,
        "n_positions": config.n_ctx,
        "resid_pdrop": 0.0,
        "torch_dtype": "float16",
        "vocab_size": config.vocab_size
    });
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

pub fn safetensors(vars: &Vars) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut halves = Vec::with_capacity(vars.len());
    for (name, var) in vars {
        let values: Vec<f32> = var.flatten_all()?.to_vec1()?;
        let bytes: Vec<u8> = values.iter().flat_map(|&value| f16::from_f32(value).to_le_bytes()).collect();
        halves.push((name, var.dims().to_vec(), bytes));
    }
    let views = halves
        .iter()
        .map(|(name, shape, bytes)| Ok((name.as_str(), TensorView::new(Dtype::F16, shape.clone(), bytes)?)))
        .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
    // transformers asks for the format
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    Ok(serialize(views, Some(metadata))?)
}
