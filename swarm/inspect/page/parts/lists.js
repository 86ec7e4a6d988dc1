// Long lists: one that grows by a button, and one of a hundred thousand rows of which only those in sight exist.
// They know how to page, to place and to move the focus, and nothing of what stands in a row.

// A list that grows piece by piece: `loadNext(list)` appends some and resolves to how many are left.
function more(list, loadNext) {
  const button = h("button", { type: "button", class: "more", hidden: true, onclick: () => grow(true) });
  const trouble = h("div");
  async function grow(asked) {
    const before = list.children.length;
    button.disabled = true;
    try {
      const left = await loadNext(list);
      trouble.replaceChildren();
      const step = Math.min(left, list.children.length - before);
      button.textContent = step < left ? `Show ${fmt.number(step)} more of ${fmt.number(left)}` : `Show ${fmt.number(left)} more`;
      if (asked) say(`${fmt.number(list.children.length - before)} more, ${fmt.number(left)} left`);
      if (asked) list.children[before]?.querySelector("a, button, summary")?.focus();
      button.hidden = left <= 0;
    } catch (error) {
      trouble.replaceChildren(failed(error, () => grow(true)));
      button.hidden = true;
    }
    button.disabled = false;
  }
  const ready = grow(false);
  return Object.assign(h("div", { class: "grows" }, list, trouble, button), { ready });
}

// The same over rows that are here already.
function stepped(list, items, make, step = 20) {
  let at = 0;
  return more(list, () => {
    list.append(...items.slice(at, at + step).map(make));
    at += step;
    return Math.max(0, items.length - at);
  });
}

const PIECE = 100; // rows that are asked for together
const KEEP = 60; // pieces that are kept
const TALLEST = 15_000_000; // pixels: no browser lays out more than some 17 million

// A virtual list in the flow of the page. `load(offset, limit)` resolves to { total, rows }; `make(row, at)` gives the
// element that a row is: it holds one link or button, which arrow keys move between. All rows are equally high.
function rows({ label, load, make, height, onfailed }) {
  const list = h("ul", { class: "rows", role: "list", "aria-label": label });
  const box = h("div", { class: "rows-box" }, list);
  let total = 0, pieces = new Map(), asked = new Set(), drawn = new Map(), tall = height, active = -1, turn = 0, frame = 0, wants = false;

  const rowAt = (at) => pieces.get(Math.floor(at / PIECE))?.[at % PIECE];
  const most = () => Math.min(total, Math.floor(TALLEST / tall));

  async function fetchPiece(number) {
    if (pieces.has(number) || asked.has(number)) return;
    asked.add(number);
    const mine = turn;
    try {
      const reply = await load(number * PIECE, PIECE);
      if (mine !== turn) return;
      pieces.set(number, reply.rows);
      if (pieces.size > KEEP) pieces.delete(pieces.keys().next().value);
      if (number === 0 || reply.total > total) total = reply.total;
      for (let at = number * PIECE; at < (number + 1) * PIECE; at++) forget(at);
      draw();
    } catch (error) {
      if (mine === turn) onfailed?.(error);
    } finally {
      if (mine === turn) asked.delete(number);
    }
  }

  function forget(at) {
    const element = drawn.get(at);
    if (!element || !element.classList.contains("pending")) return;
    wants ||= element.contains(document.activeElement);
    element.remove();
    drawn.delete(at);
  }

  function draw() {
    if (!list.isConnected) return;
    list.style.height = `${most() * tall}px`;
    const top = list.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(-top / tall) - 6);
    const last = Math.min(most(), Math.ceil((innerHeight - top) / tall) + 6);
    for (const [at, element] of drawn) {
      if ((at >= first && at < last) || at === active) continue;
      element.remove();
      drawn.delete(at);
    }
    for (let at = first; at < last; at++) if (!drawn.has(at)) put(at);
    if (active >= 0 && active < most() && !drawn.has(active)) put(active);
    if (wants) settleFocus();
    for (let piece = Math.floor(first / PIECE); piece * PIECE < last; piece++) soon(piece);
  }

  // The focus waits on a row that is not there yet, and goes on to its link once it is.
  function settleFocus() {
    const element = drawn.get(active);
    const link = element?.querySelector("a, button");
    wants = !link;
    (link || element)?.focus({ preventScroll: true });
  }

  // While one scrolls fast, what is passed over is not asked for.
  const timers = new Map();
  function soon(piece) {
    if (pieces.has(piece) || asked.has(piece) || timers.has(piece)) return;
    timers.set(piece, setTimeout(() => {
      timers.delete(piece);
      const top = list.getBoundingClientRect().top;
      if ((piece + 1) * PIECE * tall + top > -innerHeight && piece * PIECE * tall + top < 2 * innerHeight) fetchPiece(piece);
    }, 60));
  }

  function put(at) {
    const row = rowAt(at);
    const element = row ? make(row, at) : h("li", { class: "pending", tabindex: "-1" }, "…");
    element.classList.add("row");
    element.setAttribute("aria-posinset", at + 1);
    element.setAttribute("aria-setsize", total);
    element.style.top = `${at * tall}px`;
    element.dataset.at = at;
    drawn.set(at, element);
    // in the order of the rows, as that is how they are read out and tabbed through
    const after = [...list.children].find((other) => Number(other.dataset.at) > at);
    list.insertBefore(element, after || null);
  }

  function focusAt(at) {
    if (!most()) return;
    active = Math.max(0, Math.min(most() - 1, at));
    const top = list.getBoundingClientRect().top + scrollY + active * tall;
    const under = $("head").offsetHeight + (list.closest(".view").querySelector(".sticks")?.offsetHeight || 0);
    if (top < scrollY + under) scrollTo(0, top - under - 4);
    else if (top + tall > scrollY + innerHeight - 80) scrollTo(0, top + tall - innerHeight + 80);
    wants = true;
    draw();
  }

  const page = () => Math.max(1, Math.floor(innerHeight / tall) - 3);
  const steps = { ArrowDown: () => active + 1, ArrowUp: () => active - 1, PageDown: () => active + page(), PageUp: () => active - page(), Home: () => 0, End: () => most() - 1 };
  list.addEventListener("keydown", (event) => {
    if (!steps[event.key] || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    focusAt(steps[event.key]());
  });
  list.addEventListener("focusin", (event) => {
    const row = event.target.closest(".row");
    if (row) active = Number(row.dataset.at);
  });
  const ask = () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  };
  const watch = new AbortController();
  const gauge = new ResizeObserver(() => {
    if (!list.isConnected) return;
    const real = list.querySelector(".row:not(.pending)")?.offsetHeight;
    if (real && Math.abs(real - tall) > 0.5) {
      tall = real;
      for (const element of drawn.values()) element.remove();
      drawn.clear();
    }
    ask();
  });
  addEventListener("scroll", () => (list.isConnected ? ask() : watch.abort()), { passive: true, signal: watch.signal });
  addEventListener("resize", ask, { passive: true, signal: watch.signal });

  // Begin anew, as what is asked for is another; resolves once the first rows are there.
  async function renew() {
    turn += 1;
    [total, active, wants] = [0, -1, false];
    pieces = new Map();
    asked = new Set();
    await fetchPiece(0);
    for (const element of drawn.values()) element.remove();
    drawn = new Map();
    draw();
    gauge.disconnect();
    const first = list.querySelector(".row");
    if (first) gauge.observe(first);
  }
  return { box, renew, focusAt, total: () => total, shown: most };
}
