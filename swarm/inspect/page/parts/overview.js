// The start page: what was asked, how it stands, the answer down to its sources, and what came last.
// It knows the shape of `overview` and nothing of how a run works. Figures change where they stand; what is read
// (the answer, lists) changes only when one asks for it.

const PHASES = {
  gather: "reading its files", plan: "planning", dispatch: "working its slices", judge: "judging what was found",
  consolidate: "condensing what was found", finish: "writing the answer",
};
const ENDED = {
  answered: "The run is over, and answered.", no_evidence: "The run is over. It found nothing that the answer could rest on.",
  partial: "The run is over, and its answer is partial.", interrupted: "The run was interrupted. It can be resumed.",
  paused: "The run is paused.",
};

view("overview", {
  title: "Overview", nav: true, group: "knows", first: true,
  async render(main) {
    const now = data.overview || (data.overview = await data.get("overview", {}));
    titled(questionOf(now), "What was asked");
    const parts = {
      standing: standing(now), figures: figures(now), answer: h("section", { class: "answer" }),
      latest: latest(now), trouble: whatFailed(now), machines: machinesOf(now),
    };
    main.append(parts.standing, h("div", { class: "two" },
      h("div", { class: "reading" }, parts.answer),
      h("div", { class: "side" }, parts.figures, parts.machines, parts.latest, parts.trouble)));
    if (now.file?.left_out?.length) main.append(h("section", null, h("h2", null, "Not in this file"), h("ul", { class: "links" }, now.file.left_out.map((words) => text("li", words)))));
    OPEN.set(main, { parts, answered: now.answer !== null, shown: now.latest });
    await answerOf(parts.answer, now);
  },
  change(main, now) {
    const { parts, ...was } = OPEN.get(main) || {};
    if (!parts) return;
    parts.standing = instead(parts.standing, standing(now));
    parts.figures = instead(parts.figures, figures(now));
    parts.trouble = instead(parts.trouble, whatFailed(now));
    parts.machines = instead(parts.machines, machinesOf(now));
    renewLatest(parts.latest, now, OPEN.get(main));
    if (now.answer && !was.answered) offerAnswer(main, parts.answer, now);
    else if (!now.answer) offerBest(parts.answer, now);
  },
});

const questionOf = (now) => clip([now.asked].flat().filter(Boolean).join("; ") || "What this run knows", 400);

function standing(now) {
  const { ready = 0, running = 0, done = 0, failed: broken = 0 } = now.slices;
  const all = ready + running + done + broken;
  const said = now.live && now.status !== "paused"
    ? `The run is ${PHASES[now.phase] || "at work"}: ${fmt.number(done)} of ${count(all, "slice")} done, ${fmt.number(now.places.busy)} of ${count(now.places.of, "place")} busy.`
    : ENDED[now.status] || `The run is ${now.status}.`;
  return h("div", { class: "standing" },
    h("p", null, said, now.why && now.status !== "answered" ? text("span", ` ${clip(now.why, 240)}`) : ""),
    now.paths?.length > 0 && h("p", { class: "soft" }, "Over ", text("span", clip(now.paths.join(", "), 200))));
}

function figures(now) {
  const [spent, limits, cover] = [now.spent, now.limits || {}, now.coverage];
  const slices = now.slices;
  const all = Object.entries(slices).reduce((sum, [state, number]) => sum + (state === "dropped" || state === "split" ? 0 : number), 0);
  const end = now.live ? now.now : now.last;
  const share = (part) => (cover.chars ? part / cover.chars : 0);
  const one = (name, value, beside, address, part) => h("div", null, h("dt", null, name),
    h("dd", null, address ? h("a", { href: address }, value) : value), beside && h("dd", null, beside), part !== undefined && bar(part));
  const going = ["running", "failed"].filter((state) => slices[state]).map((state) => `${fmt.number(slices[state])} ${state}`).join(", ");
  const most = limits.cost_usd;
  const tokens = spent.input_tokens + spent.output_tokens;
  const rate = now.rate && now.live ? `${fmt.number(now.rate.requests)} calls a minute` : `${fmt.number(spent.calls)} calls`;
  return h("section", null, h("h2", { class: "unseen" }, "Figures"), h("dl", { class: "figures" },
    one("Findings", fmt.number(now.graph.counts?.finding ?? now.graph.findings), now.graph.claims !== undefined && count(now.graph.claims, "different claim"), href("findings")),
    one("Contradictions", `${now.graph.contradictions_exact === false ? "at most " : ""}${fmt.number(now.graph.contradictions)}`, "that nothing has settled", href("disputes")),
    one("Slices done", `${fmt.number(slices.done)} of ${fmt.number(all)}`, going, href("plan"), all && slices.done / all),
    cover.chars === 0 && !now.live ? one("Read", "–", "no files were given", href("coverage")) : one("Read", fmt.percent(share(cover.read)), `of ${fmt.tokens(cover.chars)} characters; ${fmt.percent(share(cover.cited))} cited`, href("coverage"), share(cover.read)),
    one("Spent", fmt.dollars(spent.cost_usd), most ? `of at most ${fmt.dollars(most)}` : "no limit", href("cost"), most ? spent.cost_usd / most : undefined),
    one("Tokens", fmt.tokens(tokens), limits.tokens ? `of at most ${fmt.tokens(limits.tokens)}` : rate, href("calls")),
    one(now.live ? "Running for" : "Took", fmt.seconds(end - now.begun), h("span", null, "since ", when(now.begun)), href("timeline")),
  ));
}

