/** `window.peartree`: the page's abilities for scripts. Names, options and results are those of the command line. */

/** A prompt as text (`<|endoftext|>` is put in front unless `noBos`), or as token ids, used as they are. */
export type Prompt = string | number[];

/** A token as its text (`" an"`), as `"#281"`, or as its id. */
export type TokenArgument = string | number;

export interface Progress {
  /** What is being loaded or computed. */
  what: string;
  done: number;
  /** Missing where a server doesn't say. */
  total: number | null;
  unit: "bytes" | "tokens" | "rows" | "runs" | "products";
  /** Of a load: bytes come, another tab is getting them, they are hashed, or they are read from this device. */
  stage: "computing" | "downloading" | "waiting" | "checking" | "reading";
}

export interface CallOptions<P = Progress> {
  onProgress?: (progress: P) => void;
  /** Aborting rejects the call with the code `cancelled`. */
  signal?: AbortSignal;
}

export interface Token { id: number; token: string }

export interface Candidate extends Token { logit: number; prob: number; logprob: number }

export interface Prediction {
  ids: number[];
  tokens: string[];
  /** Likeliest first. */
  top: Candidate[];
  /** Log-probability of each real next token: one fewer than `ids`. */
  logprobs: number[];
}

export interface Lens {
  /** `2 * n_layer + 1` points of the residual stream; the last is `final`. */
  labels: string[];
  /** Divided by the real run's final LayerNorm scale (the notebook's convention). */
  final_ln: number[];
  /** The final LayerNorm applied to each point itself (the classic convention). */
  own_ln: number[];
}

/** The new ids only. */
export interface Generation { ids: number[]; text: string }

/** Direct logit attribution; the parts add up to `total`, the model's own logit difference. */
export interface Attribution {
  embed: number;
  pos_embed: number;
  attn: number[];
  mlp: number[];
  /** `[n_layer][n_head]`; a value's bias is nobody's head but part of `attn`. */
  heads: number[][];
  bias: number;
  total: number;
}

/** Shares of the logit difference brought back. A position without a counterpart in the other prompt has `NaN`. */
export type Rows = number[][] | number[];

export interface Patch {
  /** Logit differences of the two runs. */
  clean: number;
  corrupted: number;
  /** By layer and position or head; by layer alone where `wholeLayer`. */
  values: Rows;
  /** To first order, of the same shape. */
  estimate: Rows;
}

export interface Neurons extends Patch {
  /** What each neuron of the clean run writes straight into the logit difference, in logits. */
  direct: Rows;
  /** The part of `values` that comes that way, as a share. */
  direct_share: Rows;
}

/** Exact figures of a sweep, as they come: those from `first` on, counted row by row. */
export interface Exact { first: number; figures: number[] }

export interface Outcome {
  /** Logit difference of the two tokens. */
  diff: number;
  top: Candidate[];
}

/** Predictions before and after the edits. */
export interface Edited { before: Outcome; after: Outcome }

/**
 * Which product of weights a congruence is. `notebook` (the default): output weights and embedding, both less their mean
 * over d_model; `raw`: both as they are; `unembed`: centred output weights and the processed unembedding.
 * Only for models with an unembedding of their own, which then stands in the embedding's place: `notebook-unembedding`, `raw-unembedding`.
 */
export type Convention = "notebook" | "raw" | "unembed" | "notebook-unembedding" | "raw-unembedding";

export interface TokenValue extends Token { value: number }

export interface NeuronValue { layer: number; neuron: number; value: number }

/** A neuron's tokens: the largest, largest first, and the smallest, smallest first. */
export interface NeuronTokens {
  top: TokenValue[];
  bottom: TokenValue[];
  /** Of the `tokens` that were asked for. */
  set?: { tokens: TokenValue[]; sum: number; mean: number };
}

export interface FoundPair extends Token {
  layer: number;
  neuron: number;
  /** By how much the token's best neuron is above its second best. */
  token_gap: number;
  /** By how much the neuron's best token is above its second best. */
  neuron_gap: number;
  /** What they are sorted by: the token's gap (exclusive), or the product of both (mutual). */
  score: number;
}

export interface Hubness { mean: number; sd: number; skew: number; never: number }

export interface Hubs {
  token_hubs: Hubness;
  neuron_hubs: Hubness;
  /** Those that are most often some neuron's best first; `value` is their own largest congruence, `z` that in standard deviations. */
  tokens: (Token & { best_of: number; value: number; layer: number; neuron: number; z: number })[];
  neurons: (Token & { best_of: number; value: number; layer: number; neuron: number; z: number })[];
}

