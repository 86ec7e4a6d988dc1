// The cost: by branch, by model and by kind of call, each of which narrows down the others; and spent over time.
//
// All of it is one list of rows that is added up in different ways, so that every total is the same.

const COST_WAYS = [
  ["branch", "Branch of the plan"],
  ["model", "Model"],
  ["kind", "Kind of call"],
];
const COST_SUMS = ["calls", "failed", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "seconds"];
const COST_ROWS = 20; // of a table, until one asks for all

view("cost", {
  title: "What it cost",
  label: "Cost",
  nav: true,
  group: "works",
  render: costView,
  change: (main) => main.cost?.load(),
});

async function costView(main, _path, query) {
  const state = {
    reply: null,
    only: { branch: query.branch ?? null, model: query.model ?? null, kind: query.kind ?? null },
    order: {},
  };
  const figures = h("dl", { class: "figures" });
  const narrowed = h("div", { class: "toolbar narrowed", role: "group", "aria-label": "Narrowed down to" });
  const tables = COST_WAYS.map(([way, title]) => costTable(way, title, state, draw));
  const overTime = spendChart();
  main.append(figures, h("section", null, h("h2", null, "Over time"), overTime.box), narrowed, ...tables.map((one) => one.box));

  function draw() {
    const { reply, only } = state;
    settle("cost", "", only);
    const kept_ = rowsOf(reply.rows, only, null);
    figures.replaceChildren(
      ...costFigures(
        summed(kept_),
        data.overview,
        COST_WAYS.some(([way]) => only[way] !== null),
      ),
    );
    narrowed.replaceChildren(
      ...COST_WAYS.filter(([way]) => only[way] !== null).map(([way]) =>
        h(
          "button",
          {
            type: "button",
            onclick: () => {
              only[way] = null;
              draw();
              say("Shown whole again.");
            },
          },
          text("span", clip(wayName(way, only[way], reply.rows), 60)),
          h("span", { "aria-hidden": "true" }, " ×"),
          h("span", { class: "unseen" }, ", show all again"),
        ),
      ),
    );
    for (const one of tables) one.update();
  }

  const load = loader(main, async () => {
    const reply = await data.get("cost", {});
    if (!isShown(main)) return;
    state.reply = reply;
    state.free = !reply.rows.some((row) => row.cost_usd);
    draw();
    overTime.update(reply.over_time);
  });
  main.cost = { load };
  await load();
}

const rowsOf = (all, only, but) =>
  all.filter((row) => COST_WAYS.every(([way]) => way === but || only[way] === null || wayKey(way, row) === only[way]));
const wayKey = (way, row) => (way === "branch" ? (row.branch ?? "\0others") : row[way]);

function wayName(way, key, all) {
  if (way !== "branch") return key || "(none)";
  if (key === "\0others") return "all other branches";
  if (key === "") return "the coordinator and the plan itself";
  return all.find((row) => row.branch === key)?.asked || key;
}

function summed(rows_) {
  const sums = Object.fromEntries(COST_SUMS.map((one) => [one, 0]));
  for (const row of rows_) for (const one of COST_SUMS) sums[one] += row[one] || 0;
  return sums;
}

const cachedShare = (row) => (row.input_tokens ? row.cached_tokens / row.input_tokens : 0);

function costFigures(sum, overview, narrowed) {
  const findings = overview?.graph?.findings ?? overview?.graph?.counts?.finding ?? 0;
  const slices = overview?.slices?.done ?? 0;
  const limit = overview?.limits?.cost_usd;
  const each = (many, noun) =>
    many && !narrowed
      ? [fmt.dollars(sum.cost_usd / many), `of ${count(many, noun)}`]
      : ["–", narrowed ? "of the whole only" : `no ${noun}s`];
  return [
    [
      "Spent",
      fmt.dollars(sum.cost_usd),
      narrowed
        ? "of what is chosen below"
        : limit
          ? `${fmt.percent(sum.cost_usd / limit)} of ${fmt.dollars(limit)}`
          : "no limit in dollars",
    ],
    ["Calls", fmt.number(sum.calls), sum.failed ? `${count(sum.failed, "failed try").replace("trys", "tries")}` : "none failed"],
    ["Tokens read", fmt.tokens(sum.input_tokens), `${fmt.percent(cachedShare(sum))} from the cache`],
    ["Tokens written", fmt.tokens(sum.output_tokens), `${fmt.seconds(sum.seconds)} of calls in all`],
    ["A finding", ...each(findings, "finding")],
    ["A slice", ...each(slices, "finished slice")],
  ].map(([name, value, more_]) => h("div", null, h("dt", null, name), h("dd", null, value), h("dd", null, more_)));
}

