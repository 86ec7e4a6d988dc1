// Lanes: bars on places over time, on a canvas, with the busy places above; to be zoomed, moved and walked through by
// mouse, touch and keys.
//
// It is handed bars and the stretches in which there was work, and tells which stretch is in sight and which bar is
// meant. It fetches nothing, and does not know what a bar stands for. Times are in seconds since the epoch. What hands
// do with it is in lanes_hand.js.

const GUTTER = { left: 50, right: 12, top: 18, busy: 52, gap: 10, axis: 24 };
const HEAD = 16; // above the lanes of a machine, for its name
const LEAST = 0.02; // seconds: nobody needs to see less at once

// `told`: { stretch(from, to, why), meant(bar or null, why), open(bar) }. `show` takes what there is to be seen:
// { places, others, groups: [{name, first, lanes}] (none, or all places are in one), bars: [[lane, begun, ended, state, id, name, count, share, …], …], byLane: the same by their lanes, busy: [[at, places], …], sessions:
// [{begun, ended}], begun, last }: lanes are places first, then the others; a bar that goes on has no end; one that is
// busy for a share of its time is as high as that.
function lanesChart(told) {
  const chart = { seen: null, fold: null, from: 0, to: 1, meant: null, byLane: [], width: 0 };
  const frame = canvasChart({
    height: () => lanesHeight(chart),
    draw: (context, width) => {
      chart.width = width;
      if (chart.seen) drawLanes(context, chart, width);
    },
    attrs: {
      class: "lanes",
      tabindex: "0",
      role: "application",
      "aria-roledescription": "timeline",
      "aria-describedby": "timeline-keys",
    },
  });
  Object.assign(chart, { canvas: frame.canvas, redraw: frame.redraw, told });

  chart.show = (seen) => {
    chart.seen = seen;
    chart.fold = foldedTime(seen.begun, pausesOf(seen), foldOf(seen));
    chart.end = chart.fold.at(seen.last);
    chart.byLane = seen.byLane;
    if (chart.meant) {
      chart.meant = seen.bars.find((bar) => bar[4] === chart.meant[4] && bar[4] && bar[0] === chart.meant[0]) || null;
      if (chart.meant) told.meant(chart.meant, "again");
    }
    frame.redraw();
  };
  // The stretch in sight, by places on the folded time line; it stays within what there is.
  chart.look = (from, to, why) => {
    const wide = Math.max(LEAST, Math.min(chart.end || LEAST, to - from));
    const start = Math.max(0, Math.min(chart.end - wide, from));
    if (start === chart.from && start + wide === chart.to) return;
    [chart.from, chart.to] = [start, start + wide];
    frame.redraw();
    if (why) told.stretch(chart.fold.back(start), chart.fold.back(start + wide), why);
  };
  chart.zoom = (factor, at = 0.5, why = "zoom") => {
    const wide = (chart.to - chart.from) * factor;
    const still = chart.from + (chart.to - chart.from) * at;
    chart.look(still - wide * at, still + wide * (1 - at), why);
  };
  chart.pan = (share) =>
    chart.look(chart.from + (chart.to - chart.from) * share, chart.to + (chart.to - chart.from) * share, "pan");
  chart.all = () => chart.look(0, chart.end, "all");
  chart.mean = (bar, why) => {
    if (bar === chart.meant) return;
    chart.meant = bar;
    frame.redraw();
    told.meant(bar, why);
  };
  lanesPointer(chart);
  lanesKeys(chart);
  return { box: frame.box, chart };
}

// Time in which nobody was at the run is folded, where it would crowd out the work.
function pausesOf(seen) {
  const pauses = [];
  seen.sessions.forEach((one, n) => {
    const next = seen.sessions[n + 1];
    if (next && next.begun - one.ended > Math.max(1, workOf(seen) / 20)) pauses.push({ from: one.ended, to: next.begun });
  });
  return pauses;
}
const workOf = (seen) => seen.sessions.reduce((sum, one) => sum + Math.max(0, one.ended - one.begun), 0) || seen.last - seen.begun;
const foldOf = (seen) => Math.max(LEAST, workOf(seen) * 0.05);

const lanesTop = GUTTER.top + GUTTER.busy + GUTTER.gap;

// How high a lane is, and where each begins: the others stand a little apart from the places.
function laneAt(seen) {
  const tall = seen.places <= 12 ? 26 : seen.places <= 32 ? 16 : seen.places <= 100 ? 8 : 4;
  const apart = Math.max(tall, 16);
  const bottom = lanesTop + seen.places * tall + seen.groups.length * HEAD;
  const top = (lane) => lanesTop + lane * tall + seen.groups.filter((one) => one.first <= lane).length * HEAD;
  return {
    tall: (lane) => (lane < seen.places ? tall : apart),
    y: (lane) => (lane < seen.places ? top(lane) : bottom + 6 + (lane - seen.places) * apart),
    lane: (y) => (y < bottom ? placeAt(seen, y, tall) : seen.places + Math.floor((y - bottom - 6) / apart)),
    bottom,
    end: bottom + (seen.others ? 6 + seen.others * apart : 0),
  };
}

