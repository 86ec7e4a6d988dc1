// What hands do with lanes: wheel, drag, pinch, tap, and keys.
//
// It turns them into `zoom`, `pan`, `mean` and `open` of a chart that `lanes.js` draws, and knows nothing else of it.

const NEAR = 6; // pixels: how far from a thin bar still means it
const MOVED = 4; // pixels: less is a click

function lanesPointer(chart) {
  const { canvas } = chart;
  const down = new Map(); // pointers that touch, by their id
  let start = null; // where a drag or a pinch began
  const place = (event) => ({
    x: event.clientX - canvas.getBoundingClientRect().left,
    y: event.clientY - canvas.getBoundingClientRect().top,
  });
  const share = (x) => (x - GUTTER.left) / Math.max(1, chart.width - GUTTER.left - GUTTER.right);

  const begin = () => {
    const touching = [...down.values()];
    start = touching.length ? { from: chart.from, to: chart.to, touching, moved: start?.moved || false } : null;
  };
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    down.set(event.pointerId, place(event));
    if (down.size === 1) start = null;
    begin();
  });
  canvas.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (!down.has(event.pointerId)) {
      if (chart.seen) chart.mean(barAt(chart, at), "hover");
      return;
    }
    const before = start.touching[0];
    down.set(event.pointerId, at);
    const wide = start.to - start.from;
    const perPixel = wide / Math.max(1, chart.width - GUTTER.left - GUTTER.right);
    if (down.size === 1) {
      if (!start.moved && Math.abs(at.x - before.x) <= MOVED) return;
      if (!start.moved) canvas.setPointerCapture(event.pointerId);
      start.moved = true;
      const by = (before.x - at.x) * perPixel;
      chart.look(start.from + by, start.to + by, "pan");
    } else {
      start.moved = true;
      pinch(chart, start, [...down.values()], share);
    }
  });
  const up = (event) => {
    if (!down.delete(event.pointerId)) return;
    const clicked = start && !start.moved && event.type === "pointerup" && down.size === 0;
    begin();
    if (clicked) tapped(chart, barAt(chart, place(event)), event.pointerType);
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", (event) => {
    if (!down.size && event.pointerType === "mouse" && document.activeElement !== canvas) chart.mean(null, "hover");
  });
  // The wheel belongs to the page, until the chart has the focus, or Ctrl says whom it is for.
  canvas.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey && document.activeElement !== canvas) return;
      event.preventDefault();
      const lines = event.deltaMode === 1 ? 16 : 1;
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey)
        chart.pan(((event.deltaX || event.deltaY) * lines) / chart.width);
      else
        chart.zoom(
          Math.exp(Math.max(-60, Math.min(60, event.deltaY * lines)) * 0.004),
          Math.max(0, Math.min(1, share(place(event).x))),
        );
    },
    { passive: false },
  );
}

// Two fingers: what was under each stays under it.
function pinch(chart, start, now, share) {
  const [before, after] = [start.touching, now].map((two) => two.slice(0, 2).map((one) => share(one.x)));
  const apart = (pair) => Math.max(0.02, Math.abs(pair[1] - pair[0]));
  const wide = ((start.to - start.from) * apart(before)) / apart(after);
  const middle = start.from + ((start.to - start.from) * (before[0] + before[1])) / 2;
  const from = middle - (wide * (after[0] + after[1])) / 2;
  chart.look(from, from + wide, "zoom");
}

// A finger hides what it means: the first tap tells what it is, the second opens it.
function tapped(chart, bar, pointer) {
  chart.canvas.focus({ preventScroll: true });
  if (bar && (pointer === "mouse" || (chart.meant === bar && chart.tapped === bar))) chart.told.open(bar);
  else chart.mean(bar, "focus");
  chart.tapped = bar;
}

// The bar at a place, or the nearest one on its lane.
function barAt(chart, at) {
  const { x } = placeScale(chart);
  const bars = chart.byLane[laneAt(chart.seen).lane(at.y)] || [];
  let best = null;
  let least = NEAR;
  for (const bar of bars) {
    const [from, to] = [x(bar[1]), x(bar[2] ?? chart.seen.last)];
    const off = at.x < from ? from - at.x : at.x > to ? at.x - to : 0;
    if (off < least || (off === 0 && least > 0)) [best, least] = [bar, off];
  }
  return best;
}

function lanesKeys(chart) {
  chart.canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !chart.seen) return;
    const does = KEYS_OF_LANES[event.shiftKey && event.key.startsWith("Arrow") ? `Shift${event.key}` : event.key];
    if (!does || does(chart) === false) return;
    event.preventDefault();
  });
  chart.canvas.addEventListener("focus", chart.redraw);
  chart.canvas.addEventListener("blur", chart.redraw);
}

const KEYS_OF_LANES = {
  "+": (chart) => chart.zoom(0.5, middleOf(chart)),
  "=": (chart) => chart.zoom(0.5, middleOf(chart)),
  "-": (chart) => chart.zoom(2, middleOf(chart)),
  Home: (chart) => chart.all(),
  End: (chart) => chart.look(chart.end - (chart.to - chart.from), chart.end, "pan"),
  ShiftArrowLeft: (chart) => chart.pan(-0.25),
  ShiftArrowRight: (chart) => chart.pan(0.25),
  PageUp: (chart) => chart.pan(-0.9),
  PageDown: (chart) => chart.pan(0.9),
  ArrowLeft: (chart) => walk(chart, -1, 0),
  ArrowRight: (chart) => walk(chart, 1, 0),
  ArrowUp: (chart) => walk(chart, 0, -1),
  ArrowDown: (chart) => walk(chart, 0, 1),
  Escape: (chart) => (chart.meant ? chart.mean(null, "focus") : false),
  Enter: (chart) => (chart.meant ? chart.told.open(chart.meant) : walk(chart, 1, 0)),
};

// Zooming by keys keeps the chosen bar where it is.
function middleOf(chart) {
  if (!chart.meant) return 0.5;
  const at = (chart.fold.at(chart.meant[1]) - chart.from) / (chart.to - chart.from);
  return at >= 0 && at <= 1 ? at : 0.5;
}

// On to the next bar of a lane, or over to another lane; the stretch in sight follows.
function walk(chart, along, across) {
  const { byLane, fold, meant } = chart;
  const middle = fold.back((chart.from + chart.to) / 2);
  const at = meant ? meant[1] : fold.back(chart.from);
  let lane = meant ? meant[0] : 0;
  let next = null;
  if (along && meant) {
    const bars = byLane[lane];
    next = bars[bars.indexOf(meant) + along];
  } else {
    lane += meant ? across : 0;
    while (byLane[lane] && !byLane[lane].length) lane += across || 1;
    for (const bar of byLane[lane] || []) {
      if (!next || Math.abs(bar[1] - (meant ? at : middle)) < Math.abs(next[1] - (meant ? at : middle))) next = bar;
    }
  }
  if (!next) return;
  const [from, to] = [fold.at(next[1]), fold.at(next[2] ?? chart.seen.last)];
  const wide = chart.to - chart.from;
  if (from < chart.from || from > chart.to) chart.look(from - wide / 4, from + (wide * 3) / 4, "pan");
  else if (to > chart.to && to - from < wide) chart.look(to - wide, to, "pan");
  chart.mean(next, "focus");
}
