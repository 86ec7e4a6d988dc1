// What contradicts what, side by side with the words of the sources; and what holds now beside what held before.
// It shows what was judged, and judges nothing.

const SHOW = [["", "Open contradictions"], ["all", "With what held before"]];

view("disputes", {
  title: "Contradictions", nav: true, group: "knows",
  async render(main, path, query) {
    const all = query.show === "all";
    const told = h("p", { class: "soft", role: "status", id: "found" });
    const fresh = h("button", { type: "button", class: "fresh", hidden: true, onclick: show });
    const choice = h("div", { class: "toolbar", role: "group", "aria-label": "What is shown" }, SHOW.map(([key, name]) =>
      h("button", { type: "button", "aria-pressed": String((query.show || "") === key), onclick: () => go(href("disputes", null, { show: key })) }, name)));
    const list = h("div", { class: "pairs" });
    const sight = new IntersectionObserver((seen_) => seen_.filter((one) => one.isIntersecting).forEach((one) => {
      sight.unobserve(one.target);
      complete(one.target);
    }), { rootMargin: "50% 0px" });
    let next = 0, seen = 0;
    const pieces = more(list, async () => {
      const reply = await data.get("disputes", { offset: next, limit: 20, all: all ? 1 : 0 });
      for (const one of reply.pairs) {
        const card = pair(one);
        list.append(card);
        if (!one.one.evidence || !one.other.evidence) sight.observe(Object.assign(card, { pair: one }));
      }
      seen += reply.pairs.length;
      if (next === 0) told.replaceChildren(words(reply, all), reply.left_out ? text("span", ` ${clip(reply.left_out, 300)}`) : "");
      next = reply.next;
      return next === null || next === undefined ? 0 : Math.max(1, reply.total - seen);
    });
    main.append(h("div", { class: "head-row" }, choice, told, fresh), pieces);
    OPEN.set(main, { fresh, known: data.overview?.graph.contradictions });
    await pieces.ready;
  },
  change(main, now) {
    const was = OPEN.get(main);
    if (!was || was.known === undefined || now.graph.contradictions === was.known) return;
    was.fresh.textContent = `There are ${fmt.number(now.graph.contradictions)} now: show them`;
    was.fresh.hidden = false;
  },
});

function words(reply, all) {
  if (!reply.pairs.length) return all ? "Nothing contradicts, and nothing has taken the place of another." : "No findings contradict one another.";
  const many = `${reply.exact === false ? "At most " : ""}${count(reply.total, "pair")}`;
  return all ? `${many}.` : `${many} of findings that cannot both hold, and that nothing has settled.`;
}

function pair(one) {
  const topic = one.subject || one.one.subject ? [one.subject || one.one.subject, one.attribute || one.one.attribute].filter(Boolean).join(" · ") : "Two claims";
  const [left, right] = one.kind === "supersedes" ? ["Holds now", "Held before"] : ["One says", "Another says"];
  return h("article", { class: "card pair" }, text("h2", clip(topic, 160)), side(one.one, left, one.kind === "supersedes" && "good"), side(one.other, right));
}

// The quotes of a pair are asked for when it comes into sight, with what held earlier.
async function complete(card) {
  const one = card.pair;
  const whole = async (each) => {
    if (each.evidence) return each;
    const found = await data.get("node", { id: each.id });
    const before = found.edges.find((edge) => edge.kind === "supersedes" && edge.direction === "out");
    return { ...each, evidence: found.evidence, earlier: (before?.nodes || []).filter((node) => node.id !== one.other.id) };
  };
  try {
    const [left, right] = await Promise.all([whole(one.one), whole(one.other)]);
    instead(card, pair({ ...one, one: left, other: right }));
  } catch {
    // the links to the sources stand there already
  }
}

function side(one, name, mood) {
  const value = one.value && [one.value, one.unit].filter(Boolean).join(" ");
  const quotes = one.evidence || [];
  return h("div", { class: "pair-side" },
    h("p", { class: "kind" }, tag(name, mood), value && text("b", clip(value, 80)), one.time && text("span", clip(one.time, 60), { class: "soft" })),
    h("p", null, findingLink(one, 400)),
    quotes.length ? quotes.slice(0, 1).map((each) => quoted(each, 70)) : one.source && h("p", { class: "soft" }, h("a", { href: sourceAt(one) }, text("span", placeOf(one.where) || "its source"))),
    one.earlier?.length > 0 && h("div", { class: "earlier" }, h("p", { class: "soft" }, "Held before"), h("ul", { class: "links" }, one.earlier.map((each) =>
      h("li", null, findingLink(each), h("span", { class: "soft" }, [each.value, each.time].filter(Boolean).map((words_) => text("span", clip(words_, 60)))))))));
}
