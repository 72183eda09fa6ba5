// A model large enough that its sweeps take seconds, made on the spot: random weights, the oracle's tokenizer.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import path from "node:path";

const FIXTURES = fileURLToPath(new URL("../fixtures/model-p/", import.meta.url));

/**
 * Files for page.setInputFiles: [{ name, mimeType, buffer }]. A `variant` has relu, attention scaled by layer, an
 * unembedding of its own and no biases.
 */
export function largerModel({ layers = 6, heads = 8, width = 256, inner = 4 * width, variant = false } = {}) {
  const config = JSON.parse(readFileSync(path.join(FIXTURES, "config.json"), "utf8"));
  Object.assign(config, { n_layer: layers, n_head: heads, n_embd: width, n_inner: inner });
  if (variant) Object.assign(config, { activation_function: "relu", scale_attn_by_inverse_layer_idx: true });
  const [d, m] = [width, inner];
  const shapes = { "wte.weight": [config.vocab_size, d], "wpe.weight": [config.n_positions, d] };
  for (let l = 0; l < layers; l++) {
    const block = {
      ln_1: [d], "attn.c_attn": [d, 3 * d], "attn.c_proj": [d, d], ln_2: [d], "mlp.c_fc": [d, m], "mlp.c_proj": [m, d],
    };
    for (const [name, shape] of Object.entries(block)) {
      shapes[`h.${l}.${name}.weight`] = shape;
      if (!variant) shapes[`h.${l}.${name}.bias`] = shape.slice(-1);
    }
  }
  shapes["ln_f.weight"] = [d];
  shapes[variant ? "lm_head.weight" : "ln_f.bias"] = variant ? [config.vocab_size, d] : [d];
  const header = {};
  let offset = 0;
  for (const [name, shape] of Object.entries(shapes)) {
    const bytes = 4 * shape.reduce((a, b) => a * b);
    header[name] = { dtype: "F32", shape, data_offsets: [offset, (offset += bytes)] };
  }
  const values = new Float32Array(offset / 4);
  let seed = 1;
  for (const [name, { shape, data_offsets }] of Object.entries(header)) {
    const scale = shape.length === 1 ? 0 : /^(w|lm_)/.test(name) ? 0.3 : 1.5 / Math.sqrt(shape[0]);
    const constant = /ln_.*weight/.test(name) ? 1 : 0;
    for (let i = data_offsets[0] / 4; i < data_offsets[1] / 4; i++) {
      // a linear congruence will do: the weights need only differ
      seed = (Math.imul(seed, 1664525) + 1013904223) | 0;
      values[i] = constant + scale * (seed / 2 ** 31);
    }
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  const file = (name, buffer) => ({ name, mimeType: "application/octet-stream", buffer });
  return [
    file("config.json", Buffer.from(JSON.stringify(config))),
    file("tokenizer.json", readFileSync(path.join(FIXTURES, "tokenizer.json"))),
    file("model.safetensors", Buffer.concat([length, json, Buffer.from(values.buffer)])),
  ];
}

/** The same model with its weights in two files and their index: half of the tensors in each. */
export function inParts(files) {
  const weights = files.find(({ name }) => name === "model.safetensors").buffer;
  const begin = 8 + Number(weights.readBigUInt64LE(0));
  const header = Object.entries(JSON.parse(weights.subarray(8, begin))).filter(([name]) => name !== "__metadata__");
  const part = (i) => Math.floor((2 * i) / header.length);
  const names = [1, 2].map((part) => `model-0000${part}-of-00002.safetensors`);
  const file = (name, buffer) => ({ name, mimeType: "application/octet-stream", buffer });
  const parts = names.map((name, which) => {
    const [own, data] = [{}, []];
    let offset = 0;
    for (const [tensor, { dtype, shape, data_offsets: [start, end] }] of header.filter((_, i) => part(i) === which)) {
      own[tensor] = { dtype, shape, data_offsets: [offset, (offset += end - start)] };
      data.push(weights.subarray(begin + start, begin + end));
    }
    const json = Buffer.from(JSON.stringify(own));
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(json.length));
    return file(name, Buffer.concat([length, json, ...data]));
  });
  const weight_map = Object.fromEntries(header.map(([tensor], i) => [tensor, names[part(i)]]));
  const index = file("model.safetensors.index.json", Buffer.from(JSON.stringify({ metadata: {}, weight_map })));
  return [...files.filter(({ name }) => name !== "model.safetensors"), index, ...parts];
}
