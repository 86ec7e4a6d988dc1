// What several views show of what a run knows: a link to a node, what is told beside it, a quote in its context.
// It knows the shape of nodes and of evidence, and fetches nothing.

const KINDS = ["finding", "summary", "decision", "question", "entity", "artifact", "source", "slice"];
const OPEN = new WeakMap(); // what a view remembers of the place that it was drawn in

// What is told of a node beside its text.
function notes(one) {
  const value = one.value && [one.value, one.unit].filter(Boolean).join(" ");
  switch (one.kind) {
    case "finding": return [placeOf(one.where), value, one.time, one.relevance !== undefined && `relevance ${one.relevance.toFixed(2)}`];
    case "summary": return [one.level && `level ${one.level}`, one.findings && count(one.findings, "finding")];
    case "entity": return [one.findings && count(one.findings, "finding")];
    case "source": return [one.chars !== undefined && count(one.chars, "character"), one.media];
    case "slice": return [one.item, one.round && `round ${one.round}`, one.id.slice(0, 12)];
    default: return [one.media];
  }
}

function marksOf(one) {
  return [one.disputed && tag("disputed", "warn"), one.past && tag("held before"), one.again && tag("says it again"), one.failed && tag("failed", "warn")];
}

const addressOf = (one) => (one.kind === "source" ? href("source", one.id) : one.kind === "slice" ? href("slice", one.id) : href("node", one.id));

const findingLink = (one, most = 300) => h("a", { href: addressOf(one) }, text("span", clip(one.text || one.id, most)));

// The last part of a path, which tells most.
const fileOf = (path) => String(path).replace(/\/+$/, "").split("/").pop() || path;

// A path, and a place in it, without the folders that the paths of all sources begin with: what tells them apart stays.
function placeOf(where) {
  const folder = data.overview?.folder;
  return folder && where?.startsWith(folder) ? where.slice(folder.length) : where;
}

// Where a quote stands in its source, as an address.
const sourceAt = (one) => href("source", one.source, { at: one.start, end: one.end });

// A quote of a source, marked between the words around it, of which `most` characters are shown on each side.
function quoted(one, most = 400) {
  const where = text("span", placeOf(one.where || one.path) || `${one.start}–${one.end}`, { title: shown(one.where || one.path || "") });
  if (one.quote === null || one.quote === undefined) {
    return h("figure", { class: "quote" }, h("p", { class: "empty" }, text("span", one.missing || "The text of this source is not here.")), h("figcaption", null, where));
  }
  const around = (words) => words && h("span", { class: "context" }, shown(most < 200 ? words.replace(/\n{2,}/g, "\n") : words));
  const before = one.before && (one.before.length > most ? "… " + one.before.slice(-most).replace(/^\S*\s/, "") : one.before).replace(/^\s*\n/, "");
  const after = one.after && clip(one.after, most).replace(/\s\S*…$/, " …").replace(/\n\s*$/, "");
  const left = one.clipped?.quote || 0;
  const isCode = one.media === "code" || /\n( {4}|\t)\S/.test(`\n${one.before || ""}${one.quote}${one.after || ""}`);
  return h("figure", { class: "quote" },
    h("blockquote", { class: isCode ? "text code" : "text", dir: "auto" }, around(before), h("mark", null, shown(one.quote)), left > 0 && "…", around(after)),
    h("figcaption", null, h("a", { href: sourceAt(one) }, where), left > 0 && ` · ${count(left, "character")} more`));
}

// The summaries that lie above something, outermost first.
function trailOf(steps, addressOf_) {
  const item = (address, words) => h("li", null, h("a", { href: address }, words));
  return h("nav", { class: "trail", "aria-label": "Where this is" }, h("ol", null, item(href("tree"), "Summaries"),
    steps.map((one) => item(addressOf_(one), text("span", clip(one.text, 48))))));
}

// What stands there gives way, unless it is the same, or someone is in it with the focus or a selection.
function instead(old, made) {
  const chosen = getSelection();
  const held = old.contains(document.activeElement) || (chosen && !chosen.isCollapsed && old.contains(chosen.anchorNode));
  if (held || old.isEqualNode(made)) return old;
  old.replaceWith(made);
  return made;
}

// The sentences of a summary, each with what it rests on: nodes, or ids where no more is known.
function statements(node, known) {
  const said = node.statements || node.more?.statements || [];
  if (!said.length) return text("p", node.text, { class: "prose" });
  return h("ol", { class: "statements", role: "list" }, said.map((one) => {
    const rests = (one.rests_on || []).map((each) => (typeof each === "string" ? { id: each } : each));
    const all = one.total ?? rests.length;
    const below = h("details", null, h("summary", null, `rests on ${fmt.number(all)} below`));
    below.addEventListener("toggle", () => below.append(stepped(h("ul", { class: "links" }), rests, (each) => resting(each, known), 10)), { once: true });
    return h("li", null, text("p", one.text), all > 0 && below);
  }));
}

// A node of which the id alone may be known: then its text is asked for.
function resting(one, known) {
  const whole = one.text ? one : known?.get(one.id);
  if (whole) return h("li", null, findingLink(whole));
  const item = h("li", null, findingLink(one));
  data.get("node", { id: one.id }).then((found) => item.replaceChildren(findingLink(found.node)), () => {});
  return item;
}

// What a page in a file had no room for.
const leftOut = (reply) => reply.left_out && text("p", clip(reply.left_out, 300), { class: "soft" });
