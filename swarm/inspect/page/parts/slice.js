// One slice whole: what it was to do, on which text, when and for how much, and what came of it.
//
// It shows what the journal has of the slice. Text of sources and findings is shown elsewhere; here are the ways there.

view("slice", {
  title: "A slice",
  nav: false,
  group: "works",
  async render(main, id) {
    const section = h("div", { class: "slice" });
    const calls = dataTable({
      caption: "Calls of this slice",
      columns: CALL_COLUMNS.filter((one) => one.name !== "name"),
      key: (row) => row.key,
    });
    main.append(section);
    let known = "";
    const load = loader(main, async () => {
      const reply = await data.get("slice", { id });
      if (!isShown(main)) return;
      const now = JSON.stringify(reply);
      if (now === known) return;
      known = now;
      titled(clip(nameOf(reply), 160), branchTrailOf(reply));
      const focused = section.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      const unfolded = [...section.querySelectorAll("details[open]")].map((one) => one.dataset.name);
      section.replaceChildren(...sliceParts(reply, calls).filter(Boolean));
      calls.update(reply.calls_list || []);
      for (const one of section.querySelectorAll("details")) one.open = unfolded.includes(one.dataset.name) || one.open;
      if (focused)
        [...section.querySelectorAll("a")].find((one) => one.getAttribute("href") === focused)?.focus({ preventScroll: true });
    });
    main.slice = { load };
    await load();
  },
  change: (main) => main.slice?.load(),
});

// One that has no name of its own is known by the text that it was given.
function nameOf(reply) {
  const [first] = reply.spans || [];
  if (!reply.id.startsWith(reply.name) || !first) return reply.name;
  return `Slice of ${first.where || first.path}${reply.spans_total > 1 ? ` and ${fmt.number(reply.spans_total - 1)} more` : ""}`;
}

function branchTrailOf(reply) {
  return h(
    "nav",
    { class: "trail", "aria-label": "Where it stands in the plan" },
    h(
      "ol",
      null,
      h("li", null, h("a", { href: href("plan") }, "The plan")),
      reply.branch
        ? h("li", null, h("a", { href: href("plan", reply.branch) }, text("span", clip(reply.branch_asked || reply.branch, 60))))
        : null,
      reply.parent ? h("li", null, h("a", { href: href("slice", reply.parent) }, "the slice above")) : null,
    ),
  );
}

function sliceParts(reply, calls) {
  const report = reply.report;
  const many = (reply.calls_list || []).length;
  return [
    h(
      "p",
      { class: "slice-state" },
      stateTag(reply.state),
      reply.why ? text("span", ` ${clip(reply.why, 800)}`, { class: "why" }) : null,
    ),
    factList([
      ["begun", reply.begun ? when(reply.begun) : null],
      ["took", reply.begun && reply.ended ? fmt.seconds(reply.ended - reply.begun) : null],
      ["calls", fmt.number(reply.calls)],
      ["tokens", fmt.tokens(reply.tokens)],
      ["cost", fmt.dollars(reply.cost_usd)],
      ["text", reply.chars ? `${fmt.number(reply.chars)} characters` : null],
      ["machine", reply.machines?.length ? placesOf(reply.machines) : null],
      ["round", reply.round > 1 ? String(reply.round) : null],
      ["item", reply.item ? text("span", reply.item) : null],
      ["legs", report?.legs > 1 ? String(report.legs) : null],
      ["votes", report?.votes > 1 ? String(report.votes) : null],
    ]),
    ...orderParts(reply),
    sectionOf("Text it was given", reply.spans?.length, () => spanList(reply)),
    sectionOf("Halves that took its place", reply.halves?.length, () =>
      linkList(reply.halves.map((id) => [href("slice", id), id.slice(0, 12)])),
    ),
    ...(report ? reportParts(report) : []),
    sectionOf("Failures", reply.failures?.length, () =>
      h(
        "ul",
        { class: "plain-list" },
        reply.failures.map((one) =>
          h("li", null, text("span", clip(one.reason, 1000)), h("span", { class: "soft" }, ` session ${one.session}`)),
        ),
      ),
    ),
    sectionOf("Handed on to a successor", reply.handoffs?.length, () =>
      reply.handoffs.map((one) => foldedText(`Leg ${one.leg}`, one.text)),
    ),
    sectionOf("Tools it used", reply.tools?.length, () =>
      reply.tools.map((one) =>
        foldedText(
          [
            text("code", one.name),
            h("span", { class: "soft" }, one.at ? ` ${fmt.time(one.at)} ` : ""),
            one.failed ? tag("failed", "warn") : null,
          ],
          one.text,
          one.name + one.at,
        ),
      ),
    ),
    sectionOf(`Calls`, many, () => [
      calls.box,
      (reply.calls_total ?? 0) > many
        ? h(
            "p",
            null,
            h("a", { href: href("calls", null, { asker: reply.id }) }, `All ${count(reply.calls_total, "call")} of this slice`),
          )
        : null,
    ]),
    h("p", { class: "soft id" }, "Slice ", text("code", reply.id)),
  ];
}

