"""The page in a real Chromium: Debian's, driven by Playwright. One for all tests of this folder, which are written
without async: Playwright keeps a loop of its own on this thread, and goes before a test of another folder comes.

A page that is looked at complains, and its test fails, of errors on its console (what its policy blocks is one),
of errors of its script, of dialogs and windows that open, and of every request that leaves this machine, as the
page asks for it and as it comes to a proxy that stands where the network would be.
"""

from __future__ import annotations

import asyncio
import gc
import re
import shutil
import socket
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from swarm.inspect.look import Look
from swarm.inspect.opened import Opened, open_run
from swarm.inspect.page.served import serve
from swarm.inspect.report.write import write_report
from swarm.testing.staged import Script, Stage

CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = "there is no chromium on this machine"
TOKEN = "a-token-that-nobody-guesses"
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
    "--disable-features=AutofillServerCommunication",  # it asks its maker what fields are for
    "--proxy-server=http://127.0.0.1:9",  # what it asks for beside, for itself, leads nowhere
)  # fmt: skip
WAIT_MS = 20_000
VIEWS = (
    "overview", "findings", "tree", "disputes", "coverage", "plan", "timeline", "cost", "windows", "calls",
)  # fmt: skip
"""All that the page lists."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser none of these tests runs."""
    here = Path(__file__).parent
    for item in items:
        if CHROMIUM is None and here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=NO_CHROMIUM))


class Shared:
    """What the tests of this folder have in common, each thing made when it is first asked for."""

    def __init__(self) -> None:
        self.stack, self.made = ExitStack(), dict[Any, Any]()

    def get(self, name: Any, make: Callable[[], AbstractContextManager[Any]]) -> Any:
        if name not in self.made:
            self.made[name] = self.stack.enter_context(make())
        return self.made[name]

    def close(self) -> None:
        self.made.clear()
        self.stack.close()


SHARED = Shared()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> None:
    """A loop that stands on this thread lets no other begin there."""
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        SHARED.close()


# What is shown


@pytest.fixture(scope="session")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store of a run whose quotes go over several lines and hold characters of all lengths."""
    path = tmp_path_factory.mktemp("odd") / "swarm.db"

    class Odd(Stage):
        def _line(self, n: int) -> str:
            return f"Mühle {n} 🏭🏽 («e\u0301», 漢字, שלום)\nwas rebuilt in {1700 + n}\tby 👩‍🔧 &lt;Anna&gt;."

    async def run() -> None:
        async with Odd(path, Script(findings=60, each=10, failing=0)) as stage:
            await stage.open()
            await stage.work()
            await stage.end()

    asyncio.run(run())
    return path


@contextmanager
def looked_into(store: Path) -> Iterator[Opened]:
    with open_run("last", store) as opened:
        yield opened


@contextmanager
def served(store: Path) -> Iterator[str]:
    """The address of a server that shows the last run of a store, on a thread with a loop of its own."""
    begun, loops = threading.Event(), []
    ended = asyncio.Event()

    async def serving(look: Look, listening: socket.socket) -> None:
        loops.append(asyncio.get_running_loop())
        await serve(look, listening, TOKEN, ended, begun.set)

    with open_run("last", store) as opened, socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(serving(Look(opened), listening)), daemon=True)
        thread.start()
        assert begun.wait(20)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/?token={TOKEN}"
        finally:
            loops[0].call_soon_threadsafe(ended.set)
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def address(mills: Path, hostile: Path, odd: Path) -> Callable[[Path], str]:
    """Where the run of a store is served: one server each."""
    return lambda store: SHARED.get(store, lambda: served(store))


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], str]:
    """The address of the report of a run, as a file. Each is written once, on another thread: on this one stands
    Playwright's loop."""
    known: dict[Path, str] = {}

    def write(store: Path, path: Path) -> None:
        with open_run("last", store) as opened, path.open("wb") as out:
            write_report(opened, out)

    def written_(store: Path) -> str:
        if store not in known:
            path = tmp_path_factory.mktemp("report") / "report.html"
            with ThreadPoolExecutor(1) as thread:
                thread.submit(write, store, path).result()
            known[store] = path.as_uri()
        return known[store]

    return written_


class Elsewhere:
    """Coroutines run on a thread of their own: on this one stands Playwright's loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()

    def __call__(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)
        self.loop.close()


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    one = Elsewhere()
    yield one
    one.close()


# Who looks


class Outside:
    """Stands where the network would be, and keeps the first line of whatever comes."""

    def __init__(self) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        self.heard: list[str] = []
        self.thread = threading.Thread(target=self._hear, daemon=True)
        self.thread.start()

    def _hear(self) -> None:
        while True:
            try:
                client, _ = self.listening.accept()
            except OSError:
                return  # closed
            with client:
                client.settimeout(5)
                self.heard.append(client.recv(2_000).decode("latin-1").partition("\r\n")[0])

    def close(self) -> None:
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(10)


@contextmanager
def a_browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS])
        yield browser
        browser.close()
    gc.collect()  # what greenlets are left: Python 3.11 miscounts its depth where they end while it parses


@pytest.fixture
def outside() -> Outside:
    one: Outside = SHARED.get("outside", lambda: closing(Outside()))
    return one


@pytest.fixture
def chromium(mills: Path, hostile: Path, odd: Path) -> Any:
    """What needs a loop on this thread is made before."""
    return SHARED.get("chromium", a_browser)


Visit = Callable[..., Any]


@pytest.fixture
def visit(chromium: Any, outside: Outside) -> Iterator[Visit]:
    """Open an address in a fresh profile, and wait until it shows a view, unless `waits` is false; the page. What
    it is expected to complain of is named by a pattern, `expected`."""
    complaints: list[str] = []
    outside.heard.clear()
    with ExitStack() as stack:

        def visiting(url: str, *, expected: str = "^$", waits: bool = True, **options: Any) -> Any:
            context = chromium.new_context(proxy={"server": outside.url, "bypass": "127.0.0.1"}, **options)
            stack.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            page = context.new_page()
            _listen(context, page, complaints, re.compile(expected))
            page.goto(url)
            if waits and options.get("java_script_enabled", True):
                shown(page)
            return page

        visiting.complaints = complaints  # type: ignore[attr-defined]
        yield visiting
    assert not complaints
    assert not outside.heard


def _listen(context: Any, page: Any, complaints: list[str], expected: re.Pattern[str]) -> None:
    def complain(words: str) -> None:
        if not expected.search(words):
            complaints.append(words)

    def asked(request: Any) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "file:")):
            complain(f"asked for {request.url}")

    page.on("console", lambda said: complain(f"console: {said.text}") if said.type == "error" else None)
    page.on("pageerror", lambda error: complain(f"script: {error}"))
    page.on("dialog", lambda dialog: (complain(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("popup", lambda other: complain(f"window: {other.url}"))
    context.on("request", asked)


def shown(page: Any, view: str = "") -> Any:
    """Wait until a view is drawn, or any; its element."""
    body = page.locator(f"#body > .view{view and f'.view-{view}'}:not([aria-busy])")
    body.wait_for()
    return body


def to(page: Any, address: str) -> Any:
    """Go to an address of the page that is open, and wait until it is drawn; the view that it shows."""
    if page.evaluate("location.hash") != address:
        page.evaluate(
            """address => {
            document.querySelector("#body > .view").dataset.left = "yes";
            location.hash = address;
        }""",
            address,
        )
    body = page.locator("#body > .view:not([data-left]):not([aria-busy])")
    body.wait_for()
    return body
