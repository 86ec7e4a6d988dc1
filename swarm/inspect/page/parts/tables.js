// Tables: rows that are sorted, paged and brought up to date where they stand.
//
// A row keeps its element while its key stays, and a cell is made anew only where its words changed, so that what goes
// on live takes nobody's focus or place. This part does not know what the rows are.

// `columns`: [{ name, label, value(row) -> text, cell(row) -> element or text, number, sort, wide }]; one that is `wide`
// is left out on a phone. `key(row)` names a row; `onsort(name)` is told of a click on a column that can be sorted.
function dataTable({ caption, columns, key, onsort, onrow }) {
  const heads = columns.map((column) => headCell(column, onsort));
  const body = h("tbody");
  const table = h(
    "table",
    { class: "data" },
    h("caption", { class: "unseen" }, caption),
    h("thead", null, h("tr", null, heads)),
    body,
  );
  const box = h("div", { class: "table-box", role: "region", "aria-label": caption }, table);
  // Whoever has no mouse scrolls it with the arrow keys; one that fits is no stop on the way.
  const gauge = new ResizeObserver(() => {
    if (box.scrollWidth > box.clientWidth) box.setAttribute("tabindex", "0");
    else if (document.activeElement !== box) box.removeAttribute("tabindex");
  });
  gauge.observe(table);
  gauge.observe(box);
  const known = new Map();

  // `order` is the sorted column's name, with a minus before it where the highest come first.
  function update(rows, order) {
    const sorted = (order || "").replace(/^-/, "");
    columns.forEach((column, n) => {
      if (!column.sort) return;
      const way = column.name !== sorted ? null : order.startsWith("-") ? "descending" : "ascending";
      if (way) heads[n].setAttribute("aria-sort", way);
      else heads[n].removeAttribute("aria-sort");
    });
    const kept = new Set();
    rows.forEach((row, place) => {
      const name = String(key(row));
      let line = known.get(name);
      if (!line) known.set(name, (line = newLine(columns)));
      kept.add(name);
      fillLine(line, columns, row);
      if (onrow) onrow(line.element, row);
      if (body.children[place] !== line.element) body.insertBefore(line.element, body.children[place] || null);
    });
    for (const [name, line] of known) {
      if (kept.has(name)) continue;
      line.element.remove();
      known.delete(name);
    }
  }
  return { box, table, update };
}

function headCell(column, onsort) {
  const names = [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ");
  const label =
    column.sort && onsort
      ? h(
          "button",
          { type: "button", class: "sorter", onclick: () => onsort(column.name) },
          column.label,
          h("span", { class: "arrow", "aria-hidden": "true" }),
        )
      : column.label;
  return h("th", { scope: "col", class: names || null }, label);
}

function newLine(columns) {
  const cells = columns.map((column, n) =>
    h(n ? "td" : "th", {
      class: [column.number && "number", column.wide && "wide"].filter(Boolean).join(" ") || null,
      scope: n ? null : "row",
    }),
  );
  return { element: h("tr", null, cells), cells, said: [] };
}

function fillLine(line, columns, row) {
  columns.forEach((column, n) => {
    const said = String(column.value(row) ?? "");
    if (line.said[n] === said) return;
    line.said[n] = said;
    const focused = line.cells[n].contains(document.activeElement);
    line.cells[n].replaceChildren(
      ...[column.cell ? column.cell(row) : shown(said)].flat().filter((one) => one !== null && one !== undefined),
    );
    if (focused) line.cells[n].querySelector("a, button")?.focus({ preventScroll: true });
  });
}

// The other way round where it is sorted by the same column; numbers begin with the highest.
function nextOrder(order, name, columns) {
  if (order.replace(/^-/, "") === name) return order.startsWith("-") ? name : `-${name}`;
  return columns.find((column) => column.name === name)?.number ? `-${name}` : name;
}

function sortRows(rows, order, columns) {
  const name = order.replace(/^-/, "");
  const column = columns.find((one) => one.name === name);
  const value = column.by || column.value;
  const sign = order.startsWith("-") ? -1 : 1;
  return [...rows].sort((one, other) => {
    const [a, b] = [value(one), value(other)];
    return sign * (typeof a === "number" ? a - b : String(a).localeCompare(String(b)));
  });
}

// Loads a view and keeps it up to date: once at a time, and once more where that was asked for meanwhile, so that no
// reply comes after a later one. The first failure is the shell's to show; later ones are told above what stays.
function loader(main, load, loaded = false) {
  const trouble = h("div");
  let under = null;
  let again = false;
  async function run() {
    if (under) {
      again = true;
      return under;
    }
    under = load();
    try {
      await under;
      loaded = true;
      trouble.replaceChildren();
    } catch (error) {
      if (!loaded) throw error;
      if (error.status !== 0) trouble.replaceChildren(failed(error, run)); // that nobody answers, the shell tells
      if (!trouble.isConnected) main.prepend(trouble);
    } finally {
      under = null;
    }
    if (again) {
      again = false;
      await run();
    }
  }
  return run;
}

// Which part of a long list is seen, and the ways to the parts before and after it. `move(offset)` goes there.
function pageBar(label, move) {
  const said = h("p", { class: "pages-said", role: "status" });
  const before = h("button", { type: "button", onclick: () => move(place.offset - place.step) }, "Previous");
  const after = h("button", { type: "button", onclick: () => move(place.offset + place.step) }, "Next");
  const box = h("nav", { class: "pages", "aria-label": label }, said, before, after);
  let place = { offset: 0, step: 1 };
  return {
    box,
    update(offset, step, total, noun) {
      if (total && offset >= total) return void move(0); // an address from when the list was longer
      place = { offset, step };
      const words = total
        ? `${fmt.number(offset + 1)} to ${fmt.number(Math.min(total, offset + step))} of ${count(total, noun)}`
        : `no ${noun}s`;
      if (said.textContent !== words) said.textContent = words;
      before.disabled = offset <= 0;
      after.disabled = offset + step >= total;
      before.hidden = after.hidden = total <= step;
    },
  };
}

// A choice of one, as buttons that stay pressed: [[value, words], …]
function choice(label, entries, chosen, choose) {
  const buttons = new Map(
    entries.map(([value, words]) => [value, h("button", { type: "button", onclick: () => choose(value) }, ...[words].flat())]),
  );
  const box = h("div", { class: "choice", role: "group", "aria-label": label }, [...buttons.values()]);
  const update = (value) => buttons.forEach((button, one) => button.setAttribute("aria-pressed", String(one === value)));
  update(chosen);
  return { box, update, buttons };
}

// Facts in pairs of name and value; what is null is left out.
function factList(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs
      .filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([name, value]) => h("div", null, h("dt", null, name), h("dd", null, value))),
  );
}
