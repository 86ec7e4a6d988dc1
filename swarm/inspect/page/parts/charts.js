// Charts: scales, ticks, axes, and the frames that hold a drawing, in SVG or on a canvas.
//
// Plain geometry and elements. This part does not know what a run is, where its numbers come from, or what a view is;
// who draws hands in numbers and says in words what is to be seen.

const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

// Scales

function linear(low, high, from, to) {
  const wide = high - low || 1;
  const scale = (value) => from + ((value - low) / wide) * (to - from);
  scale.back = (place) => low + ((place - from) / (to - from || 1)) * wide;
  return scale;
}

// Round numbers from low to high, at most so many: steps of 1, 2 or 5 times a power of ten.
function ticks(low, high, most) {
  const wide = high - low;
  if (!(wide > 0)) return [low];
  const power = 10 ** Math.floor(Math.log10(wide / most));
  const step = [1, 2, 5, 10].map((n) => n * power).find((one) => wide / one <= most);
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++) found.push(Number((n * step).toPrecision(12)));
  return found;
}

// Frames

// A drawing in SVG that is as wide as there is room. `draw(width)` gives its elements, `label()` its words.
function svgChart({ height, draw, label }) {
  const box = h("div", { class: "chart" });
  const redraw = drawer(box, (width) =>
    box.replaceChildren(
      svg(
        "svg",
        { width, height, viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label() },
        ...draw(width).filter(Boolean),
      ),
    ),
  );
  return { box, redraw };
}

// A drawing on a canvas, for what may have thousands of marks. `draw(context, width, height)` is in CSS pixels;
// `height()` may change between two drawings.
function canvasChart({ height, draw, attrs }) {
  const canvas = h("canvas", attrs);
  const box = h("div", { class: "chart" }, canvas);
  const context = canvas.getContext("2d");
  const redraw = drawer(box, (width) => {
    const tall = height();
    const sharp = Math.min(3, window.devicePixelRatio || 1);
    if (canvas.width !== Math.round(width * sharp) || canvas.height !== Math.round(tall * sharp)) {
      canvas.width = Math.round(width * sharp);
      canvas.height = Math.round(tall * sharp);
      canvas.style.height = `${tall}px`;
    }
    context.setTransform(sharp, 0, 0, sharp, 0, 0);
    context.clearRect(0, 0, width, tall);
    context.font = FONT;
    draw(context, width, tall);
  });
  return { box, canvas, redraw };
}

// What draws at most once a frame: when it is told to, when its box changes, and when the colours do.
function drawer(box, draw) {
  let width = 0;
  let due = 0;
  const redraw = () => {
    due ||= requestAnimationFrame(() => {
      due = 0;
      if (width > 0) draw(width);
    });
  };
  new ResizeObserver(([entry]) => {
    if (Math.floor(entry.contentRect.width) === width) return;
    width = Math.floor(entry.contentRect.width);
    redraw();
  }).observe(box);
  drawn.add(new WeakRef(redraw));
  box.redraw = redraw; // the box holds what the set above only refers to
  return redraw;
}
const drawn = new Set();
function recolour() {
  paints.clear();
  for (const one of drawn) {
    const redraw = one.deref();
    if (redraw) redraw();
    else drawn.delete(one);
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
new MutationObserver(recolour).observe(document.documentElement, { attributes: true, attributeFilter: ["style"] });

// The colours of the page by their names, for a canvas: as they come out in light or dark.
const paints = new Map();
function colour(name) {
  if (!paints.has(name)) {
    const probe = h("span", { style: { color: `var(--${name})` }, hidden: true });
    document.body.append(probe);
    paints.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return paints.get(name);
}

// Axes

function leftAxis(scale, marks, say, width) {
  return marks.flatMap((mark) => [
    svg("line", { class: "grid", x1: width.from, x2: width.to, y1: scale(mark), y2: scale(mark) }),
    svg("text", { class: "tick", x: width.from - 6, y: scale(mark) + 4, "text-anchor": "end" }, say(mark)),
  ]);
}

function bottomAxis(scale, marks, y) {
  return marks.flatMap(({ at, label }) => [
    svg("line", { class: "tick-line", x1: scale(at), x2: scale(at), y1: y, y2: y + 4 }),
    svg("text", { class: "tick", x: scale(at), y: y + 17, "text-anchor": "middle" }, label),
  ]);
}

// The path of a value that stays as it is until the next point.
function steps(points, x, y) {
  let path = "";
  points.forEach(([at, value], n) => {
    path += n ? `H${x(at).toFixed(1)}V${y(value).toFixed(1)}` : `M${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
  });
  return path;
}

// Dollars on an axis, with as many places as its steps need.
function dollarTick(marks) {
  const step = marks.length > 1 ? marks[1] - marks[0] : marks[0] || 1;
  const places = Math.max(step >= 1 ? 0 : 2, Math.ceil(-Math.log10(step) - 1e-9));
  return (value) => `$${value.toFixed(Math.min(8, places))}`;
}

const tokenTick = (value) => (value >= 1e6 ? `${value / 1e6}M` : value >= 1e3 ? `${value / 1e3}k` : String(value));
const percentTick = (value) => `${Math.round(value * 100)}%`;

// What stands where the part of a chart that one means is told, before one means any.
const NOTHING_MEANT = (what) =>
  h(
    "span",
    { class: "soft" },
    matchMedia("(pointer: coarse)").matches
      ? `Tap a ${what}, and it is told here; tap it again to open it.`
      : `Point at a ${what}, or go to it with the arrow keys, and it is told here.`,
  );

// The same numbers for whoever would rather read them.
function numbers(title, ...children) {
  return h("details", { class: "numbers" }, h("summary", {}, title), ...children);
}
