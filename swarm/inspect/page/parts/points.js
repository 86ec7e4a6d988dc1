// Points over time, or a grid of how many lie where: on a canvas, to be walked through by keys and pointed at.
//
// A point is [time, share, label, group]: what it stands for, whoever shows it knows. Groups differ by shape and colour.

const POINTS_TALL = 260;
const POINTS_EDGE = { left: 46, right: 14, top: 14, bottom: 26 };
const SHAPES = [
  (pen, x, y, r) => pen.arc(x, y, r, 0, 7),
  (pen, x, y, r) => pen.rect(x - r * 0.9, y - r * 0.9, r * 1.8, r * 1.8),
  (pen, x, y, r) => {
    pen.moveTo(x, y - r * 1.2);
    pen.lineTo(x + r * 1.1, y + r * 0.8);
    pen.lineTo(x - r * 1.1, y + r * 0.8);
    pen.closePath();
  },
  (pen, x, y, r) => {
    pen.moveTo(x, y - r * 1.3);
    pen.lineTo(x + r * 1.2, y);
    pen.lineTo(x, y + r * 1.3);
    pen.lineTo(x - r * 1.2, y);
    pen.closePath();
  },
  (pen, x, y, r) => {
    pen.rect(x - r * 1.2, y - r * 0.35, r * 2.4, r * 0.7);
    pen.rect(x - r * 0.35, y - r * 1.2, r * 0.7, r * 2.4);
  },
  (pen, x, y, r) => {
    pen.moveTo(x, y + r * 1.2);
    pen.lineTo(x + r * 1.1, y - r * 0.8);
    pen.lineTo(x - r * 1.1, y - r * 0.8);
    pen.closePath();
  },
];
const groupColour = (n) => colour(`s${n % 7}`);

// A group's mark as an element, for the key to the chart.
function groupMark(n) {
  const made = h("canvas", { width: 28, height: 28, class: "group-mark", "aria-hidden": "true" });
  made.redraw = () => {
    const pen = made.getContext("2d");
    pen.clearRect(0, 0, 28, 28);
    pen.fillStyle = groupColour(n);
    pen.beginPath();
    SHAPES[n % SHAPES.length](pen, 14, 14, 9);
    pen.fill();
  };
  drawn.add(new WeakRef(made.redraw));
  requestAnimationFrame(made.redraw);
  return made;
}

// `told`: { meant(item or null, why), open(item) }. `show({ points, grid, starts })`: points in the order of their
// time, or a grid { from, to, columns, rows, cells: [[column, row, many], …] }.
function pointsChart(told) {
  const chart = { points: [], grid: null, meant: -1, width: 0 };
  const frame = canvasChart({
    height: () => POINTS_TALL,
    draw: (pen, width) => {
      chart.width = width;
      drawPoints(pen, chart);
    },
    attrs: {
      class: "points",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "chart",
      "aria-describedby": "windows-keys",
    },
  });
  const items = () => (chart.grid ? chart.grid.cells : chart.points);
  const mean = (n, why) => {
    if (n === chart.meant) return;
    chart.meant = n;
    frame.redraw();
    told.meant(n < 0 ? null : items()[n], why);
  };
  chart.show = ({ points, grid, starts }) => {
    const was = chart.meant >= 0 && !chart.grid ? chart.points[chart.meant]?.[2] : null;
    Object.assign(chart, { points, grid, meant: was ? points.findIndex((one) => one[2] === was) : -1 });
    const moments = grid ? [grid.from, grid.to] : points.map((one) => one[0]);
    if (!moments.length) moments.push(0, 1);
    const { pauses, work } = grid ? { pauses: [], work: 0 } : pausesBefore(starts, moments);
    chart.pauses = pauses;
    chart.fold = foldedTime(moments[0], pauses, Math.max(0.01, work * 0.03));
    chart.ends = [moments[0], Math.max(moments[moments.length - 1], moments[0] + 0.001)];
    frame.redraw();
  };
  const walk_ = (by) => mean(Math.max(0, Math.min(items().length - 1, chart.meant < 0 ? 0 : chart.meant + by)), "focus");
  const keys = {
    ArrowRight: () => walk_(1),
    ArrowLeft: () => walk_(-1),
    PageDown: () => walk_(25),
    PageUp: () => walk_(-25),
    ArrowUp: () => mean(nearby(items(), chart.meant, 1), "focus"),
    ArrowDown: () => mean(nearby(items(), chart.meant, -1), "focus"),
    Home: () => mean(0, "focus"),
    End: () => mean(items().length - 1, "focus"),
    Escape: () => mean(-1, "focus"),
    Enter: () => chart.meant >= 0 && told.open(items()[chart.meant]),
  };
  frame.canvas.addEventListener("keydown", (event) => {
    if (!keys[event.key] || event.ctrlKey || event.metaKey || event.altKey || !items().length) return;
    event.preventDefault();
    keys[event.key]();
  });
  frame.canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType === "mouse") mean(pointAt(chart, event), "hover");
  });
  frame.canvas.addEventListener("click", (event) => {
    const n = pointAt(chart, event);
    if (n >= 0 && (event.pointerType !== "touch" || n === chart.meant)) told.open(items()[n]);
    else mean(n, "focus");
  });
  frame.canvas.addEventListener("pointerleave", () => document.activeElement !== frame.canvas && mean(-1, "hover"));
  return { box: frame.box, canvas: frame.canvas, chart };
}

