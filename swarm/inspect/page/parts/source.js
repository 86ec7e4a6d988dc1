// The text of a source, as it was read: the words that something rests on are marked and in sight, all other findings
// on it are listed beside, and what was not read is told. It knows places in texts, and nothing of who read them.

const PIECE_CHARS = 12_000;
const BEFORE = 3_000; // characters that are shown before the words one came for
const TOLD = { read: "read", planned: "not read yet", running: "being read", failed: "not read: its slice failed", skipped: "left out by the search", unread: "not read" };

view("source", {
  title: "Source", group: "knows",
  async render(main, path, query) {
    const [at, end] = [Number(query.at) || 0, Number(query.end) || 0];
    const first = await data.get("source", { id: path, at: Math.max(0, at - (query.at ? BEFORE : 0)), chars: PIECE_CHARS });
    if (!isShown(main)) return;
    const wanted_ = end > at ? { start: at, end } : (query.at && first.marks?.find((one) => one.start === at)) || null;
    titled(fileOf(first.path || path), [h("a", { href: href("coverage") }, "Sources"), " › ", text("span", clip(first.path || path, 300))]);
    main.append(facts(first), leftOut(first) || "");
    if (first.text === null) {
      main.append(failed(new Error(first.missing || "The text of this source is not on this machine.")));
      return;
    }
    const sheet = h("div", { class: first.media === "code" ? "sheet code" : "sheet", role: "group", "aria-label": "Text" });
    const beside = h("ul", { class: "links beside", role: "list" });
    const state = { id: path, sheet, beside, wanted: wanted_, from: first.start, to: first.start, line: first.line, listed: new Set(), chars: first.chars };
    const aside = h("aside", { "aria-label": "Findings on this text" }, h("h2", null, "Findings on this text"), beside);
    state.none = empty("None on what is shown.");
    aside.append(state.none);
    const up = pager(state, "Earlier text", true), down = pager(state, "Later text", false);
    main.append(h("div", { class: "leaf" }, h("div", { class: "paper" }, up, sheet, down), aside));
    put(state, first, false);
    const renew = () => {
      up.hidden = state.from <= 0;
      down.hidden = state.to >= state.chars;
    };
    state.renew = renew;
    renew();
    const here = sheet.querySelector("#here");
    if (here) {
      here.scrollIntoView({ block: "center" });
      say(`Marked in line ${here.closest(".line").dataset.line || "?"}: ${clip(here.textContent, 160)}`);
    } else if (wanted_) main.prepend(h("p", { class: "empty" }, "The place that was asked for is not in this text."));
  },
});

function facts(piece) {
  return h("p", { class: "soft source-facts" }, `${count(piece.chars, "character")}`, piece.findings !== undefined && ` · ${count(piece.findings, "finding")}`,
    piece.media && ` · ${piece.media}`, " · ", h("a", { href: href("node", piece.id) }, "about this source"));
}

function pager(state, words, earlier) {
  const trouble = h("span");
  const button = h("button", { type: "button", class: "more page-turn", onclick: async () => {
    button.disabled = true;
    try {
      const [from, to] = earlier ? [Math.max(0, state.from - PIECE_CHARS), state.from] : [state.to, state.to + PIECE_CHARS];
      const piece = await data.get("source", { id: state.id, at: from, chars: to - from });
      const anchor = state.sheet.firstElementChild;
      const stood = anchor.getBoundingClientRect().bottom;
      put(state, piece, earlier);
      state.renew();
      if (earlier) scrollBy(0, anchor.getBoundingClientRect().bottom - stood);
      trouble.replaceChildren();
      say(`${words} is shown.`);
    } catch (error) {
      trouble.replaceChildren(failed(error));
    }
    button.disabled = false;
  } }, words);
  const box = h("div", { class: "turn" }, button, trouble);
  return box;
}

// Add a piece before or after what is shown; what it has of that already is cut away.
function put(state, piece, earlier) {
  const unit = places(piece.text);
  const [low, high] = earlier ? [piece.start, Math.min(piece.end, state.from)] : [Math.max(piece.start, state.to), piece.end];
  if (high <= low) {
    if (earlier) state.from = 0;
    else state.to = state.chars;
    return;
  }
  const words = piece.text.slice(unit(low - piece.start), unit(high - piece.start));
  const skipped = piece.text.slice(0, unit(low - piece.start)).split("\n").length - 1;
  const marks = (piece.marks || []).filter((one) => one.end > low && one.start < high);
  const made = lines(state, words, low, high, (piece.line ?? 1) + skipped, marks, piece.reads || []);
  const joins = earlier ? !words.endsWith("\n") && state.sheet.querySelector(".line") : state.mid && state.sheet.lastElementChild;
  if (joins) join(joins, made, earlier);
  if (earlier) state.sheet.prepend(...made);
  else state.sheet.append(...made);
  if (!earlier) state.mid = !words.endsWith("\n");
  list(state, marks, piece.claims || piece.texts || {}, earlier);
  if (earlier) state.from = low;
  else {
    state.to = high;
    if (state.from === piece.start) state.from = low;
  }
}

