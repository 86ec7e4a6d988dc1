// What the run knows, as a reading that one zooms: from the summaries at the top, each opens where it stands into
// what it was made of, down to findings and their words. The address tells what is looked at and what is open.
// It knows levels and what lies below, and nothing of how summaries are written.

const STEP_ROWS = 20;

view("tree", {
  title: "Summaries", nav: true, group: "knows", first: true,
  async render(main, path, query) {
    const found = await data.get("tree", { id: path });
    if (!isShown(main)) return;
    const state = { root: path, open: new Set((query.open || "").split(".").filter(Boolean)), above: found.trail || [] };
    const node = found.node;
    if (node && path) {
      titled(node.kind === "finding" ? node.text : naming(node), [trailOf(state.above, (one) => href("tree", one.id))]);
      main.append(zoomOut(state));
    }
    if (node?.kind === "finding") main.append(h("p", null, h("a", { href: href("node", node.id) }, "Open this finding")));
    else if (node?.kind === "summary") main.append(statements(node, new Map(found.children.map((one) => [one.id, one]))));
    if (found.children.length) main.append(h("h2", null, node?.kind === "summary" ? "What it is made of" : node && path ? "What lies in it" : "From the top"),
      h("p", { class: "soft keys-only" }, "Open what you want to know more of, or use the keys: arrows move, + opens, − closes."));
    const list = h("ul", { class: "tree", role: "list", "aria-label": "Summaries" });
    const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: show });
    main.append(fresh, leftOut(found) || "");
    if (!found.children.length) main.append(empty(node ? (node.kind === "finding" ? "" : "Nothing lies below.") : none()));
    await fill(state, main, list, found.children);
    OPEN.set(main, Object.assign(state, { fresh, known: data.overview?.graph.counts?.summary || 0 }));
    const back = query.from && [...list.querySelectorAll(".twig")].find((one) => brief(one.dataset.id) === query.from);
    if (back) {
      settle("tree", path, { open: [...state.open].join(".") });
      back.querySelector("button, a").focus({ preventScroll: true });
      back.scrollIntoView({ block: "center" });
    }
  },
  change(main, now) {
    const state = OPEN.get(main);
    const more_ = (now.graph.counts?.summary || 0) - (state?.known ?? Infinity);
    if (more_ <= 0) return;
    state.fresh.textContent = `${count(more_, "new summary")}: look again`;
    state.fresh.hidden = false;
  },
  key: (main, event) => OPEN.has(main) && keys(main, event),
});

const naming = (node) => (node.kind === "group" ? `${count(node.findings || 0, "finding")}, no summary yet` : `Summary of ${count(node.findings || 0, "finding")}`);

function none() {
  return data.live ? "No findings yet: summaries come once there is something to sum up." : "There are no summaries in this run.";
}

// An id may be long: in the address of what is open, a number stands for it (FNV-1a of 32 bits).
function brief(id) {
  let sum = 0x811c9dc5;
  for (const one of id) sum = Math.imul(sum ^ one.codePointAt(0), 0x01000193);
  return (sum >>> 0).toString(36);
}

function fill(state, box, list, children) {
  box.append(stepped(list, children, (one) => twig(state, one), STEP_ROWS));
  return Promise.all([...list.querySelectorAll(":scope > .twig")].filter((one) => state.open.has(brief(one.dataset.id))).map((one) => one.unfold()));
}

// One summary, group or finding. What is open shows what lies below it, in its place.
function twig(state, one) {
  const isLeaf = one.kind === "finding";
  const body = h("div", { class: "below", hidden: true });
  const item = h("li", { class: `twig ${one.kind}`, dataset: { id: one.id } });
  if (isLeaf) {
    item.append(h("div", { class: "twig-head" }, findingLink(one, 400), h("span", { class: "soft" }, notes(one).filter(Boolean).map((words) => text("span", clip(words, 90))), marksOf(one))));
    return item;
  }
  const button = h("button", { type: "button", class: "fold", "aria-expanded": "false", onclick: () => (body.hidden ? item.unfold() : item.fold()) },
    h("span", { class: "sign", "aria-hidden": "true" }, "+"), h("span", null, count(one.findings || 0, "finding")), h("span", { class: "unseen" }, ` under: ${clip(shown(one.text), 80)}`));
  const isGroup = one.kind === "group";
  const rest = isGroup && one.findings > 1 && h("span", { class: "soft" }, ` and ${fmt.number(one.findings - 1)} more`);
  item.append(h("div", { class: "twig-head" }, h("p", null, text("span", clip(one.text, isGroup ? 240 : 900)), rest),
    h("p", { class: "toolbar" }, button, h("a", { class: "zoom", href: href("tree", one.id) }, "Zoom in", h("span", { class: "unseen" }, `: ${clip(shown(one.text), 80)}`)),
      h("span", { class: "soft" }, isGroup ? "no summary yet" : `level ${one.level}`))), body);
  const sign = (open) => {
    button.setAttribute("aria-expanded", String(open));
    button.firstChild.textContent = open ? "−" : "+";
    body.hidden = !open;
    state.open[open ? "add" : "delete"](brief(one.id));
    settle("tree", state.root, { open: [...state.open].join(".") });
  };
  item.unfold = async () => {
    if (!body.firstChild) {
      const list = h("ul", { class: "tree", role: "list" });
      try {
        const found = await data.get("tree", { id: one.id });
        await fill(state, body, list, found.children);
      } catch (error) {
        body.replaceChildren(failed(error));
      }
    }
    sign(true);
  };
  item.fold = () => sign(false);
  return item;
}

function zoomOut(state) {
  const up = state.above[state.above.length - 1];
  return h("p", { class: "toolbar" }, h("a", { class: "out", href: href("tree", up?.id, { from: brief(state.root) }) }, up ? "Zoom out" : "Zoom out to all"));
}

// Arrows move between what is in sight, + opens or goes one down, − closes or goes one up, past the root zooms out.
function keys(main, event) {
  const here = event.target.closest(".twig");
  const all = [...main.querySelectorAll(".twig")].filter((one) => !one.closest(".below[hidden]"));
  const move = (one) => one?.querySelector(".fold, a")?.focus();
  const single = $("singles").checked;
  const plus = single && (event.key === "+" || event.key === "=");
  const minus = single && (event.key === "-" || event.key === "−");
  if (plus && !here) move(all[0]);
  else if (plus || (here && event.key === "ArrowRight")) deeper(here, move);
  else if (minus || (here && event.key === "ArrowLeft")) higher(main, here, move, minus);
  else if (here && event.key === "ArrowDown") move(all[all.indexOf(here) + 1]);
  else if (here && event.key === "ArrowUp") move(all[Math.max(0, all.indexOf(here) - 1)]);
  else return false;
  return true;
}

async function deeper(here, move) {
  if (!here?.unfold) return;
  if (here.querySelector(".below").hidden) await here.unfold();
  else move(here.querySelector(".below .twig"));
}

function higher(main, here, move, out) {
  const body = here?.querySelector(".below");
  if (body && !body.hidden) return here.fold();
  const over = here?.parentNode.closest(".twig");
  if (over) return move(over);
  if (out) main.querySelector(".out")?.click();
}