// The next one, in the order of their time, that lies higher or lower: up and down the shares.
function nearby(items, from, way) {
  if (from < 0) return 0;
  let best = from;
  for (let n = 0; n < items.length; n++) {
    const over = way * (items[n][1] - items[from][1]);
    if (over > 0 && (best === from || over < way * (items[best][1] - items[from][1]))) best = n;
  }
  return best;
}

function pointScales(chart) {
  const [left, right] = [POINTS_EDGE.left, chart.width - POINTS_EDGE.right];
  const bottom = POINTS_TALL - POINTS_EDGE.bottom;
  const high = chart.grid
    ? 1
    : Math.max(
        1,
        chart.points.reduce((most, one) => Math.max(most, one[1]), 0),
      );
  const across = linear(0, chart.fold.at(chart.ends[1]), left + 4, right - 4);
  return { left, right, bottom, high, x: (time) => across(chart.fold.at(time)), y: linear(0, high, bottom, POINTS_EDGE.top) };
}

function drawPoints(pen, chart) {
  if (!chart.fold) return;
  const scales = pointScales(chart);
  const { left, right, bottom, x, y, high } = scales;
  pen.lineWidth = 1;
  pen.textAlign = "right";
  for (const mark of ticks(0, high, 4)) {
    pen.strokeStyle = colour(mark === 1 ? "warn" : "line");
    pen.beginPath();
    pen.moveTo(left, Math.round(y(mark)) + 0.5);
    pen.lineTo(right, Math.round(y(mark)) + 0.5);
    pen.stroke();
    pen.fillStyle = colour("soft");
    pen.fillText(percentTick(mark), left - 6, y(mark) + 4);
  }
  pen.textAlign = "center";
  pen.fillStyle = colour("soft");
  const moments = foldedTicks(
    chart.fold,
    betweenPauses(chart.pauses, ...chart.ends),
    [0, chart.fold.at(chart.ends[1])],
    (right - left) / 80,
  );
  for (const { at, label } of spacedTicks(moments, x, right)) pen.fillText(label, x(at), bottom + 18);
  for (const one of chart.pauses) {
    pen.fillStyle = colour("line");
    pen.fillRect(x(one.from), POINTS_EDGE.top, Math.max(1, x(one.to) - x(one.from)), bottom - POINTS_EDGE.top);
  }
  if (chart.grid) drawGrid(pen, chart, scales);
  else drawMarks(pen, chart, scales);
}

function drawMarks(pen, chart, { x, y }) {
  const size = chart.points.length > 800 ? 2.2 : chart.points.length > 200 ? 3 : 4;
  const groups = Math.max(0, ...chart.points.map((one) => one[3])) + 1;
  for (let group = 0; group < groups; group++) {
    pen.fillStyle = groupColour(group);
    for (const point of chart.points) {
      if (point[3] !== group) continue;
      pen.beginPath();
      SHAPES[group % SHAPES.length](pen, x(point[0]), y(point[1]), size);
      pen.fill();
    }
  }
  const meant = chart.points[chart.meant];
  if (!meant) return;
  pen.strokeStyle = colour("ink");
  pen.lineWidth = 2.5;
  pen.beginPath();
  pen.arc(x(meant[0]), y(meant[1]), size + 5, 0, 7);
  pen.stroke();
}

// Where there are too many points, how many lie in each cell: the more, the fuller the cell is drawn.
function cellBox(chart, [column, row], { x, y }) {
  const { from, to, columns, rows: rows_ } = chart.grid;
  const time = (n) => from + ((to - from) * n) / columns;
  const [a, b] = [x(time(column)), x(time(column + 1))];
  return { x: a, y: y((row + 1) / rows_), wide: b - a, tall: y(row / rows_) - y((row + 1) / rows_) };
}

function drawGrid(pen, chart, scales) {
  const most = Math.max(1, ...chart.grid.cells.map((cell) => cell[2]));
  pen.fillStyle = colour("s0");
  chart.grid.cells.forEach((cell) => {
    const box = cellBox(chart, cell, scales);
    const share = Math.max(0.15, Math.log(1 + cell[2]) / Math.log(1 + most)); // size says it where shade does not
    pen.globalAlpha = 0.25 + 0.75 * share;
    const tall = Math.max(1.5, (box.tall - 1) * (0.35 + 0.65 * share));
    pen.fillRect(box.x, box.y + (box.tall - tall) / 2, Math.max(1, box.wide - 0.5), tall);
  });
  pen.globalAlpha = 1;
  const meant = chart.grid.cells[chart.meant];
  if (!meant) return;
  const box = cellBox(chart, meant, scales);
  pen.strokeStyle = colour("ink");
  pen.lineWidth = 2.5;
  pen.strokeRect(box.x - 2, box.y - 2, box.wide + 4, box.tall + 4);
}

function pointAt(chart, event) {
  if (!chart.fold) return -1;
  const edge = event.target.getBoundingClientRect();
  const [at, up] = [event.clientX - edge.left, event.clientY - edge.top];
  const scales = pointScales(chart);
  if (chart.grid) {
    return chart.grid.cells.findIndex((cell) => {
      const box = cellBox(chart, cell, scales);
      return at >= box.x && at < box.x + box.wide && up >= box.y && up < box.y + box.tall;
    });
  }
  let [best, least] = [-1, 12 ** 2];
  chart.points.forEach((point, n) => {
    const off = (scales.x(point[0]) - at) ** 2 + (scales.y(point[1]) - up) ** 2;
    if (off < least) [best, least] = [n, off];
  });
  return best;
}