// A line that two pieces share is one line.
function join(there, made, earlier) {
  const at = made.findLastIndex((one) => one.matches(".line")), first = made.findIndex((one) => one.matches(".line"));
  const [piece] = made.splice(earlier ? at : first, 1);
  const words = there.querySelector(".words");
  if (earlier) words.prepend(...piece.querySelector(".words").childNodes);
  else words.append(...piece.querySelector(".words").childNodes);
}

function lines(state, words, low, high, number, marks, reads) {
  const all = [...words]; // by characters, as places count them
  const cuts = new Set([low, high]);
  for (const one of [...marks, state.wanted].filter(Boolean)) {
    if (one.start > low && one.start < high) cuts.add(one.start);
    if (one.end > low && one.end < high) cuts.add(one.end);
  }
  const made = [];
  let line = null, begun = low, before = null;
  const edges = [...cuts].sort((one, other) => one - other);
  const open = () => {
    const state_ = reads.find((one) => one.start <= begun && one.end > begun)?.state || "unread";
    if (state_ !== before && !(before === null && state_ === "read")) made.push(h("p", { class: `boundary ${state_}` }, `From here: ${TOLD[state_] || state_}`));
    before = state_;
    const body = h("span", { class: "words", dir: "auto" });
    line = h("div", { class: `line ${state_}`, dataset: { line: String(number) } }, h("span", { class: "no", "aria-hidden": "true" }, String(number)), body);
    made.push(line);
    return body;
  };
  let body = open();
  for (let at = 0; at < edges.length - 1; at++) {
    const [from, to] = [edges[at], edges[at + 1]];
    const here = state.wanted && from >= state.wanted.start && to <= state.wanted.end;
    const on = marks.filter((one) => one.start <= from && one.end >= to);
    let rest = all.slice(from - low, to - low).join("");
    for (;;) {
      const stop = rest.indexOf("\n");
      const part = stop < 0 ? rest : rest.slice(0, stop).replace(/\r$/, "");
      if (part) body.append(piecemark(state, part, here, on));
      if (stop < 0) break;
      rest = rest.slice(stop + 1);
      number += 1;
      begun = to - [...rest].length;
      if (begun < high) body = open();
    }
  }
  return made;
}

function piecemark(state, part, here, on) {
  if (!here && !on.length) return document.createTextNode(shown(part));
  const ids = on.flatMap((one) => one.findings);
  const attributes = { dataset: { findings: ids.join(" ") }, class: on.length ? "cited" : null };
  if (!here) return h("span", attributes, shown(part));
  const made = h("mark", { ...attributes, id: state.sheet.dataset.here ? null : "here" }, shown(part));
  state.sheet.dataset.here = "yes";
  return made;
}

// The findings on a piece, in the order of the text. Whoever points at one sees its words.
function list(state, marks, claims, earlier) {
  const made = [];
  if (!earlier) follow(state);
  for (const one of marks) {
    for (const id of one.findings) {
      if (state.listed.has(id)) continue;
      state.listed.add(id);
      const isThis = state.wanted && one.start < state.wanted.end && one.end > state.wanted.start;
      const said = claims[id];
      const light = (on) => () => {
        for (const words of state.sheet.querySelectorAll(`[data-findings~="${CSS.escape(id)}"]`)) words.classList.toggle("lit", on);
      };
      const link = h("a", { href: href("node", id), "aria-current": isThis ? "true" : null }, text("span", clip((said && (said.text || said)) || id, 160)));
      made.push(h("li", { dataset: { id }, onmouseenter: light(true), onmouseleave: light(false), onfocusin: light(true), onfocusout: light(false) }, link));
    }
  }
  if (earlier) state.beside.prepend(...made);
  else state.beside.append(...made);
  state.none.hidden = state.listed.size > 0;
}

// As one reads on, the findings beside keep up with the text, and those that are in sight are told apart.
function follow(state) {
  state.sight ||= new IntersectionObserver((seen) => {
    for (const one of seen) for (const id of one.target.dataset.findings.split(" ")) state.inSight[one.isIntersecting ? "add" : "delete"](id);
    let top = null;
    for (const item of state.beside.children) {
      const on = state.inSight.has(item.dataset.id);
      item.classList.toggle("insight", on);
      if (on) top ||= item;
    }
    const box = state.beside.closest("aside");
    if (top && !box.matches(":hover, :focus-within") && getComputedStyle(box).position === "sticky") {
      const chosen = box.querySelector("[aria-current]")?.closest(".insight") || top;
      box.scrollTop = chosen.offsetTop - box.clientHeight / 3;
    }
  });
  state.inSight ||= new Set();
  for (const words of state.sheet.querySelectorAll("[data-findings]:not([data-seen])")) {
    words.dataset.seen = "";
    if (words.dataset.findings) state.sight.observe(words);
  }
}