// What each machine did; nothing where the process of the run did all.
function machinesOf(now) {
  const all = now.machines || [];
  if (!all.length) return h("section", { class: "machines", hidden: true });
  const row = (one) => {
    const said = [one.life, one.draining && "draining"].filter(Boolean).join(", ");
    return h("tr", null, h("th", { scope: "row" }, text("span", clip(one.name, 60)), said && h("span", { class: "soft" }, ` ${said}`)),
      [one.working, one.done, one.failed, one.lost].map((number) => h("td", { class: "number" }, fmt.number(number))));
  };
  const heads = ["At work", "Done", "Failed", "Lost"].map((word) => h("th", { scope: "col", class: "number" }, word));
  return h("section", { class: "machines" }, h("h2", null, "Machines"),
    h("div", { class: "table-box", role: "region", "aria-label": "Machines", tabindex: "0" }, h("table", { class: "data" },
      h("caption", { class: "unseen" }, "Slices of each machine"),
      h("thead", null, h("tr", null, h("th", { scope: "col" }, "Machine"), heads)), h("tbody", null, all.slice(0, 50).map(row)))),
    all.length > 50 && h("p", { class: "soft" }, `and ${count(all.length - 50, "machine")} more`));
}

// A share as a length: for the eye alone, as the figures above it say the same.
function bar(part) {
  return h("dd", { class: "bar", "aria-hidden": "true" }, h("span", { style: { width: `${Math.min(100, part * 100)}%` } }));
}

// The answer

async function answerOf(section, now) {
  section.replaceChildren(h("h2", null, now.answer ? "Answer" : "What is known so far"));
  if (now.answer) section.append(...written(now.answer));
  else {
    const why = now.live ? "The answer is written at the end. Until then, these" : "No answer was written. These";
    section.append(h("p", { class: "empty" }, `${why} findings bear most on the question.`), await best());
  }
  section.dataset.found = now.graph.findings;
}

async function best() {
  const { rows: found } = await data.get("nodes", { limit: 8 });
  if (!found.length) return empty("No findings yet.");
  return h("ol", { class: "links" }, found.map((one) => h("li", null, findingLink(one), h("span", { class: "soft" }, text("span", placeOf(one.where) || "")))));
}

// Until there is an answer: new findings may bear more on the question than those that are shown.
function offerBest(section, now) {
  const fresh = now.graph.findings - Number(section.dataset.found || 0);
  if (fresh <= 0 || section.querySelector(".answered")) return;
  if (section.dataset.found === "0") {
    answerOf(section, now);
    return;
  }
  const words = `${fmt.number(fresh)} new: look again`;
  const button = section.querySelector(".fresh") || h("button", { type: "button", class: "fresh", onclick: async () => {
    await answerOf(section, data.overview);
    section.querySelector("a")?.focus();
  } });
  if (!button.isConnected) section.querySelector("h2").after(h("p", { class: "offer" }, button));
  if (button.textContent !== words) button.textContent = words;
}

function written(answer) {
  const refs = (numbers) => (numbers || []).map((n) => reference(answer.citations[n], n));
  const rest = (shown_, all, noun) => all > shown_ && h("p", { class: "soft" }, `and ${count(all - shown_, noun)} more in the run`);
  const totals = answer.totals || {};
  return [
    answer.status !== "answered" && h("p", { class: "note" }, tag(answer.status === "partial" ? "partial" : "no evidence", "warn"), " ",
      answer.stopped ? text("span", `It ended early: ${clip(answer.stopped, 200)}`) : ""),
    answer.short && text("p", clip(answer.short, 600), { class: "short" }),
    answer.statements.length > 0
      ? h("div", { class: "prose" }, paragraphs(answer.statements).map((several) => h("p", null, several.flatMap((one) => [text("span", one.text), refs(one.citations), " "]))))
      : !answer.cells.length && h("div", { class: "prose" }, String(answer.text || "").split(/\n{2,}/).filter(Boolean).map((words) => text("p", words))),
    rest(answer.statements.length, totals.statements, "sentence"),
    answer.cells.length > 0 && cells(answer, refs),
    answer.contradictions.length > 0 && h("section", null, h("h3", null, "What the sources disagree on"),
      h("ul", { class: "links" }, answer.contradictions.slice(0, 6).map((one) => h("li", null, one.claims.map((claim, n) =>
        h("p", null, n > 0 && h("b", null, "but: "), text("span", clip(claim, 400)), refs(one.citations?.[n])))))),
      h("p", { class: "more" }, h("a", { href: href("disputes") }, "All contradictions, side by side"))),
    answer.citations.length > 0 && h("details", { class: "citations", open: answer.citations.length <= 12 }, h("summary", null, count(answer.citations.length, "citation")),
      stepped(h("ol", { role: "list" }), answer.citations.map((one, n) => [one, n]), ([one, n]) => citation(one, n), 50)),
    rest(answer.citations.length, totals.citations, "citation"),
  ].filter(Boolean);
}

