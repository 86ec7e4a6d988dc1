// The plan as a tree: branches, the planners nested in them, and the slices of one branch, page by page.
//
// It shows one branch at a time, with the branches inside of it to be opened further; what a slice is, slice.js shows.

const PLAN_STEP = 50;

view("plan", {
  title: "The plan",
  label: "Plan",
  nav: true,
  group: "works",
  render: planView,
  change: (main) => main.plan?.load(),
});

async function planView(main, branch, query) {
  const state = { offset: Number(query.offset) || 0, only: Object.hasOwn(STATE_WORDS, query.state || "") ? query.state : "" };
  const about = h("div", { class: "branch-about" });
  const inside = h(
    "section",
    { hidden: true },
    h("h2", { id: "plan-inside" }, "Branches"),
    h("ul", { class: "branches", "aria-labelledby": "plan-inside" }),
  );
  const filter = h("div", { class: "choice", id: "plan-states", role: "group", "aria-label": "Show slices in one state" });
  const table = dataTable({ caption: "Slices of this branch", columns: SLICE_COLUMNS, key: (row) => row.id });
  const pages = pageBar("Pages of slices", (offset) => {
    state.offset = offset;
    load();
  });
  const slices = h("section", { hidden: true }, h("h2", null, "Slices"), filter, table.box, pages.box);
  main.append(about, inside, slices);
  const buttons = new Map();

  const load = loader(main, async () => {
    const reply = await data.get("plan", { branch, offset: state.offset, limit: PLAN_STEP, state: state.only });
    if (!isShown(main)) return;
    // The top of a run that reads has no slices of its own; where it has one branch, nobody should have to go there.
    const parted = branch === "" && data.overview?.mode === "read";
    if (parted && reply.branches_total === 1) {
      const only = await data.get("plan", {
        branch: reply.branches[0].key,
        offset: state.offset,
        limit: PLAN_STEP,
        state: state.only,
      });
      if (!isShown(main)) return;
      Object.assign(reply, { slices: only.slices, total: only.total, states: only.states });
    } else if (parted) reply.states = {};
    settle("plan", branch, { state: state.only, offset: state.offset || null });
    fill(reply);
  });

  function fill(reply) {
    fillAbout(about, reply);
    inside.hidden = !reply.branches.length;
    branchList(inside.lastChild, reply.branches, reply.branches_total);
    const own = Object.values(reply.states).reduce((sum, one) => sum + one, 0);
    slices.hidden = !own;
    filterButtons(reply.states, own);
    const planners = new Set(reply.branches.map((one) => one.key));
    table.update(
      reply.slices.map((row) => ({ ...row, branch: planners.has(row.name) && data.overview?.mode === "work" ? row.name : null })),
      "",
    );
    pages.update(state.offset, PLAN_STEP, reply.total, "slice");
    if (!reply.branches.length && !own) about.append(empty(data.live ? "Nothing is planned yet." : "Nothing was planned."));
  }

  function filterButtons(states, own) {
    for (const one of ["", ...Object.keys(STATE_WORDS)]) {
      if (!buttons.has(one)) {
        buttons.set(
          one,
          h(
            "button",
            {
              type: "button",
              dataset: { state: one || "all" },
              onclick: () => {
                [state.only, state.offset] = [one, 0];
                load();
              },
            },
            one ? swatch(one) : null,
            h("span"),
          ),
        );
        filter.append(buttons.get(one));
      }
      const button = buttons.get(one);
      button.lastChild.textContent = `${one ? STATE_WORDS[one] : "all"} ${fmt.number(one ? states[one] || 0 : own)}`;
      button.hidden = Boolean(one) && !states[one] && one !== state.only;
      button.setAttribute("aria-pressed", String(one === state.only));
    }
  }

  main.plan = { load };
  await load();
}

// A branch of a run that works has a name of its own; one of a run that reads is known by its question.
const branchName = (one) => (data.overview?.mode === "work" && one.key ? one.key : one.asked || one.key);

