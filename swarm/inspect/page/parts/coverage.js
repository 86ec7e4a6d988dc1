// Coverage: a map of what was read, one row a source, and the sum in words.
//
// A strip has 120 cells, each a stretch of its source in one state. The text itself is shown by the view of the source.

const COVERAGE_STEP = 40;
const COVERAGE_SORTS = [
  ["path", "by path"],
  ["unread", "most unread"],
  ["findings", "most findings"],
  ["failed", "most failed"],
  ["chars", "longest"],
];

view("coverage", {
  title: "What was read",
  label: "Coverage",
  nav: true,
  group: "works",
  render: (main, _path, query) => coverageView(main, query),
  change: (main) => main.coverage?.load(),
});

async function coverageView(main, query) {
  const state = {
    offset: Number(query.offset) || 0,
    q: query.q || "",
    sort: COVERAGE_SORTS.some(([one]) => one === query.sort) ? query.sort : "path",
  };
  const sum = h("div", { class: "coverage-sum" });
  const field = h("input", {
    type: "search",
    id: "coverage-search",
    "aria-label": "Search the paths of sources",
    placeholder: "Search paths",
    value: state.q,
    autocomplete: "off",
    spellcheck: "false",
  });
  const sort = h(
    "select",
    {
      id: "coverage-sort",
      "aria-label": "Sort sources",
      onchange: () => {
        [state.sort, state.offset] = [sort.value, 0];
        load();
      },
    },
    COVERAGE_SORTS.map(([value, words]) => h("option", { value }, words)),
  );
  sort.value = state.sort;
  const list = h("ul", { class: "sources", id: "coverage-sources", "aria-label": "Sources" });
  const pages = pageBar("Pages of sources", (offset) => {
    state.offset = offset;
    load();
  });
  const skipped = h("section", { hidden: true });
  const within = h("p", { class: "soft" });
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      [state.q, state.offset] = [field.value.trim(), 0];
      load();
    }, 150);
  });
  const found = h("div", { hidden: true });
  main.append(sum, found);
  found.append(
    legend(Object.entries(READ_WORDS).map(([letter, words]) => [READ_MARKS[letter], words])),
    h("div", { class: "toolbar" }, field, sort),
    h(
      "p",
      { class: "soft keys-only", id: "coverage-keys" },
      "In a strip, arrow keys move along the source and Enter opens it there.",
    ),
    within,
    list,
    pages.box,
    skipped,
  );

  const load = loader(main, async () => {
    const { offset, q, sort: by } = state;
    const reply = await data.get("coverage", { offset, limit: COVERAGE_STEP, q, sort: by });
    if (!isShown(main)) return;
    settle("coverage", "", { q, sort: by === "path" ? null : by, offset: offset || null });
    const said = coverageInWords(reply);
    if (sum.dataset.said !== said) {
      sum.dataset.said = said;
      sum.replaceChildren(reply.chars ? coverageBar(reply) : "", h("p", { id: "coverage-said" }, said));
    }
    found.hidden = !reply.chars && !reply.skipped_total;
    const folder = folderOf(reply.sources);
    within.replaceChildren(...(folder ? ["All of these are in ", text("code", folder)] : []));
    sourceRows(list, reply.sources, folder);
    pages.update(offset, COVERAGE_STEP, reply.total, "source");
    skippedFiles(skipped, reply);
  });
  main.coverage = { load };
  await load();
}

// The parts add up to the corpus.
function coverageInWords(reply) {
  if (!reply.chars) return "There is no text to be read.";
  const share = (chars) => `${fmt.number(chars)} (${fmt.percent(chars / reply.chars)})`;
  const parts = [
    ["read", reply.read],
    ["failed", reply.failed],
    ["unread", reply.unread],
    ["in files left out", reply.skipped],
  ].filter(([, chars]) => chars);
  const searched = reply.searched
    ? ` Of what counts as read, ${share(reply.searched)} was searched and held nothing that fits.`
    : "";
  const planned = reply.planned ? ` Of what is unread, ${share(reply.planned)} is planned or being read.` : "";
  return `Of ${count(reply.chars, "character")} in ${count(reply.inputs, "source")}: ${parts.map(([name, chars]) => `${share(chars)} ${name}`).join(", ")}. Findings cite ${share(reply.cited)}.${searched}${planned}`;
}

function coverageBar(reply) {
  return stackedBar(
    [
      ["cited", reply.cited],
      ["read", reply.read - reply.cited - reply.searched],
      ["skipped", reply.searched],
      ["failed", reply.failed],
      ["reading", reply.planned],
      ["unread", reply.unread - reply.planned + reply.skipped],
    ],
    "The corpus by what became of it",
  );
}

// What the paths of all of them begin with, up to a folder; it is told once.
function folderOf(sources) {
  if (sources.length < 2) return "";
  const [first, ...rest] = sources.map((one) => one.path);
  let end = 0;
  while (end < first.length && rest.every((path) => path[end] === first[end])) end++;
  return first.slice(0, first.lastIndexOf("/", end - 1) + 1);
}

function sourceRows(list, sources, folder) {
  const known = new Map([...list.children].map((item) => [item.dataset.id, item]));
  sources.forEach((source, place) => {
    let item = known.get(source.id);
    known.delete(source.id);
    if (!item) item = sourceRow(source);
    fillSource(item, source, folder);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
  });
  for (const item of known.values()) item.remove();
}

