// The source of a page that is a file: it answers as the server would, from what the file holds, and asks nobody.

{
  const once = (name) => () => held.list(name).at(0);
  const endpoints = {
    overview: async () => held.head.overview, cost: once("cost"), windows: once("windows"),
    nodes: heldGraph.nodes, node: heldGraph.node, tree: heldGraph.tree, disputes: heldGraph.disputes,
    source: heldText.source, coverage: heldText.coverage,
    plan: heldWork.plan, slice: heldWork.slice, calls: heldWork.calls, call: heldWork.call, timeline: heldWork.timeline,
  };
  document.documentElement.classList.add("scripted");
  begin({ live: false, get: async (endpoint, params) => endpoints[endpoint](params), watch: null });
}
