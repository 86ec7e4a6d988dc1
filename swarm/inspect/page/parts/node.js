// One thing that the run knows: what it says, what it rests on, who reported it, and what hangs on it.
// It knows what the kinds of nodes and edges are called, and nothing of how they came to be.

const EDGES = [ // in the order in which they are shown: kind, what an edge is called from its source, from its target
  ["contradicts", "Contradicts", "Contradicts"],
  ["supersedes", "Held before this", "Came after this"],
  ["supports", "Says the same as, and is counted with", "Said also as"],
  ["summarises", "Covers", "Summarised by"],
  ["depends_on", "Rests on", "What rests on this"],
  ["about", "About", "Findings about this"],
  ["answers", "Answers", "Answered by"],
  ["derived_from", "Reported by", "Reported here"],
  ["cites", "Cites", "Cited by"],
  ["covers", "Read", "Read by"],
];
const LONG = 400; // characters of a heading

view("node", {
  title: "Node", group: "knows",
  async render(main, path) {
    const found = await data.get("node", { id: path });
    if (!isShown(main)) return;
    const node = found.node;
    const isSummary = node.kind === "summary";
    const name = isSummary ? `Summary of ${count(node.more.findings || 0, "finding")}` : node.text || node.id;
    titled(node.kind === "source" ? fileOf(name) : clip(name, LONG), [h("b", { class: "kind" }, node.kind), " ", states(found)]);
    main.append(...[
      found.trail?.length > 0 && trailOf(found.trail, (one) => href("tree", one.id)),
      !isSummary && (name.length > LONG || node.kind === "source") && text("p", name, { class: "prose" }),
      isSummary ? summary(node, found.edges) : fields(node),
      node.kind === "source" && h("p", null, h("a", { href: href("source", node.id) }, "Read its text")),
      node.kind === "slice" && h("p", null, h("a", { href: href("slice", node.id) }, "What this slice was asked, did and cost")),
      found.evidence?.length > 0 && evidence(found),
      ...relations(found, ["contradicts", "supersedes"]),
      found.slices?.length > 0 && reported(found.slices),
      leftOut(found),
      ...relations(found, EDGES.map((one) => one[0]).filter((kind) => kind !== "contradicts" && kind !== "supersedes")),
      address(node),
    ].filter(Boolean));
  },
});

function states(found) {
  const has = (kind, direction) => found.edges.some((one) => one.kind === kind && (!direction || one.direction === direction) && one.total);
  if (found.node.kind !== "finding") return [found.node.more.failed && tag("failed", "warn")];
  return [
    has("contradicts") && tag("disputed", "warn"), " ",
    has("supersedes", "in") ? tag("held before") : has("supersedes", "out") && tag("holds now", "good"), " ",
    has("supports", "out") && tag("says it again"),
  ];
}

function fields(node) {
  const more_ = node.more;
  const told = [
    ["Subject", more_.subject], ["Attribute", more_.attribute], ["Value", more_.value && [more_.value, more_.unit].filter(Boolean).join(" ")], ["Time", more_.time],
    ["Relevance", node.kind === "finding" && more_.relevance !== undefined && more_.relevance.toFixed(2)],
    ["Read as", more_.media], ["Characters", more_.chars && fmt.number(more_.chars)], ["Kept as", more_.ref],
    ["Round", more_.round], ["Item", more_.item], ["Quotes rejected", more_.rejected && fmt.number(more_.rejected)],
  ].filter((pair) => pair[1]);
  return told.length > 0 && h("dl", { class: "fields" }, told.map(([name, value]) => h("div", null, h("dt", null, name), text("dd", clip(value, 200)))));
}

function summary(node, edges) {
  return h("section", null, h("h2", null, "In short"), statements(node, new Map(edges.flatMap((one) => one.nodes).map((one) => [one.id, one]))),
    h("p", { class: "more" }, h("a", { href: href("tree", node.id) }, "Zoom into it")));
}

function evidence(found) {
  const all = found.evidence_total ?? found.evidence.length;
  return h("section", null, h("h2", null, all > 1 ? `Evidence (${fmt.number(all)} places)` : "Evidence"),
    found.evidence.map((one) => quoted(one)), all > found.evidence.length && h("p", { class: "soft" }, `and ${count(all - found.evidence.length, "place")} more, under “Cites”`));
}

function reported(slices) {
  return h("section", null, h("h2", null, "Who reported it, and what that cost"), h("ul", { class: "links" }, slices.map((one) => h("li", null,
    h("a", { href: href("slice", one.id) }, text("span", clip(one.name || one.asked || one.id, 160))),
    h("span", { class: "soft" }, one.state && h("span", null, one.state), one.ended && when(one.ended), h("span", null, count(one.calls || 0, "call")),
      h("span", null, `${fmt.tokens(one.tokens)} tokens`), h("span", null, fmt.dollars(one.cost_usd)))))));
}

function relations(found, kinds) {
  const hidden = (group) => group.kind === "derived_from" && group.direction === "out" && found.slices?.length
    || group.kind === "cites" && group.direction === "out" && (found.evidence_total ?? 0) <= found.evidence.length
    || group.kind === "summarises" && group.direction === "in";
  return EDGES.filter((one) => kinds.includes(one[0])).flatMap(([kind, out, into]) => ["out", "in"].map((direction) => {
    const group = found.edges.find((one) => one.kind === kind && one.direction === direction);
    if (!group?.nodes.length || hidden(group)) return null;
    const title = direction === "out" ? out : into;
    const item = (one) => h("li", null, findingLink(one), h("span", { class: "soft" }, notes(one).filter(Boolean).map((words) => text("span", clip(words, 90))), marksOf(one)));
    const rest = group.total - group.nodes.length;
    return h("section", null, h("h2", null, group.total > 3 ? `${title} (${fmt.number(group.total)})` : title),
      stepped(h("ul", { class: "links" }), group.nodes, item, 10),
      rest > 0 && h("p", { class: "soft more" }, `and ${fmt.number(rest)} more. `, allOf(found.node)));
  }));
}

// Where one sees the rest of a long list.
function allOf(node) {
  if (node.kind === "entity") return h("a", { href: href("findings", null, { q: node.text, kind: "finding" }) }, "Search for them");
  if (node.kind === "source") return h("a", { href: href("source", node.id) }, "See them in its text");
  return null;
}

function address(node) {
  const copy = h("button", { type: "button", class: "plain", onclick: async () => {
    try {
      await navigator.clipboard.writeText(location.href);
      say("The link is copied.");
      copy.textContent = "Copied";
    } catch {
      say("The link could not be copied: take it from the address bar.");
    }
  } }, "Copy link");
  return h("p", { class: "id soft" }, "id ", text("code", node.id), " ", copy);
}
