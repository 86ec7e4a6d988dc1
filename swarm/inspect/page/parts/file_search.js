// A search through a file: what shares most words with what is asked for comes first. Words are compared by their
// beginnings, without case and accents. The page stays quick: the work is done in turns.

const heldSearch = (() => {
  const MOST = 200;
  const COMMON = new Set("a an and are as at be by for from how in is it of on or that the this to was were what when where which who why with".split(" "));
  const KINDS_ = ["finding", "summary", "decision", "question", "entity", "artifact", "source", "slice"];

  const plain = (words) => words.toLowerCase().normalize("NFKD").replace(/\p{M}+/gu, "");
  const stem = (word) => (word.length > 4 ? word.replace(/(?:ings?|edly|ed|es|s|ly)$/u, (end) => (word.length - end.length >= 3 ? "" : end)) : word);

  // All that can be found, as words and what tells the node; made once.
  const hay = held.once(async () => {
    const { all } = await heldGraph.index();
    const made = [];
    await held.inTurns(all.length, (at) => {
      const row = all[at];
      const fields = row[heldGraph.FIELDS] ? row[heldGraph.FIELDS].filter(Boolean).join(" ") : "";
      made.push({ kind: "finding", place: at, words: plain(`${row[heldGraph.TEXT]} ${fields}`), weight: row[heldGraph.RELEVANCE] - (row[heldGraph.LEADER] >= 0 ? 1 : 0) });
    });
    for (const kind of KINDS_.slice(1)) {
      const others = await heldGraph.ofKind(kind);
      const texts = await textsOf(kind, others);
      await held.inTurns(others.length, (at) => made.push({ kind, place: others[at][1], words: plain(texts[at]), weight: 0.5 }));
    }
    return made;
  });

  async function textsOf(kind, others) {
    if (kind === "entity") return (await held.list("entities").all()).map((row) => row[1]);
    if (kind === "slice") return (await held.list("slices").all()).map((row) => `${row[1]} ${row[12] || ""}`);
    if (kind === "source") return (await heldText.sources()).filter((one) => one.findings > 0).map((one) => one.path);
    const rows_ = await heldGraph.nodeRows();
    return others.map(([, id]) => rows_.get(id)[2]);
  }

  let last = { key: null, found: null };

  // { total, hits: [[kind, place], …] }, best first.
  async function find(q, kind) {
    const key = `${kind} ${q}`;
    if (last.key !== key) last = { key, found: search(q, kind) };
    return last.found;
  }

  async function search(q, kind) {
    const asked = [...new Set(plain(q).split(/[^\p{L}\p{N}]+/u).filter(Boolean))];
    const telling = asked.filter((word) => !COMMON.has(word));
    const words = (telling.length ? telling : asked).slice(0, 32).map(stem);
    const all = await hay();
    const phrase = plain(q).trim();
    let best = [], total = 0;
    const often = new Array(words.length).fill(1);
    const matched = [];
    await held.inTurns(all.length, (at) => {
      const one = all[at];
      if (kind && one.kind !== kind) return;
      let bits = 0;
      for (let n = 0; n < words.length; n++) {
        const place = one.words.indexOf(words[n]);
        if (place < 0) continue;
        bits |= 1 << n;
        often[n] += 1;
      }
      if (bits) matched.push([at, bits]);
    });
    const rare = often.map((number) => Math.log(1 + all.length / number));
    await held.inTurns(matched.length, (n) => {
      const [at, bits] = matched[n];
      const one = all[at];
      let score = one.weight;
      for (let w = 0; w < words.length; w++) if (bits & (1 << w)) score += 4 * rare[w] * (begins(one.words, words[w]) ? 1 : 0.5);
      if (phrase.length > 3 && one.words.includes(phrase)) score += 4;
      total += 1;
      best.push([score, at]);
      if (best.length >= 20 * MOST) best = top(best);
    });
    return { total, hits: top(best).map(([, at]) => [all[at].kind, all[at].place]) };
  }

  const begins = (words, word) => words.startsWith(word) || words.includes(` ${word}`);
  const top = (best) => best.sort((one, other) => other[0] - one[0] || one[1] - other[1]).slice(0, MOST);

  return { find };
})();
