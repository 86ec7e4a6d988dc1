"""A run that goes on while one looks at it, and a server that ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from swarm.testing.staged import Script, Stage
from tests.inspect.browser.conftest import Elsewhere, served, shown, to


def test_figures_change_as_the_run_goes_on_and_what_is_read_stays_where_it_is(
    tmp_path: Path, elsewhere: Elsewhere, visit: Any
) -> None:
    store = tmp_path / "swarm.db"
    with closing(Stage(store, Script(findings=400, left=0, failing=0))) as stage, ExitStack() as stack:
        elsewhere(stage.open())
        elsewhere(stage.work(8))
        elsewhere(stage.begin_call(12))
        url = stack.enter_context(served(store))
        page = visit(url)
        page.evaluate("window.stays = 'since the beginning'")
        findings = page.locator("dl.figures dd").first
        assert findings.inner_text() == "160"
        assert page.locator("#status").inner_text().startswith("running")

        to(page, "#/findings")
        page.mouse.move(640, 500)
        page.mouse.wheel(0, 900)
        page.wait_for_timeout(200)
        before = _in_sight(page)
        elsewhere(stage.work(4))
        page.locator("#fresh", has_text="80 new").wait_for()
        assert _in_sight(page) == before

        to(page, "#/overview")
        assert findings.inner_text() == "240"
        elsewhere(stage.work())
        page.locator("dl.figures dd", has_text="400").first.wait_for()
        elsewhere(stage.end())
        button = page.get_by_role("button", name="The answer is written: show it")
        button.wait_for()
        assert page.locator(".answer a.ref").count() == 0
        button.click()
        page.locator(".answer a.ref").first.wait_for()
        page.locator("#status", has_text="answered").wait_for()
        assert page.evaluate("window.stays") == "since the beginning"


def _in_sight(page: Any) -> list[list[Any]]:
    """The rows that one sees, each with its text and where it is."""
    found = page.evaluate("""() => [...document.querySelectorAll(".rows .row")]
        .map((row) => [row.textContent, Math.round(row.getBoundingClientRect().top)])
        .filter(([, top]) => top > 0 && top < innerHeight).sort((one, other) => one[1] - other[1])""")
    assert len(found) > 3
    return list(found)


def test_the_command_serves_it_until_it_is_told_to_end_which_the_page_tells(mills: Path, visit: Any) -> None:
    command = [str(Path(sys.executable).parent / "swarm"), "view", "last", "--store", str(mills), "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
        assert server.stdout is not None
        said = next(line for line in server.stdout if "token=" in line)
        url = next(word for word in said.split() if word.startswith("http"))
        page = visit(url, expected="ERR_|Failed to load")
        assert "token" not in page.url
        assert page.locator(".answer a.ref").count() == 6
        server.send_signal(signal.SIGTERM)
        server.stdout.read()
    assert server.returncode == 0
    page.locator("#gone").wait_for()
    assert page.locator("#gone-words").inner_text().strip()
    assert page.locator(".answer a.ref").count() == 6  # what one reads is still there


def test_without_the_token_there_is_nothing_to_see(mills: Path, visit: Any, address: Any) -> None:
    known = visit(address(mills))
    origin = address(mills).partition("?")[0]
    context = known.context.browser.new_context()
    page = context.new_page()
    reply = page.goto(origin)
    assert reply.status == 401
    assert "mill" not in page.content().lower()
    context.close()
    shown(known, "overview")


def test_pages_that_nobody_sees_leave_their_connections_to_those_that_are_seen(
    mills: Path, address: Callable[[Path], str], visit: Any
) -> None:
    """A browser has six connections to one place, and each page that listens keeps one."""
    hides = """let hidden = false;
        Object.defineProperty(document, "hidden", { get: () => hidden });
        window.hide = (is) => { hidden = is; document.dispatchEvent(new Event("visibilitychange")); };
        window.streams = [];
        const Real = window.EventSource;
        window.EventSource = class extends Real {
            constructor(...all) { super(...all); window.streams.push(this); }
        };"""
    page = visit(address(mills))
    for _ in range(7):
        other = page.context.new_page()
        other.add_init_script(hides)
        other.goto(page.url.partition("#")[0])
        shown(other)
        assert other.evaluate("window.streams.map((one) => one.readyState)") != [2]
        other.evaluate("hide(true)")
        assert other.evaluate("window.streams.map((one) => one.readyState)") == [2]
    other.evaluate("hide(false)")
    assert other.evaluate("window.streams.map((one) => one.readyState)") in ([2, 0], [2, 1])