function costTable(way, title, state, draw) {
  let [most, sum_] = [0, 0];
  const weight = (row) => (state.free ? row.input_tokens + row.output_tokens : row.cost_usd);
  const toggle = (row) => {
    state.only[way] = state.only[way] === row.key ? null : row.key;
    draw();
  };
  const columns = [
    {
      name: "name",
      label: title,
      sort: true,
      value: (row) => row.name + (state.only[way] === row.key),
      by: (row) => row.name,
      cell: (row) =>
        h(
          "button",
          { type: "button", class: "pick", "aria-pressed": String(state.only[way] === row.key), onclick: () => toggle(row) },
          text("span", clip(row.name, 110)),
        ),
    },
    {
      name: "cost_usd",
      label: "Dollars",
      number: true,
      sort: true,
      value: (row) => fmt.dollars(row.cost_usd),
      by: (row) => row.cost_usd,
    },
    {
      name: "share",
      label: "Share",
      value: (row) => `${weight(row)} ${most}`,
      cell: (row) => [shareBar(weight(row) / most), h("span", { class: "unseen" }, fmt.percent(weight(row) / (sum_ || 1)))],
    },
    { name: "calls", label: "Calls", number: true, sort: true, value: (row) => fmt.number(row.calls), by: (row) => row.calls },
    {
      name: "failed",
      label: "Failed tries",
      number: true,
      sort: true,
      wide: true,
      value: (row) => fmt.number(row.failed),
      by: (row) => row.failed,
    },
    {
      name: "input_tokens",
      label: "Tokens read",
      number: true,
      sort: true,
      wide: true,
      value: (row) => fmt.tokens(row.input_tokens),
      by: (row) => row.input_tokens,
    },
    {
      name: "cached",
      label: "Cached",
      number: true,
      sort: true,
      wide: true,
      value: (row) => fmt.percent(cachedShare(row)),
      by: cachedShare,
    },
    {
      name: "output_tokens",
      label: "Written",
      number: true,
      sort: true,
      wide: true,
      value: (row) => fmt.tokens(row.output_tokens),
      by: (row) => row.output_tokens,
    },
  ];
  const table = dataTable({
    caption: `Cost by ${title.toLowerCase()}`,
    columns,
    key: (row) => row.key,
    onsort: (name) => {
      state.order[way] = nextOrder(state.order[way], name, columns);
      update();
    },
    onrow: (line, row) => line.classList.toggle("picked", state.only[way] === row.key),
  });
  const foot = h("p", { class: "table-sum" });
  const rest = h("button", {
    type: "button",
    class: "more",
    hidden: true,
    onclick: () => {
      all = true;
      update();
    },
  });
  let all = false;

  function update() {
    const groups = new Map();
    for (const row of rowsOf(state.reply.rows, state.only, way)) {
      const key = wayKey(way, row);
      if (!groups.has(key)) groups.set(key, []);
      groups.get(key).push(row);
    }
    const rows_ = [...groups].map(([key, several]) => ({ key, name: wayName(way, key, state.reply.rows), ...summed(several) }));
    most = Math.max(...rows_.map(weight), 1e-12);
    const sum = summed(rows_);
    sum_ = weight(sum);
    state.order[way] ??= state.free ? "-input_tokens" : "-cost_usd";
    const sorted = sortRows(rows_, state.order[way], columns);
    table.update(all ? sorted : sorted.slice(0, COST_ROWS), state.order[way]);
    rest.hidden = all || sorted.length <= COST_ROWS;
    rest.textContent = `Show all ${fmt.number(sorted.length)}`;
    foot.textContent = `Together ${fmt.dollars(sum.cost_usd)} for ${count(sum.calls, "call")}.${state.free ? " Nothing was paid for: shares are those of tokens." : ""}`;
  }
  return { box: h("section", { class: "cost-by" }, h("h2", null, `By ${title.toLowerCase()}`), table.box, rest, foot), update };
}