// The place at a height: heads of groups belong to none.
function placeAt(seen, y, tall) {
  let [begin, first] = [lanesTop, 0];
  for (const group of seen.groups) {
    begin += HEAD;
    if (y < begin) return -1;
    if (y < begin + group.lanes * tall) return group.first + Math.floor((y - begin) / tall);
    begin += group.lanes * tall;
    first = group.first + group.lanes;
  }
  return first + Math.floor((y - begin) / tall);
}

const lanesHeight = (chart) => (chart.seen ? laneAt(chart.seen).end + GUTTER.axis : 320);

function placeScale(chart) {
  const scale = linear(chart.from, chart.to, GUTTER.left, chart.width - GUTTER.right);
  return { x: (time) => scale(chart.fold.at(time)), place: scale.back };
}

// Drawing

function drawLanes(pen, chart, width) {
  const { seen } = chart;
  const { x } = placeScale(chart);
  const [left, right] = [GUTTER.left, width - GUTTER.right];
  const { bottom, end, tall, y } = laneAt(seen);
  pen.save();
  pen.beginPath();
  pen.rect(left, 0, right - left, end + 3);
  pen.clip();
  for (const one of seen.sessions) {
    const [from, to] = [Math.max(left, x(Math.max(one.begun, seen.reading?.[1] ?? 0))), Math.min(right, x(one.ended))];
    if (to <= from) continue;
    pen.fillStyle = colour("sheet");
    pen.fillRect(from, lanesTop, to - from, bottom - lanesTop);
    pen.fillStyle = markFill(pen, "idle");
    pen.fillRect(from, lanesTop, to - from, bottom - lanesTop);
  }
  if (seen.reading) {
    const words = "reading files";
    const [from, to] = [Math.max(left, x(seen.reading[0])), Math.min(right, x(seen.reading[1]))];
    pen.fillStyle = colour("soft");
    pen.textAlign = "center";
    if (to - from > pen.measureText(words).width + 8) pen.fillText(words, (from + to) / 2, (lanesTop + bottom) / 2 + 4);
  }
  drawBusy(pen, chart, x, right);
  pen.textAlign = "left"; // it stays as the last drawing left it
  chart.byLane.forEach((bars, lane) => {
    const thick = Math.max(2, tall(lane) - (tall(lane) > 10 ? 4 : 1));
    for (const bar of bars) drawBar(pen, bar, x, y(lane) + (tall(lane) - thick) / 2, thick, chart, [left, right]);
  });
  drawGroups(pen, chart, left, right, y);
  drawSessions(pen, chart, x, end);
  pen.restore();
  drawAxes(pen, chart, [left, right]);
}

// The name of each machine, over its lanes.
function drawGroups(pen, { seen }, left, right, y) {
  for (const { name, first } of seen.groups) {
    pen.fillStyle = colour("ground");
    pen.fillRect(left, y(first) - HEAD, right - left, HEAD);
    pen.fillStyle = colour("ink");
    pen.fillText(clipTo(pen, shown(name), right - left - 8), left + 4, y(first) - 4);
  }
}

function drawBar(pen, [lane, begun, ended, state, id, name, many, share], x, top, all, chart, [left, right]) {
  const thick = share < 1 ? Math.max(1, all * share) : all;
  const y = top + all - thick;
  const [from, to] = [x(begun), x(ended ?? chart.seen.last)];
  if (to < left - 2 || from > right + 2) return;
  const [start, end] = [Math.max(from, left - 4), Math.min(Math.max(to, from + 1.5), right + 4)];
  pen.fillStyle = markFill(pen, state);
  pen.fillRect(start, y, end - start, thick);
  if (state !== "done" && end - start > 3 && !(many > 1)) {
    pen.strokeStyle = colour(MARK_COLOURS[state]);
    pen.lineWidth = 1;
    pen.strokeRect(start + 0.5, y + 0.5, end - start - 1, thick - 1);
  } else if (end - start > 4 && !(many > 1)) {
    pen.fillStyle = colour("sheet");
    pen.fillRect(end - 1, y, 1, thick); // where one ends and the next one begins
  }
  if (thick >= 18 && end - start > 64 && name) {
    const words = clipTo(pen, shown(name), end - start - 16);
    if (state !== "done") {
      pen.fillStyle = colour("sheet");
      pen.fillRect(start + 4, y + 3, pen.measureText(words).width + 6, thick - 6);
    }
    pen.fillStyle = colour(state === "done" ? "sheet" : "ink");
    pen.fillText(words, Math.max(start, left) + 7, y + thick / 2 + 4);
  }
  const meant = chart.meant;
  if (meant && meant[0] === lane && meant[1] === begun && meant[4] === id) {
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 2.5;
    pen.strokeRect(start - 1.5, y - 1.5, end - start + 3, thick + 3);
  }
}

