// The graph of a file: findings with what hangs on them, other nodes, what contradicts what, the tree of summaries.
// Findings go by their places in their list, the most relevant first; what is asked for by id is found by reading on.

const heldGraph = (() => {
  const FEW = 20; // nodes of one kind of edge
  const findings = held.list("findings"), entities = held.list("entities");
  const CUT = "Findings of little relevance are not in this file, for want of room.";
  const [ID, TEXT, RELEVANCE, FIELDS, EVIDENCE, PLACES, LEADER, SLICES, ABOUT, QUOTES] = Array.from({ length: 10 }, (_, at) => at);

  // Pairs: of each finding that is in one, [kind, direction, the other].
  const pairs = held.once(async () => {
    const found = new Map();
    const put_ = (one, entry) => (found.has(one) ? found.get(one).push(entry) : found.set(one, [entry]));
    const rows_ = await held.list("disputes").all();
    await held.inTurns(rows_.length, (at) => {
      const [later, one, other] = rows_[at];
      put_(one, [later ? "supersedes" : "contradicts", "out", other]);
      put_(other, [later ? "supersedes" : "contradicts", later ? "in" : "out", one]);
    });
    return found;
  });

  // All findings with what points at them: who says the same, and what rests on a source, is about an entity, or
  // comes from a slice.
  const index = held.once(async () => {
    const all = await findings.all();
    const into = { ids: new Map(), same: new Map(), sources: new Map(), entities: new Map(), slices: new Map() };
    const put_ = (map, key, value) => (map.has(key) ? map.get(key).push(value) : map.set(key, [value]));
    await held.inTurns(all.length, (at) => {
      const row = all[at];
      into.ids.set(row[ID], at);
      if (row[LEADER] >= 0) put_(into.same, row[LEADER], at);
      for (const [source, start, end] of row[EVIDENCE]) put_(into.sources, source, [start, end, row[LEADER] >= 0 ? row[LEADER] : at]);
      for (const one of row[ABOUT]) put_(into.entities, one, at);
      for (const one of row[SLICES]) put_(into.slices, one, at);
    });
    const marks_ = [...into.sources.values()];
    await held.inTurns(marks_.length, (at) => marks_[at].sort((one, other) => one[0] - other[0] || one[1] - other[1]), 1);
    return { all, ...into };
  });

  const nodes_ = held.once(async () => new Map((await held.list("nodes").all()).map((row) => [row[0], row])));

  const named = (row) => ({ id: row[ID], kind: "finding", text: row[TEXT].slice(0, 400) });

  function fields(row) {
    const [subject, attribute, value, unit, time] = row[FIELDS] || [];
    return { relevance: row[RELEVANCE], subject, attribute, value, unit, time };
  }

  async function told(place, row) {
    const around = (await pairs()).get(place) || [];
    const made = { ...named(row), ...fields(row), where: null, source: null, start: null };
    made.disputed = around.some(([kind]) => kind === "contradicts");
    made.past = around.some(([kind, way]) => kind === "supersedes" && way === "in");
    made.again = row[LEADER] >= 0;
    const first = row[EVIDENCE][0];
    if (!first) return made;
    const source = (await heldText.sources())[first[0]];
    return { ...made, where: heldText.where(source, first[3]), source: source.id, start: first[1] };
  }

  const tellAll = (places_) => Promise.all(places_.map(async (place) => told(place, await findings.at(place))));

  // Lists

  async function nodes({ q = "", kind = "", offset = 0, limit = 50 }) {
    const [from, many] = [Number(offset) || 0, Math.min(200, Number(limit) || 50)];
    if (String(q).trim()) {
      const { total, hits } = await heldSearch.find(String(q), kind);
      return { total: hits.length, exact: total <= hits.length, offset: from, rows: await Promise.all(hits.slice(from, from + many).map(([one, place]) => tell(one, place))) };
    }
    if (!kind || kind === "finding") {
      const total = held.head.leaders;
      const places_ = Array.from({ length: Math.max(0, Math.min(many, total - from)) }, (_, at) => from + at);
      const cut = held.head.overview.graph.claims > total;
      return { total, exact: true, offset: from, rows: await tellAll(places_), ...(cut ? { left_out: CUT } : {}) };
    }
    const all = await ofKind(kind);
    return { total: all.length, exact: true, offset: from, rows: await Promise.all(all.slice(from, from + many).map(([one, place]) => tell(one, place))) };
  }

  // The nodes of a kind, as pairs of the kind and what tells the node.
  async function ofKind(kind) {
    if (kind === "entity") return Array.from({ length: entities.length }, (_, at) => [kind, at]);
    if (kind === "source") return (await heldText.sources()).filter((one) => one.findings > 0).map((one) => [kind, one.number]);
    if (kind === "slice") return Array.from({ length: held.list("slices").length }, (_, at) => [kind, at]);
    return [...(await nodes_()).values()].filter((row) => row[1] === kind).map((row) => [kind, row[0]]);
  }

  async function tell(kind, place) {
    if (kind === "finding") return told(place, await findings.at(place));
    if (kind === "entity") {
      const row = await entities.at(place);
      return { id: row[0], kind, text: row[1] };
    }
    if (kind === "source") {
      const one = (await heldText.sources())[place];
      return { id: one.id, kind, text: one.path, chars: one.chars, media: one.media };
    }
    if (kind === "slice") return heldWork.asNode(place);
    const row = (await nodes_()).get(place);
    return { id: row[0], kind: row[1], text: row[5], ...row[6] };
  }

  // One node

  async function node({ id }) {
    const other = (await nodes_()).get(id);
    if (other) return detailed(other);
    const { ids } = await index();
    if (ids.has(id)) return finding(ids.get(id));
    const [kind, place] = (await resolve(String(id || ""))) || [];
    if (!kind) throw held.unknown(`No node of this file, or more than one, begins with ${String(id).slice(0, 80)}: search for it, or give more of its id.`);
    if (kind === "finding") return finding(place);
    if (kind === "entity" || kind === "source" || kind === "slice") return derived(kind, place);
    return detailed((await nodes_()).get(place));
  }

  // What the only node is whose id begins so.
  async function resolve(id) {
    if (!id) return null;
    const { ids } = await index();
    const found = [];
    const look_ = (name, kind, place) => (name.startsWith(id) ? found.push([name === id ? 0 : 1, kind, place]) : 0);
    for (const [name, place] of ids) look_(name, "finding", place);
    for (const name of (await nodes_()).keys()) look_(name, "", name);
    (await entities.all()).forEach((row, place) => look_(row[0], "entity", place));
    (await heldText.sources()).forEach((one) => look_(one.id, "source", one.number));
    (await held.list("slices").all()).forEach((row, place) => look_(row[0], "slice", place));
    found.sort((one, other) => one[0] - other[0]);
    if (!found.length || (found.length > 1 && found[0][0] !== 0)) return null;
    const [, kind, place] = found[0];
    return [kind || (await nodes_()).get(place)[1], place];
  }

  async function finding(place) {
    const { all, same } = await index();
    const row = all[place];
    const sources = await heldText.sources();
    const evidence = await Promise.all(row[EVIDENCE].map((one, at) => heldText.quoted(sources[one[0]], one, row[QUOTES] ? row[QUOTES][at] : null)));
    const edge = (kind, direction, places_, tell_) => places_.length && { kind, direction, nodes: places_.slice(0, FEW).map(tell_), total: places_.length };
    const other = (at) => named(all[at]);
    const around = (await pairs()).get(place) || [];
    const grouped = [["contradicts", "out"], ["supersedes", "out"], ["supersedes", "in"]].map(([kind, way]) =>
      edge(kind, way, around.filter((one) => one[0] === kind && one[1] === way).map((one) => one[2]), other));
    const about = await Promise.all(row[ABOUT].slice(0, FEW).map((at) => tell("entity", at)));
    const from = await Promise.all(row[SLICES].slice(0, FEW).map((at) => heldWork.row(at)));
    const asked = new Set(from.map((one) => one.asked));
    const questions = (await ofKind("question")).length ? [...(await nodes_()).values()].filter((one) => one[1] === "question" && asked.has(one[5])) : [];
    const told_ = await told(place, row);
    const steps = await trail(row[LEADER] >= 0 ? row[LEADER] : place);
    const over = steps.filter((one) => one.kind === "summary" && one.id === steps.at(-1).id && row[LEADER] < 0);
    return {
      node: { id: row[ID], kind: "finding", text: row[TEXT], more: { ...fields(row), disputed: told_.disputed, past: told_.past, again: told_.again } },
      evidence, evidence_total: row[PLACES], slices: from, trail: steps,
      edges: [
        about.length && { kind: "about", direction: "out", nodes: about, total: row[ABOUT].length },
        from.length && { kind: "derived_from", direction: "out", nodes: from.map((one) => ({ id: one.id, kind: "slice", text: one.asked })), total: row[SLICES].length },
        over.length && { kind: "summarises", direction: "in", nodes: over.map((one) => ({ id: one.id, kind: "summary", text: one.text })), total: 1 },
        edge("supports", "out", row[LEADER] >= 0 ? [row[LEADER]] : [], other), edge("supports", "in", same.get(place) || [], other), ...grouped,
        questions.length && { kind: "answers", direction: "out", nodes: questions.map((one) => ({ id: one[0], kind: "question", text: one[5] })), total: questions.length },
      ].filter(Boolean),
    };
  }

  // A question, a decision: its edges are written out.
  async function detailed([id, kind, words, more_, edges]) {
    if (kind === "summary") return summary(id, words, more_, edges);
    const end = async (one) => (typeof one === "number" ? named(await findings.at(one)) : { id: one[0], kind: one[1], text: one[2] });
    const told_ = await Promise.all(edges.map(async ([name, direction, ends, total]) => ({ kind: name, direction, nodes: await Promise.all(ends.map(end)), total })));
    return { node: { id, kind, text: words, more: more_ }, evidence: [], evidence_total: 0, edges: told_, slices: [], trail: [] };
  }

  // What a summary covers is told by ids.
  async function summary(id, words, more_, [covered, total]) {
    const known = await nodes_();
    const trail_ = await trailOfGroup(id);
    const end = async (one) => (typeof one === "number" ? named(await findings.at(one)) : known.has(one) ? { id: one, kind: "summary", text: known.get(one)[5] } : null);
    const ends = async (several) => (await Promise.all(several.map(end))).filter(Boolean);
    const inside = await ends(covered);
    const said = await Promise.all(more_.statements.map(async (one) => ({ text: one.text, rests_on: await ends(one.rests_on) })));
    const over = trail_.at(-1)?.kind === "summary" ? [trail_.at(-1)] : [];
    const edge = (direction, nodes__, many) => nodes__.length && { kind: "summarises", direction, nodes: nodes__, total: many };
    const edges = [edge("out", inside, total), edge("in", over.map((one) => ({ id: one.id, kind: "summary", text: one.text })), over.length)].filter(Boolean);
    return { node: { id, kind: "summary", text: words, more: { ...more_, statements: said } }, evidence: [], evidence_total: 0, edges, slices: [], trail: trail_ };
  }

  // An entity, a source, a slice: what points at it is known from the findings.
  async function derived(kind, place) {
    const { all, ...into } = await index();
    const one = await tell(kind, place);
    const [edge, ends] = { entity: ["about", into.entities], source: ["cites", into.sources], slice: ["derived_from", into.slices] }[kind];
    const places_ = (ends.get(place) || []).map((entry) => (kind === "source" ? entry[2] : entry));
    const unique = [...new Set(places_)];
    const { id, text: words, kind: kind_, ...more_ } = one;
    const edges = unique.length ? [{ kind: edge, direction: "in", nodes: unique.slice(0, FEW).map((at) => named(all[at])), total: unique.length }] : [];
    if (kind === "slice") {
      const detail = await heldWork.detail(place);
      more_.summary = detail?.report?.summary || "";
      const covered = new Map((detail?.spans || []).map((span) => [span.source, { id: span.source, kind: "source", text: span.path }]));
      if (covered.size) edges.push({ kind: "covers", direction: "out", nodes: [...covered.values()].slice(0, FEW), total: covered.size });
      const asked = [...(await nodes_()).values()].filter((row) => row[1] === "question" && row[5] === words);
      if (asked.length) edges.push({ kind: "answers", direction: "out", nodes: asked.map((row) => ({ id: row[0], kind: "question", text: row[5] })), total: asked.length });
    }
    return {
      node: { id, kind: kind_, text: words, more: more_ }, evidence: [], evidence_total: 0, trail: [], edges,
      slices: kind === "slice" ? [await heldWork.row(place)] : [],
    };
  }

  // What findings rest on in a stretch of a source; places in `words` are in units of strings.
  async function marks(source, start, end, words) {
    const { all, sources } = await index();
    const unit = places(words);
    const found = new Map();
    for (const [from, to, place] of sources.get(source.number) || []) {
      if (from >= end) break;
      if (to <= start) continue;
      const key = `${from}-${to}`;
      if (!found.has(key)) found.set(key, { start: from, end: to, places: new Set() });
      found.get(key).places.add(place);
    }
    const claims = {};
    const told_ = [...found.values()].slice(0, 500).map((one) => {
      const ids = [...one.places].slice(0, FEW).map((place) => {
        claims[all[place][ID]] = all[place][TEXT].slice(0, 400);
        return all[place][ID];
      });
      return { start: one.start, end: one.end, from: unit(Math.max(0, one.start - start)), to: unit(one.end - start), findings: ids, total: one.places.size };
    });
    return { marks: told_, marks_total: found.size, claims };
  }

  async function disputes({ offset = 0, limit = 20, all = 0 }) {
    const every = Number(all) || all === true;
    const wanted_ = (await held.list("disputes").all()).filter((row) => every || !row[0]);
    const from = Number(offset) || 0;
    const part = wanted_.slice(from, from + Math.min(50, Number(limit) || 20));
    const told_ = await Promise.all(part.map(async ([later, one, other]) => {
      const [a, b] = await tellAll([one, other]);
      return { kind: later ? "supersedes" : "contradicts", subject: a.subject, attribute: a.attribute, one: a, other: b };
    }));
    const next = from + part.length;
    return { total: wanted_.length, exact: true, offset: from, pairs: told_, next: next < wanted_.length ? next : null };
  }

  // The tree

  const groups = held.once(async () => {
    const all = (await held.list("tree").all()).map(([id, words, level, children, leaves, below]) => ({ id, words, level, children, leaves: leaves === 1, below, up: null }));
    const leaf = new Map();
    await held.inTurns(all.length, (at) => {
      const one = all[at];
      for (const child of one.children) one.leaves ? leaf.set(child, at) : (all[child].up = at);
    });
    for (let at = all.length - 1; at >= 0; at--) {
      const one = all[at];
      one.here = one.leaves ? one.children.length : one.children.reduce((sum, child) => sum + all[child].here, 0);
    }
    return { all, leaf, ids: new Map(all.map((one, at) => [one.id, at])) };
  });

  async function group(one) {
    const isGroup = one.id.startsWith("group:");
    return { id: one.id, kind: isGroup ? "group" : "summary", text: isGroup ? await firstClaim(one) : one.words, level: one.level, findings: one.below || one.here };
  }

  async function firstClaim(one) {
    const { all } = await groups();
    let at = one;
    while (at && !at.leaves) at = at.children.map((child) => all[child]).find((child) => child.here > 0);
    return at && at.children.length ? (await findings.at(at.children[0]))[TEXT].slice(0, 400) : "";
  }

  async function above(at) {
    const { all } = await groups();
    const steps = [];
    for (let up = at; up !== null && up !== undefined; up = all[up].up) steps.unshift(await group(all[up]));
    return steps;
  }

  const trail = async (place) => above((await groups()).leaf.get(place) ?? null);
  async function trailOfGroup(id) {
    const { all, ids } = await groups();
    return ids.has(id) ? above(all[ids.get(id)].up) : [];
  }

  async function tree({ id = "" }) {
    const { all, ids } = await groups();
    if (!id && !all.length) return { node: null, children: [], total: 0, trail: [] };
    if (id && !ids.has(id)) return outside(id);
    const one = all[id ? ids.get(id) : 0];
    const inside = one.children.slice(0, 400);
    const leafOf = async (place) => ({ ...(await told(place, await findings.at(place))), level: 0, findings: 1 });
    const children = await Promise.all(inside.map((child) => (one.leaves ? leafOf(child) : group(all[child]))));
    const lost = one.below > one.here;
    return { node: await group(one), children: children.filter((child) => child.findings > 0), total: one.children.length, trail: await above(one.up), ...(lost ? { left_out: CUT } : {}) };
  }

  // A finding, of which only the way to it is told, or a summary that stands on no branch any more.
  async function outside(id) {
    const found = await node({ id });
    const more_ = found.node.more;
    const one = { id: found.node.id, kind: found.node.kind, text: found.node.text, level: more_.level || 0, findings: more_.findings || 1, relevance: more_.relevance };
    if (!["finding", "summary"].includes(one.kind)) throw held.unknown("That is no summary, group or finding of this file: begin at the top of the tree.");
    const covered = found.edges.find((edge) => edge.kind === "summarises" && edge.direction === "out");
    const children = one.kind === "summary" && covered ? covered.nodes.map((child) => ({ ...child, level: 0, findings: 1 })) : [];
    return { node: one, children, total: children.length, trail: found.trail };
  }

  return { nodes, node, disputes, tree, marks, index, tell, ofKind, nodeRows: nodes_, TEXT, FIELDS, RELEVANCE, LEADER };
})();
