// The state that an address names, and what window.peartree answers for it.

const FRESH = {
  p: "I climbed up the pear tree and picked a pear. I climbed up the apple tree and picked",
  c: "I climbed up the pear tree and picked a pear. I climbed up the lemon tree and picked",
  t: " an", u: " a", k: [" an", " a"], set: [], edits: [],
};

/** Reads a fragment as a stranger would who knows only the links' form. */
export function stateOf(fragment) {
  const state = { ...FRESH, k: [], set: [], edits: [] };
  for (const part of fragment.replace(/^#/, "").split("&").slice(1)) {
    const at = part.indexOf("=");
    const key = part.slice(0, at);
    const value = decodeURIComponent(part.slice(at + 1).replaceAll("+", " "));
    if (key === "e" || key === "off") state.edits.push({ text: value, on: key === "e" });
    else if (key === "k" || key === "set") state[key].push(value);
    else state[key] = value;
  }
  if (!state.k.length) state.k = FRESH.k;
  return state;
}

const isId = (text) => /^#?\d+$/.test(text);

/** A prompt as window.peartree takes it: for a model without a tokenizer, ids. */
const promptOf = (text, readsText) => (readsText ? text : text.split(/[ ,\n\t]+/).filter(Boolean).map((word) => (isId(word) ? Number(word.replace("#", "")) : -1)));

/** The requests of a state's figures, each asked once. */
export class Answers {
  constructor(page) {
    this.page = page;
    this.kept = new Map();
  }

  /** { value } or { error }, of the model loaded now. */
  async ask(name, options) {
    const key = JSON.stringify([this.model, name, options]);
    if (!this.kept.has(key)) {
      const answer = this.page.evaluate(
        async ([name, options]) => {
          try {
            // NaN survives; undefined stands for nothing
            return { value: await window.peartree[name](options) };
          } catch (error) {
            return { error: error.message ?? String(error) };
          }
        },
        [name, options],
      );
      this.kept.set(key, await answer);
    }
    return this.kept.get(key);
  }

  /** Looks which model answers. */
  async look() {
    const info = await this.page.evaluate(() => window.peartree.info());
    this.model = info.model.name;
    this.config = info.model.config;
    this.readsText = info.model.has_tokenizer;
  }

  of(state) {
    const { readsText } = this;
    const noBos = state.bos === "0";
    const prompts = { clean: promptOf(state.p, readsText), corrupted: promptOf(state.c, readsText) };
    const tokens = [state.t, state.u];
    const between = state.dir === "reversed" ? { clean: prompts.corrupted, corrupted: prompts.clean } : prompts;
    const edited = state.on === "corrupted" ? prompts.corrupted : prompts.clean;
    const convention = state.conv ?? "notebook";
    /** Where edits take their values from, said only where one does. */
    const from = (set) => ({
      ...(set.some((text) => text.includes("=clean")) && { clean: prompts.clean }),
      ...(set.some((text) => text.includes("=corrupted")) && { corrupted: prompts.corrupted }),
    });
    return {
      prompts, tokens, convention,
      patched: between.corrupted,
      predict: (which, top = 10) => this.ask("predict", { prompt: prompts[which], top, noBos }),
      lens: (which = "clean") => this.ask("lens", { prompt: prompts[which], tokens, noBos }),
      attribute: (which) => this.ask("attribute", { prompt: prompts[which], tokens, noBos }),
      patch: (site, wholeLayer = false) => this.ask("patch", { ...between, tokens, noBos, site, wholeLayer }),
      neurons: (layer) => this.ask("neurons", { ...between, tokens, noBos, layer }),
      edit: (set) => this.ask("edit", { prompt: edited, tokens, noBos, set, top: 5, ...from(set) }),
      goesOn: (set) => this.ask("generate", { prompt: edited, noBos, max: 14, set, ...from(set) }),
      generate: (settings, set) => this.ask("generate", { prompt: set.length ? edited : prompts.clean, noBos, set, ...from(set), ...settings }),
      neuronTokens: (neuron, tokens) => this.ask("congruence", { neuron, convention, top: 8, ...(tokens && { tokens }) }),
      tokenNeurons: (token) => this.ask("congruence", { token, convention, top: 5 }),
      found: (find) => (find === "mutual" || find === "exclusive" ? this.ask("search", { kind: find, convention, top: 20 }) : this.ask("hubs", { convention, top: 20 })),
    };
  }
}