function clipTo(pen, words, room) {
  if (pen.measureText(words).width <= room) return words;
  let some = words.slice(0, Math.ceil(room / 5));
  while (some && pen.measureText(`${some}…`).width > room) some = some.slice(0, -1);
  return `${some}…`;
}

function drawBusy(pen, chart, x, right) {
  const { busy, of } = chart.seen;
  const y = linear(0, Math.max(1, of), GUTTER.top + GUTTER.busy, GUTTER.top);
  pen.strokeStyle = colour("line");
  pen.lineWidth = 1;
  for (const one of [0, of]) {
    pen.beginPath();
    pen.moveTo(GUTTER.left, y(one) + 0.5);
    pen.lineTo(right, y(one) + 0.5);
    pen.stroke();
  }
  pen.fillStyle = colour("s5");
  pen.beginPath();
  busy.forEach(([at, many], n) => {
    const [from, to] = [x(at), n + 1 < busy.length ? x(busy[n + 1][0]) : x(chart.seen.last)];
    if (many > 0 && to >= GUTTER.left && from <= right) pen.rect(from, y(many), Math.max(0.5, to - from), y(0) - y(many));
  });
  pen.fill();
}

function drawSessions(pen, chart, x, bottom) {
  const { sessions } = chart.seen;
  pen.textAlign = "left";
  for (const pause of sessions.slice(1).map((one, n) => ({ from: sessions[n].ended, to: one.begun }))) {
    const [from, to] = [x(pause.from), x(pause.to)];
    if (to < GUTTER.left || from > chart.width) continue;
    pen.fillStyle = colour("ground");
    pen.fillRect(from, GUTTER.top, to - from, bottom - GUTTER.top);
    pen.fillStyle = colour("soft");
    const words = `nobody at it for ${fmt.seconds(pause.to - pause.from)}`;
    pen.save();
    pen.translate((from + to) / 2 + 4, (lanesTop + bottom) / 2);
    if (to - from > pen.measureText(words).width) pen.translate(-4, 4);
    else pen.rotate(-Math.PI / 2);
    pen.textAlign = "center";
    if (to - from > 14) pen.fillText(words, 0, 0);
    pen.restore();
  }
  pen.textAlign = "left";
  let free = -Infinity;
  sessions.forEach((one, n) => {
    const at = x(one.begun);
    pen.strokeStyle = colour("ink");
    pen.lineWidth = 1.5;
    pen.beginPath();
    pen.moveTo(at, 4);
    pen.lineTo(at, bottom);
    pen.stroke();
    const words = sessions.length > 1 ? `session ${n + 1}` : "";
    if (at + 4 <= free) return;
    pen.fillStyle = colour("ink");
    pen.fillText(words, at + 4, 12);
    free = at + 8 + pen.measureText(words).width;
  });
}

function drawAxes(pen, chart, [left, right]) {
  const { seen } = chart;
  const { tall, y, end } = laneAt(seen);
  pen.fillStyle = colour("soft");
  pen.textAlign = "right";
  const each = tall(0) >= 14 ? 1 : Math.ceil(14 / tall(0) / 5) * 5;
  for (let lane = 0; lane < seen.places; lane++) {
    const group = groupOf(lane, seen);
    const number = lane - (group?.first ?? 0);
    if (number % each === 0) pen.fillText(String(number + 1), left - 8, y(lane) + tall(lane) / 2 + 4);
  }
  if (seen.others) pen.fillText("coord.", left - 8, y(seen.places) + tall(seen.places) / 2 + 4);
  pen.fillText(String(seen.of), left - 8, GUTTER.top + 5);
  pen.fillText("0", left - 8, GUTTER.top + GUTTER.busy + 4);
  pen.textAlign = "center";
  pen.strokeStyle = colour("soft");
  pen.lineWidth = 1;
  let free = left - 20;
  const work = seen.sessions.map((one) => [one.begun, one.ended]);
  for (const { at, label } of foldedTicks(chart.fold, work, [chart.from, chart.to], (right - left) / 76)) {
    const place = placeScale(chart).x(at);
    const half = pen.measureText(label).width / 2;
    if (place - half < free || place + half > right + GUTTER.right) continue;
    pen.beginPath();
    pen.moveTo(place, end);
    pen.lineTo(place, end + 4);
    pen.stroke();
    pen.fillText(label, place, end + 18);
    free = place + half + 10;
  }
}
