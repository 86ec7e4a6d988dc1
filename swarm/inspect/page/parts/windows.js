// Window fill: how much of the model's window each call was counted to need, with the longest reply.
//
// Calls of which the window is not known are told, not drawn.

const HISTOGRAM_TALL = 150;

view("windows", {
  title: "How full the windows were",
  label: "Windows",
  nav: true,
  group: "works",
  render: windowsView,
  change: (main) => main.windows?.load(),
});

async function windowsView(main) {
  let reply = null;
  let kinds = [];
  const said = h("p", { class: "chart-said", id: "windows-said" });
  const meant = h("p", { class: "meant", id: "windows-meant" });
  const key = h("ul", { class: "legend", "aria-label": "Kinds of calls" });
  const { box, canvas, chart } = pointsChart({
    meant: tell,
    open: (item) => (reply.grid ? go(href("calls", null, { sort: "-fill" })) : go(href("call", item[2]))),
  });
  const histogram = svgChart({
    height: HISTOGRAM_TALL,
    label: () => (reply ? histogramInWords(reply.histogram) : ""),
    draw: (width) => (reply ? drawHistogram(width, reply.histogram) : []),
  });
  const shares = dataTable({
    caption: "Calls by how full their windows were",
    columns: [
      { name: "fill", label: "Window filled", value: (row) => binName(row.n, reply.histogram.length) },
      { name: "calls", label: "Calls", number: true, value: (row) => fmt.number(row.many) },
    ],
    key: (row) => row.n,
  });
  const fullest = dataTable({ caption: "The fullest calls", columns: CALL_COLUMNS, key: (row) => row.key });
  main.append(
    said,
    h(
      "figure",
      { class: "timeline" },
      box,
      meant,
      h(
        "figcaption",
        null,
        key,
        h(
          "p",
          { class: "soft keys-only", id: "windows-keys" },
          "Arrow keys go from call to call: left and right in time, up and down by how full. Enter opens one.",
        ),
      ),
    ),
    h("section", null, h("h2", null, "How many calls were how full"), histogram.box, numbers("The same as a table", shares.box)),
    h("section", null, h("h2", null, "The fullest"), fullest.box),
  );

  function tell(item, why) {
    meant.replaceChildren(
      ...(item
        ? reply.grid
          ? cellInWords(item)
          : pointInWords(reply.calls.find((one) => one[6] === item[2]))
        : [NOTHING_MEANT(reply?.grid ? "cell" : "call")]),
    );
    if (item && why === "focus") say(meant.textContent);
    canvas.style.cursor = item ? "pointer" : "";
  }

  function cellInWords([column, row, many]) {
    const { from, to, columns, rows: rows_ } = reply.grid;
    const at = (n) => fmt.time(from + ((to - from) * n) / columns);
    return [`${count(many, "call")}, ${binName(row, rows_)} full, ${at(column)} to ${at(column + 1)}`];
  }

  const load = loader(main, async () => {
    const next = await data.get("windows", {});
    if (!isShown(main)) return;
    reply = next;
    kinds = [...new Set(reply.calls.map((one) => one[5]))].sort();
    const known = reply.grid ? "grid" : kinds.join();
    if (key.dataset.kinds !== known) {
      key.dataset.kinds = known;
      key.replaceChildren(
        ...(reply.grid
          ? [h("li", null, swatch("done"), "the fuller and darker a cell, the more calls are there")]
          : kinds.map((kind, n) => h("li", null, groupMark(n), text("span", kind)))),
      );
    }
    said.textContent = windowsInWords(reply);
    if (!meant.firstChild) tell(null);
    canvas.setAttribute("aria-label", `Window fill of each call over time. ${said.textContent}`);
    chart.show({
      points: reply.calls.map((one) => [one[0], one[1], one[6], kinds.indexOf(one[5])]),
      grid: reply.grid,
      starts: (data.overview?.sessions || []).map((one) => one.at),
    });
    histogram.redraw();
    shares.update(reply.histogram.map((many, n) => ({ n, many })));
    fullest.update(reply.fullest);
  });
  main.windows = { load };
  await load();
}

function windowsInWords(reply) {
  if (!reply.total)
    return reply.unknown ? `The window of ${count(reply.unknown, "call")} was not noted.` : "There are no calls yet.";
  const over = reply.peak > 1 ? " Counting is never sure: more than the whole window is possible." : "";
  return `${count(reply.total, "call")}: on average ${fmt.percent(reply.mean)} of the window, at most ${fmt.percent(reply.peak)}.${reply.unknown ? ` Of ${fmt.number(reply.unknown)} more it was not noted.` : ""}${over}`;
}

function pointInWords([begun, fill, counted, room, model, kind, key]) {
  return [
    h("a", { href: href("call", key) }, text("span", kind)),
    ` ${fmt.percent(fill)} full `,
    h(
      "span",
      { class: "soft" },
      `${fmt.number(counted)} of ${fmt.number(room)} tokens, `,
      text("span", model),
      `, ${fmt.time(begun)}`,
    ),
  ];
}

const binName = (n, bins) =>
  `${Math.round((n * 100) / bins)}% to ${n === bins - 1 ? "100% and more" : `${Math.round(((n + 1) * 100) / bins)}%`}`;

function histogramInWords(bins) {
  const all = bins.reduce((sum, one) => sum + one, 0);
  const most = bins.indexOf(Math.max(...bins));
  return all
    ? `Most calls, ${fmt.number(bins[most])} of ${fmt.number(all)}, filled ${binName(most, bins.length)} of their window.`
    : "No calls.";
}

function drawHistogram(width, bins) {
  const [left, right, bottom] = [46, width - 14, HISTOGRAM_TALL - 24];
  const high = Math.max(1, ...bins);
  const y = linear(0, high, bottom, 10);
  const wide = (right - left) / bins.length;
  return [
    ...leftAxis(y, ticks(0, high, 4).filter(Number.isInteger), tokenTick, { from: left, to: right }),
    ...bins.map((many, n) =>
      many
        ? svg("rect", {
            class: "column",
            x: left + n * wide + 1,
            y: Math.min(y(many), bottom - 1),
            width: Math.max(1, wide - 2),
            height: Math.max(1, bottom - y(many)),
          })
        : null,
    ),
    ...[0, 0.25, 0.5, 0.75, 1].map((share) =>
      svg(
        "text",
        { class: "tick", x: left + (right - left) * share, y: bottom + 17, "text-anchor": share === 1 ? "end" : "middle" },
        percentTick(share),
      ),
    ),
  ];
}
