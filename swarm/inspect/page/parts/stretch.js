// A stretch of a run's time: what there is to be drawn of it, how busy its places were in words, and its bars as a table.
//
// It takes the data of the timeline as it is told and knows nothing of where it is asked for, nor of how it is drawn.

const TABLE_STEP = 25;
const MOST_PLACES = 64; // drawn, where not more of them worked

// What there is to be drawn: the finer bars of a part, and around them those of the whole; all of them lane by lane, in
// the order of their times.
function seenIn(whole, part) {
  const used = whole.lanes.places;
  const places = Math.max(used, Math.min(whole.of || 0, MOST_PLACES)); // those that never worked are idle too
  const bars = part === whole ? barsOf(whole, places) : [...barsOf(part, places), ...outside(barsOf(whole, places), part)];
  const byLane = Array.from({ length: places + whole.lanes.coordinator }, () => []);
  for (const bar of bars) byLane[bar[0]]?.push(bar);
  for (const lane of byLane) lane.sort((one, other) => one[1] - other[1]);
  const around = (from, to) => whole.busy.filter(([at]) => at >= from && at < to);
  return {
    places,
    others: whole.lanes.coordinator,
    of: whole.machines?.length ? whole.of || used : Math.max(used, whole.of || 0),
    groups: groupsOf(whole.machines || [], used, places),
    bars,
    byLane,
    sessions: whole.sessions.map(([begun, ended]) => ({ begun, ended: ended ?? whole.ended })),
    reading: whole.reading || null,
    begun: whole.begun,
    last: whole.ended,
    busy: whole.exact
      ? busySteps(bars, places)
      : part === whole
        ? whole.busy
        : [...around(-Infinity, part.from), ...part.busy, ...around(part.to, Infinity)],
  };
}

// The lanes of each machine, which lie together: from which on, and how many; last those that belong to none.
function groupsOf(machines, used, places) {
  const groups = [];
  let first = 0;
  for (const { name, lanes } of machines) {
    groups.push({ name, first, lanes });
    first += lanes;
  }
  if (groups.length && first < places) groups.push({ name: first < used ? "the run itself" : "no machine", first, lanes: places - first });
  return groups;
}
// The machine whose lane it is; none where the process of the run did all.
const groupOf = (lane, seen) => seen.groups.find((one) => lane >= one.first && lane < one.first + one.lanes);

// The bars of a reply, made ready once: lanes of the coordinator come after all places, and who is at work has no end.
const madeReady = new WeakMap();
function barsOf(reply, places) {
  if (!madeReady.has(reply)) {
    const used = reply.lanes.places;
    const live = data.overview?.live;
    const made = reply.bars.map(([lane, begun, ended, state, id, name, many, share]) => {
      const end = live && state === "running" && many <= 1 ? null : ended;
      return lane < used
        ? [lane, begun, end, state, id, name, many, share, name]
        : [lane + places - used, begun, end, state, id, askerInWords(name), many, share, name];
    });
    madeReady.set(reply, made);
  }
  return madeReady.get(reply);
}

// Bars as far as they lie before or after a part.
function outside(bars, part) {
  const found = [];
  for (const bar of bars) {
    if (bar[1] < part.from) found.push(bar[2] !== null && bar[2] <= part.from ? bar : bar.with(2, part.from));
    if (bar[2] === null || bar[2] > part.to) found.push(bar[1] >= part.to ? bar : bar.with(1, part.to));
  }
  return found;
}

// How many places were busy from each moment on at which that changed.
function busySteps(bars, places) {
  const turns = [];
  for (const [lane, begun, ended] of bars) {
    if (lane >= places) continue;
    turns.push([begun, 1]);
    if (ended !== null) turns.push([ended, -1]);
  }
  turns.sort((one, other) => one[0] - other[0]);
  const found = [];
  let many = 0;
  for (const [at, by] of turns) {
    many += by;
    if (found.length && found[found.length - 1][0] === at) found[found.length - 1][1] = many;
    else found.push([at, many]);
  }
  return found;
}

// "8 places, 93% busy; longest idle 12 s from 10:04:31, place 3." Where bars are stretches of several slices, `told`
// has the share, and a longer rest may hide within a stretch.
function stretchInWords(seen, told, from, to) {
  const places = count(seen.of, "place");
  const { share, longest } = idleOf(seen, from, to);
  const idle = told ? (told.idle ?? null) : share;
  const read = seen.reading && Math.min(to, seen.reading[1]) - Math.max(from, seen.reading[0]);
  const first = read > 0.05 ? ` Files were read in for ${fmt.seconds(read)} before; that is not counted.` : "";
  if (idle === null) return first ? `${places}; the files were being read in.` : `${places}; nobody was at the run in this stretch.`;
  const pauses = first + (seen.sessions.length > 1 ? ` ${seen.sessions.length} sessions; the time between them is not counted.` : "");
  const hides = (bar) => (bar[6] > 1 && bar[1] < to && bar[2] > from ? (1 - bar[7]) * (bar[2] - bar[1]) : 0);
  const hidden = told ? seen.bars.reduce((most, bar) => Math.max(most, hides(bar)), 0) : 0;
  const busy = `${places}, ${fmt.percent(1 - idle)} busy`;
  if (!longest) return hidden ? `${busy}.${pauses}` : `${busy}; none was idle.${pauses}`;
  const [lane, begun, ended] = longest;
  const at = to - from < 10 ? clock(new Date(begun * 1000), 0.1) : fmt.time(begun);
  return `${busy}; longest idle ${hidden > ended - begun ? "at least " : ""}${fmt.seconds(ended - begun)} from ${at}, ${laneInWords(lane, seen)}.${pauses}`;
}

