// What the page says, figure by figure, as a person reads it. A figure that is marked as another state's says nothing.

/** Runs in the page: everything at one moment. */
export function read() {
  const one = (selector, within = document) => within?.querySelector(selector) ?? null;
  const all = (selector, within = document) => [...(within?.querySelectorAll(selector) ?? [])];
  const isMarked = (element) => Boolean(element.closest('.stale, [inert], [data-answer="pending"]'));
  const text = (element) => element?.textContent ?? null;
  const texts = (selector, within) => all(selector, within).map(text);
  /** What `take` makes of the element, where it is there and the present state's. */
  const figure = (element, take) => (element && !isMarked(element) ? take(element) : null);
  const slider = (element) => ({ at: Number(element.getAttribute("aria-valuenow")), says: element.getAttribute("aria-valuetext"), label: element.getAttribute("aria-label") });
  const map = (site) =>
    figure(one(`#map-${site} svg[role=slider]`), (svg) => ({
      ...slider(svg),
      columns: all(".column-label", svg).map(text),
      cells: all(".figure-in-cell", svg).map(text),
      isExact: /^Exact/.test(text(one(`#map-${site} .sweep`)) ?? "Exact"),
    }));
  const rows = (element) => all("li button", element).map((row) => [...row.children].map(text));
  const valueOf = (id) => document.getElementById(id)?.value ?? null;
  return {
    hash: location.hash,
    model: text(one(".model-line b")),
    fields: { p: valueOf("prompt"), c: valueOf("corrupted"), t: valueOf("pair-0"), u: valueOf("pair-1") },
    notices: all(".notice p").map((notice) => [notice.parentElement.id, text(notice)]),
    chips: figure(one(".tokens .chips:not(.placeholder)"), (chips) => all(".chip", chips).map((chip) => [text(one(".tok", chip)), text(one("small", chip))])),
    candidates: figure(one(".candidates"), (list) =>
      all("li button", list).map((row) => ({ row: [...row.children].map(text), id: text(one("small", row)) })),
    ),
    found: [0, 1].map((which) => figure(one(".found .chip", all(".pair .field")[which]), (chip) => [text(one(".tok", chip)), text(one("small", chip))])),
    difference: figure(one(".difference b"), (b) => [text(b), text(one(".difference span"))]),
    lens: figure(one(".lens .plot svg[role=slider]"), slider),
    table: figure(one(".lens-table .grid"), (grid) => ({
      columns: all(".column-name", grid).map((name) => [text(one("small", name)), text(one(".tok", name))]),
      cells: all(".cell", grid).map((cell) => [cell.id, text(cell)]),
      says: text(one(".lens-table .readout")),
    })),
    sides: all(".side").map((side) =>
      figure(one(".running", side), () => ({
        tokens: texts(".running .tok", side),
        marks: texts(".running mark .tok", side),
        says: all(".says li", side).map((row) => [text(one(".tok", row)), text(one(".figures", row))]),
        total: figure(one(".total b", side), (b) => [text(b), text(one(".parts", side)), text(one(".total .tok", side))]),
      })),
    ),
    example: valueOf("example"),
    unknown: text(one(".examples .unknown")),
    maps: Object.fromEntries(["resid_pre", "attn_out", "mlp_out", "heads", "direct"].map((site) => [site, map(site)])),
    layers: figure(one(".layers-plot svg[role=slider]"), slider),
    neurons: figure(one("#neurons .neurons-body > *")?.parentElement ?? null, (body) => ({
      list: all(".outliers li button", body).map((row) => ({ row: [...row.children].map(text), isEstimate: Boolean(one(".estimate", row)) })),
      none: text(one(".no-finding", body)),
      scatter: figure(one("svg[role=slider]", body), slider),
      names: texts("text.outlier", body),
    })),
    card: figure(one(".neuron-card"), (card) => ({ head: text(one("h3", card)), code: text(one("code", card)), facts: texts("dd b", card) })),
    edits: all(".edit").map((row) => ({ code: text(one("code", row)), on: one("input[type=checkbox]", row).checked, problem: text(one(".notice p", row)), kind: text(one("select option:checked", row)) })),
    outcomes: all(".outcome-side").map((side) => ({
      said: figure(one(".total b", side), (b) => ({ diff: text(b), names: text(one(".total .tok", side)), top: all("li", side).map((row) => [text(one(".tok", row)), text(one(".figures", row))]) })),
      goesOn: figure(one(".goes-on ins", side), text),
    })),
    written: figure(one(".written"), (written) => ({ after: text(one(".after", written)), text: text(one("ins", written)), says: texts(".generation .outcome .readout")[0] })),
    canAppend: all(".generation .outcome button").some((button) => !isMarked(button)),
    weights: figure(one("#weights .weights-head"), (head) => ({
      head: text(one("h3", head)),
      code: text(one("code", head)),
      lists: all("#weights .weights-lists .value-list").slice(0, 2).map(rows),
      set: all("#weights .token-set ol li").map((row) => [...row.children].slice(0, 2).map(text)),
      sum: text(one("#weights .token-set .readout")),
    })),
    tokens: figure(one("#tokens .token-lists"), (lists) => all(".value-list", lists).map((list) => ({ token: text(one("h3 .tok", list)), id: text(one("h3 small", list)), rows: rows(list), gap: text(one(".readout b", list)) }))),
    pairs: figure(one("#pairs .pairs-table"), (table) => all("tbody tr", table).slice(0, 12).map((row) => [...row.children].map(text))),
    marked: all('.stale, [inert], [data-answer="pending"]').map((element) => element.className),
    busy: Boolean(one('[aria-busy="true"]')),
  };
}