// The machine that it is on, or was in the end, and those that it went on from.
function placesOf(machines) {
  const before = machines.filter((one) => one.until !== null);
  const now = machines.find((one) => one.until === null);
  return [
    text("span", now ? now.name : "none yet"),
    ...before.reverse().map((one) => h("span", { class: "soft" }, ", ", one.lost ? "lost on " : "before on ", text("span", one.name), " ", when(one.until))),
  ];
}

// A part with a heading, where there is anything in it.
function sectionOf(title, is, make) {
  return is ? h("section", null, h("h2", null, title), make()) : null;
}

const linkList = (pairs) =>
  h(
    "ul",
    { class: "links" },
    pairs.map(([address, words]) => h("li", null, h("a", { href: address }, text("span", words)))),
  );

// Long text behind its name.
function foldedText(name, words, known) {
  return h(
    "details",
    { class: "folded", dataset: { name: known || String(name) } },
    h("summary", null, name),
    text("pre", clip(words, 20_000)),
  );
}

function orderParts(reply) {
  const order = reply.order;
  if (!order) return [sectionOf("What it was asked", reply.asked, () => text("p", clip(reply.asked, 2000)))];
  return [
    h(
      "section",
      null,
      h("h2", null, "Its order"),
      text("p", clip(order.objective, 4000), { class: "objective" }),
      factList([
        ["kind", order.kind === "work" ? null : order.kind],
        ["role", order.role ? text("span", order.role) : null],
        ["done when", order.done_when ? text("span", clip(order.done_when, 600)) : null],
        ["part of the plan", order.kind === "plan" ? h("a", { href: href("plan", order.name) }, "what it planned") : null],
      ]),
      order.needs?.length
        ? [
            h("h3", null, "Needs the results of"),
            h(
              "ul",
              { class: "plain-list" },
              order.needs.slice(0, 30).map((one) => h("li", null, text("span", typeof one === "string" ? one : one.name))),
            ),
          ]
        : null,
    ),
  ];
}

function spanList(reply) {
  const rows_ = reply.spans.map((span) =>
    h(
      "li",
      null,
      h(
        "a",
        { href: href("source", span.source, { at: span.start, end: span.end }) },
        text("span", placeOf(span.where || span.path || span.source)),
      ),
      h("span", { class: "soft" }, `${fmt.number(span.end - span.start)} characters`),
    ),
  );
  if (reply.spans_total > reply.spans.length)
    rows_.push(h("li", { class: "soft" }, `and ${count(reply.spans_total - reply.spans.length, "span")} more`));
  return h("ul", { class: "links" }, rows_);
}

function reportParts(report) {
  const result =
    report.result === null || report.result === undefined
      ? ""
      : typeof report.result === "string"
        ? report.result
        : JSON.stringify(report.result, null, 2);
  return [
    sectionOf("What it reported", report.summary || report.failure, () => [
      report.summary ? text("p", clip(report.summary, 4000)) : null,
      report.failure ? text("p", clip(report.failure, 2000), { class: "why" }) : null,
    ]),
    sectionOf("Its result", result, () => text("pre", clip(result, 20_000), { class: "result" })),
    sectionOf(count(report.findings_total ?? report.findings?.length ?? 0, "finding"), report.findings?.length, () => [
      linkList(report.findings.map((one) => [href("node", one.id), clip(one.claim, 300)])),
      report.findings_total > report.findings.length
        ? h("p", { class: "soft" }, `and ${fmt.number(report.findings_total - report.findings.length)} more`)
        : null,
    ]),
    sectionOf("Decisions", report.decisions?.length, () =>
      linkList(report.decisions.map((one) => [href("node", one.id), clip(one.text, 300)])),
    ),
    sectionOf("Artifacts", report.artifacts?.length, () =>
      linkList(report.artifacts.map((one) => [href("node", one.id), one.name])),
    ),
    sectionOf("Quotes that were not found in the text", report.rejected?.length, () =>
      h(
        "ul",
        { class: "plain-list" },
        report.rejected.map((one) => h("li", null, text("q", clip(typeof one === "string" ? one : one.text, 400)))),
      ),
    ),
    sectionOf("Left open", report.open_questions?.length, () =>
      h(
        "ul",
        { class: "plain-list" },
        report.open_questions.map((one) => h("li", null, text("span", clip(one, 400)))),
      ),
    ),
  ];
}