function sourceRow(source) {
  const strip = h("div", {
    class: "strip",
    tabindex: "0",
    role: "slider",
    "aria-label": `What was read of ${shown(source.path)}`,
    "aria-valuemin": "1",
    "aria-valuemax": "120",
    "aria-valuenow": "1",
    "aria-describedby": "coverage-keys",
  });
  const cursor = h("span", { class: "cursor", hidden: true });
  const told = h("p", { class: "soft strip-told" });
  const item = h(
    "li",
    { dataset: { id: source.id } },
    h("div", { class: "source-head" }, h("a", { href: href("source", source.id), title: shown(source.path) }), told),
    strip,
  );
  item.strip = { at: 0, cursor, told, source };
  const focus = (cell, words) => {
    item.strip.at = Math.max(0, Math.min(item.strip.source.bins.length - 1, cell));
    tellCell(item, strip, words);
  };
  const steps_ = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1, PageUp: 10, PageDown: -10, Home: -1000, End: 1000 };
  strip.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") openCell(item);
    else if (steps_[event.key]) focus(item.strip.at + steps_[event.key]);
    else return;
    event.preventDefault();
  });
  strip.addEventListener("focus", () => focus(item.strip.at));
  strip.addEventListener("blur", () => {
    cursor.hidden = true;
    told.textContent = sourceInWords(item.strip.source);
  });
  const cellOf = (event) => {
    const edge = strip.getBoundingClientRect();
    return Math.floor(((event.clientX - edge.left) / edge.width) * item.strip.source.bins.length);
  };
  strip.addEventListener("pointermove", (event) => event.pointerType === "mouse" && focus(cellOf(event)));
  strip.addEventListener("pointerleave", () => document.activeElement !== strip && strip.dispatchEvent(new Event("blur")));
  strip.addEventListener("click", (event) => {
    focus(cellOf(event));
    openCell(item);
  });
  return item;
}

// Which characters a cell stands for.
function cellSpan({ source, at }) {
  const cells = source.bins.length || 1;
  return [Math.floor((source.chars * at) / cells), Math.floor((source.chars * (at + 1)) / cells)];
}

function openCell(item) {
  const [start, end] = cellSpan(item.strip);
  go(href("source", item.strip.source.id, { at: start, end: Math.max(start + 1, end) }));
}

function tellCell(item, strip) {
  const { at, cursor, told, source } = item.strip;
  const [start, end] = cellSpan(item.strip);
  const words = `characters ${fmt.number(start + 1)} to ${fmt.number(Math.max(start + 1, end))} of ${fmt.number(source.chars)}: ${READ_WORDS[source.bins[at]] || "unread"}`;
  strip.setAttribute("aria-valuenow", String(at + 1));
  strip.setAttribute("aria-valuetext", words);
  told.textContent = words;
  cursor.hidden = false;
  cursor.style.left = `${(at / source.bins.length) * 100}%`;
  cursor.style.width = `${100 / source.bins.length}%`;
}

const sourceInWords = (source) =>
  [
    `${fmt.percent(source.chars ? source.read / source.chars : 1)} read`,
    source.failed ? `${fmt.percent(source.failed / source.chars)} failed` : "",
    count(source.findings, "finding"),
    `${fmt.number(source.chars)} characters`,
  ]
    .filter(Boolean)
    .join(" · ");

function fillSource(item, source, folder) {
  const { strip: made } = item;
  const name = clip(source.path.slice(folder.length), 160);
  const link = item.querySelector("a");
  if (link.dataset.name !== name) {
    link.dataset.name = name;
    link.replaceChildren(text("span", name));
  }
  const before = made.source;
  made.source = source;
  const strip = item.lastChild;
  if (strip.dataset.bins !== source.bins) {
    strip.dataset.bins = source.bins;
    const runs = source.bins.match(/(.)\1*/gs) || [];
    strip.replaceChildren(
      ...runs.map((run) =>
        h("span", { class: `mark-${READ_MARKS[run[0]] || "unread"}`, style: { "flex-grow": String(run.length) } }),
      ),
      made.cursor,
    );
  }
  if (made.cursor.hidden) {
    made.told.textContent = sourceInWords(source);
    strip.setAttribute("aria-valuetext", sourceInWords(source));
  } else if (before !== source && before.bins !== source.bins) tellCell(item, strip);
}

function skippedFiles(box, reply) {
  const files = reply.skipped_inputs || reply.skipped_files || [];
  box.hidden = !files.length;
  if (!files.length || box.dataset.many === String(reply.skipped_total)) return;
  box.dataset.many = String(reply.skipped_total);
  const table = dataTable({
    caption: "Files that were not read at all",
    key: (row) => row.path,
    columns: [
      { name: "path", label: "File", value: (row) => row.path, cell: (row) => text("span", clip(row.path, 160)) },
      { name: "reason", label: "Why", value: (row) => row.reason, cell: (row) => text("span", clip(row.reason, 200)) },
      { name: "bytes", label: "Bytes", number: true, value: (row) => (row.bytes ? fmt.number(row.bytes) : "") },
    ],
  });
  table.update(files);
  box.replaceChildren(
    h("h2", null, `${count(reply.skipped_total ?? files.length, "file")} left out`),
    table.box,
    reply.skipped_total > files.length
      ? h("p", { class: "soft" }, `and ${fmt.number(reply.skipped_total - files.length)} more`)
      : "",
  );
}
