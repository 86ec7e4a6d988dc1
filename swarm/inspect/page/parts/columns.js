// What slices and calls look like as rows of a table, which several views have.
//
// It knows the shape of one row of each, as the data gives it, and the ways that lead on from there.

// Columns of slices, and of calls; what is wide is left out on a phone.
const SLICE_COLUMNS = [
  {
    name: "name",
    label: "Slice",
    value: (row) => row.name,
    cell: (row) =>
      [
        h("a", { href: href("slice", row.id) }, text("span", clip(row.name, 100))),
        row.place ? text("span", ` ${clip(row.place, 80)}`, { class: "soft" }) : null,
        row.branch ? [" ", h("a", { class: "soft", href: href("plan", row.branch) }, "its branch")] : null,
      ].flat(),
  },
  {
    name: "state",
    label: "State",
    value: (row) => row.state + (row.why || ""),
    cell: (row) => [stateTag(row.state), row.why ? text("span", ` ${clip(row.why, 120)}`, { class: "why" }) : null],
  },
  { name: "begun", label: "Begun", value: (row) => fmt.time(row.begun), wide: true, number: true },
  { name: "took", label: "Took", value: (row) => (row.begun && row.ended ? fmt.seconds(row.ended - row.begun) : ""), number: true },
  { name: "calls", label: "Calls", value: (row) => fmt.number(row.calls), number: true, wide: true },
  { name: "tokens", label: "Tokens", value: (row) => fmt.tokens(row.tokens), number: true, wide: true },
  { name: "cost", label: "Cost", value: (row) => fmt.dollars(row.cost_usd), number: true },
];

// Who asks: a slice, the planner or the judge of a branch, or another part of the coordinator.
const COORDINATOR = {
  plan: "coordinator, planning",
  judge: "coordinator, judging",
  consolidate: "coordinator, condensing",
  finish: "coordinator, answering",
};
const PART_OF_BRANCH = /^(plan|judge):(.*):(\d+)$/s;
function askerInWords(name) {
  const [, part, branch] = PART_OF_BRANCH.exec(name) || [];
  return part ? `${part === "plan" ? "planner" : "judge"} of ${branch || "the whole"}` : Object.hasOwn(COORDINATOR, name) ? COORDINATOR[name] : name;
}

function askedBy(row, most) {
  const branch = row.slice ? null : PART_OF_BRANCH.exec(row.name)?.[2];
  const said = text("span", clip(row.slice ? row.name : askerInWords(row.name), most));
  const way = row.slice ? href("slice", row.slice) : branch === undefined || branch === null ? null : href("plan", branch);
  return way ? h("a", { href: way }, said) : said;
}

const CALL_COLUMNS = [
  {
    name: "kind",
    label: "Call",
    value: (row) => row.kind,
    cell: (row) => h("a", { href: href("call", row.key) }, text("span", row.kind)),
  },
  { name: "name", label: "Asked by", value: (row) => row.name, cell: (row) => askedBy(row, 60) },
  { name: "state", label: "State", value: (row) => row.state, cell: (row) => callState(row.state) },
  { name: "begun", label: "Begun", sort: true, number: true, wide: true, value: (row) => fmt.time(row.begun) },
  {
    name: "seconds",
    label: "Took",
    sort: true,
    number: true,
    wide: true,
    value: (row) => (row.seconds ? fmt.seconds(row.seconds) : ""),
  },
  { name: "model", label: "Model", wide: true, value: (row) => row.model, cell: (row) => text("span", row.model) },
  {
    name: "tokens",
    label: "Tokens",
    sort: true,
    number: true,
    wide: true,
    value: (row) => fmt.tokens(row.input_tokens + row.output_tokens),
  },
  {
    name: "cached",
    label: "Cached",
    number: true,
    wide: true,
    value: (row) => (row.input_tokens ? fmt.percent(row.cached_tokens / row.input_tokens) : ""),
  },
  { name: "cost", label: "Cost", sort: true, number: true, value: (row) => fmt.dollars(row.cost_usd) },
  {
    name: "fill",
    label: "Window",
    sort: true,
    number: true,
    value: (row) => (row.fill === null ? "" : fmt.percent(row.fill)),
    cell: (row) =>
      row.fill === null ? "" : h("span", { class: "metered" }, shareBar(row.fill), h("span", null, fmt.percent(row.fill))),
  },
];
