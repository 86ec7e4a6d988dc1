// What everything on the page is built with: elements, text that may be hostile, numbers in words.
// It knows nothing of runs, routes or where data comes from. Nothing here, and nothing on the page, parses HTML:
// text from sources and models becomes text nodes, and an address is only ever a place on this page.

const LOCALE = "en";
const SVG = "http://www.w3.org/2000/svg";

// An element. `on…` are listeners, `dataset` and `style` are objects, what is null, undefined or false is left out.
function h(tag, attributes, ...children) {
  return built(document.createElement(tag), attributes, children);
}

function svg(tag, attributes, ...children) {
  return built(document.createElementNS(SVG, tag), attributes, children);
}

function built(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(name.replace(/^on/, ""), value);
    else if (name.startsWith("on")) throw new TypeError(`${name} is no function`);
    else if (name === "dataset") Object.assign(made.dataset, value);
    else if (name === "style") for (const [key, one] of Object.entries(value)) made.style.setProperty(key, one);
    else if (name === "href" && !/^#/.test(value)) throw new TypeError("a link leads to this page only");
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return made;
}

// Text

// Control characters, and those that turn the direction of what follows, are shown as one symbol each, so that places
// in the text stay what they are: U+FFFD, which every font has. A carriage return before a line feed is not shown.
function shown(text) {
  return String(text)
    .replace(/\r(?=\n)/g, "\u200b")
    .replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
}

// Text from outside, in an element of its own: its direction stays its own.
function text(tag, words, attributes) {
  const { class: names, ...rest } = attributes || {};
  return h(tag, { class: names ? `text ${names}` : "text", dir: "auto", ...rest }, shown(words ?? ""));
}

// The beginning of a long text; that it is one shows.
function clip(words, most = 280) {
  const all = String(words ?? "");
  return all.length <= most ? all : all.slice(0, most).replace(/[\ud800-\udbff]$/, "").trimEnd() + "…";
}

// Places are counted in characters as Python counts them; a string here may have two units for one of them.
function places(words) {
  if (!/[\ud800-\udbff]/.test(words)) return (place) => Math.min(place, words.length);
  const units = [];
  let at = 0;
  for (const one of words) {
    units.push(at);
    at += one.length;
  }
  units.push(at);
  return (place) => units[Math.max(0, Math.min(place, units.length - 1))];
}

// Text with <mark> around spans: [start, end] pairs, or objects with start and end, in characters of the text.
function marked(words, spans) {
  const all = String(words);
  const unit = places(all);
  const made = document.createDocumentFragment();
  let at = 0;
  const sorted = spans.map((one) => (Array.isArray(one) ? one : [one.start, one.end])).sort((one, other) => one[0] - other[0]);
  for (const [start, end] of sorted) {
    const [from, to] = [Math.max(at, unit(Math.max(0, start))), unit(Math.max(0, end))];
    if (to <= from) continue;
    made.append(shown(all.slice(at, from)), h("mark", null, shown(all.slice(from, to))));
    at = to;
  }
  made.append(shown(all.slice(at)));
  return made;
}

const tag = (words, mood) => h("span", { class: mood ? `tag ${mood}` : "tag" }, words);

// "1 finding", "2,000 findings"
const PLURAL = { entity: "entities", summary: "summaries", "new summary": "new summaries", branch: "branches" };
function count(number, noun) {
  return `${fmt.number(number)} ${number === 1 ? noun : PLURAL[noun] || noun + "s"}`;
}

const fmt = {
  number: (value) => (value ?? 0).toLocaleString(LOCALE, { maximumFractionDigits: 0 }),
  tokens(value) {
    const all = value ?? 0;
    if (all < 10_000) return fmt.number(all);
    return all.toLocaleString(LOCALE, { notation: "compact", maximumSignificantDigits: 3 }).replace("K", "k"); // as in the terminal
  },
  dollars(value) {
    const all = value ?? 0;
    const digits = all === 0 || all >= 0.1 ? 2 : 4; // as in the terminal
    return all > 0 && all < 0.0001 ? "< $0.0001" : "$" + all.toLocaleString(LOCALE, { minimumFractionDigits: Math.min(2, digits), maximumFractionDigits: digits });
  },
  // How long: "0.4 s", "12 s", "3 min 20 s", "2 h 5 min", "3 d 4 h"
  seconds(value) {
    const all = Math.max(0, value ?? 0);
    if (all < 9.95) return `${all.toFixed(1)} s`;
    if (all < 59.5) return `${Math.round(all)} s`;
    const whole = Math.round(all);
    const two = (big, small, one, other) => (small ? `${big} ${one} ${small} ${other}` : `${big} ${one}`);
    if (whole < 3600) return two(Math.floor(whole / 60), whole % 60, "min", "s");
    const minutes = Math.round(whole / 60);
    if (minutes < 1440) return two(Math.floor(minutes / 60), minutes % 60, "h", "min");
    return two(Math.floor(minutes / 1440), Math.floor((minutes % 1440) / 60), "d", "h");
  },
  // When, of seconds since the epoch, as this machine's clock has it: the day too, unless it is today.
  time(value) {
    if (!value) return "";
    const at = new Date(value * 1000);
    const two = (number) => String(number).padStart(2, "0");
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
    return at.toDateString() === new Date().toDateString() ? clock : `${day} ${clock}`;
  },
  // Of a share from 0 to 1. What is not all or nothing is not told as such.
  percent(share) {
    const all = (share ?? 0) * 100;
    if (all > 0 && all < 1) return "< 1%";
    return all > 99 && all < 100 ? "> 99%" : `${Math.round(all)}%`;
  },
};

const when = (at) => h("time", { datetime: new Date(at * 1000).toISOString() }, fmt.time(at));

const empty = (words) => h("p", { class: "empty" }, words);

// What went wrong, in words, and what to do. `again` is what to try once more.
function failed(error, again) {
  const words = error instanceof Error && error.message ? error.message : String(error);
  const said = words[0].toUpperCase() + words.slice(1) + (/[.!?…]$/.test(words) ? "" : ".");
  return h("div", { class: "failed", role: "alert" },
    h("p", null, text("span", clip(said, 600))),
    again && h("button", { type: "button", onclick: again }, "Try again"));
}
