// What a person may do on the page, drawn by chance: every control, field and click that the figures hang on.

/** mulberry32: the same seed, the same walk. */
export function chance(seed) {
  let state = seed >>> 0;
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
  return { next, below: (most) => Math.floor(next() * most), of: (list) => list[Math.floor(next() * list.length)] };
}

const QUICK = { timeout: 400, noWaitAfter: true };
const TEXT = {
  prompts: ["The key near the tables", "The keys near the table", "I climbed up the apple tree and picked", "I climbed up the big old lemon tree and picked", "She saw", "", "The opposite of hot is", " ", "a"],
  tokens: [" an", " a", " the", "a", " however", "nothing of the kind", "", "#8", " is", " are", "8"],
  typed: [" an", " however", "an", "#8", "8", " the", "no token at all", " are"],
};
const IDS = {
  prompts: ["8 9 10 11", "8 9 12 11", "#5, 6 7", "8 9 10", "", "3 99999", "5 x 7", "20 30 40 50 60"],
  tokens: ["8", "#9", "10", "99999", " an", "", "11"],
  typed: ["8", "#9", " an", "12", "99999"],
};
const EDITS = ["1.mlp=*0", "0.h1=clean@all", "0.h9=clean@99", "0.h1=corrupted@all", "2.h3=0@last", "1:20=+3", "9:20=0", "1:20=0@500", "0.attn=clean@1", "2.resid_pre=*0.5@1", "rubbish", "3:5=corrupted@last"];

