// The sources of a file and their text, as far as it is in it: whole, or in stretches around what is quoted.
// Places are characters as Python counts them; a string here may have two units for one of them.

const heldText = (() => {
  const AWAY = "This text is not in the file, for want of room. It is in the run: swarm view shows it.";
  const READS = ["unread", "read", "skipped", "planned", "failed"];

  const sources = held.once(async () => (await held.list("sources").all()).map((row, number) => ({
    number, id: row[0], path: row[1], media: row[2], chars: row[3], whole: row[4] === 1, pieces: row[5], reads: row[6],
    coverage: row[7], findings: row[7] ? row[7].findings : row[8],
  })));
  const byId = held.once(async () => new Map((await sources()).map((one) => [one.id, one])));

  const where = (source, place) => (place > 0 ? `${source.path}:${place}` : place < 0 ? `${source.path}:p${-place}` : source.path);

  // The first piece that ends behind a place.
  function first(source, at) {
    let low = 0, high = source.pieces.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (source.pieces[middle][1] > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  async function textOf(piece) {
    const block = await held.list("texts").block(piece[3]);
    return block[piece[4]];
  }

  // What is there of a stretch, from its beginning on and without a gap; null where its beginning is not there.
  async function text(source, start, end) {
    let at = start, found = "";
    for (let place = first(source, start); place < source.pieces.length && at < end; place++) {
      const piece = source.pieces[place];
      if (piece[0] > at) break;
      const words = await textOf(piece);
      const unit = places(words);
      found += words.slice(unit(at - piece[0]), unit(end - piece[0]));
      at = piece[1];
    }
    return at > start ? { text: found, end: Math.min(at, end) } : null;
  }

  async function quoted(source, [, start, end, place], words) {
    const AROUND = 240, MOST = 2000;
    const one = { source: source.id, path: source.path, start, end, where: where(source, place), media: source.media };
    const inner = await text(source, start, Math.min(end, start + MOST));
    if (inner === null) {
      if (words === null || words === undefined) return { ...one, quote: null, before: "", after: "", missing: AWAY };
      const cut = end - start - [...words].length;
      return { ...one, quote: words, before: "", after: "", ...(cut > 0 ? { clipped: { quote: cut } } : {}) };
    }
    const low = begins(source, start, AROUND);
    const before = low < start ? await text(source, low, start) : null;
    const after = await text(source, end, end + AROUND);
    const cut = end - inner.end;
    return {
      ...one, quote: inner.text, before: before ? wordwise(before.text, start - low === AROUND) : "",
      after: after ? (after.end - end === AROUND ? after.text.replace(/ [^ ]*$/, "") : after.text) : "",
      ...(cut > 0 ? { clipped: { quote: cut } } : {}),
    };
  }

  const wordwise = (words, cut) => (cut && words.includes(" ") ? words.slice(words.indexOf(" ") + 1) : words);

  // Where what is there without a gap begins before a place, at most so many characters.
  function begins(source, at, most) {
    let low = at;
    for (let place = first(source, at - 1); place >= 0; place--) {
      const piece = source.pieces[place];
      if (!piece || piece[0] > low || piece[1] < low) break;
      low = piece[0];
      if (low <= at - most) break;
    }
    return Math.max(low, at - most, 0);
  }

  // A window of a source that has no gap in it. It begins where it is asked for, but: what one came for comes first
  // (the address tells it), and what is to stand before something that is shown ends there.
  async function source({ id, at = 0, chars = 6000 }) {
    const found = (await byId()).get(id);
    if (!found) throw held.unknown("This file has no such source: look for it in the list of sources.");
    const told = { id: found.id, path: found.path, media: found.media, chars: found.chars, findings: found.findings, page: null };
    if (!found.pieces.length) return { ...told, ...nothing(0), missing: AWAY };
    const from = Math.max(0, Math.min(Number(at) || 0, found.chars));
    const to = Math.min(found.chars, from + Math.max(1, Math.min(Number(chars) || 6000, 40000)));
    const part = await within(found, ...span(found, from, to));
    remember(found, part);
    return { ...told, ...part, ...(found.whole ? {} : { left_out: AWAY }) };
  }

  const returned = new Map(); // where what was given of a source began, and where it ended
  function remember(found, part) {
    if (!returned.has(found.id)) returned.set(found.id, { starts: new Set(), ends: new Set() });
    returned.get(found.id).starts.add(part.start);
    returned.get(found.id).ends.add(part.end);
  }

  // What of a window is given: [from, to, whether it may begin later].
  function span(found, from, to) {
    const known = returned.get(found.id);
    const came = Number(wanted().query.at);
    if (came >= from && came < to && !known?.ends.has(from)) return [begins(found, came + 1, came + 1 - from), to, true];
    if (known?.starts.has(to) && !known.ends.has(from)) {
      const low = begins(found, to, to - from);
      return low < to ? [low, to] : [found.pieces[first(found, to - 1) - 1]?.[1] ?? 0, to];
    }
    return [from, to, false];
  }

  async function within(found, from, to, later) {
    if (from >= found.chars) return { ...nothing(found.chars), text: "" };
    const next = found.pieces[first(found, from)];
    const gap = (next ? next[0] : found.chars) - from;
    if (gap > 0 && !(later && next && next[0] < to)) return beyond(from, next ? next[0] : found.chars);
    const low = await lineBefore(found, Math.max(from, next[0]));
    const part = await text(found, low, returned.get(found.id)?.starts.has(to) ? to : await lineAfter(found, to));
    const marks = await heldGraph.marks(found, low, part.end, part.text);
    return { start: low, end: part.end, line: await lineOf(found, found.pieces[first(found, low)], low), text: part.text, ...marks, reads: readsOf(found, low, part.end) };
  }

  const LINE = 400; // characters that a window may be longer at either end, to be of whole lines

  async function lineBefore(found, at) {
    const low = begins(found, at, LINE);
    const before = low < at ? (await text(found, low, at)).text : "";
    const cut = before.lastIndexOf("\n");
    return cut < 0 ? at : low + [...before.slice(0, cut + 1)].length;
  }

  async function lineAfter(found, at) {
    const after = at < found.chars ? await text(found, at, Math.min(found.chars, at + LINE)) : null;
    const cut = after ? after.text.indexOf("\n") : -1;
    return cut < 0 ? at : at + [...after.text.slice(0, cut + 1)].length;
  }

  const nothing = (start) => ({ start, end: start, line: null, text: null, marks: [], marks_total: 0, claims: {}, reads: [] });

  // A stretch that is not there is passed over, and said so in its place.
  const beyond = (start, end) => ({ ...nothing(start), end, text: `[${(end - start).toLocaleString("en")} characters are not in this file]\n` });

  async function lineOf(found, piece, low) {
    if (!piece[2]) return null;
    const words = await textOf(piece);
    return piece[2] + (words.slice(0, places(words)(low - piece[0])).match(/\n/g) || []).length;
  }

  function readsOf(found, low, high) {
    return found.reads.filter(([start, end]) => end > low && start < high).map(([start, end, state]) => ({ start: Math.max(start, low), end: Math.min(end, high), state: READS[state] }));
  }

  async function coverage({ offset = 0, limit = 50, q = "", sort = "path" }) {
    const wanted = String(q).toLowerCase();
    const rows_ = (await sources()).map((one) => one.coverage).filter((one) => one && (!wanted || one.path.toLowerCase().includes(wanted)));
    const by = { chars: (one) => one.chars, unread: (one) => one.unread, findings: (one) => one.findings, failed: (one) => one.failed }[sort];
    if (by) rows_.sort((one, other) => by(other) - by(one));
    return { ...held.head.coverage, total: rows_.length, offset: Number(offset), sources: rows_.slice(Number(offset), Number(offset) + Number(limit)) };
  }

  return { sources, byId, where, quoted, source, coverage, AWAY };
})();
