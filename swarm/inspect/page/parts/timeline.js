// The timeline: who worked when, which places were idle, and where sessions begin and end.
//
// It asks for the stretch in sight, tells it in a sentence and as a table, and keeps it in the address. How bars are
// drawn and moved is known to lanes.js alone.

const SETTLE_MS = 180; // a stretch stands still so long before more of it is asked for

view("timeline", {
  title: "Who worked when",
  label: "Timeline",
  nav: true,
  group: "works",
  render: (main, path, query) => timelineView(main, query),
  change: (main) => main.timeline?.change(),
});

async function timelineView(main, query) {
  const sentence = h("p", { class: "chart-said", id: "timeline-said" });
  const meant = h("p", { class: "meant", id: "timeline-meant" });
  const said = h("span", { class: "soft", id: "timeline-stretch" });
  const table = stretchTable();
  const state = { whole: null, part: null, mode: "all", asked: performance.now(), timer: 0 };
  const { box, chart } = lanesChart({ stretch: moved, meant: tell, open: openBar });
  const means = legend([
    ["done", "done"],
    ["running", "at work"],
    ["failed", "failed"],
    ["split", "split"],
    ["dropped", "dropped"],
    ["idle", "idle: a place with nothing to do"],
  ]);
  const follow = h("button", { type: "button", id: "timeline-follow", hidden: true, onclick: toggleFollow }, "Follow now");
  const button = (id, label, words, does) =>
    h("button", { type: "button", id: `timeline-${id}`, "aria-label": words, title: words, onclick: does }, label);
  main.append(
    sentence,
    h(
      "div",
      { class: "toolbar", role: "group", "aria-label": "What of the time is in sight" },
      button("in", "+", "Zoom in", () => chart.zoom(0.5)),
      button("out", "−", "Zoom out", () => chart.zoom(2)),
      button("earlier", "←", "Earlier", () => chart.pan(-0.5)),
      button("later", "→", "Later", () => chart.pan(0.5)),
      button("all", "All", "Show all of the run", () => chart.all()),
      follow,
      said,
    ),
    h(
      "figure",
      { class: "timeline" },
      box,
      meant,
      h(
        "figcaption",
        null,
        means,
        h(
          "p",
          { class: "soft keys-only", id: "timeline-keys" },
          "Arrow keys go from slice to slice, Enter opens one; + and − zoom, Shift with an arrow moves, Home shows all. With Ctrl, or once the chart is chosen, the wheel zooms; drag to move.",
        ),
      ),
    ),
    table.box,
  );

  const change = loader(main, async () => {
    const reply = await data.get("timeline", {});
    if (!isShown(main)) return;
    [state.whole, state.asked] = [reply, performance.now()];
    const finely = !reply.exact && state.mode !== "all";
    show((finely && state.part) || reply);
    grow();
    describe();
    if (finely) await finer();
  });
  const finer = loader(
    main,
    async () => {
      const [from, to] = stretch();
      const part = await data.get("timeline", { from, to });
      if (!isShown(main) || state.mode === "all") return;
      state.part = part;
      show(part);
      describe();
    },
    true,
  );

  main.timeline = { change };
  await change();
  if (!isShown(main)) return;
  tell(null);
  const asked = [Number(query.from), Number(query.to)];
  if (asked[1] > asked[0]) {
    state.mode = "free";
    chart.look(chart.fold.at(asked[0]), chart.fold.at(asked[1]));
    settled();
  }
  ticking(main, () => live() && state.mode !== "free" && (grow(), describe()));

  function live() {
    return Boolean(data.live && data.overview?.live);
  }

  function show(reply) {
    follow.hidden = !live();
    follow.setAttribute("aria-pressed", String(state.mode !== "free"));
    chart.show(seenIn(state.whole, reply));
    if (chart.seen.groups.length && means.querySelector(".mark-moved") === null)
      means.append(h("li", null, swatch("moved"), BAR_WORDS.moved));
  }

  // Somebody moved or zoomed: the address, the sentence and finer bars come once it stands still.
  function moved(from, to, why) {
    state.mode =
      why === "all" || chart.to - chart.from >= chart.end * 0.999
        ? "all"
        : live() && why === "pan" && chart.to >= chart.end * 0.9999
          ? "follow"
          : "free";
    follow.setAttribute("aria-pressed", String(state.mode !== "free"));
    clearTimeout(state.timer);
    state.timer = setTimeout(() => {
      settled();
      say(sentence.textContent);
    }, SETTLE_MS);
  }

  async function settled() {
    if (!isShown(main)) return;
    const [from, to] = stretch();
    settle("timeline", "", state.mode === "all" ? {} : { from: from.toFixed(3), to: to.toFixed(3) });
    if (state.mode === "all" && state.part) {
      state.part = null;
      show(state.whole);
    }
    describe();
    if (state.whole.exact || state.mode === "all") return;
    await finer();
  }

  function stretch() {
    return [chart.fold.back(chart.from), chart.fold.back(chart.to)];
  }

  function describe() {
    const [from, to] = stretch();
    const known = state.whole.exact || state.mode === "all" ? state.whole : state.part;
    if (known) sentence.textContent = stretchInWords(chart.seen, state.whole.exact ? null : known, from, to);
    said.textContent = `${timeSpan(from, to)} (${fmt.seconds(to - from)})`;
    const label = `Who worked when. ${sentence.textContent}`;
    if (chart.canvas.getAttribute("aria-label") !== label) chart.canvas.setAttribute("aria-label", label);
    table.show(chart.seen, from, to);
  }

  function tell(bar, why) {
    if (why === "again" && meant.contains(document.activeElement)) return;
    meant.replaceChildren(...(bar ? barInWords(bar, chart.seen) : [NOTHING_MEANT("slice")]));
    if (bar && why === "focus") say(meant.textContent);
    chart.canvas.style.cursor = bar ? "pointer" : "";
  }

  function openBar(bar) {
    const [lane, begun, ended, , id, , many, , asker] = bar;
    if (id) go(href("slice", id));
    else if (many > 1) chart.look(chart.fold.at(begun), chart.fold.at(ended ?? chart.seen.last), "zoom");
    else if (lane >= chart.seen.places) go(href("calls", null, { asker }));
  }

  function toggleFollow() {
    state.mode = state.mode === "free" ? "follow" : "free";
    follow.setAttribute("aria-pressed", String(state.mode !== "free"));
    grow();
    settled();
  }

  // The right edge goes with the time, while what is in sight follows it.
  function grow() {
    const wide = chart.to - chart.from;
    if (live()) {
      const seen = chart.seen;
      seen.last = state.whole.ended + (performance.now() - state.asked) / 1000;
      if (seen.sessions.length) seen.sessions[seen.sessions.length - 1].ended = seen.last;
      chart.show(seen);
    }
    if (state.mode === "all") chart.all();
    else if (state.mode === "follow") chart.look(chart.end - wide, chart.end);
  }
}

function ticking(main, does) {
  const timer = setInterval(() => {
    if (!isShown(main)) clearInterval(timer);
    else if (!document.hidden) does();
  }, 1000);
}