/** A congruence table as a `.safetensors` file; `model` is the model's hash. */
export interface TableFile {
  bytes: Uint8Array;
  convention: Convention;
  top_k: number;
  neurons: number;
  tokens: number;
  model: string;
}

/** Two prompts and two tokens. The corrupted run is patched with the clean run's activations. */
export interface PairOptions { clean: Prompt; corrupted: Prompt; tokens: [TokenArgument, TokenArgument]; noBos?: boolean }

/** A place in a corpus, with the tokens around it and each one's activation. */
export interface CorpusContext {
  value: number;
  /** Counted through all files, from 0. */
  document: number;
  /** Counted from 0, which is `<|endoftext|>`. */
  position: number;
  token: string;
  context: { from: number; ids: number[]; tokens: string[]; values: number[] };
}

/** One neuron's activation against one token's prediction. */
export interface CorpusStudy {
  layer: number; neuron: number; token: string; id: number;
  /** `top`: positions of the bin where the token is the likeliest next one; `low`, `high`: 95 % interval of its share. */
  bins: { bin: number; from: number; count: number; top: number; low: number; high: number }[];
  occurrences: number;
  top_predictions: number;
  mean: number;
  max: number | null;
  top: CorpusContext[];
  /** At most one a document. */
  top_documents: CorpusContext[];
  /** Area under the ROC curve of the activation for "the token is the likeliest next one". */
  auc: number | null;
}

export interface Corpus { documents: number; positions: number; studies: CorpusStudy[] }

export interface CorpusProgress {
  documents: number; positions: number;
  /** Share of the files that is read. */
  share: number;
  tokensPerSecond: number;
  secondsLeft: number | null;
  /** Whether enough is kept on this device to go on after a reload. */
  isKept: boolean;
  /** Told once: what was kept of an earlier pass is damaged, so this one began anew. */
  lost: string | null;
  /** Now and then: the figures so far. */
  answer: Corpus | null;
}

export interface CorpusNeuron {
  layer: number; neuron: number; positions: number;
  mean: number; max: number | null;
  /** Share of positions with an activation above zero. */
  firing_rate: number;
  histogram: { from: number | null; to: number | null; count: number }[];
  top_documents: CorpusContext[];
}

export interface ModelInfo {
  name: string;
  config: {
    n_layer: number; n_head: number; d_model: number; d_mlp: number; n_ctx: number; vocab_size: number;
    ln_eps: number; bos_token_id: number | null;
    /** What the model computes otherwise than OpenAI's, or as they do, by the names of the hub's config.json. */
    variant: {
      activation_function: "gelu_new" | "gelu" | "gelu_10" | "quick_gelu" | "relu" | "silu" | "tanh";
      scale_attn_weights: boolean; scale_attn_by_inverse_layer_idx: boolean; tie_word_embeddings: boolean;
    };
  };
  bos: Token | null;
  has_tokenizer: boolean;
  parameters: number;
  /** How the matrices are held in memory. */
  dtype: "f32" | "f16";
  /** None for the demo model, this site's folders and files. */
  origin: Origin | null;
  /** What one should know of how the weights were read, in sentences. */
  notes: string[];
}

/** Where a model came from, exactly enough to get the same one again. */
export interface Origin {
  /** The hub, or the folder's address. */
  host: string;
  repo: string | null;
  /** The branch, tag or commit asked for, and the commit that the hub answered with. */
  revision: string | null;
  commit: string | null;
  /** Of the file of weights; of several, the hash of their hashes, one a line. */
  sha256: string;
  /** Whether the source says the same hash. */
  attested: boolean;
}

/** `"demo"`, a hub's id (`"org/name"`, `"org/name@commit"`), an address, `{base: address}` or files, a folder's too. */
export type ModelArgument = string | { base: string } | File[];

export interface SourceOptions {
  /** How the matrices are held in memory: `"f32"` if not said. */
  dtype?: "f32" | "f16";
  /** What computes; the graphics card where it is in use already, the processor otherwise, if not said. */
  engine?: "cpu" | "webgpu";
  threads?: number;
  /** Of a hub's model: a branch, a tag or a commit. If not said, what is kept of the model, or else `"main"`. */
  revision?: string;
  /** Another hub, as `"https://host"`. */
  hub?: string;
  /** For private models. It is sent to the hub only, and kept nowhere. */
  token?: string;
}

