// The work of a run in a file: slices, calls, the plan, who worked when. Slices go by their places in the plan.

const heldWork = (() => {
  const STATES_ = ["ready", "running", "done", "failed", "dropped", "split"];
  const slices = held.list("slices"), details = held.list("details"), bars = held.list("bars");
  const AWAY = "What this slice reported is not in this file, for want of room.";
  const base = held.head.overview?.begun;
  const seconds = (at) => (at === null || at === undefined ? null : base + at / 1e6); // kept as microseconds from the beginning on
  const page = (offset, limit) => [Math.max(0, Number(offset) || 0), Math.min(200, Math.max(0, Number(limit) || 0))];

  const asked = held.once(() => held.list("asked").all());
  const branches = held.once(async () => (await held.list("branches").all()).map(([told, up, inside, ids]) => ({ told, up, inside, ids })));
  const ids = held.once(async () => new Map((await slices.all()).map((row, place) => [row[0], place])));

  async function tell(row) {
    return {
      id: row[0], name: row[1], asked: (await asked())[row[2]], state: STATES_[row[4]], why: row[5], begun: seconds(row[6]), ended: seconds(row[7]),
      calls: row[8], tokens: row[9], cost_usd: row[10], machine: row[13] ?? null,
    };
  }

  const row = async (place) => tell(await slices.at(place));

  async function asNode(place) {
    const one = await slices.at(place);
    return { id: one[0], kind: "slice", text: (await asked())[one[2]], round: one[11], item: one[12], failed: one[4] === 3 };
  }

  async function plan({ branch = "", offset = 0, limit = 50, state = "" }) {
    const all = await branches();
    const number = all.findIndex((one) => one.told.key === branch);
    if (number < 0 && branch) throw held.unknown("The plan has no such branch: begin at the top of the plan.");
    const mine = number < 0 ? null : all[number];
    const [from, many] = page(offset, limit);
    const wanted_ = state && mine ? await inState(mine.ids, STATES_.indexOf(state)) : mine ? mine.ids : [];
    const above = [];
    for (let up = mine ? mine.up : -1; up >= 0; up = all[up].up) above.unshift({ key: all[up].told.key, asked: all[up].told.asked.slice(0, 400) });
    const inside = mine ? mine.inside : all.map((_, at) => at).filter((at) => all[at].up < 0);
    const head = held.head.plan;
    return {
      branch, asked: mine ? mine.told.asked : head.asked, trail: above, judged: mine ? mine.told.judged : head.judged, states: mine ? mine.told.states : head.states,
      branches: inside.slice(0, 200).map((at) => all[at].told), branches_total: inside.length,
      slices: await Promise.all(wanted_.slice(from, from + many).map(row)), offset: from, total: wanted_.length,
    };
  }

  async function inState(places_, state) {
    const all = await slices.all();
    return places_.filter((place) => all[place][4] === state);
  }

  async function slice({ id }) {
    const place = await find(String(id));
    const told = await row(place);
    const calls_ = await ofAsker(place);
    const branch = (await branches())[(await slices.at(place))[3]];
    const more_ = await details.at(place);
    const calls_list = await Promise.all(calls_.slice(-50).reverse().map(tellCall));
    if (!more_) return { ...told, branch: branch.told.key, branch_asked: branch.told.asked, spans: [], spans_total: 0, order: null, machines: [], halves: [], report: null, calls_list, calls_total: calls_.length, handoffs: [], tools: [], failures: [], left_out: AWAY };
    return { ...told, ...more_, calls_list, calls_total: calls_.length };
  }

  async function find(id) {
    const known = await ids();
    if (known.has(id)) return known.get(id);
    const alike = (await slices.all()).map((one, place) => [one, place]).filter(([one]) => id && (one[0].startsWith(id) || one[1] === id));
    if (alike.length !== 1) throw held.unknown("The plan has no such slice, or more than one: look for it in the plan.");
    return alike[0][1];
  }

  // Calls

  const [KEY, ASKER, MODEL, KIND, BEGUN, ENDED, IN, OUT, CACHED, COST, COUNTED, ROOM, STATE] = Array.from({ length: 13 }, (_, at) => at);
  const calls_ = () => held.list("calls").all();
  const byAsker = held.once(async () => {
    const found = new Map();
    const all = await calls_();
    await held.inTurns(all.length, (at) => (found.has(all[at][ASKER]) ? found.get(all[at][ASKER]).push(all[at]) : found.set(all[at][ASKER], [all[at]])));
    return found;
  });
  const ofAsker = async (asker) => (await byAsker()).get(asker) || [];
  const took = (call_) => (call_[ENDED] === null ? 0 : Math.max(0, call_[ENDED] - call_[BEGUN]));

  async function tellCall(call_) {
    const isSlice = typeof call_[ASKER] === "number";
    const one = isSlice ? await slices.at(call_[ASKER]) : null;
    return {
      key: call_[KEY], asker: one ? one[0] : call_[ASKER], name: one ? one[1] : call_[ASKER], slice: one ? one[0] : null,
      model: held.head.models[call_[MODEL]], kind: held.head.kinds[call_[KIND]], begun: seconds(call_[BEGUN]), ended: seconds(call_[ENDED]),
      seconds: call_[ENDED] === null ? null : took(call_) / 1e6, input_tokens: call_[IN], output_tokens: call_[OUT], cached_tokens: call_[CACHED],
      cost_usd: call_[COST], fill: call_[ROOM] ? call_[COUNTED] / call_[ROOM] : null, counted: call_[COUNTED], room: call_[ROOM] || null, state: call_[STATE],
    };
  }

  async function calls({ offset = 0, limit = 50, sort = "begun", order = "desc", asker = "", failed = 0 }) {
    const known = await ids();
    let all = asker ? await ofAsker(known.has(asker) ? known.get(asker) : asker) : await calls_();
    if (Number(failed) || failed === true) all = all.filter((one) => one[STATE] === "failed");
    const by = {
      cost: (one) => one[COST], cost_usd: (one) => one[COST], tokens: (one) => one[IN] + one[OUT], input_tokens: (one) => one[IN], seconds: took,
      fill: (one) => (one[ROOM] ? one[COUNTED] / one[ROOM] : 0),
    }[sort] || ((one) => one[BEGUN]);
    const way = order === "asc" ? -1 : 1;
    const sorted = all.map((one, at) => [by(one), at, one]).sort((one, other) => way * (other[0] - one[0] || other[1] - one[1]));
    const [from, many] = page(offset, limit);
    const lost = held.head.overview.file.calls_left;
    return { total: all.length, offset: from, rows: await Promise.all(sorted.slice(from, from + many).map(([, , one]) => tellCall(one))), ...(lost ? { left_out: "The oldest calls are not in this file, for want of room." } : {}) };
  }

  const replies = held.once(async () => new Map(await held.list("replies").all()));

  async function call({ key }) {
    const found = (await calls_()).find((one) => one[KEY] === key);
    if (!found) throw held.unknown("This file has no such call: look for it in the list of calls.");
    const reply = (await replies()).get(key);
    const told = { ...(await tellCall(found)), reply: null, refusal: null, failure: null };
    return reply ? { ...told, ...reply } : { ...told, left_out: "The reply is not in this file. It is in the run: swarm view shows it." };
  }

  // The timeline

  async function timeline({ from, to }) {
    const whole = await held.list("timeline").at(0);
    const known = held.head.lanes;
    const isWhole = (from === null || from === undefined || from === "") && (to === null || to === undefined || to === "");
    if (isWhole || !known) return { ...whole, ...(isWhole ? {} : { left_out: "A closer look is not in this file, for want of room." }) };
    const low = Math.min(Math.max(Number(from), whole.begun), whole.ended), high = Math.max(low, Math.min(Number(to), whole.ended));
    const all = await bars.all();
    const seen = [];
    const buckets = 400, step = (high - low) / buckets;
    const busy = new Array(buckets).fill(0);
    let worked = 0;
    await held.inTurns(all.length, (at) => {
      const [lane, begun, ended, state, who] = all[at];
      const [start, stop] = [seconds(begun), seconds(ended)];
      if (start > high || stop < low) return;
      seen.push([lane, start, stop, known.states[state], who]);
      if (lane >= known.places || step <= 0) return;
      const [a, b] = [Math.max(start, low), Math.min(stop, high)];
      worked += b - a;
      for (let n = Math.floor((a - low) / step); n < buckets && low + n * step < b; n++) busy[n] += Math.max(0, Math.min(b, low + (n + 1) * step) - Math.max(a, low + n * step)) / step;
    });
    const exact = seen.length <= 4000;
    const since = Math.max(low, whole.reading?.[1] ?? low);
    const room = whole.sessions.reduce((sum, [at, until, places_]) => sum + Math.max(0, Math.min(until, high) - Math.max(at, since)) * (places_ || 0), 0);
    return {
      ...whole, from: low, to: high, exact, step, busy: step > 0 ? busy.map((height, n) => [low + n * step, Math.round(height * 1000) / 1000]) : [],
      bars: exact ? await Promise.all(seen.map(tellBar)) : merged(seen, low, high, known), idle: whole.idle === null || room <= 0 ? null : Math.min(1, Math.max(0, 1 - worked / room)),
    };
  }

  async function tellBar([lane, begun, ended, state, who]) {
    const one = typeof who === "number" ? await slices.at(who) : null;
    return [lane, begun, ended, state, one ? one[0] : "", one ? one[1] : who, 1, 1];
  }

  // Of each lane what begins in the same part of the time is one bar.
  function merged(seen, low, high, known) {
    const parts = Math.max(1, Math.floor(4000 / Math.max(1, known.places + known.coordinator)));
    const found = new Map();
    for (const [lane, begun, ended, state] of seen) {
      const part = Math.min(parts - 1, Math.max(0, Math.floor(((begun - low) / Math.max(high - low, 1e-9)) * parts)));
      const key = lane * parts + part;
      const one = found.get(key);
      if (!one) found.set(key, { lane, begun, ended, state, busy: ended - begun, count: 1 });
      else {
        one.ended = Math.max(one.ended, ended);
        one.busy += ended - begun;
        one.count += 1;
        if (state === "failed" || (state === "running" && one.state !== "failed")) one.state = state;
      }
    }
    return [...found.values()].map((one) => [one.lane, one.begun, one.ended, one.state, "", `${one.count.toLocaleString("en")} ${one.lane < known.places ? "slices" : "calls"}`, one.count, Math.min(1, one.busy / Math.max(one.ended - one.begun, 1e-9))]);
  }

  const detail = (place) => details.at(place);

  return { plan, slice, calls, call, timeline, row, asNode, detail };
})();