// Sentences that end a paragraph say so with an empty line.
function paragraphs(statements) {
  const found = [[]];
  for (const one of statements) {
    found[found.length - 1].push(one);
    if (/\n\s*\n\s*$/.test(one.text)) found.push([]);
  }
  return found.filter((several) => several.length);
}

const cited = (one) => href("source", one.source_id, { at: one.start, end: one.end });

function reference(one, n) {
  if (!one) return null;
  return h("a", { class: "ref", href: cited(one), "aria-label": `citation ${n + 1}: ${clip(shown(one.where || one.source), 80)}`, title: clip(shown(one.quote), 200) }, "\u2060", `[${n + 1}]`);
}

function citation(one, n) {
  return h("li", { value: n + 1 }, h("span", { class: "number", "aria-hidden": "true" }, `[${n + 1}]`), h("div", null,
    h("a", { href: cited(one), title: shown(one.where || one.source) }, text("span", placeOf(one.where || one.source))),
    one.finding && [" · ", h("a", { class: "quiet", href: href("node", one.finding) }, "finding")],
    text("blockquote", clip(one.quote, 400))));
}

function cells(answer, refs) {
  const columns = [...new Set(answer.cells.map((one) => one.question))];
  const items = [...new Set(answer.cells.map((one) => one.item))];
  const found = new Map(answer.cells.map((one) => [`${one.item}\u0000${one.question}`, one]));
  const head = h("thead", null, h("tr", null, h("th", { scope: "col" }, "Item"), columns.map((one) => h("th", { scope: "col" }, text("span", clip(one, 80))))));
  const row = (item) => h("tr", null, h("th", { scope: "row" }, text("span", clip(placeOf(item), 120))), columns.map((question) => {
    const one = found.get(`${item}\u0000${question}`);
    return h("td", null, one?.text ? [text("span", clip(one.text, 400)), refs(one.citations)] : h("span", { class: "soft" }, "—"));
  }));
  const body = h("tbody");
  const rest = stepped(body, items, row, 100); // it holds the rows, until the table takes them
  return h("div", { class: "scroll cells", tabindex: "0", role: "region", "aria-label": "Answer as a table" }, h("table", null, head, body), rest);
}

function offerAnswer(main, section, now) {
  OPEN.get(main).answered = true;
  const button = h("button", { type: "button", class: "fresh", onclick: async () => {
    await answerOf(section, data.overview || now);
    section.querySelector("h2").setAttribute("tabindex", "-1");
    section.querySelector("h2").focus();
  } }, "The answer is written: show it");
  section.querySelector(".offer")?.remove();
  section.prepend(h("p", { class: "answered" }, button));
  say("The answer is written.");
}

// What came last

function latest(now) {
  const list = h("ul", { class: "links", id: "latest" }, now.latest.map(lately));
  const button = h("button", { type: "button", class: "fresh", hidden: true }, "");
  return h("section", { class: "latest" }, h("div", { class: "head-row" }, h("h2", null, "Latest findings"), button),
    now.latest.length ? list : [list, empty(now.live ? "None yet." : "None.")]);
}

const lately = (one) => h("li", null, h("a", { href: href("node", one.id) }, text("span", clip(one.claim, 180))), h("span", { class: "soft" }, when(one.at)));

function renewLatest(section, now, was) {
  const known = new Set(was.shown.map((one) => one.id));
  const fresh = now.latest.filter((one) => !known.has(one.id)).length;
  if (!fresh) return;
  const button = section.querySelector(".fresh");
  const show_ = () => {
    section.querySelector("ul").replaceChildren(...data.overview.latest.map(lately));
    section.querySelector(".empty")?.remove();
    was.shown = data.overview.latest;
    button.hidden = true;
  };
  if (!was.shown.length) return show_();
  button.textContent = fresh === now.latest.length ? `${fresh} or more new` : `${fresh} new`;
  button.hidden = false;
  button.onclick = () => {
    show_();
    section.querySelector("a")?.focus();
  };
}

function whatFailed(now) {
  const failures = now.failures || [];
  const all = Math.max(failures.length, now.slices.failed || 0);
  return h("section", null,
    failures.length > 0 && [h("h2", null, `Failures${all > failures.length ? ` (${fmt.number(all)}, the last ${failures.length} here)` : ""}`),
      h("ul", { class: "links" }, failures.slice(0, 8).map((one) => h("li", null,
        h("a", { href: href("slice", one.slice) }, text("span", clip(one.name || one.slice, 80))), h("span", { class: "soft" }, text("span", clip(one.reason, 200))))))],
    now.instructions?.length > 0 && [h("h2", null, "What it was told on the way"),
      h("ul", { class: "links" }, now.instructions.slice(-5).map((words) => h("li", null, text("span", clip(words, 300)))))]);
}