// What the branch is for, how far it is, and what its judge said.
function fillAbout(about, reply) {
  const whole = reply.branch === "" ? data.overview : null;
  const name = whole ? "The plan" : clip(branchName({ key: reply.branch, asked: reply.asked }), 160);
  titled(name, whole ? null : branchTrail(reply.trail));
  const states = whole ? whole.slices : reply.states;
  about.replaceChildren(
    h(
      "div",
      { class: "state-line" },
      statesBar(states),
      h("p", null, statesInWords(states), whole?.live ? `; ${whole.places.busy} of ${count(whole.places.of, "place")} busy` : ""),
    ),
    reply.asked && reply.asked !== name ? text("p", clip(reply.asked, 800), { class: "soft" }) : "",
    reply.judged ? verdictLine(reply.judged) : "",
  );
}

function verdictLine([verdict, reason]) {
  return h(
    "p",
    { class: "verdict" },
    h("span", { class: "soft" }, "Its judge said "),
    tag(shown(verdict), verdict === "enough" || verdict === "done" ? "good" : null),
    " ",
    text("span", clip(reason, 500)),
  );
}

function branchTrail(trail) {
  const steps_ = trail.length && trail[0].key === "" ? trail : [{ key: "", asked: "The plan" }, ...trail];
  return h(
    "nav",
    { class: "trail", "aria-label": "Branches above" },
    h(
      "ol",
      null,
      steps_.map((one) =>
        h(
          "li",
          null,
          h("a", { href: href("plan", one.key) }, one.key === "" ? "The plan" : text("span", clip(branchName(one), 60))),
        ),
      ),
    ),
  );
}

// Branches of which each may be opened where it stands. What is open stays open while the run goes on.
function branchList(list, branches, total) {
  const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
  branches.forEach((one, place) => {
    let item = known.get(one.key);
    known.delete(one.key);
    if (!item) item = branchItem(one);
    fillBranch(item, one);
    if (list.children[place] !== item) list.insertBefore(item, list.children[place] || null);
  });
  for (const item of known.values()) item.remove();
  list.classList.toggle("flat", !branches.some((one) => one.inside));
  if (total > branches.length)
    list.append(h("li", { class: "soft", dataset: { key: " more" } }, `and ${count(total - branches.length, "branch")} more`));
}

function branchItem(one) {
  const inner = h("ul", { class: "branches", hidden: true, "aria-label": `Branches of ${shown(clip(branchName(one), 80))}` });
  const opener = h(
    "button",
    { type: "button", class: "opener", "aria-expanded": "false", onclick: () => openBranch(item) },
    h("span", { class: "unseen" }, `Branches of ${shown(clip(branchName(one), 80))}`),
  );
  const item = h(
    "li",
    { dataset: { key: one.key } },
    h(
      "div",
      { class: "branch" },
      opener,
      h(
        "div",
        { class: "branch-body" },
        h("a", { href: href("plan", one.key) }, text("span", clip(branchName(one), 200))),
        branchName(one) === one.asked ? null : text("p", clip(one.asked, 200), { class: "soft" }),
        h("div", { class: "branch-facts" }),
      ),
    ),
    inner,
  );
  return item;
}

function fillBranch(item, one) {
  const [opener, body] = item.firstChild.children;
  opener.classList.toggle("leaf", !one.inside);
  opener.disabled = !one.inside;
  const words = [
    statesInWords(one.states),
    count(one.calls ?? 0, "call"),
    `${fmt.tokens(one.tokens)} tokens`,
    fmt.dollars(one.cost_usd),
    one.round > 1 ? `round ${one.round}` : "",
    one.plannings ? `planned ${one.plannings === 1 ? "once" : `${one.plannings} times`}` : "",
    one.judged ? `judged: ${shown(one.judged[0])}` : "",
  ]
    .filter(Boolean)
    .join(" · ");
  if (body.lastChild.dataset.said !== words) {
    body.lastChild.dataset.said = words;
    body.lastChild.replaceChildren(statesBar(one.states), h("p", { class: "soft" }, words));
  }
  if (opener.getAttribute("aria-expanded") === "true") loadBranch(item);
}

function openBranch(item) {
  const opener = item.firstChild.firstChild;
  const open = opener.getAttribute("aria-expanded") !== "true";
  opener.setAttribute("aria-expanded", String(open));
  item.lastChild.hidden = !open;
  if (open) loadBranch(item);
}

async function loadBranch(item) {
  const reply = await data.get("plan", { branch: item.dataset.key, limit: 1 });
  if (item.isConnected) branchList(item.lastChild, reply.branches, reply.branches_total);
}
