// All that the run knows as one list: searched, by kind, of any length.
// It knows what a row looks like. What a search finds, and in which order, is the business of those who answer it.

const ASK = "Search what the run knows";

view("findings", {
  title: "Findings", nav: true, group: "knows", first: true,
  async render(main, path, query) {
    const state = { q: query.q || "", kind: KINDS.includes(query.kind) ? query.kind : "" };
    const field = h("input", { id: "search", type: "search", "aria-label": ASK, placeholder: ASK, autocomplete: "off", spellcheck: "false", enterkeyhint: "search", value: state.q });
    const found = h("p", { class: "soft", id: "found", role: "status" });
    const trouble = h("div");
    const fresh = h("button", { type: "button", class: "fresh", id: "fresh", hidden: true });
    const kinds = h("div", { class: "toolbar kinds", role: "group", "aria-label": "Kind" });
    const list = rows({
      label: "Results", height: 84, make: (one) => row(one, state.q),
      load: async (offset, limit) => {
        const reply = await data.get("nodes", { q: state.q, kind: state.kind || (state.q ? "" : "finding"), offset, limit });
        if (offset === 0) Object.assign(state, { exact: reply.exact !== false, left: reply.left_out });
        return reply;
      },
      onfailed: (error) => trouble.replaceChildren(failed(error, again)),
    });

    async function again() {
      trouble.replaceChildren();
      found.textContent = "";
      fresh.hidden = true;
      state.known = known(state.kind);
      scrollTo(0, 0);
      await list.renew();
      if (!isShown(main) || trouble.firstChild) return;
      found.textContent = told(state, list);
    }
    function chosen(kind) {
      state.kind = kind;
      for (const button of kinds.children) button.setAttribute("aria-pressed", String(button.dataset.kind === kind));
    }
    function asked() {
      settle("findings", null, { q: state.q, kind: state.kind });
      return again();
    }
    const counts = data.overview?.graph?.counts || {};
    for (const kind of ["", ...KINDS.filter((one) => counts[one] || one === state.kind)]) {
      const name = kind ? PLURAL[kind] || kind + "s" : "all";
      kinds.append(h("button", { type: "button", dataset: { kind }, "aria-pressed": "false", onclick: () => (chosen(kind), asked()) },
        name[0].toUpperCase() + name.slice(1), kind && h("span", { class: "soft" }, ` ${fmt.tokens(counts[kind])}`)));
    }
    chosen(state.kind);
    let typing = null;
    field.addEventListener("input", () => {
      clearTimeout(typing);
      typing = setTimeout(() => {
        state.q = field.value.trim();
        asked();
      }, 180);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !field.value) field.blur();
      if (event.key !== "ArrowDown" && event.key !== "Enter") return;
      event.preventDefault();
      list.focusAt(0);
    });
    fresh.addEventListener("click", async () => {
      await again();
      list.focusAt(0);
    });
    main.append(h("div", { class: "sticks", role: "search" }, field, kinds, h("div", { class: "head-row" }, found, fresh)), trouble, list.box);
    OPEN.set(main, { state, fresh });
    if (query.focus) {
      settle("findings", null, { q: state.q, kind: state.kind });
      field.focus();
    }
    await again();
  },
  change(main) {
    const { state, fresh } = OPEN.get(main) || {};
    if (!state || state.known === undefined) return;
    const more_ = known(state.kind) - state.known;
    if (more_ <= 0) return;
    const words = state.q ? `${fmt.number(more_)} new in the run: search again` : `${fmt.number(more_)} new`;
    if (fresh.textContent !== words) fresh.textContent = words;
    fresh.hidden = false;
  },
});

function known(kind) {
  const counts = data.overview?.graph?.counts || {};
  return counts[kind || "finding"] || 0;
}

function told(state, list) {
  const [all, noun] = [list.total(), state.kind || (state.q ? "result" : "finding")];
  if (!all) return state.q ? "Nothing found. Fewer or other words may find more." : `No ${PLURAL[noun] || noun + "s"} yet.`;
  const order = state.q ? "the best first" : noun === "finding" ? "the most relevant first, each claim once" : "";
  const cut = list.shown() < all ? `, the first ${fmt.number(list.shown())} in this list` : "";
  const absent = state.left ? `. ${clip(shown(state.left), 300)}` : "";
  return `${state.exact === false ? "The best " : ""}${count(all, noun)}${order ? `, ${order}` : ""}${cut}${absent}`;
}

// Where words of the search stand in a text: they, or what begins with them.
function hits(words, q) {
  const asked = (q.match(/[\p{L}\p{N}]+/gu) || []).filter((one) => one.length > 1).slice(0, 12);
  if (!asked.length || /[\ud800-\udbff]/.test(words)) return [];
  return [...words.matchAll(new RegExp(`(?<![\\p{L}\\p{N}])(?:${asked.join("|")})[\\p{L}\\p{N}]{0,3}`, "giu"))].map((one) => [one.index, one.index + one[0].length]);
}

function row(one, q) {
  const words = clip(one.text || one.id, 260);
  return h("li", null, h("a", { href: addressOf(one), class: "row-link" },
    h("span", { class: "text row-text", dir: "auto" }, marked(words, hits(words, q))),
    h("span", { class: "row-notes soft" }, one.kind !== "finding" && h("b", null, one.kind), notes(one).filter(Boolean).map((words) => text("span", clip(words, 90))), marksOf(one))));
}
