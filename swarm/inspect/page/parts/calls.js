// The calls to models: a table of them, and one of them with what was replied.
//
// What a call was for is told by who asked; a prompt is not shown here, as it is not kept.

const CALLS_STEP = 50;
const CALL_SORTS = ["begun", "seconds", "tokens", "cost", "fill"];

view("calls", {
  title: "Calls",
  label: "Calls",
  nav: true,
  group: "works",
  render: (main, _path, query) => callsView(main, query),
  change: (main) => main.calls?.load(),
});

view("call", { title: "A call", nav: false, group: "works", render: callView, change: (main) => main.call?.() });

async function callsView(main, query) {
  const state = {
    offset: Number(query.offset) || 0,
    failed: query.failed === "1",
    asker: query.asker || "",
    sort: CALL_SORTS.includes((query.sort || "").replace(/^-/, "")) ? query.sort : "-begun",
  };
  const columns = CALL_COLUMNS;
  const onlyFailed = h("input", {
    type: "checkbox",
    id: "calls-failed",
    onchange: () => {
      [state.failed, state.offset] = [onlyFailed.checked, 0];
      load();
    },
  });
  onlyFailed.checked = state.failed;
  const asker = h("button", {
    type: "button",
    id: "calls-asker",
    onclick: () => {
      [state.asker, state.offset] = ["", 0];
      load();
    },
  });
  const table = dataTable({
    caption: "Calls",
    columns,
    key: (row) => row.key,
    onsort: (name) => {
      [state.sort, state.offset] = [nextOrder(state.sort, name, columns), 0];
      load();
    },
  });
  const pages = pageBar("Pages of calls", (offset) => {
    state.offset = offset;
    load();
  });
  const note = h("div");
  main.append(
    h("div", { class: "toolbar" }, h("label", { class: "check" }, onlyFailed, " Only those that failed"), asker),
    table.box,
    pages.box,
    note,
  );

  const load = loader(main, async () => {
    const { offset, sort, failed, asker: who } = state;
    const reply = await data.get("calls", {
      offset,
      limit: CALLS_STEP,
      sort: sort.replace(/^-/, ""),
      order: sort.startsWith("-") ? "desc" : "asc",
      asker: who,
      failed: failed ? 1 : 0,
    });
    if (!isShown(main)) return;
    settle("calls", "", { asker: who, failed: failed ? "1" : null, sort: sort === "-begun" ? null : sort, offset: offset || null });
    note.replaceChildren(reply.left_out ? text("p", reply.left_out, { class: "soft" }) : "");
    asker.hidden = !who;
    const name = reply.rows[0]?.slice ? reply.rows[0].name : askerInWords(who);
    asker.replaceChildren(
      text("span", `asked by ${clip(name, 60)}`),
      h("span", { "aria-hidden": "true" }, " ×"),
      h("span", { class: "unseen" }, ", show all again"),
    );
    table.update(reply.rows, sort);
    pages.update(offset, CALLS_STEP, reply.total, "call");
  });
  main.calls = { load };
  await load();
}

async function callView(main, key) {
  let known = "";
  const load = loader(main, async () => {
    const call = await data.get("call", { key });
    if (!isShown(main)) return;
    const now = JSON.stringify(call);
    if (now === known) return; // what is read stays where it is
    known = now;
    titled(
      `${call.kind}, asked by ${clip(call.slice ? call.name : askerInWords(call.name), 100)}`,
      h("a", { href: href("calls") }, "Calls"),
    );
    main.replaceChildren(...callParts(call).filter(Boolean));
  });
  main.call = load;
  await load();
}

function callParts(call) {
  const left = call.clipped?.reply;
  return [
    h(
      "p",
      { class: "slice-state" },
      callState(call.state),
      call.failure ? text("span", ` ${clip(call.failure, 1000)}`, { class: "why" }) : null,
    ),
    factList([
      ["asked by", askedBy(call, 100)],
      ["model", text("span", call.model)],
      ["begun", call.begun ? when(call.begun) : null],
      ["took", call.seconds ? fmt.seconds(call.seconds) : null],
      ["tries", call.tries > 1 ? fmt.number(call.tries) : null],
      ["tokens read", fmt.number(call.input_tokens)],
      [
        "of these cached",
        call.input_tokens ? `${fmt.number(call.cached_tokens)} (${fmt.percent(call.cached_tokens / call.input_tokens)})` : null,
      ],
      ["tokens written", fmt.number(call.output_tokens)],
      ["cost", fmt.dollars(call.cost_usd)],
      [
        "window",
        call.fill === null
          ? "not noted"
          : `${fmt.percent(call.fill)}: ${fmt.number(call.counted)} of ${fmt.number(call.room)} tokens, with the longest reply`,
      ],
    ]),
    h("h2", null, "The reply"),
    call.refusal ? text("p", clip(call.refusal, 4000), { class: "why" }) : null,
    call.reply !== null && call.reply !== undefined
      ? text("pre", call.reply, { class: "result", id: "call-reply" })
      : empty(
          call.missing
            ? shown(call.missing)
            : call.state === "running"
              ? data.overview?.live
                ? "It is on its way."
                : "None came: the process ended while the call was on its way."
              : call.refusal
                ? "It was refused."
                : "There is none.",
        ),
    call.left_out ? text("p", call.left_out, { class: "soft" }) : null,
    left ? h("p", { class: "soft" }, `${count(left, "character")} more are left out here.`) : null,
    h("p", { class: "soft id" }, "Call ", text("code", call.key)),
  ];
}