/** A model before it is loaded. */
export interface Description {
  name: string;
  config: ModelInfo["config"];
  parameters: number;
  has_tokenizer: boolean;
  file_dtype: "f32" | "f16" | "bf16" | "f64";
  repo: string | null;
  commit: string | null;
  bytes: number;
  bytes_here: number;
  kept: boolean;
  /** What the weights take in memory, and whether they can. */
  memory: { dtype: "f32" | "f16"; bytes: number; fits: boolean }[];
  room: Room;
  /** Those that are read. */
  files: { name: string; bytes: number }[];
  /** What begins a text, and the file that says so (GPT-2's own where none does); `null` for a kept model. */
  beginning: { id: number; token: string | null; said_by: string | null } | null;
}

/** The room that the browser gives this site, in bytes. */
export interface Room { used: number; quota: number | null; persisted: boolean; /** Nothing is kept: models are held in memory until they are loaded. */ transient: boolean }

export interface KeptModel {
  key: string;
  name: string;
  host: string;
  repo: string | null;
  revision: string | null;
  commit: string | null;
  file_dtype: "f32" | "f16" | "bf16" | "f64" | null;
  bytes: number | null;
  bytes_here: number;
  /** False for a download broken off, which loading it again goes on with. */
  whole: boolean;
  sha256: string | null;
  attested: boolean;
  /** Milliseconds since 1970. */
  date_ms: number | null;
}

export interface Kept { models: KeptModel[]; room: Room }

export interface Info {
  version: string;
  engine: "cpu" | "webgpu";
  /** The graphics card's name, while it computes. */
  adapter: string | null;
  threads: number;
  simd: boolean;
  model: ModelInfo | null;
  /** Size of the worker's wasm memory. */
  heapBytes: number;
  gpuBytes: number;
}

/** What every call rejects with. */
export interface PeartreeError extends Error {
  /** For example `empty_prompt`, `prompt_too_long`, `not_one_token`, `bad_weights`, `cancelled`. */
  code: string;
}

