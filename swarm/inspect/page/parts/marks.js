// Marks: how states look, by colour AND by pattern and word, as elements of the page and on a canvas.
//
// This part knows the names of states and what each is called. It does not know what is in which state, or why.

// Of slices. `split`: halves took its place.
const STATE_WORDS = { ready: "ready", running: "running", done: "done", failed: "failed", dropped: "dropped", split: "split" };
// Of a stretch of a slice that another machine took over.
const BAR_WORDS = { ...STATE_WORDS, moved: "lost to another machine" };
const CALL_WORDS = { running: "under way", done: "answered", failed: "failed", refused: "refused" };
// Of text, in the letters of the bins.
const READ_WORDS = {
  x: "read, with findings",
  o: "read, no finding",
  "-": "planned or being read",
  "!": "failed",
  s: "searched, nothing there",
  ".": "unread",
};
const READ_MARKS = { x: "cited", o: "read", "-": "reading", "!": "failed", s: "skipped", ".": "unread" };
// What becomes of a call.
const CALL_MARKS = { answered: "done", failed: "failed", refused: "dropped", "under way": "running", running: "running" };

// A small square that looks like what it stands for; the word beside it says the same.
const swatch = (mark) => h("span", { class: `swatch mark-${mark}`, "aria-hidden": "true" });

function stateTag(state, words = STATE_WORDS) {
  return h("span", { class: `state state-${state}` }, swatch(CALL_MARKS[state] || state), words[state] || state);
}

// A call that is on its way while nobody is at the run will not be answered.
function callState(state) {
  return state === "running" && !data.overview?.live
    ? h("span", { class: "state" }, swatch("dropped"), "no reply")
    : stateTag(state, CALL_WORDS);
}

// A key to what is drawn: [[mark, words], …]
function legend(entries, label) {
  return h(
    "ul",
    { class: "legend", "aria-label": label || "What the marks mean" },
    entries.map(([mark, words]) => h("li", null, swatch(mark), words)),
  );
}

// A bar in parts: [[mark, amount], …]. It says in words what it shows.
function stackedBar(parts, label) {
  const shownParts = parts.filter(([, amount]) => amount > 0);
  return h(
    "span",
    { class: "stack", role: "img", "aria-label": label },
    shownParts.map(([mark, amount]) => h("span", { class: `mark-${mark}`, style: { "flex-grow": String(amount) } })),
  );
}

// How the states of slices come out: "12 done, 3 running"
function statesInWords(states) {
  const said = Object.keys(STATE_WORDS)
    .filter((one) => states[one] > 0)
    .map((one) => `${fmt.number(states[one])} ${STATE_WORDS[one]}`);
  return said.length ? said.join(", ") : "no slices";
}

function statesBar(states) {
  const order = ["done", "running", "failed", "split", "dropped", "ready"];
  return stackedBar(
    order.map((one) => [one, states[one] || 0]),
    statesInWords(states),
  );
}

// A plain bar for a table cell: the share of the longest one, which is told beside it as a number.
function shareBar(share, mark) {
  return h(
    "span",
    { class: "share", "aria-hidden": "true" },
    h("span", {
      class: `mark-${mark || "done"}`,
      style: { width: `${Math.max(share > 0 ? 1 : 0, Math.min(100, share * 100)).toFixed(1)}%` },
    }),
  );
}

// On a canvas

const MARK_COLOURS = { done: "s0", running: "s2", failed: "warn", split: "s4", dropped: "soft", moved: "soft", ready: "soft", idle: "edge" };
const tiles = new Map();

// How a state is filled; made once for each set of colours. `sharp` is how many dots a pixel has.
function markFill(context, mark) {
  const ink = colour(MARK_COLOURS[mark]);
  const sharp = Math.min(3, window.devicePixelRatio || 1);
  const key = `${mark} ${ink} ${sharp}`;
  if (mark === "done") return ink;
  if (!tiles.has(key)) {
    tiles.set(key, context.createPattern(tile(mark, ink, sharp), "repeat"));
    tiles.get(key).setTransform(new DOMMatrix([1 / sharp, 0, 0, 1 / sharp, 0, 0]));
  }
  return tiles.get(key);
}

function tile(mark, ink, sharp) {
  const side = 8;
  const made = h("canvas", { width: side * sharp, height: side * sharp });
  const pen = made.getContext("2d");
  pen.scale(sharp, sharp);
  if (mark !== "idle") {
    pen.fillStyle = colour("sheet");
    pen.fillRect(0, 0, side, side);
  }
  pen.strokeStyle = pen.fillStyle = ink;
  pen.lineWidth = mark === "running" ? 3 : 1.5;
  pen.beginPath();
  const line = (...at) => {
    pen.moveTo(at[0], at[1]);
    pen.lineTo(at[2], at[3]);
  };
  const rising = () => {
    line(-2, 2, 2, -2);
    line(-1, 9, 9, -1);
    line(6, 10, 10, 6);
  };
  if (mark === "running" || mark === "failed") rising();
  if (mark === "failed" || mark === "moved") {
    line(-2, 6, 2, 10);
    line(-1, -1, 9, 9);
    line(6, -2, 10, 2);
  }
  if (mark === "split") {
    line(2, 0, 2, 8);
    line(6, 0, 6, 8);
  }
  if (mark === "dropped") {
    line(0, 4, 8, 4);
  }
  pen.stroke();
  if (mark === "ready" || mark === "idle") {
    pen.beginPath();
    for (const [x, y] of [
      [2, 2],
      [6, 6],
    ])
      pen.rect(x - 0.75, y - 0.75, 1.5, 1.5);
    pen.fill();
  }
  return made;
}
