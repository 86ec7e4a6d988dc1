// Spent over time: dollars or tokens, step by step, with the limit where there is one.
//
// It is handed points [time, dollars so far, tokens so far]; what they were spent on, others tell.

const CHART_TALL = 220;

// Spent so far, step by step, with the limit where there is one; as dollars or tokens.
function spendChart() {
  let points = [];
  let of = "dollars";
  let picked = false;
  const said = h("p", { class: "chart-said" });
  const pick = choice(
    "What is drawn over time",
    [
      ["dollars", "Dollars"],
      ["tokens", "Tokens"],
    ],
    of,
    (value) => {
      [of, picked] = [value, true];
      pick.update(of);
      update(points);
    },
  );
  const chart = svgChart({
    height: CHART_TALL,
    label: () => said.textContent,
    draw: (width) => (points.length ? drawSpend(width, points, of) : []),
  });
  const columns = [
    { name: "at", label: "Until", value: (row) => fmt.time(row[0]) },
    { name: "dollars", label: "Dollars", number: true, value: (row) => fmt.dollars(row[1]) },
    { name: "tokens", label: "Tokens", number: true, value: (row) => fmt.number(row[2]) },
  ];
  const table = dataTable({ caption: "Spent so far", columns, key: (row) => row[0] });
  function update(next) {
    points = next;
    if (!picked && points.length && !points[points.length - 1][1]) pick.update((of = "tokens")); // nothing was paid for
    said.textContent = spendInWords(points, of);
    chart.redraw();
    const every = Math.max(1, Math.ceil(points.length / 40));
    table.update(points.filter((_, n) => n % every === 0 || n === points.length - 1));
  }
  return {
    box: h(
      "figure",
      { class: "spend" },
      h("div", { class: "head-row" }, said, pick.box),
      chart.box,
      numbers("Spent over time as a table", table.box),
    ),
    update,
  };
}

const spendLimit = (of) => (of === "dollars" ? data.overview?.limits?.cost_usd : data.overview?.limits?.tokens);

function spendInWords(points, of) {
  if (!points.length) return "Nothing was spent yet.";
  const [at, dollars, tokens] = points[points.length - 1];
  const limit = spendLimit(of);
  const all = of === "dollars" ? fmt.dollars(dollars) : `${fmt.tokens(tokens)} tokens`;
  return `${all} from ${timeSpan(points[0][0], at)}${limit ? `; the limit is ${of === "dollars" ? fmt.dollars(limit) : fmt.tokens(limit)}` : ""}.`;
}

function drawSpend(width, points, of) {
  const place = of === "dollars" ? 1 : 2;
  const top = points[points.length - 1][place];
  const limit = spendLimit(of);
  const shows = limit && limit < top * 4; // far off, it would press the line flat; it is told in words
  const high = Math.max(top, shows ? limit : 0) * 1.06 || 1;
  const [left, right, bottom] = [64, width - 14, CHART_TALL - 26];
  const { pauses, work } = pausesBefore(
    (data.overview?.sessions || []).map((one) => one.at),
    points.map((one) => one[0]),
  );
  const fold = foldedTime(points[0][0], pauses, Math.max(0.01, work * 0.03));
  const end = fold.at(points[points.length - 1][0]);
  const across = linear(0, end, left, right);
  const moments = foldedTicks(
    fold,
    betweenPauses(pauses, points[0][0], points[points.length - 1][0]),
    [0, end],
    (right - left) / 80,
  );
  const x = (time) => across(fold.at(time));
  const y = linear(0, high, bottom, 12);
  const marks = ticks(0, high, 4);
  const line = steps(
    points.map((one) => [one[0], one[place]]),
    x,
    y,
  );
  const last = points[points.length - 1];
  return [
    ...leftAxis(y, marks, of === "dollars" ? dollarTick(marks) : tokenTick, { from: left, to: right }),
    ...bottomAxis(x, spacedTicks(moments, x, right), bottom),
    ...pauses.map((one) =>
      svg("rect", { class: "pause", x: x(one.from), y: 12, width: Math.max(1, x(one.to) - x(one.from)), height: bottom - 12 }),
    ),
    svg("path", { class: "area", d: `${line}V${y(0)}H${x(points[0][0])}Z` }),
    svg("path", { class: "line", d: line }),
    ...(shows
      ? [
          svg("line", { class: "limit", x1: left, x2: right, y1: y(limit), y2: y(limit) }),
          svg("text", { class: "limit-label", x: right, y: y(limit) - 5, "text-anchor": "end" }, "limit"),
        ]
      : []),
  ];
}
