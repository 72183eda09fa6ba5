// Holds what the page says to what window.peartree answers for the state in the address.
import { stateOf } from "./state.mjs";

/** A token as the page shows it: what can't be seen has a sign. */
function visible(token) {
  const signs = { "\n": "↵", "\t": "⇥" };
  const sign = (character, at) => {
    if (character === " ") return at === 0 || token.trim() === "" ? "·" : " ";
    const isUnseen = /[\p{Cc}\s\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/u.test(character);
    return signs[character] ?? (isUnseen ? `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}` : character);
  };
  return token === "" ? "∅" : [...token].map(sign).join("");
}
const SIGNS = { "−": "-", "+": "", "\u202f": "", "%": "", ",": "", "<": "" };
const parsed = (text) => (text?.trim() === "–" ? NaN : Number((text ?? "x").replace(/[−+\u202f%,<]/g, (sign) => SIGNS[sign])));

/** Whether a text says a value to so many places. */
function says(text, value, places, factor = 1) {
  const [said, meant] = [parsed(text), value * factor];
  if (!Number.isFinite(meant)) return Number.isNaN(said);
  return Math.abs(said - meant) <= 0.51 * 10 ** -places + 2e-5 * Math.abs(meant) || (text.includes("<") && meant < 0.0051);
}
const share = (text, value) => says(text, value, 1, 100);
const percent = (text, value) => says(text, value, 2, 100);
const logits = (text, value) => says(text.replace("= ", ""), value, 2);

/** The tokens of each prompt that have no like in the other. */
function differing(a, b) {
  const start = a.findIndex((id, i) => id !== b[i]);
  if (a.length === b.length) return [a, b].map((ids) => ids.map((id, i) => a[i] !== b[i]));
  const from = start < 0 ? a.length : start;
  let end = 0;
  while (end < Math.min(a.length, b.length) - from && a.at(-1 - end) === b.at(-1 - end)) end++;
  return [a, b].map((ids) => ids.map((_, i) => i >= from && i + end < ids.length));
}

/** How a text that is finished says it was written. */
function settingsOf(says) {
  const [, count, how] = says?.match(/^(\d+) tokens? written\. (.+)$/) ?? [];
  if (!how) return null;
  const [, temperature, seed] = how.match(/^Drawn at temperature (\S+), seed (\d+)\.$/) ?? [how, 0, 0];
  return { max: Number(count), temperature: Number(temperature), seed: Number(seed) };
}

/** What is wrong with a snapshot: sentences. How many figures were there and the present state's is counted in `seen`. */
export async function wrong(snapshot, answers, seen) {
  const state = stateOf(snapshot.hash);
  const api = answers.of(state);
  const found = [];
  const held = (what, is, detail) => {
    if (!is) found.push(`${what}: ${JSON.stringify(detail)}`);
  };
  /** Runs `check` with what the API answers; where it refuses, the figure must not be there. */
  async function hold(name, figure, asks, check) {
    if (figure == null) return;
    const all = await Promise.all(asks.map((ask) => ask()));
    const refused = all.find((answer) => answer.error);
    if (refused) return void found.push(`${name} is shown as this state's, but for it the model refuses: ${refused.error}`);
    seen[name] = (seen[name] ?? 0) + 1;
    const values = all.map((answer) => answer.value);
    try {
      check(...values);
    } catch (error) {
      found.push(`${name} can't be compared: ${error.message}`);
    }
  }
  const predictions = (which) => () => api.predict(which);
  const isDemo = answers.model === "demo";
  held("the model's name", snapshot.model === (isDemo ? "Demo model" : answers.model), [snapshot.model, answers.model]);

  await hold("tokens", snapshot.chips, [predictions("clean")], ({ ids, tokens }) => {
    held("tokens", JSON.stringify(snapshot.chips) === JSON.stringify(tokens.slice(0, snapshot.chips.length).map((token, i) => [visible(token), String(ids[i])])), [snapshot.chips, tokens]);
  });
  await hold("predictions", snapshot.candidates, [predictions("clean")], ({ top }) => {
    held("predictions", snapshot.candidates.length === top.length, snapshot.candidates.length);
    // a row is named by what is seen on it
    snapshot.candidates.forEach(({ row, id }, i) => {
      const { token, prob, logit } = top[i];
      const isIt = id === String(top[i].id) && row[0] === visible(token) + id && percent(row[2], prob) && logits(row[3], logit);
      held(`prediction ${i}`, isIt, [row, top[i]]);
    });
  });
  for (const which of [0, 1]) {
    const chip = snapshot.found[which];
    await hold("pair", chip, [() => answers.ask("predict", { prompt: [Number(chip?.[1])], top: 1 })], ({ tokens }) => {
      const typed = which ? state.u : state.t;
      const isTyped = /^#\d+$/.test(typed) || (!answers.readsText && /^\d+$/.test(typed)) ? chip[1] === String(Number(typed.replace("#", ""))) : tokens[0] === typed;
      held(`token ${which} of the pair`, chip[0] === visible(tokens[0]) && isTyped, [chip, typed, tokens]);
    });
  }
  await hold("difference", snapshot.difference, [() => api.lens()], ({ own_ln }) => {
    const value = own_ln.at(-1);
    const chip = snapshot.found[value > 0 ? 0 : 1];
    const leans = value === 0 ? "leans to neither" : `leans to ${chip?.[0]}`;
    held("difference", logits(snapshot.difference[0], value) && (!chip || snapshot.difference[1] === leans), [snapshot.difference, value]);
  });
  await hold("lens", snapshot.lens, [() => api.lens()], (lens) => {
    const { at, says: said, label } = snapshot.lens;
    const shown = { both: ["final", "own"], final: ["final"], own: ["own"], none: [] }[state.lens ?? "both"] ?? ["final", "own"];
    const final = said.match(/final scale (\S+?)(,|$)/)?.[1];
    const own = said.match(/own LayerNorm (\S+?)(,|$)/)?.[1];
    held("lens", shown.includes("final") === Boolean(final) || state.lens === "neither", [state.lens, said]);
    if (final) held("lens, final scale", logits(final, lens.final_ln[at]), [at, said, lens.final_ln[at]]);
    if (own) held("lens, own LayerNorm", logits(own, lens.own_ln[at]), [at, said, lens.own_ln[at]]);
    if (answers.readsText && !state.t.startsWith("#") && !state.u.startsWith("#")) held("lens's label", label.includes(`“${state.t}” minus “${state.u}”`), [label, state.t, state.u]);
  });
  await hold("table", snapshot.table, [predictions("clean")], ({ tokens, top }) => {
    const { columns, cells, says: said } = snapshot.table;
    held("table's columns", columns.every(([at, token]) => token === visible(tokens[Number(at)])), [columns, tokens]);
    const last = cells.find(([id]) => id === `cell-${2 * answers.config.n_layer}-${tokens.length - 1}`);
    if (last) held("table's last cell", last[1] === visible(top[0].token), [last, top[0]]);
    if (said.startsWith("Made by")) held("table's convention", said.includes(state.table === "final" ? "final scale" : "own LayerNorm"), [said, state.table]);
  });
  for (const [i, which] of ["clean", "corrupted"].entries()) {
    const side = snapshot.sides[i];
    await hold(`side ${which}`, side, [predictions(which)], ({ ids, tokens, top }) => {
      if (tokens.length < 160) held(`tokens of the ${which} prompt`, JSON.stringify(side.tokens) === JSON.stringify(tokens.map(visible)), [side.tokens, tokens]);
      side.says.forEach(([token, prob], at) => held(`what the ${which} prompt says`, token === visible(top[at].token) && percent(prob, top[at].prob), [side.says, top.slice(0, 3)]));
      seen.ids = ids.length;
    });
    await hold(`total ${which}`, side?.total, [() => api.attribute(which)], ({ total }) => held(`logit difference of the ${which} prompt`, logits(side.total[0], total), [side.total, total]));
  }
  if (snapshot.sides.every(Boolean) && snapshot.sides.length === 2) {
    const both = await Promise.all([api.predict("clean"), api.predict("corrupted")]);
    if (both.every(({ value }) => value)) {
      const marks = differing(both[0].value.ids, both[1].value.ids);
      marks.forEach((mark, i) => held("marked tokens", JSON.stringify(snapshot.sides[i].marks) === JSON.stringify(both[i].value.tokens.filter((_, at) => mark[at]).map(visible)), [snapshot.sides[i].marks]));
    }
    if (snapshot.example && snapshot.sides.every((side) => side.total)) {
      const [clean, corrupted] = await Promise.all([api.lens("clean"), api.lens("corrupted")]);
      if (clean.value && corrupted.value) {
        const isKnown = clean.value.own_ln.at(-1) > 0 && corrupted.value.own_ln.at(-1) < 0;
        held("whether the example is known", isKnown === (snapshot.unknown === null), [snapshot.unknown, clean.value.own_ln.at(-1), corrupted.value.own_ln.at(-1)]);
      }
    }
  }
  for (const site of ["resid_pre", "attn_out", "mlp_out", "heads"]) {
    const map = snapshot.maps[site];
    await hold(`map ${site}`, map, [() => api.patch(site), () => answers.ask("predict", { prompt: api.patched, top: 10, noBos: state.bos === "0" })], ({ values, estimate }, { tokens }) => {
      const width = values[0].length;
      const [row, column] = [Math.floor(map.at / width), map.at % width];
      const place = site === "heads" ? `head ${column}` : `position ${column} “${visible(tokens[column])}”`;
      held(`map ${site}`, map.says.startsWith(`Layer ${row}, ${place}`), [map.says, place]);
      const [, about, figure] = map.says.match(/brings back (about )?([−+\d.,]+\u202f%)/) ?? [];
      const meant = (about ? estimate : values)[row][column];
      held(`map ${site}`, figure ? share(figure, meant) : Number.isNaN(meant), [map.says, meant]);
      if (map.cells.length && map.isExact) {
        const all = values.flat().filter(Number.isFinite);
        held(`cells of the map ${site}`, map.cells.length === all.length && map.cells.every((cell, i) => says(cell, all[i], 0, 100)), [map.cells, all]);
      }
      if (site !== "heads") held(`columns of the map ${site}`, map.columns.length === width && map.columns.every((name, i) => visible(tokens[i]).startsWith(name.replace(/…$/, ""))), [map.columns, tokens]);
    });
  }
  await hold("map direct", snapshot.maps.direct, [() => api.attribute("clean"), () => api.attribute("corrupted")], (clean, corrupted) => {
    const { says: said } = snapshot.maps.direct;
    const [, row, column, first, second] = said.match(/^Layer (\d+), head (\d+): writes (\S+) logits in the clean run, (\S+) in/) ?? [];
    held("map direct", first && logits(first, clean.heads[row][column]) && logits(second, corrupted.heads[row][column]), [said]);
  });
  await hold("layers", snapshot.layers, [() => api.patch("attn_out", true), () => api.patch("mlp_out", true), () => api.attribute("clean"), () => api.attribute("corrupted")], (attn, mlp, clean, corrupted) => {
    const { at, says: said } = snapshot.layers;
    const [layer, part] = [Math.floor(at / 2), at % 2 ? "mlp" : "attn"];
    const [, name, total, direct] = said.match(/^(L\d+ \w+): total effect (.+), direct effect (.+)$/) ?? [];
    const meant = (part === "mlp" ? mlp : attn).values[layer];
    const whole = (clean[part][layer] - corrupted[part][layer]) / (clean.total - corrupted.total);
    held("layers", name === `L${layer} ${part}` && (share(total, meant) || share(total, (part === "mlp" ? mlp : attn).estimate[layer])) && (share(direct, whole) || !Number.isFinite(whole)), [said, meant, whole]);
  });
  await neuronsHold(snapshot, state, api, hold, held);
  await editsHold(snapshot, state, api, answers, hold, held);
  const written = settingsOf(snapshot.written?.says);
  if (written) {
    const set = snapshot.edits.filter(({ on, problem }) => on && !problem).map(({ code }) => code);
    await hold("written", snapshot.written, [() => api.generate(written, set)], ({ text }) => {
      const from = set.length && state.on === "corrupted" ? state.c : state.p;
      held("written text", snapshot.written.text === text && snapshot.written.after === from, [snapshot.written, text, from]);
    });
  }
  await weightsHold(snapshot, state, api, answers, hold, held);
  return found;
}

async function neuronsHold(snapshot, state, api, hold, held) {
  const { neurons, card } = snapshot;
  const name = /^L(\d+) N(\d+)$/;
  const layers = new Set((neurons?.list ?? []).map(({ row }) => Number(row[0].match(name)[1])));
  const spoken = neurons?.scatter?.says.match(/^L(\d+) N(\d+): brings back (about )?(\S+), directly (\S+)$/);
  if (spoken) layers.add(Number(spoken[1]));
  // where nothing is listed, the neuron that is looked at tells the layer
  const looked = card?.head?.match(/^Layer (\d+),/)?.[1];
  if (!layers.size && looked !== undefined) layers.add(Number(looked));
  const asked = state.layer === undefined ? (layers.size > 1 ? "all" : [...layers][0]) : state.layer === "all" ? "all" : Number(state.layer);
  const ask = () => api.neurons(asked);
  const grid = (values) => (asked === "all" ? values : { [asked]: values });
  if (neurons && (neurons.list.length || neurons.none || spoken) && asked !== undefined) {
    await hold("neurons", neurons, [ask], (answer) => {
      const [values, estimate, direct] = [answer.values, answer.estimate, answer.direct_share].map(grid);
      const differ = answer.clean * answer.corrupted < 0;
      held("strongest neurons where the answers are the same", differ ? !neurons.none : neurons.list.length === 0 && neurons.names.length === 0, [answer.clean, answer.corrupted, neurons.list.length, neurons.none]);
      for (const { row, isEstimate } of neurons.list) {
        const [, layer, neuron] = row[0].match(name);
        held(`neuron ${row[0]}`, values[layer] && share(row[1], (isEstimate ? estimate : values)[layer][neuron]) && share(row[2], direct[layer][neuron]), [row, values[layer]?.[neuron], direct[layer]?.[neuron]]);
      }
      if (spoken) {
        const [, layer, neuron, about, total, straight] = spoken;
        held("scatter of neurons", values[layer] && share(total, (about ? estimate : values)[layer][neuron]) && share(straight, direct[layer][neuron]), [neurons.scatter.says, values[layer]?.[neuron]]);
      }
      const strongest = neurons.list.filter(({ isEstimate }) => !isEstimate).map(({ row }) => Math.abs(parsed(row[1])));
      const most = Math.max(...Object.values(values).flat().map(Math.abs));
      if (strongest.length === neurons.list.length && strongest.length) held("the strongest neuron", strongest[0] >= most * 100 - 0.11, [strongest[0], most]);
    });
  }
  await hold("card", card, [ask], (answer) => {
    const [, layer, neuron] = card.head.match(/^Layer (\d+), neuron (\d+)$/);
    held("card's name", card.code === `blocks.${layer}.mlp.hook_post[${neuron}]` && state.neuron === `${layer}:${neuron}`, [card, state.neuron]);
    const at = (values) => grid(values)[layer][neuron];
    const [total, estimate, direct, writes] = card.facts;
    held("card", (total === "…" || share(total, at(answer.values))) && share(estimate, at(answer.estimate)) && share(direct, at(answer.direct_share)) && logits(writes.replace(/\u202flogits/, ""), at(answer.direct)), [card, at(answer.values)]);
  });
}

async function editsHold(snapshot, state, api, answers, hold, held) {
  const rows = snapshot.edits;
  held("rows of edits", JSON.stringify(rows.map(({ code, on }) => [code, on])) === JSON.stringify(state.edits.map(({ text, on }) => [text, on])), [rows, state.edits]);
  for (const { code, kind } of rows) {
    const word = code.match(/=(clean|corrupted)/)?.[1];
    if (word) held("where an edit takes its value from", kind.includes(word), [code, kind]);
  }
  const [plain, edited] = snapshot.outcomes;
  const set = rows.filter(({ on, problem }) => on && !problem).map(({ code }) => code);
  for (const { code, problem } of rows) {
    if (problem) held(`what is said of ${code}`, (await api.edit([code])).error, problem);
  }
  for (const [outcome, side, edits] of [[plain, "before", []], [edited, "after", set]]) {
    await hold(`edits ${side}`, outcome?.said, [() => api.edit(set)], (answer) => {
      const { diff, top } = answer[side];
      held(`edits, ${side}`, logits(outcome.said.diff, diff) && outcome.said.top.every(([token, prob], i) => token === visible(top[i].token) && percent(prob, top[i].prob)), [outcome.said, diff, top]);
    });
    await hold(`goes on ${side}`, outcome?.goesOn, [() => api.goesOn(edits)], ({ text }) => held(`how the text goes on, ${side}`, outcome.goesOn === text, [outcome.goesOn, text]));
  }
}

async function weightsHold(snapshot, state, api, answers, hold, held) {
  const { weights, tokens, pairs } = snapshot;
  if (weights) {
    const [, layer, neuron] = weights.head.match(/^Layer (\d+), neuron (\d+)$/);
    held("the neuron whose weights are shown", !state.w || state.w === `${layer}:${neuron}`, [weights.head, state.w]);
    await hold("weights", weights, [() => api.neuronTokens(`${layer}:${neuron}`)], ({ top, bottom }) => {
      [top, bottom].forEach((list, i) =>
        weights.lists[i].forEach(([name, value], at) => held(`weights of ${weights.head}`, name === visible(list[at].token) + list[at].id && logits(value, list[at].value), [weights.lists[i], list])),
      );
    });
    const known = weights.set.filter(([, value]) => value !== "no token here").map((_, i) => state.set[i]);
    held("the set of tokens", weights.set.length === state.set.length, [weights.set, state.set]);
    if (weights.sum && known.length === state.set.length) {
      await hold("set", weights.sum, [() => api.neuronTokens(`${layer}:${neuron}`, state.set)], ({ set }) => {
        const [, sum, mean] = weights.sum.match(/^sum (\S+), mean (\S+)$/);
        held("the set's sum", logits(sum, set.sum) && logits(mean, set.mean), [weights.sum, set]);
      });
    }
  }
  if (tokens) {
    held("tokens that are compared", tokens.length === state.k.length, [tokens.map(({ token }) => token), state.k]);
    for (const [i, token] of state.k.entries()) {
      await hold("token's neurons", tokens[i], [() => api.tokenNeurons(token)], (best) => {
        tokens[i].rows.forEach(([name, value], at) => held(`neurons of ${token}`, name === `L${best[at].layer} N${best[at].neuron}` && logits(value, best[at].value), [tokens[i].rows, best]));
        held(`gap of ${token}`, logits(tokens[i].gap, best[0].value - best[1].value), [tokens[i].gap, best]);
      });
    }
  }
  const find = state.find ?? "mutual";
  const isPairs = find === "mutual" || find === "exclusive";
  await hold("pairs", pairs, [() => api.found(find)], (answer) => {
    if (isPairs) {
      pairs.forEach((row, i) => held(`${find} pair ${i}`, row[1] === `L${answer[i].layer} N${answer[i].neuron}` && row[0].includes(visible(answer[i].token)) && says(row[4], answer[i].score, 4), [row, answer[i]]));
    } else {
      const hubs = find === "token-hubs" || find === "tokens" ? answer.tokens : find.includes("token") ? answer.tokens : answer.neurons;
      pairs.forEach((row, i) => held(`${find} ${i}`, parsed(row[1]) === hubs[i].best_of && logits(row[3], hubs[i].value), [row, hubs[i]]));
    }
  });
}