export interface Peartree {
  /** Resolves when the page's first model is loaded. */
  readonly ready: Promise<void>;
  /**
   * Loads `config.json`, `tokenizer.json` and `model.safetensors`. What comes from a hub or another site is kept on this
   * device: the second load asks nobody. Aborted, it keeps what has come, and the next load goes on from there.
   * The model loaded before answers till then.
   */
  load(model: ModelArgument, options?: CallOptions & SourceOptions): Promise<ModelInfo>;
  /** What a hub's or another site's model is, before it is loaded. */
  describe(model: ModelArgument, options?: CallOptions & SourceOptions): Promise<Description>;
  /** Which models this device keeps, whole or in part. */
  kept(): Promise<Kept>;
  /** Deletes what is kept under a name or key; resolves to what is kept then. */
  forget(key: string, options?: CallOptions): Promise<Kept>;
  /** Hashes a kept model again, by its name or key. One that has changed is deleted, with the code `wrong_hash`. */
  verify(key: string, options?: CallOptions): Promise<KeptModel>;
  predict(options: CallOptions & { prompt: Prompt; top?: number; noBos?: boolean }): Promise<Prediction>;
  /** `logit(tokens[0]) - logit(tokens[1])` at the last position, along the residual stream. */
  lens(options: CallOptions & { prompt: Prompt; tokens: [TokenArgument, TokenArgument]; noBos?: boolean }): Promise<Lens>;
  /** `onProgress` is given what has been generated so far. */
  generate(options: CallOptions<Generation> & {
    prompt: Prompt; max?: number; temperature?: number; topK?: number; topP?: number; seed?: number;
    /** Edits under which the model writes; see `edit`. */
    set?: string[]; clean?: Prompt; corrupted?: Prompt; corpus?: string[]; noBos?: boolean;
  }): Promise<Generation>;
  attribute(options: CallOptions & { prompt: Prompt; tokens: [TokenArgument, TokenArgument]; noBos?: boolean }): Promise<Attribution>;
  /** `onProgress` is given the estimates first, then exact figures as they come, and how far the sweep is. */
  patch(options: CallOptions<Patch | Exact | Progress> & PairOptions & {
    site: "resid_pre" | "attn_out" | "mlp_out" | "heads"; wholeLayer?: boolean;
  }): Promise<Patch>;
  neurons(options: CallOptions<Neurons | Exact | Progress> & PairOptions & { layer: number | "all" }): Promise<Neurons>;
  /** `=clean` takes its values from `clean`, `=corrupted` from `corrupted`, `=mean` the mean over `corpus`. `set`: `"31:892=0@all"`, `"2.h3=clean@last"`, `"1.mlp=*0.5"`, `"blocks.1.mlp.hook_post[220]=+3@5"` … */
  edit(options: CallOptions & {
    prompt: Prompt; tokens: [TokenArgument, TokenArgument]; set: string[]; clean?: Prompt; corrupted?: Prompt; corpus?: string[]; top?: number; noBos?: boolean;
  }): Promise<Edited>;
  /** `neuron: "31:892"`: its tokens; `token`, or `tokens` summed (or averaged: `mean`): the neurons. `all`: all of them, in order. */
  congruence(options: CallOptions & {
    neuron: string; tokens?: TokenArgument[]; convention?: Convention; top?: number; all?: boolean;
  }): Promise<NeuronTokens>;
  congruence(options: CallOptions & {
    token?: TokenArgument; tokens?: TokenArgument[]; mean?: boolean; convention?: Convention; top?: number; all?: boolean;
  }): Promise<NeuronValue[]>;
  /** `exclusive`: every token's best neuron, by the gap to the second best; `mutual`: each other's best, by both gaps' product. Makes the table if there is none. */
  search(options: CallOptions & { kind: "exclusive" | "mutual"; convention?: Convention; top?: number }): Promise<FoundPair[]>;
  hubs(options?: CallOptions & { convention?: Convention; top?: number }): Promise<Hubs>;
  /** All neurons against all tokens, to be kept as a file. */
  tables(options?: CallOptions & { topK?: number; convention?: Convention }): Promise<TableFile>;
  /** Takes such a file; rejects with `bad_table` if it is damaged or another model's. */
  openTable(bytes: Uint8Array): Promise<object>;
  /**
   * One pass over documents. `data`: `"demo"` or `"english"` (the site's own), the id of a data set on the hub
   * (`"NeelNanda/pile-10k"`), an address on this site, `File`s, or an array of these: .txt (one document), .jsonl
   * and .json (objects with `text`, or a list of strings), .parquet (a column `text`), also .gz and .zst. `textKey`: another
   * key or column than `text`. Bytes that are no UTF-8 stand as U+FFFD and are counted in `replaced_bytes`.
   * `neurons`: `"31:892: an"`. `layers`: also every neuron of these, for `corpusNeuron`: a number, several, `"0-3,7"` or
   * `"all"`. Aborted, or after a reload, it goes on with `resume: true`.
   */
  corpus(options: CallOptions<CorpusProgress> & {
    data: string | File | (string | File)[]; neurons?: string[]; layers?: number | number[] | string; bins?: "floor" | "notebook";
    top?: number; pack?: boolean; share?: number; seed?: number; noBos?: boolean; textKey?: string; resume?: boolean;
  }): Promise<Corpus>;
  /** One neuron of the last pass, if its layer was watched; or of the folder that `peartree corpus --out` wrote, at an address. */
  corpusNeuron(options: { layer: number; neuron: number; folder?: string }): Promise<CorpusNeuron>;
  info(): Promise<Info>;
  /** The comparison harness's tasks on the loaded model; ids only, nothing kept from one call to the next. */
  readonly bench: Bench;
}

/** Times are in milliseconds, taken where the model runs. */
export interface Bench {
  /** Logits at the last position. */
  prefill(ids: number[]): Promise<{ logits: Float32Array }>;
  /** `n` greedy steps with a cache after the prompt, whose own time isn't counted; `tokens` are `n + 1`. */
  decode(ids: number[], n: number): Promise<{ tokens: number[]; steps: number; ms: number }>;
  /** The likeliest next token of each of several prompts of equal length. */
  batch(rows: number[][]): Promise<{ argmax: number[] }>;
  /** `ms` for each of `B` whole passes of 20 tokens, in each a neuron of layer 8 zeroed at the last position. */
  sweep(options?: { B?: number; reps?: number }): Promise<{ ms: number; B: number }>;
  /** The same, resumed from a base run, for the logit difference of two tokens. */
  tail(options?: { B?: number; reps?: number }): Promise<{ ms: number; B: number }>;
  /** Every residual stream and layer 8's neurons of 20 tokens, brought back. */
  capture(options?: object): Promise<{ ms: number }>;
}

declare global {
  interface Window { peartree: Peartree }
}