// The share of the time of places, within sessions and a stretch, in which they had nothing to do, and the longest such.
function idleOf(seen, from, to) {
  let [all, busy, longest] = [0, 0, null];
  for (const session of seen.sessions) {
    const [begin, end] = [Math.max(from, session.begun, seen.reading?.[1] ?? 0), Math.min(to, session.ended)];
    if (end <= begin) continue;
    all += (end - begin) * seen.of;
    for (let lane = 0; lane < Math.max(seen.of, seen.groups.length ? seen.places : 0); lane++) {
      let free = begin;
      const bars = lane < seen.places ? seen.byLane[lane] : [];
      for (let n = 0; n <= bars.length; n++) {
        const bar = bars[n] || [lane, end, end];
        const [starts, ends] = [Math.max(begin, Math.min(end, bar[1])), Math.max(begin, Math.min(end, bar[2] ?? seen.last))];
        if (starts - free > (longest ? longest[2] - longest[1] : 0.0005)) longest = [lane, free, starts];
        busy += Math.max(0, ends - Math.max(free, starts));
        free = Math.max(free, ends);
      }
    }
  }
  return { share: all ? Math.max(0, 1 - busy / all) : null, longest };
}

function laneInWords(lane, seen) {
  if (lane >= seen.places) return "the coordinator";
  const group = groupOf(lane, seen);
  return group ? `${shown(clip(group.name, 40))}, place ${lane - group.first + 1}` : `place ${lane + 1}`;
}
const spell = (begun, ended, last) =>
  `${clock(new Date(begun * 1000), 0.1)} ${ended === null ? "until now" : `to ${clock(new Date(ended * 1000), 0.1)}`}, ${fmt.seconds((ended ?? last) - begun)}`;

function barInWords([lane, begun, ended, state, id, name, many, share], seen) {
  const what = id ? h("a", { href: href("slice", id) }, text("span", clip(name, 120))) : text("span", name);
  return [
    what,
    " ",
    barState(state, many, share),
    h("span", { class: "soft" }, ` ${laneInWords(lane, seen)}, ${spell(begun, ended, seen.last)}`),
  ];
}

// Of a stretch of several slices, all that is known is how busy it was and whether some failed.
function barState(state, many, share) {
  if (many <= 1) return stateTag(state, BAR_WORDS);
  return h(
    "span",
    { class: "state" },
    swatch(state),
    `busy ${fmt.percent(share)} of the time${state === "failed" ? ", some failed" : ""}`,
  );
}

// What is in sight, in rows; it is made only while somebody reads it.
function stretchTable() {
  let given = null;
  let offset = 0;
  const columns = [
    {
      name: "name",
      label: "Slice",
      value: (bar) => bar[5],
      cell: (bar) => (bar[4] ? h("a", { href: href("slice", bar[4]) }, text("span", clip(bar[5], 80))) : text("span", bar[5])),
    },
    { name: "lane", label: "Place", value: (bar) => laneInWords(bar[0], given[0]) },
    {
      name: "state",
      label: "State",
      value: (bar) => `${bar[3]} ${bar[6]} ${bar[7]}`,
      cell: (bar) => barState(bar[3], bar[6], bar[7]),
    },
    { name: "begun", label: "From", value: (bar) => clock(new Date(bar[1] * 1000), 0.1), number: true },
    { name: "took", label: "Took", value: (bar) => fmt.seconds((bar[2] ?? given[0].last) - bar[1]), number: true },
  ];
  const made = dataTable({ caption: "What is in sight", columns, key: (bar) => `${bar[0]} ${bar[1]} ${bar[4]}` });
  const pages = pageBar("Pages of what is in sight", (next) => {
    offset = next;
    fill();
  });
  const box = numbers("What is in sight as a table", made.box, pages.box);
  box.addEventListener("toggle", fill);
  function fill() {
    if (!box.open || !given) return;
    const [seen, from, to] = given;
    const inSight = seen.bars
      .filter((bar) => bar[1] <= to && (bar[2] ?? seen.last) >= from)
      .sort((one, other) => one[1] - other[1]);
    if (offset >= inSight.length) offset = 0;
    made.update(inSight.slice(offset, offset + TABLE_STEP));
    pages.update(offset, TABLE_STEP, inSight.length, "bar");
  }
  return {
    box,
    show: (...now) => {
      given = now;
      fill();
    },
  };
}
