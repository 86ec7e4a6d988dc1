// The shell of the page: its views and their addresses, what stands around them, and that the run goes on.
// It knows nothing of what a view shows, nor where data comes from: a source hands itself over with `begin`.
//
// An address is #/view/path?query. Whoever goes to a view finds its heading focused; whoever goes back, the place
// where they were. What changes in a run while one reads is told to the view, which never moves what is read.

const $ = (id) => document.getElementById(id);
const data = { live: false, overview: null, get: () => Promise.reject(new Error("There is no data yet.")) };
const views = new Map();
const listeners = new Set();
const kept = new Map(remembered()); // how far each visited address was scrolled, by the entry of the history
let current = null; // { view, main, path, query, address, entry }
let entries = 0;

// A view: `title` names it; `render(main, path, query)` fills it, and may take its time; `change(main, overview)`
// hears that the run went on, and `key(main, event)` what is pressed; it says whether that did something. `nav` lists it, `first` also at the foot of a phone; `group` is "knows" or "works".
function view(name, parts) {
  views.set(name, { name, nav: false, group: "works", change: null, ...parts });
}

function href(name, path, query) {
  const kept_ = Object.entries(query || {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const asked = kept_.map(([key, value]) => `${encodeURIComponent(key)}=${encodeURIComponent(value)}`).join("&");
  const way = [name, path].filter((part) => part !== undefined && part !== null && part !== "").map(encodeURIComponent).join("/");
  return `#/${way}${asked ? "?" + asked : ""}`;
}

function go(address) {
  if (location.hash === address) show();
  else location.hash = address;
}

// The address of what is shown already: it changes, and nothing is drawn anew.
function settle(name, path, query) {
  const address = href(name, path, query);
  if (current) Object.assign(current, { address, path: path || "", query: query || {} });
  history.replaceState(history.state, "", address);
}

function onchange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

// The heading of the view that is shown, and what the window is called; `over` stands small above it.
function titled(words, over) {
  $("title").replaceChildren(text("span", words));
  $("over").replaceChildren(...[over].flat(Infinity).filter(Boolean));
  document.title = `${clip(shown(words), 70)} · ${data.overview ? shown(data.overview.run) : "Swarm"}`;
}

// Tell those who listen and do not look.
let quiet = null;
function say(words) {
  $("said").textContent = "";
  clearTimeout(quiet);
  quiet = setTimeout(() => ($("said").textContent = shown(words)), 60);
}

function wanted() {
  const [way, asked] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const parts = way.split("/").map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
  return { name: parts[0] || "overview", path: parts.slice(1).join("/"), query: Object.fromEntries(new URLSearchParams(asked || "")) };
}

async function show() {
  const first = current === null;
  const { name, path, query } = wanted();
  const found = views.get(name) || LOST;
  if (history.state?.entry === undefined) history.replaceState({ entry: ++entries + Date.now() }, "");
  const main = h("div", { class: `view view-${found.name}` });
  const mine = (current = { view: found, main, path, query, address: location.hash, entry: history.state.entry });
  listeners.clear();
  $("body").replaceChildren(main);
  titled(found.title, null);
  for (const link of $("views").querySelectorAll("a")) {
    if (link.dataset.view === found.name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  opened(false);
  const before = kept.get(mine.entry) || 0;
  scrollTo(0, 0);
  main.setAttribute("aria-busy", "true");
  const slow = setTimeout(() => {
    main.classList.add("slow");
    if (!first) arrive(mine);
  }, 300);
  try {
    await found.render(main, path, query);
  } catch (error) {
    if (mine === current) absent(main, error);
  }
  clearTimeout(slow);
  main.classList.remove("slow");
  main.removeAttribute("aria-busy");
  if (mine !== current) return;
  if (!first) arrive(mine);
  if (before && scrollY === 0) scrollTo(0, before);
}

// The focus goes to the heading, once it says what this is; a view that put it somewhere itself keeps it.
function arrive(mine) {
  if (mine === current && !$("main").contains(document.activeElement)) $("title").focus({ preventScroll: true });
}

function absent(main, error) {
  if (error.status !== 404) {
    main.replaceChildren(failed(error, show));
    return;
  }
  titled("Not in this run");
  main.replaceChildren(failed(error), h("p", { class: "more" }, "It may belong to another run, or not be written yet. ",
    h("a", { href: href("findings") }, "Search what the run knows"), ", or ", h("button", { type: "button", onclick: show }, "try again")));
}

const LOST = { name: "lost", title: "There is no such view", render: (main) => main.append(
  h("p", null, "This address leads nowhere on this page. ", h("a", { href: "#/" }, "Go to the overview"), ".")) };

// Whether what is shown is still this; a reply that comes late is for nobody.
const isShown = (main) => current !== null && current.main === main;

// What stands around the views

const STATUS = { running: "live", paused: "warn", answered: "good", done: "good", failed: "warn", stopped: "warn", partial: "warn", interrupted: "warn" };
const AT = { gather: "reading files", plan: "planning", judge: "judging", consolidate: "condensing", finish: "answering" };

function head() {
  const now = data.overview;
  if (!now) return;
  $("run").replaceChildren(text("span", now.run));
  $("status").replaceChildren(tag(now.status, STATUS[now.status]), now.live && now.phase ? h("span", { class: "soft" }, ` ${AT[now.phase] || (now.mode === "work" ? "working" : "reading")}`) : "");
  $("asked").replaceChildren(text("span", clip([now.asked].flat().join("; "), 300)));
  const limit = now.limits?.cost_usd;
  $("spent").replaceChildren(fmt.dollars(now.spent?.cost_usd), limit ? h("span", { class: "of" }, ` of ${fmt.dollars(limit)}`) : "");
}

function navigation() {
  const groups = [["knows", "What it knows"], ["works", "How it works"]];
  $("views").replaceChildren(...groups.map(([group, title]) => {
    const listed = [...views.values()].filter((one) => one.nav && one.group === group);
    return listed.length > 0 && h("div", { class: "group" }, h("h2", { id: `nav-${group}` }, title),
      h("ul", { "aria-labelledby": `nav-${group}` }, listed.map((one) => h("li", { class: one.first && "first" },
        h("a", { href: one.name === "overview" ? "#/" : href(one.name), dataset: { view: one.name } }, one.label || one.title)))));
  }).filter(Boolean));
}

function opened(open) {
  $("menu").setAttribute("aria-expanded", String(open));
  document.body.classList.toggle("menu-open", open);
}

function theme(next) {
  const order = ["auto", "light", "dark"];
  const is = next || order[(order.indexOf(stored("theme") || "auto") + 1) % 3];
  store("theme", is);
  document.documentElement.style.colorScheme = is === "auto" ? "light dark" : is;
  $("theme").textContent = { auto: "Colours: as the system", light: "Colours: light", dark: "Colours: dark" }[is];
}

// A page in a file may have nowhere to keep things.
function stored(name) {
  try {
    return localStorage.getItem(`swarm-${name}`);
  } catch {
    return null;
  }
}
function store(name, value) {
  try {
    localStorage.setItem(`swarm-${name}`, value);
  } catch {
    // then it is forgotten
  }
}

function remembered() {
  try {
    return JSON.parse(sessionStorage.getItem("swarm-scrolled") || "[]");
  } catch {
    return [];
  }
}
function remember() {
  try {
    sessionStorage.setItem("swarm-scrolled", JSON.stringify([...kept].slice(-200)));
  } catch {
    // then it is forgotten
  }
}

function onkey(event) {
  if (event.key === "Escape" && document.body.classList.contains("menu-open")) {
    opened(false);
    $("menu").focus();
  }
  const typing = event.target.matches("input, textarea, select, [contenteditable]");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (current?.view.key?.(current.main, event)) event.preventDefault();
  if (event.defaultPrevented || !$("singles").checked) return;
  if (event.key === "?") $("help").showModal();
  else if (event.key === "/" && $("search")) $("search").focus();
  else if (event.key === "/") go(href("findings", null, { focus: "search" }));
  else return;
  event.preventDefault();
}

// Changes

let waiting = null, heard = 0;

// At most once a second; a page that nobody looks at waits until somebody does.
function changed() {
  if (waiting !== null) return;
  waiting = setTimeout(look, Math.max(0, heard + 1000 - Date.now()));
}

async function look() {
  if (document.hidden) {
    document.addEventListener("visibilitychange", look, { once: true });
    return;
  }
  heard = Date.now();
  try {
    data.overview = await data.get("overview", {});
    gone(null);
  } catch (error) {
    gone(error);
    return;
  } finally {
    waiting = null;
  }
  head();
  current?.view.change?.(current.main, data.overview);
  for (const listener of listeners) listener(data.overview);
}

// The source has lost the run, and says why; null: it is there (again).
function gone(error) {
  $("gone").hidden = error === null;
  document.body.classList.toggle("gone", error !== null);
  const at = heard ? ` What is shown is as of ${fmt.time(heard / 1000)}.` : "";
  const words = error === null ? "" : clip(shown(error.message || error), 300) + at;
  if ($("gone-words").textContent !== words) $("gone-words").textContent = words;
}

// The source begins: { live, get(endpoint, params), watch(changed, gone) }. `get` fails with an Error whose message
// a person can read, and whose `status` is 404 where it knows no such thing.
async function begin(source) {
  data.live = source.live;
  data.get = (endpoint, params) => source.get(endpoint, params || {});
  navigation();
  theme(stored("theme") || "auto");
  $("theme").addEventListener("click", () => theme());
  $("menu").addEventListener("click", () => opened(!document.body.classList.contains("menu-open")));
  $("singles").checked = stored("singles") !== "off";
  $("singles").addEventListener("change", () => store("singles", $("singles").checked ? "on" : "off"));
  $("keys").addEventListener("click", () => $("help").showModal());
  $("help-close").addEventListener("click", () => $("help").close());
  $("skip").addEventListener("click", (event) => {
    event.preventDefault();
    $("title").focus();
  });
  history.scrollRestoration = "manual";
  addEventListener("scroll", () => current && kept.set(current.entry, scrollY), { passive: true });
  addEventListener("pagehide", remember);
  addEventListener("hashchange", show);
  document.addEventListener("keydown", onkey);
  try {
    data.overview = await data.get("overview", {});
    heard = Date.now();
  } catch (error) {
    gone(error);
  }
  head();
  await show();
  source.watch?.(changed, gone);
}
