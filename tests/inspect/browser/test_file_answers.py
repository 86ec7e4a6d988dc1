"""A report answers its page as the server would: the script that unpacks it is asked what the server is asked."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.data import ENDPOINTS
from swarm.inspect.look import Look
from swarm.inspect.opened import open_run
from swarm.inspect.report.write import write_report

Ask = tuple[str, dict[str, Any], dict[str, Any]]


def asked(look: Look) -> Iterator[tuple[str, dict[str, Any]]]:
    """A bit of everything."""
    plan = look.fresh().plan
    findings = [row["id"] for row in ENDPOINTS["nodes"](look, limit=200)["rows"]]
    begun = ENDPOINTS["timeline"](look)["begun"]
    yield from ((name, {}) for name in ("overview", "cost", "windows", "timeline", "tree", "disputes", "coverage"))
    yield from (("nodes", {"offset": offset, "limit": 50}) for offset in (0, 350, 400))
    yield from (("nodes", {"kind": kind}) for kind in ("summary", "source", "question"))
    yield from (("node", {"id": id_}) for id_ in [*findings[::40], findings[7][:12], *list(plan.slices)[:1]])
    told = ENDPOINTS["tree"](look)
    while told["children"]:
        yield "tree", {"id": told["children"][-1]["id"]}
        told = ENDPOINTS["tree"](look, told["children"][-1]["id"])
    yield "disputes", {"offset": 3, "limit": 4}
    yield from (
        ("plan", {"branch": key, "state": state}) for key in ("", *plan.branches) for state in ("", "failed")
    )
    yield from (("slice", {"id": id_}) for id_ in list(plan.slices)[::7])
    yield from (("calls", {"sort": by}) for by in ("begun", "cost", "tokens", "seconds", "fill"))
    yield from (("calls", more) for more in ({"failed": 1}, {"asker": "plan"}, {"asker": list(plan.slices)[4]}))
    yield from (("call", {"key": key.hex()}) for key in look.follower.calls.keys[::5])
    yield from (("coverage", {"sort": "unread"}), ("coverage", {"q": "volume-0002"}))
    for source in ENDPOINTS["coverage"](look)["sources"]:
        yield from (("source", {"id": source["id"], "at": at, "chars": 700}) for at in (0, 5_000, 10_300))
    yield "timeline", {"from": begun + 3, "to": begun + 9}


@pytest.fixture(scope="module")
def told(mills: Path) -> tuple[str, list[Ask]]:
    """The report, and what the server says to each question. On a thread: on this one is Playwright's loop."""

    def make() -> tuple[str, list[Ask]]:
        out = io.BytesIO()
        with open_run("last", mills) as opened:
            write_report(opened, out)
            look = Look(opened, lambda: look.follower.last)
            asks = [
                (
                    name,
                    more,
                    ENDPOINTS[name](look, **{key.replace("from", "from_"): one for key, one in more.items()}),
                )
                for name, more in asked(look)
            ]
        return out.getvalue().decode(), json.loads(json.dumps(asks))

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(make).result()


def differences(server: Any, file: Any, where: str) -> Iterator[str]:
    """Where the file says something else than the server; it may say more."""
    if isinstance(server, dict) and isinstance(file, dict):
        for key, value in server.items():
            yield from differences(value, file.get(key, "nothing"), f"{where}.{key}")
    elif isinstance(server, list) and isinstance(file, list):
        if len(server) != len(file):
            yield f"{where}: {len(server)} and {len(file)}"
        for place, (one, other) in enumerate(zip(server, file, strict=False)):
            yield from differences(one, other, f"{where}[{place}]")
    elif isinstance(server, float) or isinstance(file, float):
        if server is None or file is None or abs(server - file) > 1e-3:
            yield f"{where}: {server} and {file}"
    elif server != file:
        yield f"{where}: {server!r:.120} and {file!r:.120}"


NOT_ALIKE = re.compile(r"^node s.*\.edges\[|^overview\.rate")
"""A slice's edges come in another order; and nothing is sent in a file."""


def test_a_file_says_what_the_server_says(told: tuple[str, list[Ask]], chromium: Any, tmp_path: Path) -> None:
    html, asks = told
    assert len(asks) > 50
    # without its policy, and with its source where the test can reach it
    html = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", html)
    path = tmp_path / "open.html"
    path.write_text(html.replace("begin({ live: false,", "begin(window.source = { live: false,"), "utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.locator("#body > .view:not([aria-busy])").wait_for()
    found = []
    for name, more, reply in asks:
        said = page.evaluate("([name, more]) => window.source.get(name, more)", [name, more])
        what = f"{name} {' '.join(map(str, more.values()))}".strip()
        found += [one for one in differences(reply, said, what) if not NOT_ALIKE.match(one)]
    page.close()
    assert not found


def test_what_a_file_does_not_know_it_says(told: tuple[str, list[Ask]], chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "open.html"
    html = re.sub('<meta http-equiv="Content-Security-Policy"[^>]*>', "", told[0])
    path.write_text(html.replace("begin({ live: false,", "begin(window.source = { live: false,"), "utf-8")
    page = chromium.new_page()
    page.goto(path.as_uri())
    page.locator("#body > .view:not([aria-busy])").wait_for()
    ask = "([name, more]) => window.source.get(name, more).then(() => null, (it) => [it.status, it.message])"
    for name, more in (
        ("node", {"id": "f"}), ("node", {"id": ""}), ("node", {"id": "zz"}), ("tree", {"id": "zz"}),
        ("source", {"id": "zz"}), ("slice", {"id": "zz"}), ("call", {"key": "zz"}), ("plan", {"branch": "zz"}),
    ):  # fmt: skip
        status, words = page.evaluate(ask, [name, more])
        assert status == 404, name
        assert len(words) > 20
    page.close()
