"""How fast the page is with 1,000, 10,000 and 100,000 findings, in a real Chromium, served and as a file.

    python tests/bench/page.py --runs DIR [--sizes 1000 10000 100000] [--ways served file] [--times 3] [--out FILE]

The runs are SIMULATED: staged by `swarm.testing.staged`, five findings a slice, so that 100,000 findings are
20,000 slices and calls. They are kept in DIR and staged once. Each is served by the real `swarm view` and
written by the real `swarm report`; all else (the browser, the page, the server) is real too.

Measured are, in seconds, as a person sees them (the last frame that an action leads to): `load`, from going to
the address to the overview with its first figures; `findings`, from there to the first rows; `search`, from the
last key pressed to the rows found; `open`, a finding with its evidence; `source`, its highlighted words; `zoom`,
one step down from the top summary; `timeline`, all of it, and `zoom in`, one step into it; `jump`, to the end of
the list. `longest` is the longest task of the page's thread in milliseconds, as the browser counts them (from 50
ms on), while it loads and after that. The median of the rounds, each in a fresh profile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from swarm.testing.staged import Script, staged

SWARM = [sys.executable, "-m", "swarm"]
FLAGS = ("--no-sandbox", "--disable-gpu", "--proxy-server=http://127.0.0.1:9")
WATCH = """() => {
    window.tasks = [];
    const keep = (one) => window.tasks.push([one.startTime, one.duration]);
    const observer = new PerformanceObserver((list) => list.getEntries().forEach(keep));
    observer.observe({ type: "longtask", buffered: true });
}"""
TOLD_MS = 100  # a task that is longer is told with what was done


def run_of(folder: Path, findings: int) -> Path:
    """The store of a staged run."""
    folder.mkdir(parents=True, exist_ok=True)
    store = folder / f"run-{findings}.db"
    if not store.exists():
        began = time.monotonic()
        half = folder / f"half-{findings}.db"
        for path in folder.glob(f"{half.name}*"):
            path.unlink()
        asyncio.run(staged(half, Script(findings=findings, each=5, places=64)))
        half.rename(store)
        print(f"staged {findings:,} findings in {time.monotonic() - began:.0f} s", flush=True)
    return store


@contextmanager
def served(store: Path) -> Iterator[tuple[str, float]]:
    """The address of `swarm view`, and the seconds until it was told."""
    began = time.monotonic()
    command = [*SWARM, "view", "last", "--store", str(store), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        said = next(line for line in server.stdout if "token=" in line)
        try:
            yield next(word for word in said.split() if word.startswith("http")), time.monotonic() - began
        finally:
            server.terminate()


@contextmanager
def reported(store: Path) -> Iterator[tuple[str, float]]:
    """The address of the file that `swarm report` writes, and the seconds that it took."""
    began = time.monotonic()
    path = store.with_suffix(".html")
    subprocess.run([*SWARM, "report", "last", "--store", str(store), "-o", str(path)], check=True, stdout=2)
    yield path.as_uri(), time.monotonic() - began


def round_of(browser: Any, url: str) -> dict[str, float]:
    """One fresh profile goes through the page."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    context.add_init_script(f"({WATCH})()")
    page = context.new_page()
    took: dict[str, float] = {}
    starts: list[tuple[float, str]] = []

    def timed(name: str, act: Callable[[], object], there: str) -> None:
        starts.append((page.evaluate("performance.now()") if starts else 0.0, name))
        began = time.perf_counter()
        act()
        page.locator(there).first.wait_for()
        page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
        took[name] = time.perf_counter() - began

    timed("load", lambda: page.goto(url), ".view-overview:not([aria-busy]) dl.figures")
    page.wait_for_timeout(300)
    loaded = page.evaluate("performance.now()")
    timed("findings", _to(page, "findings"), ".view-findings:not([aria-busy]) .row:not(.pending) .row-text")
    page.locator(".rows .row-link").first.focus()
    timed(
        "jump", lambda: page.keyboard.press("End"), ".rows:has(.row:not(.pending)[aria-posinset]) .row:last-child"
    )
    page.get_by_role("searchbox").fill("Mill 29")
    page.get_by_role("searchbox").focus()
    timed("search", lambda: page.keyboard.type("1"), ".row:not(.pending) mark >> text=/^291$/")
    timed("open", lambda: page.locator(".row-link").first.click(), ".view-node:not([aria-busy]) .quote mark")
    timed("source", lambda: page.locator(".quote figcaption a").first.click(), "mark#here")
    _to(page, "tree")()
    page.locator(".view-tree:not([aria-busy]) .twig").first.wait_for()
    timed("zoom", lambda: page.locator(".fold").first.click(), ".below:not([hidden]) .twig")
    timed("timeline", _to(page, "timeline"), ".view-timeline:not([aria-busy]) canvas.lanes")
    page.wait_for_timeout(300)
    whole = page.locator("#timeline-stretch").inner_text()
    nearer = f"#timeline-stretch:not(:text-is({json.dumps(whole)}))"
    timed("zoom in", lambda: page.locator("#timeline-in").click(), nearer)
    for name in ("cost", "windows", "coverage", "calls", "plan", "disputes"):
        timed(name, _to(page, name), f".view-{name}:not([aria-busy])")
    page.wait_for_timeout(300)
    took |= {"longest at load": 0.0, "longest after": 0.0}
    for task, milliseconds in page.evaluate("window.tasks"):
        step = max(start for start in starts if start[0] <= task)[1]
        when = "longest at load" if task <= loaded else "longest after"
        took[when] = max(took[when], milliseconds)
        if milliseconds > TOLD_MS:
            print(f"  a task of {milliseconds:.0f} ms: {step}", file=sys.stderr, flush=True)
    context.close()
    return took


def _to(page: Page, view: str) -> Callable[[], object]:
    return lambda: page.evaluate("address => { location.hash = address }", f"#/{view}")


def measured(browser: Any, store: Path, way: str, times: int) -> dict[str, float]:
    with (served if way == "served" else reported)(store) as (url, ready):
        rounds = [round_of(browser, url) for _ in range(times)]
    middle = {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}
    return {"ready": ready, **middle}


def show(way: str, sizes: list[int], columns: list[dict[str, float]]) -> None:
    print(f"\n{way:16}" + "".join(f"{size:>12,}" for size in sizes) + f"{'growth':>10}")
    for name in columns[0]:
        unit = "ms" if name.startswith("longest") else "s"
        values = "".join(
            f"{column[name]:12.0f}" if unit == "ms" else f"{column[name]:12.2f}" for column in columns
        )
        growth = f"{columns[-1][name] / columns[0][name]:9.1f}x" if columns[0][name] else ""
        print(f"{name:13}{unit:>3}{values}{growth:>10}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True, help="where staged runs are kept")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--ways", nargs="+", choices=("served", "file"), default=("served", "file"))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--out", type=Path, help="write the rows as JSON")
    options = parser.parse_args()
    stores = [run_of(options.runs, size) for size in options.sizes]
    found: dict[str, list[dict[str, float]]] = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=options.chromium, args=[*FLAGS])
        print(f"Chromium {browser.version}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for way in options.ways:
            found[way] = [measured(browser, store, way, options.times) for store in stores]
            show(way, options.sizes, found[way])
        browser.close()
    if options.out is not None:
        options.out.write_text(json.dumps({"sizes": options.sizes, **found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