/** The steps: a weight, and what is done. Each says in a word what it did. */
export function stepsOf(page, random, walk) {
  const pool = () => (walk.answers.readsText ? TEXT : IDS);
  const fill = async (id, text) => {
    await page.locator(`#${id}`).fill(text, QUICK);
    return JSON.stringify(text);
  };
  const click = async (selector) => {
    const found = page.locator(selector);
    const count = await found.count();
    if (!count) return "nothing there";
    const at = random.below(count);
    await found.nth(at).click(QUICK);
    return String(at);
  };
  const choose = async (id) => {
    const values = await page.locator(`#${id} option:not([disabled])`).evaluateAll((options) => options.map((option) => option.value));
    if (!values.length) return "nothing there";
    const value = random.of(values);
    await page.locator(`#${id}`).selectOption(value, QUICK);
    return value;
  };
  const keys = async (selector, last) => {
    const found = page.locator(selector);
    if (!(await found.count())) return "nothing there";
    await found.first().focus(QUICK);
    const pressed = Array.from({ length: random.below(4) }, () => random.of(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]));
    if (last && random.next() < 0.5) pressed.push(last);
    for (const key of pressed) await page.keyboard.press(key);
    return pressed.join(" ");
  };
  const complete = async (id, texts) => {
    const text = random.of(texts);
    await page.locator(`#${id}`).fill(text, QUICK);
    const down = random.next() < 0.2;
    if (down) await page.keyboard.press("ArrowDown");
    await page.locator(`#${id}`).press("Enter", QUICK);
    return `${JSON.stringify(text)}${down ? ", the first offered" : ""}`;
  };
  const look = async (id) => {
    await page.evaluate((id) => document.getElementById(id)?.scrollIntoView(), id);
    return id;
  };
  return [
    [5, "prompt", () => fill("prompt", random.of(pool().prompts))],
    [5, "corrupted prompt", () => fill("corrupted", random.of(pool().prompts))],
    [5, "token", () => fill(`pair-${random.below(2)}`, random.of(pool().tokens))],
    [5, "sound tokens", async () => `${await fill("pair-0", pool().tokens[0])} ${await fill("pair-1", pool().tokens[walk.answers.readsText ? 1 : 2])}`],
    // examples are sentences, which a model without a tokenizer can't read
    [walk.answers.readsText ? 3 : 9, "sound prompts", async () => `${await fill("prompt", pool().prompts[0])} ${await fill("corrupted", pool().prompts[1])}`],
    [5, "typing", async () => {
      await page.locator("#prompt").press("End", QUICK);
      for (const key of random.of(pool().prompts.slice(0, 3)).slice(0, 3)) await page.keyboard.press(key === " " ? "Space" : key);
    }],
    [7, "example", () => choose("example")],
    [2, "first token", () => click(".bos")],
    [2, "lens's convention", () => click(".lens .key input")],
    [2, "table's convention", () => click(".lens-table .choice label")],
    [3, "direction", () => click(".directions label")],
    [4, "click on a prediction", () => click(".candidates li button")],
    [2, "keys on the lens", () => keys(".lens .plot svg[role=slider]")],
    [8, "keys on a map", () => keys(`#map-${random.of(["resid_pre", "attn_out", "mlp_out", "heads", "direct"])} svg[role=slider]`, "Enter")],
    [2, "keys on the layers", () => keys(".layers-plot svg[role=slider]")],
    [6, "layer", () => choose("neuron-layer")],
    [4, "patch all", () => click("#neurons .start button")],
    [3, "order of neurons", () => click("#neurons .neuron-controls .choice label")],
    [5, "click on a neuron", () => click("#neurons .outliers li button")],
    [4, "keys on the neurons", () => keys("#neurons svg[role=slider]", "Enter")],
    [4, "neuron's card", () => click(".neuron-card button")],
    [8, "edit", () => complete("new-edit", EDITS)],
    [3, "edit's switch", () => click(".edit .switch")],
    [3, "edit's kind", async () => {
      const rows = page.locator(".edit select");
      const count = await rows.count();
      if (!count) return "nothing there";
      // a mean is over texts that only the page knows
      const kind = random.of(["clean", "corrupted", "scale", "add", "set"]);
      await rows.nth(random.below(count)).selectOption(kind, QUICK);
      return kind;
    }],
    [3, "edit's slider", async () => {
      const sliders = page.locator(".edit input[type=range]");
      const count = await sliders.count();
      if (!count) return "nothing there";
      const value = String(random.below(9) / 4);
      await sliders.nth(random.below(count)).fill(value, QUICK);
      return value;
    }],
    [4, "remove an edit", () => click(".edit .remove")],
    [4, "edited run", () => click(".bar-of-edits > .choice label")],
    [6, "generate", async () => {
      const settings = { max: 1 + random.below(6), temperature: random.of([0, 0.8]), seed: random.below(9) };
      for (const [id, value] of Object.entries(settings)) await page.locator(`#${id}`).fill(String(value), QUICK);
      await page.locator(".generation button.primary").click(QUICK);
      return JSON.stringify(settings);
    }],
    [4, "append", () => click(".generation .outcome button")],
    [3, "neuron's weights", () => complete("weights-neuron", ["1:20", "0:3", "1", "99:1", "3:255"])],
    [3, "token compared", () => complete("token-search", pool().typed)],
    [2, "token of the set", () => complete("weights-set", pool().typed)],
    [2, "take a token away", () => click("#tokens .compared button, #weights .token-set .remove")],
    [3, "convention", () => click("#weights .conventions label")],
    [2, "row of the weights", () => click("#weights .weights-lists li button, #tokens .token-lists li button")],
    [3, "what is looked for", () => click("#pairs .choice:not(.conventions) label")],
    [2, "row of the pairs", () => click("#pairs tbody button")],
    [14, "look", () => look(random.of(["lens", "prompts", "maps", "layers", "neurons", "neurons", "edits", "generation", "weights", "tokens", "pairs"]))],
    [7, "back", () => page.evaluate(() => void (navigation.canGoBack && history.back()))],
    [2, "forward", () => page.evaluate(() => void (navigation.canGoForward && history.forward()))],
    [6, "click on what is marked", () => marked(page, random, walk)],
    [2, "another model", () => walk.load(random.of(["demo", "models/p/", "models/ids/"]))],
  ];
}

/** A script's click and Enter on an element of a marked figure: neither address nor fields may change by it. */
async function marked(page, random, walk) {
  const changed = await page.evaluate((at) => {
    const found = [...document.querySelectorAll('.stale button, .stale [role=slider], .stale input, [inert] button')];
    if (!found.length) return null;
    const element = found[Math.floor(at * found.length)];
    const now = () => JSON.stringify([location.hash, [...document.querySelectorAll("input, textarea, select")].map((field) => (field.type === "checkbox" || field.type === "radio" ? field.checked : field.value))]);
    const before = now();
    element.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true }));
    element.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, cancelable: true }));
    return new Promise((done) => setTimeout(() => done(now() === before ? "" : element.outerHTML.slice(0, 160)), 0));
  }, random.next());
  if (changed) walk.broken.push(`a marked figure could be clicked: ${changed}`);
  return changed === null ? "nothing is marked" : "";
}
