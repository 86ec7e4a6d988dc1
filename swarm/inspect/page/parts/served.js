// Data from the server that this page is from: asked for with fetch, and told of what changes by an event stream.
//
// It knows addresses and what to say when nobody answers; what the data is, it does not look at. Where the server is
// gone, what is shown stays, and the page says so.

const TRY_AGAIN = 3000; // milliseconds
const GONE = "The server of this page does not answer any more: swarm view starts one again.";
const NO_TOKEN = "The server does not know this page any more: open the address that swarm view printed.";

async function asked(endpoint, params) {
  const given = Object.entries(params).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given).toString();
  let reply;
  try {
    reply = await fetch(`/api/${encodeURIComponent(endpoint)}${query ? "?" + query : ""}`, { cache: "no-store", redirect: "error" });
  } catch {
    throw trouble(GONE, 0);
  }
  if (reply.status === 401) throw trouble(NO_TOKEN, 401);
  try {
    const told = await reply.json();
    if (reply.ok) return told;
    throw trouble(told.error, reply.status);
  } catch (error) {
    throw error.status ? error : trouble(GONE, 0); // it broke off in the middle
  }
}

function trouble(words, status) {
  return Object.assign(new Error(words || `The server answered ${status}.`), { status });
}

// Hear of changes for as long as the page is looked at: a browser has six connections to one place, and pages that
// nobody sees would keep them. A stream that broke off is begun again; what went wrong is found out by asking for
// something else.
function heed(changed, lost) {
  let stream = null, timer = 0, told = null;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(listen, TRY_AGAIN);
  };
  const lose = (error) => {
    if (told !== error.message) lost(error);
    told = error.message;
  };
  function listen() {
    clearTimeout(timer);
    stream?.close();
    if (document.hidden) return;
    stream = new EventSource(`/api/changes?version=${data.overview?.version ?? 0}`);
    stream.addEventListener("open", () => {
      if (told !== null) changed();
      told = null;
    });
    stream.addEventListener("change", changed);
    stream.addEventListener("end", (event) => {
      stream.close();
      lose(trouble(JSON.parse(event.data).error || GONE, 0));
      again();
    });
    stream.addEventListener("error", async () => {
      stream.close();
      await asked("overview", {}).catch(lose);
      again();
    });
  }
  document.addEventListener("visibilitychange", listen);
  addEventListener("pagehide", () => stream?.close());
  addEventListener("pageshow", (event) => event.persisted && listen());
  listen();
}

begin({ live: true, get: asked, watch: heed });
